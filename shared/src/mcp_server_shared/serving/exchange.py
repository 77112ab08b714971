"""One request of a handshake version without a session, and its whole answer.

The SDK runs a connection with four streams and three tasks for each such request, which costs more than most calls.
What it does for 2026-07-28, `serve_one`, serves these as well: there is nothing to tell before the answer, and nobody
to ask.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.runner import modern_error_data, serve_one
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.message import MessageMetadata, ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp.types import DEFAULT_NEGOTIATED_VERSION
from mcp.types.jsonrpc import JSONRPCError, JSONRPCRequest, JSONRPCResponse, RequestId
from starlette.requests import Request
from starlette.types import Scope

from mcp_server_shared.server import Server

_TRANSPORT = TransportContext(kind="streamable-http", can_send_request=False)


@dataclass(eq=False)
class _Exchange:
    """The `mcp.shared.dispatcher.DispatchContext` of a request that nothing goes with but its answer."""

    request_id: RequestId
    message_metadata: MessageMetadata
    transport: TransportContext = _TRANSPORT
    can_send_request: bool = False
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)

    async def send_raw_request(
        self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None
    ) -> dict[str, Any]:
        """Refuse: the client's answer would have nowhere to go."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None, opts: CallOptions | None = None) -> None:
        """Drop it: the answer is all that is sent."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Drop it, as it was not asked for."""


async def exchange(
    server: Server[Any], request: JSONRPCRequest, version: str | None, scope: Scope
) -> JSONRPCResponse | JSONRPCError:
    """Serve one request.

    Args:
        server: whose lifespan has begun.
        request: of any method.
        version: the handshake version in its header, None without one.
        scope: the HTTP request that it came in.
    """
    context = _Exchange(request.id, ServerMessageMetadata(request_context=Request(scope)))
    connection = Connection.from_envelope(version or DEFAULT_NEGOTIATED_VERSION, None, None)
    try:
        result = await serve_one(
            server, context, request.method, request.params, connection=connection, lifespan_state=server.state
        )
    except Exception as error:  # noqa: BLE001 - the last place before the wire, which logs what it does not know
        return JSONRPCError(jsonrpc="2.0", id=request.id, error=modern_error_data(error))
    return JSONRPCResponse(jsonrpc="2.0", id=request.id, result=result)
