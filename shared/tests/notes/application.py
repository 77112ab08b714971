"""The notes server's ASGI application in this process, for what does not depend on sockets."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_server_shared.serving.application import Application
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.start import Program

from notes.network import bearer, headers_for
from notes.server import ABOUT, Settings, build_server

ORIGIN = "http://localhost:8000"
URL = f"{ORIGIN}/mcp"


@dataclass
class Running:
    """An application that answers."""

    application: Application
    transport: httpx2.ASGITransport

    async def post(self, message: dict[str, Any], token: str | None = None, **headers: str) -> httpx2.Response:
        """Send one request of protocol 2026-07-28."""
        async with self.http() as http:
            return await http.post(URL, json=message, headers=headers_for(message, token) | headers)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """Get what is at a path."""
        async with self.http() as http:
            return await http.get(ORIGIN + path, headers=headers)

    def http(self, token: str | None = None) -> httpx2.AsyncClient:
        """Return an HTTP client of it."""
        return httpx2.AsyncClient(transport=self.transport, headers=bearer(token))

    @asynccontextmanager
    async def client(self, token: str | None = None, era: str = "2026-07-28", **options: Any) -> AsyncGenerator[Client]:
        """Connect a client."""
        async with (
            self.http(token) as http,
            Client(streamable_http_client(URL, http_client=http), mode=era, **options) as c,
        ):
            yield c


@asynccontextmanager
async def running(settings: Settings | None = None, **serving: Any) -> AsyncGenerator[Running]:
    """Run an application; a test that hangs fails."""
    settings = settings or Settings(allow_write=True, transport="http")
    application = Application(Program(ABOUT, Settings, build_server), settings, ServingSettings(**serving))
    with anyio.fail_after(60):
        async with application.running():
            yield Running(application, httpx2.ASGITransport(application))
