"""The transport of protocol 2024-11-05, HTTP with server-sent events, for clients that know nothing newer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.server.runner import serve_dual_era_loop
from mcp.server.sse import SseServerTransport
from starlette.types import Receive, Scope, Send

from mcp_server_shared.callers import caller
from mcp_server_shared.server import Server
from mcp_server_shared.serving.answers import answer
from mcp_server_shared.serving.conversation import admitted
from mcp_server_shared.serving.pressure import Admission

MESSAGES = "/messages"


class LegacySse:
    """One server's endpoint: a stream of events at `path`, and `path/messages` for what the client says."""

    def __init__(self, server: Server[Any], path: str, admission: Admission) -> None:
        self._server = server
        self._admission = admission
        self._path = path
        size = server.settings.max_message_bytes
        self._transport = SseServerTransport(path + MESSAGES, max_request_body_size=size)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the server's state open."""
        async with self._server.lifespan(self._server) as self._state:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] != self._path:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # accepted, but the stream has ended
                await self._transport.handle_post_message(scope, receive, send)
        elif scope["method"] != "GET":
            await answer(scope, receive, send, 405, "This is the legacy transport: connect by GET.", {"allow": "GET"})
        else:
            async with self._transport.connect_sse(scope, receive, send) as (incoming, outgoing):
                with admitted(incoming, outgoing, self._admission, caller()) as (reading, writing):
                    await serve_dual_era_loop(self._server, reading, writing, lifespan_state=self._state)
