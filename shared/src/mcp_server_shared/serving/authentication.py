"""Who is calling: bearer tokens on every request, and what to answer when there is none or not enough of one."""

import logging
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server_shared.callers import CallerToken
from mcp_server_shared.serving.answers import answer, refuse
from mcp_server_shared.serving.oauth import IssuerUnavailable
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.serving.tokens import READ

logger = logging.getLogger(__name__)

METADATA_PATH = "/.well-known/oauth-protected-resource"
LONGEST_TOKEN = 16_384


class Verifier(Protocol):
    """Knows tokens of one kind."""

    async def verify(self, token: str) -> CallerToken | None:
        """Return whose token it is; None for one that is not good here."""
        ...


class Challenge:
    """What the `WWW-Authenticate` header says to a client that has to get a token, or a better one.

    Args:
        serving: for where the metadata is.
        scopes: what to ask the issuer for: clients ask for these and no others.
    """

    def __init__(self, serving: ServingSettings, scopes: Sequence[str]) -> None:
        self._scope = " ".join(scopes)
        self._metadata = metadata_url(serving.public_url) if serving.issuer and serving.public_url else None

    def header(self, error: str | None = None, description: str = "") -> dict[str, str]:
        """Return the header; without an error for a request that brought no token at all (RFC 6750)."""
        parts = [f'error="{error}", error_description="{description}"'] if error else []
        if self._metadata:
            parts += [f'resource_metadata="{self._metadata}"', f'scope="{self._scope}"']
        return {"www-authenticate": f"Bearer {', '.join(parts)}".strip()}


def metadata_url(public_url: str) -> str:
    """Return where the metadata of a protected resource is (RFC 9728, section 3.1)."""
    parts = urlsplit(public_url)
    return f"{parts.scheme}://{parts.netloc}{METADATA_PATH}{parts.path.rstrip('/')}"


class ProtectedResourceMetadata:
    """Says which authorization server makes tokens for this endpoint (RFC 9728); open to everybody, also to pages."""

    def __init__(self, serving: ServingSettings, title: str, scopes: Sequence[str]) -> None:
        self._metadata = {
            "resource": serving.public_url,
            "authorization_servers": [serving.issuer],
            "scopes_supported": list(scopes),
            "bearer_methods_supported": ["header"],
            "resource_name": title,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = {"access-control-allow-origin": "*", "cache-control": "max-age=3600"}
        await answer(scope, receive, send, 200, self._metadata, headers)


class Authentication:
    """Lets through what brings a good token, and makes its caller known to everything behind."""

    def __init__(self, app: ASGIApp, verifiers: Sequence[Verifier], challenge: Challenge, grant: str = READ) -> None:
        self._app = app
        self._verifiers = verifiers
        self._challenge = challenge
        self._grant = grant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        fields = [value for name, value in scope["headers"] if name == b"authorization"]
        if not fields:
            text = "A bearer token is needed."
            await refuse(scope, receive, send, 401, "invalid_token", text, self._challenge.header())
            return
        try:
            token = await self._verified(_bearer(fields))
        except IssuerUnavailable as error:
            logger.warning("cannot verify a token: %s", error)
            text = "The authorization server does not answer; try again later."
            await refuse(scope, receive, send, 503, "temporarily_unavailable", text, {"retry-after": "5"})
            return
        if token is None:
            text = "The token is unknown, has ended or is not for this server."
            header = self._challenge.header("invalid_token", text)
            await refuse(scope, receive, send, 401, "invalid_token", text, header)
        elif self._grant not in token.grants:
            text = f"The token does not grant '{self._grant}'."
            header = self._challenge.header("insufficient_scope", text)
            await refuse(scope, receive, send, 403, "insufficient_scope", text, header)
        else:
            await self._let_through(token, scope, receive, send)

    async def is_still_good(self, token: CallerToken) -> bool:
        """Whether a token that was let through would be again."""
        try:
            return await self._verified(token.token) is not None
        except IssuerUnavailable:  # it was good, and nobody says otherwise
            return True

    async def _verified(self, token: str | None) -> CallerToken | None:
        if token is None:
            return None
        for verifier in self._verifiers:
            if (known := await verifier.verify(token)) is not None:
                return known
        return None

    async def _let_through(self, token: CallerToken, scope: Scope, receive: Receive, send: Send) -> None:
        user = AuthenticatedUser(token)
        scope["user"] = user  # the SDK binds sessions to it
        reset = auth_context_var.set(user)
        try:
            await self._app(scope, receive, send)
        finally:
            auth_context_var.reset(reset)


def _bearer(fields: list[bytes]) -> str | None:
    """Return the token of an Authorization header, if that is what it holds."""
    scheme, _, token = fields[0].decode("latin-1").strip().partition(" ")
    token = token.strip()
    well_formed = len(fields) == 1 and scheme.lower() == "bearer" and token and len(token) <= LONGEST_TOKEN
    return token if well_formed and token.isascii() and " " not in token else None
