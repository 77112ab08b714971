"""MCP over WebSocket: one JSON-RPC message a text frame, subprotocol `mcp`. Not in the specification."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.server.runner import serve_dual_era_loop
from mcp.shared.message import SessionMessage
from starlette.types import Message, Receive, Scope, Send

from mcp_server_shared.callers import caller
from mcp_server_shared.server import Server
from mcp_server_shared.serving.answers import answer
from mcp_server_shared.serving.conversation import admitted
from mcp_server_shared.serving.pressure import Admission
from mcp_server_shared.stdio import Malformed, decode, encode, refusal

SUBPROTOCOL = "mcp"
_UPGRADE_REQUIRED = 426


class WebSocket:
    """One server's endpoint; a connection is served as stdio is."""

    def __init__(self, server: Server[Any], admission: Admission) -> None:
        self._server = server
        self._admission = admission

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep the server's state open."""
        async with self._server.lifespan(self._server) as self._state:
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket":
            headers = {"upgrade": "websocket"}
            await answer(scope, receive, send, _UPGRADE_REQUIRED, "This is a WebSocket endpoint.", headers)
        elif SUBPROTOCOL not in scope["subprotocols"]:
            await answer(scope, receive, send, 400, f"Offer the subprotocol '{SUBPROTOCOL}'.")
        else:
            await receive()  # the opening
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            outgoing = _Outgoing(send)
            incoming = _Incoming(receive, outgoing)
            with admitted(incoming, outgoing, self._admission, caller()) as (reading, writing):
                await serve_dual_era_loop(self._server, reading, writing, lifespan_state=self._state)


class _Outgoing(ObjectSendStream[SessionMessage]):
    """The server's messages."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._closed = False

    async def send(self, item: SessionMessage) -> None:
        await self._frame({"type": "websocket.send", "text": encode(item.message).decode()})

    async def _frame(self, frame: Message) -> None:
        if self._closed:
            raise anyio.ClosedResourceError
        try:
            await self._send(frame)
        except OSError as error:  # the client is gone
            raise anyio.BrokenResourceError from error

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            with anyio.CancelScope(shield=True):
                try:
                    await self._send({"type": "websocket.close"})
                except (OSError, RuntimeError):  # it is closed already
                    return


class _Incoming(ObjectReceiveStream[SessionMessage]):
    """The client's messages; what is none is answered here and does not appear."""

    def __init__(self, receive: Receive, outgoing: _Outgoing) -> None:
        self._receive = receive
        self._outgoing = outgoing

    async def receive(self) -> SessionMessage:
        while True:
            frame = await self._receive()
            if frame["type"] != "websocket.receive":
                raise anyio.EndOfStream
            data: bytes = frame.get("bytes") or (frame.get("text") or "").encode()
            try:
                return SessionMessage(decode(data))
            except Malformed as problem:
                await self._outgoing.send(SessionMessage(refusal(data, problem.code, str(problem))))

    async def aclose(self) -> None:
        """Nothing to do: the connection ends with its last message in either direction."""
