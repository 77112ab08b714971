"""A server that is reached over a network: which one, what proves who we are, and what it means when it says no."""

import logging
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from mcp_server_shared.commands.remote_login import Login
from mcp_server_shared.commands.remote_settings import RemoteSettings
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.settings import SettingsProblem, read_settings
from mcp_server_shared.untrusted import show_invisible

CONNECT_S = 30.0
READ_S = 3_600.0  # the longest deadline that a server of this family has
MOST_OF_AN_ANSWER = 300
UPGRADE_REQUIRED = 426


class RemoteFailure(Exception):
    """The server cannot be used; the text says why, and what to do next."""


def is_remote(arguments: Sequence[str]) -> bool:
    """Whether a command is to use a server at some address."""
    return any(word.partition("=")[0] == "--url" for word in arguments)


def remote_settings(arguments: Sequence[str]) -> RemoteSettings:
    """Read the settings from command-line arguments and the environment.

    Raises:
        SettingsProblem: for an unknown flag, a missing or invalid value, or such that do not go together.
    """
    settings = read_settings(RemoteSettings, arguments)[0]
    if settings.client_secret and not (settings.client_id and settings.issuer):
        raise SettingsProblem("--client-secret needs --client-id, and --issuer: the one place that it is sent to")
    return settings


def complain(failure: RemoteFailure) -> int:
    """Print why the server cannot be used; return the exit code."""
    sys.stderr.write(f"{failure}\n")
    return 1


@asynccontextmanager
async def connected(settings: RemoteSettings) -> AsyncGenerator[Client]:
    """Connect a client.

    Raises:
        RemoteFailure: whatever goes wrong, while connecting and later on.
        SettingsProblem: the file with the token cannot be read.
    """
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # with the traceback of what is explained here
    token = settings.token()
    refusals: list[httpx2.Response] = []
    try:
        with ExitStack() as stack:
            login = None if token else stack.enter_context(Login(settings)).provider
            async with Client(
                await _transport(settings, token, login, refusals), read_timeout_seconds=READ_S
            ) as client:
                yield client
    except Exception as error:
        raise _explained(settings, error, refusals) from error


async def _transport(
    settings: RemoteSettings, token: str | None, login: httpx2.Auth | None, refusals: list[httpx2.Response]
) -> Any:
    def http_client(*_: Any, **__: Any) -> httpx2.AsyncClient:
        async def remember(response: httpx2.Response) -> None:
            refusals[:] = [response] if response.is_error else []
            if response.is_error:
                await response.aread()

        return httpx2.AsyncClient(
            auth=login,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(CONNECT_S, read=READ_S),
            event_hooks={"response": [remember]},
        )

    if settings.speaks == "http":
        return _streamable_http(settings.url, http_client())
    if settings.speaks == "sse":
        return sse_client(settings.url, httpx_client_factory=http_client)
    from mcp_server_shared.commands.remote_websocket import websocket_client

    async with http_client() as http:  # a plain request logs in where that is asked for: a WebSocket could not
        asked = await http.get(settings.resource)
    if asked.status_code == UPGRADE_REQUIRED:  # as it has to be
        refusals.clear()
    return websocket_client(settings.url, asked.request.headers.get("authorization"))


@asynccontextmanager
async def _streamable_http(url: str, client: httpx2.AsyncClient) -> AsyncGenerator[Any]:
    async with client, streamable_http_client(url, http_client=client) as streams:
        yield streams


def _explained(settings: RemoteSettings, error: Exception, refusals: list[httpx2.Response]) -> RemoteFailure:
    """Return what to tell a person."""
    while isinstance(error, ExceptionGroup):  # what task groups wrap around the cause
        error = cast(Exception, error.exceptions[0])
    host = urlsplit(settings.url).netloc
    if isinstance(error, OAuthRegistrationError):
        return RemoteFailure(f"{host} wants a token, and nobody can register for one: {_shown(str(error))}\n{_BRING}")
    if isinstance(error, (OAuthFlowError, OAuthTokenError)):
        return RemoteFailure(f"Logging in at {host} failed: {_shown(str(error))}")
    if refusals and '"jsonrpc"' not in refusals[-1].text:
        return RemoteFailure(_refusal(host, refusals[-1]))
    if isinstance(error, MCPError):
        return RemoteFailure(f"{host} answered: {_shown(error.error.message)}")
    if isinstance(error, (httpx2.TransportError, OSError)):
        return RemoteFailure(f"{host} cannot be reached: {_shown(str(error) or type(error).__name__)}")
    return RemoteFailure(f"{host} does not answer as an MCP server does: {_shown(f'{type(error).__name__} {error}')}")


_BRING = "Bring one by MCP_BEARER_TOKEN_FILE or --bearer-token-file, or name a registered client by --client-id."
_ADVICE = {
    401: _BRING,
    403: "The token does not give what this takes; the operator can make another.",
    404: "The path of the URL may be another, such as /mcp, /sse or /ws.",
    405: "It may speak another transport: see --transport.",
    429: "Try again later.",
}


def _refusal(host: str, response: httpx2.Response) -> str:
    try:
        said = response.json()["error_description"]
    except (ValueError, KeyError, TypeError):
        said = response.text
    advice = _ADVICE.get(response.status_code, "")
    return f"{host} refused with HTTP {response.status_code}: {_shown(str(said))} {advice}".strip()


def _shown(text: str) -> str:
    """Return text by the other side on one line, fit for a terminal."""
    return show_invisible(" ".join(redact_text(text)[:MOST_OF_AN_ANSWER].split()))
