"""Streamable HTTP, both eras: 2026-07-28 and, if not said otherwise, the handshake versions without sessions."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthorizationContext
from mcp.server.connection import Connection
from mcp.server.streamable_http import CONTENT_TYPE_JSON, StreamableHTTPServerTransport, check_accept_headers
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.types import LOG_LEVEL_META_KEY
from mcp.types.jsonrpc import JSONRPCRequest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from mcp_server_shared.deadlines import Deadlines
from mcp_server_shared.server import Server
from mcp_server_shared.serving.answers import answer
from mcp_server_shared.serving.exchange import exchange, handshake_connection, modern_connection, status_of
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.stdio import ENDLESS_METHODS, Malformed, decode, encode, refusal

MOST_SESSIONS = 1_000
MOST_SESSIONS_OF_A_CALLER = 100  # or one that begins some and never ends them would take those of all others
SESSION_IDLE_S = 1_800.0
_LOOKED_AFTER_S = 0.02


class StreamableHttp:
    """One server's endpoint, over the SDK's session manager."""

    def __init__(self, server: Server[Any], serving: ServingSettings) -> None:
        self._server = server
        self._stateful = serving.stateful
        self._most_bytes = size = server.settings.max_message_bytes
        self._limited = RequestBodyLimitMiddleware(self._serve_limited, size)
        self._presences = Deadlines(_LOOKED_AFTER_S, _Presence.look)
        self._manager = _Sessions(
            server,
            stateless=not serving.stateful,
            max_request_body_size=size,
            session_idle_timeout=SESSION_IDLE_S,
            max_sessions=MOST_SESSIONS,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the server's state open."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["method"] != "POST" and not self._stateful:  # the SDK would open a stream that never carries anything
            text = "Without sessions there is nothing but POST; the operator can keep them by --stateful."
            await answer(scope, receive, send, 405, text, {"allow": "POST"})
            return
        headers = _Headers(scope)
        if scope["method"] == "POST" and headers.length <= self._most_bytes:
            first = await receive()
            if not first.get("more_body", False):
                await self._serve(scope, headers, first, receive, send)
                return
            receive = _replaying(first, receive)
        await self._limited(scope, receive, send)

    async def _serve_limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose body comes at once and is no larger than it may be."""
        if scope["method"] == "POST":
            await self._serve(scope, _Headers(scope), await receive(), receive, send)
        else:
            await self._manager.serve(scope, receive, send)

    async def _serve(self, scope: Scope, headers: "_Headers", first: Message, receive: Receive, send: Send) -> None:
        """Serve a request whose body is in the first message, unless it is no JSON-RPC at all."""
        replayed = _replaying(first, receive)
        try:
            message = decode(first.get("body", b""))
        except Malformed as problem:
            if headers.are_modern:  # there the SDK looks closely enough itself
                await self._manager.serve(scope, replayed, send)
                return
            error = refusal(first.get("body", b""), problem.code, str(problem))
            await answer(scope, receive, send, 400, error.model_dump(mode="json", by_alias=True))
            return
        if not isinstance(message, JSONRPCRequest) or (self._stateful and not headers.are_modern):
            await self._manager.serve(scope, replayed, send)
            return
        is_whole = headers.take_json and not _tells_before_the_answer(message)
        connection = self._connection(message, headers) if is_whole else None
        if connection:
            serving = self._exchange(scope, send, message, connection)
        else:
            serving = self._manager.serve(scope, replayed, send, in_json=is_whole)
        await self._until_gone(receive, serving)

    async def _until_gone(self, receive: Receive, serving: Awaitable[None]) -> None:
        """Serve a request until its client leaves, who has no other way to cancel it."""
        presence = _Presence(receive)
        self._presences.start(presence)
        try:
            with presence.scope:
                await serving
        finally:
            self._presences.stop(presence)
            presence.look_no_more()

    def _connection(self, request: JSONRPCRequest, headers: "_Headers") -> Connection | None:
        """Return what one request is served over; None where the SDK should."""
        if headers.are_modern:
            return modern_connection(self._server, request, headers.pairs)
        return handshake_connection(headers.version)

    async def _exchange(self, scope: Scope, send: Send, request: JSONRPCRequest, connection: Connection) -> None:
        """Answer a request whole, in JSON."""
        answered = await exchange(self._server, request, connection, scope)
        status = status_of(answered) if connection.protocol_version in MODERN_PROTOCOL_VERSIONS else 200
        body = encode(answered)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Headers:
    """What the headers of a request say of it; of several with one name the first counts, as for the SDK."""

    def __init__(self, scope: Scope) -> None:
        self.pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        values = dict(reversed(self.pairs))
        length = values.get("content-length", "")
        self.length = int(length) if length.isdecimal() else math.inf
        self.version = values.get(MCP_PROTOCOL_VERSION_HEADER)
        self.are_modern = self.version is not None and self.version not in HANDSHAKE_PROTOCOL_VERSIONS
        self.take_json = _take_json(values.get("accept", ""), values.get("content-type", ""))


@lru_cache(maxsize=64)
def _take_json(accept: str, content_type: str) -> bool:
    """Whether a request says that it is JSON, and that its answer may be."""
    has_json, _ = check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept.encode("latin-1"))]}))
    return has_json and content_type.lower().startswith(CONTENT_TYPE_JSON)


def _replaying(first: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives once more what was received already."""
    messages = [first]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _tells_before_the_answer(request: JSONRPCRequest) -> bool:
    """Whether a client may be told something before the answer, for which it takes a stream of events."""
    meta: Any = (request.params or {}).get("_meta")
    asks = isinstance(meta, dict) and ("progressToken" in meta or LOG_LEVEL_META_KEY in meta)
    return asks or request.method in ENDLESS_METHODS


class _Presence:
    """The client of a request, who may leave.

    Attributes:
        scope: ends then. A task's own cancellation would reach into shielded scopes, where calls clean up.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None
        self.scope = anyio.CancelScope()

    def look(self) -> None:
        """Look from here on: once the request takes some time, for a task costs as much as a short call."""
        self._looking = asyncio.get_running_loop().create_task(self._cancel_when_gone())

    def look_no_more(self) -> None:
        """Leave the client alone."""
        if self._looking is not None:
            self._looking.cancel()

    async def _cancel_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.scope.cancel()


class _Sessions(StreamableHTTPSessionManager):
    """The SDK's sessions, a share of them for each caller who has a token; and answers that are whole as plain JSON.

    A stream of events with one event in it takes twice the time.
    """

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, in_json: bool = False) -> None:
        """Serve a request whose body is no larger than it may be."""
        self.json_response = in_json  # looked at before anything is waited for
        await self._handle_request(scope, receive, send)

    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        self.json_response = False  # that of another request, since this one has waited
        owned = sum(owner == requestor for owner in self._session_owners.values())
        return None if owned >= MOST_SESSIONS_OF_A_CALLER else super()._admit_session(requestor)
