"""Logging in where a server asks for it: in the browser, or as a machine; and remembering it."""

import asyncio
import hashlib
import json
import socket
import sys
import threading
import webbrowser
from contextlib import closing, suppress
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import anyio
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, BaseModel, ValidationError

from mcp_server_shared.commands.private_files import write_private
from mcp_server_shared.commands.remote_settings import RemoteSettings
from mcp_server_shared.serving.settings import is_loopback
from mcp_server_shared.settings import application_settings

SIGN_IN_S = 300.0
_PAGE = b"<!doctype html><title>Done</title><p>You can close this page and go back to the terminal.</p>"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Login:
    """Logs in at one server; a context that keeps a port open for the browser to come back to.

    Attributes:
        provider: the authentication of an HTTP client; it does nothing until a server asks for it.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        memory = Memory(settings)
        if settings.client_id and settings.client_secret:
            self._browser = None
            self.provider: OAuthClientProvider = ClientCredentialsOAuthProvider(
                settings.resource,
                memory,
                client_id=settings.client_id,
                client_secret=settings.client_secret.get_secret_value(),
                issuer=settings.issuer,
            )
        else:
            self._browser = Browser(settings.redirect_port or memory.redirect_port)
            memory.redirect_uri = AnyUrl(self._browser.redirect_uri)
            self.provider = OAuthClientProvider(
                settings.resource,
                OAuthClientMetadata(
                    redirect_uris=[memory.redirect_uri],
                    client_name="mcp-servers command line",
                    token_endpoint_auth_method="none",  # noqa: S106 - a public client has no secret
                ),
                memory,
                redirect_handler=self._browser.open,
                callback_handler=self._browser.came_back,
            )
        memory.fill(self.provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._browser:
            self._browser.close()


class Browser:
    """The person's browser: sent to the authorization server, it comes back to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._listener = socket.socket()
        try:
            self._listener.bind(("127.0.0.1", port))
        except OSError:  # somebody else has it; authorization servers take any port of loopback (RFC 8252)
            self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._state = ""
        self.redirect_uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}/callback"

    async def open(self, url: str) -> None:
        """Send the person to the authorization server."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or "")):
            raise OAuthFlowError("the authorization server is not at an https address")
        self._state = parse_qs(parts.query)["state"][0]
        sys.stderr.write(f"Log in in the browser, which should open by itself, or at\n{url}\n")
        # Some browsers are waited for until they are closed, and only while we go on can they come back.
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    async def came_back(self) -> AuthorizationCodeResult:
        """Wait until the browser comes back; return what it brings."""
        arrived: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer), suppress(OSError, ValueError, IndexError):  # whatever else comes to the port
                target = urlsplit((await reader.readline()).decode("ascii").split(" ")[1])
                found = {name: values[0] for name, values in parse_qs(target.query).items()}
                ours = target.path == "/callback" and found.get("state") == self._state
                writer.write(_ANSWER % (len(_PAGE), _PAGE) if ours else _NOT_FOUND)
                await writer.drain()
                if ours and not arrived.done():
                    arrived.set_result(found)

        server = await asyncio.start_server(serve, sock=self._listener.dup())
        try:
            with anyio.fail_after(SIGN_IN_S):
                found = await arrived
        except TimeoutError:
            raise OAuthFlowError("nobody logged in within five minutes") from None
        finally:
            server.close()
        if "error" in found:
            raise OAuthFlowError(f"{found['error']} {found.get('error_description', '')}".strip())
        return AuthorizationCodeResult(code=found.get("code", ""), state=found["state"], iss=found.get("iss"))

    def close(self) -> None:
        """Give up the port."""
        self._listener.close()


class Remembered(BaseModel):
    """What is kept of one server, in a file that its owner alone may read."""

    resource: str
    issuer: str | None = None
    tokens: OAuthToken | None = None
    expires_at: float | None = None
    client: OAuthClientInformationFull | None = None
    authorization_server: OAuthMetadata | None = None
    protected_resource: ProtectedResourceMetadata | None = None


class Memory(TokenStorage):
    """Keeps tokens and the registered client from one run to the next, by server, issuer and client."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        whose = json.dumps([settings.resource, settings.issuer, settings.client_id])
        name = f"{urlsplit(settings.url).hostname}-{hashlib.sha256(whose.encode()).hexdigest()[:16]}.json"
        self._file = login_folder() / name
        self._known = self._read()
        self.redirect_uri: AnyUrl | None = None

    @property
    def redirect_port(self) -> int:
        """The port that the registered client's browser came back to; 0 for any."""
        uris = (self._known.client and self._known.client.redirect_uris) or []
        return (uris[0].port or 0) if uris else 0

    def fill(self, provider: OAuthClientProvider) -> None:
        """Give a provider what it would otherwise have to find out again, and what it takes to refresh a token."""
        self._context = provider.context
        self._context.token_expiry_time = self._known.expires_at
        self._context.oauth_metadata = self._known.authorization_server
        self._context.protected_resource_metadata = self._known.protected_resource

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens of an earlier run."""
        return self._known.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep tokens, and where they came from."""
        metadata = self._context.oauth_metadata
        self._known.tokens = tokens
        self._known.expires_at = self._context.token_expiry_time
        self._known.authorization_server = metadata
        self._known.protected_resource = self._context.protected_resource_metadata
        self._known.issuer = str(metadata.issuer) if metadata else None
        self._write()

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the client: the one that the person names, else the one that was registered."""
        if self._settings.client_id is None:
            return self._known.client
        uris = [self.redirect_uri] if self.redirect_uri else None
        return OAuthClientInformationFull(
            client_id=self._settings.client_id, redirect_uris=uris, issuer=self._settings.issuer
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep the client that was registered."""
        self._known.client = client_info
        self._write()

    def _read(self) -> Remembered:
        try:
            return Remembered.model_validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return Remembered(resource=self._settings.resource)

    def _write(self) -> None:
        write_private(self._file, self._known.model_dump_json(exclude_none=True, indent=2))


def login_folder() -> Path:
    """Return the folder for tokens, which only its owner may look into."""
    return application_settings() / "mcp-servers" / "logins"
