"""Slack's Web API: one session, the right token for each request, and refusals as the errors they mean.

Everything is sent as POST: Slack takes it for every method, and nothing ends up in the address.
"""

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from mcp_server_shared.errors import PermissionDenied, Unauthenticated, Unavailable

from mcp_server_slack.answers import Answer
from mcp_server_slack.api_errors import expected, turned_away

if TYPE_CHECKING:
    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession
    from slack_sdk.web.async_client import AsyncWebClient

Owner = Literal["bot", "user"]
_CONNECTING_S = 10
NO_TOKEN = "There is no Slack token."  # noqa: S105
HOW_TO_SUPPLY = "The operator sets SLACK_BOT_TOKEN or SLACK_USER_TOKEN to an app's token (OAuth & Permissions)."

# The SDK formats every request for its log, bodies and all, unless its logger says that nobody listens.
_quiet = logging.getLogger("mcp_server_slack.sdk")
_quiet.setLevel(logging.WARNING)


class Read(Protocol):
    """Asks Slack something, again if it was turned away."""

    def __call__(self, method: str, /, **arguments: Any) -> Awaitable[Answer]:
        """Return the answer to one method."""
        ...


@dataclass(frozen=True)
class Identity:
    """Whom a token stands for.

    Attributes:
        bot: the id of the bot, where it is one.
        url: the workspace, "https://example.slack.com/".
        scopes: what it may do; None where Slack does not say.
    """

    user: str
    bot: str
    name: str
    team: str
    url: str
    scopes: frozenset[str] | None


