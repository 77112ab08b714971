"""A client's end of MCP over WebSocket, which the SDK has none for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp.types.jsonrpc import jsonrpc_message_adapter
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from mcp_server_shared.stdio import encode


@asynccontextmanager
async def websocket_client(url: str, authorization: str | None = None) -> AsyncGenerator[Any]:
    """Connect over WebSocket; yields the streams that a client takes."""
    incoming, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)
    headers = {"authorization": authorization} if authorization else {}
    async with connect(url, subprotocols=[Subprotocol("mcp")], additional_headers=headers, max_size=None) as socket:

        async def read() -> None:
            async with incoming:
                try:
                    async for text in socket:
                        await incoming.send(SessionMessage(jsonrpc_message_adapter.validate_json(text)))
                except ConnectionClosed:
                    return

        async def write() -> None:
            async with to_send:
                async for message in to_send:
                    await socket.send(encode(message.message).decode())

        async with anyio.create_task_group() as tasks, messages, outgoing:
            tasks.start_soon(read)
            tasks.start_soon(write)
            yield messages, outgoing
            tasks.cancel_scope.cancel()
