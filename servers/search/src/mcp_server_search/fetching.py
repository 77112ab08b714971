"""Fetching one address of the web, inside the fence: public hosts, checked again on every redirect, bounded."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from mcp_server_shared.egress import DEFAULT_PORTS, Destination, Egress
from mcp_server_shared.errors import (
    ExpectedError,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unavailable,
)

from mcp_server_search.http_client import body_of, new_client
from mcp_server_search.pace import retry_after_s

if TYPE_CHECKING:
    import httpx

MOST_REDIRECTS = 5
MOST_URL_CHARACTERS = 4_096
_TOO_MANY_REQUESTS = 429
_MOST_ADDRESSES = 3  # tried one after another

Admission = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Fetched:
    """What an address answered.

    Attributes:
        url: the address after all redirects.
        status: the HTTP status, 200 to 299 unless any was asked for.
        content_type: as the header says it, lower-case.
        body: unpacked.
    """

    url: str
    status: int
    content_type: str
    body: bytes


class Fetcher:
    """GET requests without cookies, credentials, proxies or a second look at the name server.

    Args:
        egress: which hosts may be reached.
        user_agent: how this server introduces itself.
    """

    def __init__(self, egress: Egress, user_agent: str) -> None:
        self.egress = egress
        self._user_agent = user_agent
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, most: int, admit: Admission | None = None, any_status: bool = False) -> Fetched:
        """Fetch an address and follow its redirects, each judged as if it had been asked for.

        Args:
            url: http or https.
            most: bytes of the body.
            admit: called with every address before it is requested; raises to refuse it.
            any_status: whether an error status is returned rather than raised.
        """
        for _ in range(MOST_REDIRECTS + 1):
            destination = self.egress.check_url(url)
            if admit:
                await admit(url)
            answer = await self._hop(url, destination, most)
            if isinstance(answer, Fetched):
                return answer if any_status else _successful(answer)
            url = answer
        raise Unavailable(f"It redirects more than {MOST_REDIRECTS} times.", hint="Use another address.")

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            await self._client.aclose()

    async def _hop(self, url: str, destination: Destination, most: int) -> Fetched | str:
        """Return what an address answers, or the address that it redirects to."""
        import httpx

        response = await self._open(url, destination)
        try:
            if response.has_redirect_location:
                return _redirected(url, response.headers["location"])
            body = await body_of(response, most=most) if response.is_success else b""
        except httpx.HTTPError as error:
            raise Unavailable(f"{destination.host} broke off its answer.", hint="Try again in a moment.") from error
        finally:
            await response.aclose()
        if response.status_code == _TOO_MANY_REQUESTS:
            raise RateLimited(f"{destination.host} asks to wait.", retry_after_s=retry_after_s(response.headers))
        return Fetched(url, response.status_code, response.headers.get("content-type", "").lower()[:200], body)

    async def _open(self, url: str, destination: Destination) -> "httpx.Response":
        """Connect to an address that was checked, never to the name, which may mean another one by now."""
        import httpx

        # A connection kept alive would belong to an IP address, and may not serve another name at that address.
        client = self._client = self._client or new_client(user_agent=self._user_agent, keep_alive=False)
        addresses = await self.egress.addresses(destination.host, destination.port)
        for address in addresses[:_MOST_ADDRESSES]:
            request = client.build_request(
                "GET",
                _at(url, destination, address),
                headers={"host": _authority(destination.host, destination), "accept": "text/html,*/*;q=0.5"},
                extensions={"sni_hostname": destination.host},
            )
            try:
                return await client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError as error:
                raise Unavailable(f"{destination.host} does not answer.", hint="Try again in a moment.") from error
        raise Unavailable(f"{destination.host} cannot be reached.", hint="Try again later, or use another address.")


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location[:MOST_URL_CHARACTERS])
    except ValueError:
        raise Unavailable("It redirects to something that is no address.", hint="Use another source.") from None


def _at(url: str, destination: Destination, address: str) -> str:
    """Return the URL with an address in place of the host; path and query are all that is kept of the original."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{destination.scheme}://{_authority(address, destination)}{parts.path or '/'}{query}"


def _authority(host: str, destination: Destination) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if destination.port == DEFAULT_PORTS[destination.scheme] else f"{shown}:{destination.port}"


def _successful(answer: Fetched) -> Fetched:
    host = urlsplit(answer.url).hostname
    match answer.status:
        case status if status in range(200, 300):
            return answer
        case 404 | 410:
            raise NotFound(f"{host} has no such page.", hint="Use another result.")
        case 401 | 402 | 403 | 407 | 451:
            raise PermissionDenied(f"{host} does not show this page to everybody.", hint="Use another source.")
        case status:
            raise _unavailable(host, status)


def _unavailable(host: str | None, status: int) -> ExpectedError:
    return Unavailable(f"{host} answered with status {status}.", hint="Try again later, or use another source.")