class SlackApi:
    """The connection to one workspace; it opens on the first request.

    Args:
        tokens: those there are.
        api_url: where the methods are; no request leaves for another host.
        team_id: the workspace, for tokens of an organisation.
    """

    def __init__(self, tokens: Mapping[Owner, str], *, api_url: str, team_id: str | None = None) -> None:
        self._tokens = tokens
        self._api_url = api_url
        self._team_id = team_id
        self._session: ClientSession | None = None
        self._clients: dict[Owner, AsyncWebClient] = {}
        self._identities: dict[Owner, Identity] = {}

    @property
    def owners(self) -> list[Owner]:
        """Whose tokens there are."""
        return list(self._tokens)

    @property
    def reader(self) -> Owner:
        """Who reads: the user, who sees more, if there is a token."""
        return self._one_of("user", "bot")

    @property
    def writer(self) -> Owner:
        """Who writes: the app, which is not mistaken for a person, if there is a token."""
        return self._one_of("bot", "user")

    def _one_of(self, first: Owner, second: Owner) -> Owner:
        if not self._tokens:
            raise Unauthenticated(NO_TOKEN, hint=HOW_TO_SUPPLY)
        return first if first in self._tokens else second

    def require_user(self, what: str) -> None:
        """Raise unless there is the token of a user.

        Raises:
            Unauthenticated: there is no token at all.
            PermissionDenied: there is only the bot's.
        """
        if self.reader != "user":
            raise PermissionDenied(
                f"Slack lets only users {what}, not bots.",
                hint="The operator can set SLACK_USER_TOKEN beside SLACK_BOT_TOKEN.",
            )

    async def read(self, method: str, /, *, owner: Owner | None = None, **arguments: Any) -> Answer:
        """Ask something that changes nothing."""
        return await self._request(owner or self.reader, method, arguments)

    async def write(self, method: str, /, *, owner: Owner | None = None, **arguments: Any) -> Answer:
        """Change something; after a failure on the way, nobody knows whether it was done."""
        try:
            return await self._request(owner or self.writer, method, arguments)
        except Unavailable as error:
            raise DoubtfulWrite(
                "The connection failed while Slack was writing: it is unknown whether it was done.",
                hint="Look before you try again.",
                untrusted=error.untrusted,
            ) from error

    async def identity(self, owner: Owner) -> Identity:
        """Return whom a token stands for; asked once."""
        if owner not in self._identities:
            response = await self._send(owner, "auth.test", {})
            scopes = response.headers.get("x-oauth-scopes")
            data = response.data
            self._identities[owner] = Identity(
                user=data.get("user_id", ""),
                bot=data.get("bot_id") or "",
                name=data.get("user", ""),
                team=data.get("team_id", ""),
                url=data.get("url", ""),
                scopes=None if scopes is None else frozenset(s.strip() for s in scopes.split(",") if s.strip()),
            )
        return self._identities[owner]

    async def scopes(self) -> frozenset[str] | None:
        """Return what the token that reads may do; None where Slack does not say."""
        return (await self.identity(self.reader)).scopes

    @asynccontextmanager
    async def download(self, url: str) -> "AsyncGenerator[ClientResponse]":
        """Open a file of Slack's for reading.

        Raises:
            PermissionDenied: the address is not Slack's, or the token may not read files.
        """
        import aiohttp

        session = self._opened()
        headers = {"Authorization": f"Bearer {self._tokens[self.reader]}"}
        try:
            async with session.get(url, headers=headers, allow_redirects=False) as response:
                # Without the right, Slack sends people to its page for signing in.
                if response.status in {301, 302, 303, 307, 308, 401, 403}:
                    raise PermissionDenied(
                        "Slack does not hand this file out to the token.",
                        hint="It needs the scope files:read, and to be in a channel with the file.",
                    )
                if response.status != 200:  # noqa: PLR2004
                    raise turned_away(response.status, response.headers)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("Slack's file store cannot be reached.", untrusted=_said(error)) from error

    async def upload(self, url: str, data: bytes) -> None:
        """Send the bytes of a file to an address that Slack gave for them; the address is the permission."""
        import aiohttp

        try:
            async with self._opened().post(url, data=data, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004
                    raise turned_away(response.status, response.headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("Slack's file store cannot be reached.", untrusted=_said(error)) from error

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.close()

    async def _request(self, owner: Owner, method: str, arguments: Mapping[str, Any]) -> Answer:
        return (await self._send(owner, method, arguments)).data

    async def _send(self, owner: Owner, method: str, arguments: Mapping[str, Any]) -> Any:
        import aiohttp
        from slack_sdk.errors import SlackApiError, SlackClientError

        client = self._client(owner)
        form = {name: _form(value) for name, value in arguments.items() if value is not None}
        try:
            return await client.api_call(method, data=form)  # pyright: ignore[reportUnknownMemberType]
        except SlackApiError as error:
            raise expected(error.response, owner=owner, method=method) from error
        except (aiohttp.ClientError, TimeoutError, SlackClientError) as error:
            raise Unavailable(
                "Slack cannot be reached.", untrusted=_said(error), hint="Try again in a moment."
            ) from error

    def _client(self, owner: Owner) -> "AsyncWebClient":
        if owner not in self._clients:
            from slack_sdk.web.async_client import AsyncWebClient

            client = self._clients[owner] = AsyncWebClient(
                self._tokens[owner],
                base_url=self._api_url,
                session=self._opened(),
                team_id=self._team_id,
                logger=_quiet,
                retry_handlers=[],  # it would repeat writes
            )
            client.proxy = None  # the session knows of proxies, and of hosts that need none
        return self._clients[owner]

    def _opened(self) -> "ClientSession":
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECTING_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(self._only_to_slack,),
                trust_env=True,  # for proxies
            )
        return self._session

    async def _only_to_slack(self, request: "ClientRequest", handler: "ClientHandlerType") -> "ClientResponse":
        """Let a request out, redirected or not, to Slack alone: each may carry a token or private text."""
        if not self.is_slack(str(request.url)):
            raise PermissionDenied("This address is not Slack's; nothing was sent there.")
        return await handler(request)

    def is_slack(self, url: str) -> bool:
        """Whether an address is on the host of the API, or below it as files.slack.com is below slack.com."""
        own, other = urlsplit(self._api_url), urlsplit(url)
        if own.scheme == "http":  # on this machine, for tests
            return (other.scheme, other.netloc) == (own.scheme, own.netloc)
        home = ".".join((own.hostname or "").split(".")[-2:])
        host = other.hostname or ""
        return other.scheme == "https" and other.port in {None, 443} and (host == home or host.endswith("." + home))


class DoubtfulWrite(Unavailable):
    """A write may have been done or not; repeating it unasked could do it twice."""

    retryable = False


def reader_of(api: SlackApi, retry: Callable[[Callable[[], Awaitable[Answer]]], Awaitable[Answer]]) -> Read:
    """Return what asks Slack with a call's way of trying again."""

    async def read(method: str, /, **arguments: Any) -> Answer:
        return await retry(lambda: api.read(method, **arguments))

    return read


def _form(value: Any) -> str:
    """Return a value as a form has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
