"""One request over HTTP that nothing is told before the answer to, and its whole answer, of either era.

For a handshake version without a session the SDK runs a connection with four streams and three tasks, which costs more
than most calls; for 2026-07-28 it reads the body a second time and looks through a tool's schema on each call. What it
checks and how it runs a handler is used here as it is, and what it would refuse it refuses itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.server.connection import Connection
from mcp.server.runner import ServerRunner, modern_error_data
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundModernRoute,
    classify_inbound_request,
    find_duplicated_routing_header,
)
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


def handshake_connection(version: str | None) -> Connection:
    """Return the connection of a request of a handshake version, which may not name it."""
    return Connection.from_envelope(version or DEFAULT_NEGOTIATED_VERSION, None, {})


def modern_connection(
    server: Server[Any], request: JSONRPCRequest, headers: Sequence[tuple[str, str]]
) -> Connection | None:
    """Return the connection of a request of 2026-07-28; None for one that only the SDK can judge, or will refuse.

    Headers have to agree with the body (basic/transports, "Standard MCP Request Headers"). Those of single arguments
    are compared by the SDK, where a tool has any.
    """
    if find_duplicated_routing_header(headers) or (request.method == "tools/call" and _has_header(server, request)):
        return None
    route = classify_inbound_request({"method": request.method, "params": request.params}, headers=dict(headers))
    if not isinstance(route, InboundModernRoute):
        return None
    return Connection.from_envelope(route.protocol_version, route.client_info, route.client_capabilities)


def _has_header(server: Server[Any], request: JSONRPCRequest) -> bool:
    """Whether a call's tool has arguments that are repeated in headers."""
    name = (request.params or {}).get("name")
    tool = server.registry.tools.get(name) if isinstance(name, str) else None
    return tool is not None and tool.arguments.in_headers


async def exchange(
    server: Server[Any], request: JSONRPCRequest, connection: Connection, scope: Scope
) -> JSONRPCResponse | JSONRPCError:
    """Serve one request.

    Args:
        server: whose lifespan has begun.
        request: of any method.
        connection: for this request alone.
        scope: the HTTP request that it came in.
    """
    context = _Exchange(request.id, ServerMessageMetadata(request_context=Request(scope)))
    runner = ServerRunner(server, connection, server.state)
    try:
        result = await runner.on_request(context, request.method, request.params)
    except Exception as error:  # noqa: BLE001 - the last place before the wire, which logs what it does not know
        return JSONRPCError(jsonrpc="2.0", id=request.id, error=modern_error_data(error))
    finally:
        await connection.exit_stack.aclose()
    return JSONRPCResponse(jsonrpc="2.0", id=request.id, result=result)


def status_of(answer: JSONRPCResponse | JSONRPCError) -> int:
    """Return the HTTP status of an answer of 2026-07-28."""
    return ERROR_CODE_HTTP_STATUS.get(answer.error.code, 200) if isinstance(answer, JSONRPCError) else 200
