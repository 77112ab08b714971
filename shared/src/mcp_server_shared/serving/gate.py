"""Who may speak to the endpoint at all: the peer's address, the Host it means, the web origin it comes from."""

import ipaddress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from mcp_server_shared.serving.answers import refuse
from mcp_server_shared.serving.exposure import listens_on_loopback
from mcp_server_shared.serving.settings import Network, ServingSettings, is_loopback

MISDIRECTED = 421


@dataclass(frozen=True)
class Allowed:
    """Which hosts, origins and peers are let in.

    Attributes:
        hosts: names that the Host header may have; None for any, where a token is needed anyway, which no web page
            that rebinds a name could bring.
        origins: web origins, as browsers write them.
        loopback: whether this machine's own names and pages are let in as well.
        proxies: where set, the only peers.
    """

    hosts: frozenset[str] | None
    origins: frozenset[str]
    loopback: bool
    proxies: tuple[Network, ...]

    @classmethod
    def by(cls, serving: ServingSettings) -> "Allowed":
        """Derive it from the settings."""
        hosts = {host.lower() for host in serving.allowed_hosts}
        origins = set(serving.allowed_origins)
        if serving.public_url:
            parts = urlsplit(serving.public_url)
            hosts.add(parts.hostname or "")
            origins.add(f"{parts.scheme}://{parts.netloc}")
        loopback = listens_on_loopback(serving.host)
        known = frozenset(hosts) if hosts or loopback else None
        return cls(known, frozenset(origins), loopback, tuple(serving.proxies()))

    def host(self, header: str) -> bool:
        """Whether a Host header names us."""
        name = _hostname(header)
        return self.hosts is None or name in self.hosts or (self.loopback and is_loopback(name))

    def origin(self, header: str) -> bool:
        """Whether a page of this origin may connect."""
        if header in self.origins:
            return True
        try:
            parts = urlsplit(header)
            return self.loopback and parts.scheme in {"http", "https"} and is_loopback(parts.hostname or "")
        except ValueError:
            return False

    def peer(self, address: str) -> bool:
        """Whether a machine of this address may connect."""
        if not self.proxies:
            return True
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self.proxies)


class Gate:
    """Refuses what the rules do not allow, before anything looks at the request."""

    def __init__(self, app: ASGIApp, allowed: Allowed) -> None:
        self._allowed = allowed
        trusted = [str(network) for network in allowed.proxies]
        self._app = cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, app), trusted_hosts=trusted)) if trusted else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        if not self._allowed.peer(scope["client"][0] if scope.get("client") else ""):
            await refuse(scope, receive, send, 403, "forbidden", "Only the trusted proxy may connect here.")
        elif len(hosts) != 1 or not self._allowed.host(hosts[0].decode("latin-1")):
            text = "This server is not known by that Host; the operator can add it by --allowed-hosts."
            await refuse(scope, receive, send, MISDIRECTED, "invalid_host", text)
        elif origins and not (len(origins) == 1 and self._allowed.origin(origins[0].decode("latin-1"))):
            text = "Pages of this Origin may not connect; the operator can allow it by --allowed-origins."
            await refuse(scope, receive, send, 403, "invalid_origin", text)
        else:
            await self._app(scope, receive, send)


def _hostname(header: str) -> str:
    """Return the name or address in a Host header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower().removesuffix(".")
