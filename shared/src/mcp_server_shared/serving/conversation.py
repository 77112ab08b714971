"""A connection that carries many requests: each is admitted on its own, as if it were a request of HTTP."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Protocol

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp.types.jsonrpc import JSONRPCError, JSONRPCRequest, JSONRPCResponse, RequestId

from mcp_server_shared.errors import RateLimited
from mcp_server_shared.server import protocol_error
from mcp_server_shared.serving.pressure import Admission

Received = SessionMessage | Exception


class Incoming(Protocol):
    """What a client says; an exception stands for what is no message."""

    async def receive(self) -> Received:
        """Return the next; raises `anyio.EndOfStream` after the last."""
        ...

    async def aclose(self) -> None:
        """Take no more."""
        ...


class Outgoing(Protocol):
    """What a client is told."""

    async def send(self, item: SessionMessage) -> None:
        """Send one message; waits while the client does not read."""
        ...

    async def aclose(self) -> None:
        """Send no more."""
        ...


@contextmanager
def admitted(
    incoming: Incoming, outgoing: Outgoing, admission: Admission, who: str
) -> "Generator[tuple[ObjectReceiveStream[Received], ObjectSendStream[SessionMessage]]]":
    """Yield the two streams of a connection as the server's loop takes them, with no more requests than are admitted.

    A request too many is answered with an error. That waits until the client has read it, and nothing more is read
    meanwhile: who asks without end and reads nothing is held back, and what waits for it is bounded.
    """
    places = _Places(admission, who)
    try:
        yield _Requests(incoming, outgoing, places), _Answers(outgoing, places)
    finally:
        places.leave_all()


class _Places:
    """Those that the unanswered requests of one connection have taken."""

    def __init__(self, admission: Admission, who: str) -> None:
        self._admission = admission
        self._who = who
        self._taken = Counter[RequestId | None]()  # a client should not use an id twice at a time, but may

    async def enter(self, request_id: RequestId) -> None:
        await self._admission.enter(self._who)
        self._taken[request_id] += 1

    async def leave(self, request_id: RequestId | None) -> None:
        if self._taken[request_id]:
            self._taken[request_id] -= 1
            self._admission.leave(self._who)
        if not self._taken[request_id]:
            del self._taken[request_id]

    def leave_all(self) -> None:
        for _ in range(self._taken.total()):
            self._admission.leave(self._who)


class _Requests(ObjectReceiveStream[Received]):
    def __init__(self, incoming: Incoming, outgoing: Outgoing, places: _Places) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._places = places

    @property
    def last_context(self) -> Context | None:
        """The context that the last message came with; the SDK looks for it here."""
        return getattr(self._incoming, "last_context", None)

    async def receive(self) -> Received:
        while True:
            item = await self._incoming.receive()
            if not (isinstance(item, SessionMessage) and isinstance(item.message, JSONRPCRequest)):
                return item
            try:
                await self._places.enter(item.message.id)
            except RateLimited as limited:
                await self._refuse(item.message.id, limited)
            else:
                given = item.metadata if isinstance(item.metadata, ServerMessageMetadata) else ServerMessageMetadata()
                unanswered = partial(self._places.leave, item.message.id)
                return SessionMessage(item.message, replace(given, on_request_unanswered=unanswered))

    async def _refuse(self, request_id: RequestId, limited: RateLimited) -> None:
        error = JSONRPCError(jsonrpc="2.0", id=request_id, error=protocol_error(limited).error)
        try:
            await self._outgoing.send(SessionMessage(error))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise anyio.EndOfStream from None

    async def aclose(self) -> None:
        await self._incoming.aclose()


class _Answers(ObjectSendStream[SessionMessage]):
    def __init__(self, outgoing: Outgoing, places: _Places) -> None:
        self._outgoing = outgoing
        self._places = places

    async def send(self, item: SessionMessage) -> None:
        try:
            await self._outgoing.send(item)
        finally:
            if isinstance(item.message, JSONRPCResponse | JSONRPCError):
                await self._places.leave(item.message.id)

    async def aclose(self) -> None:
        await self._outgoing.aclose()
