"""robots.txt (RFC 9309): what a site asks programs to leave alone."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from mcp_server_shared.errors import PermissionDenied, TooLarge, Unavailable

from mcp_server_search.cache import Cache
from mcp_server_search.fetching import Fetcher

if TYPE_CHECKING:
    from protego import Protego

PRODUCT = "mcp-server-search"
_MOST_BYTES = 500 * 1024
_KEPT_S = 3_600.0
_MOST_KEPT = 20_000_000
_SERVER_ERROR = 500


class Robots:
    """The rules of the sites that were read lately."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._rules: Cache[str, Protego] = Cache(ttl_s=_KEPT_S, most_characters=_MOST_KEPT)

    async def admit(self, url: str) -> None:
        """Return if the site lets this address be read by programs.

        Raises:
            PermissionDenied: it does not.
            Unavailable: its rules cannot be read now, which counts as a no until they can.
        """
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        rules = self._rules.get(origin)
        if rules is None:
            text = await self._text(origin)
            rules = await run_sync(_parsed, text)
            self._rules.put(origin, rules, len(text) + 1_000)
        if not await run_sync(rules.can_fetch, url, PRODUCT):
            raise PermissionDenied(
                f"The robots.txt of {parts.hostname} asks programs not to read this page.",
                hint="Use another source. The operator can decide otherwise by --ignore-robots.",
            )

    async def _text(self, origin: str) -> str:
        try:
            answer = await self._fetcher.get(f"{origin}/robots.txt", most=_MOST_BYTES, any_status=True)
        except (Unavailable, TooLarge) as error:
            raise Unavailable(f"{origin} does not say what programs may read.", hint="Try again later.") from error
        if answer.status >= _SERVER_ERROR:
            raise Unavailable(f"{origin} does not say what programs may read.", hint="Try again later.")
        return answer.body.decode("utf-8", "replace")


def _parsed(text: str) -> "Protego":
    from protego import Protego

    return Protego.parse(text)
