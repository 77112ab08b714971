"""What one caller may ask of the transport itself, whatever the requests say.

It lets through several times what the limits of calls allow: a call over those gets an error that a model can act on,
and only what goes far beyond, or is no call at all, is refused here: with 429, or with an error on a connection that
carries many requests.
"""

import asyncio
import math
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server_shared.callers import caller
from mcp_server_shared.errors import RateLimited
from mcp_server_shared.limits import RETRY_AFTER_S
from mcp_server_shared.serving.answers import refuse
from mcp_server_shared.serving.rates import Buckets

TIMES_THE_CALLS = 4
BODY_S = 30.0


class Admission:
    """Admits requests while their caller has room for them.

    Args:
        most_open: requests, streams and connections of one caller at a time.
        buckets: how often one caller may send any; None for as often as it likes.
        most_bytes: of the bodies that come in parts, of all requests that one caller has open.
    """

    def __init__(self, most_open: int, buckets: Buckets | None, most_bytes: int) -> None:
        self._most_open = most_open
        self._buckets = buckets
        self._most_bytes = most_bytes
        self._open: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    async def enter(self, who: str) -> None:
        """Take a place for one request; `leave` gives it back.

        Raises:
            RateLimited: there is none, or this caller sends too many.
        """
        if self._open[who] >= self._most_open:
            text = f"One caller may have {self._most_open} requests open at a time."
            raise RateLimited(text, retry_after_s=RETRY_AFTER_S)
        wait_s = await self._buckets.take(who) if self._buckets else 0
        if wait_s:
            raise RateLimited("This caller sends too many requests.", retry_after_s=wait_s)
        self._open[who] += 1

    def leave(self, who: str) -> None:
        """Give a place back."""
        self._open[who] -= 1
        if not self._open[who]:
            del self._open[who]  # callers come and go

    def hold(self, who: str, size: int) -> None:
        """Count bytes of a body; `release` takes them off again.

        Raises:
            RateLimited: this caller has too many here.
        """
        if self._bytes[who] + size > self._most_bytes:
            text = f"One caller may have bodies of {self._most_bytes} bytes open at a time."
            raise RateLimited(text, retry_after_s=RETRY_AFTER_S)
        self._bytes[who] += size

    def release(self, who: str, size: int) -> None:
        """Take bytes off that were counted."""
        self._bytes[who] -= size
        if not self._bytes[who]:
            del self._bytes[who]


class Pressure:
    """Refuses requests that are not admitted, and those that do not come to an end."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        who = caller()
        try:
            await self._admission.enter(who)
        except RateLimited as limited:
            await _refuse(scope, receive, send, limited)
            return
        body = _Body(scope, receive, self._admission, who)
        try:
            await self._app(scope, body.receive, send)
        except TimeoutError:
            await refuse(scope, receive, send, 408, "request_timeout", "The request did not come to an end.")
        except _TooMuch as too_much:
            await _refuse(scope, receive, send, too_much.limited)
        finally:
            body.forget()
            self._admission.leave(who)


async def _refuse(scope: Scope, receive: Receive, send: Send, limited: RateLimited) -> None:
    after = {"retry-after": str(math.ceil(limited.retry_after_s or 0))}
    await refuse(scope, receive, send, 429, "too_many_requests", limited.message, after)


class _TooMuch(Exception):
    """A body that its caller has no room for; unlike `RateLimited`, nothing on the way takes it for its own."""

    def __init__(self, limited: RateLimited) -> None:
        super().__init__(limited.message)
        self.limited = limited


class _Body:
    """The body of one request: it has to be there in time, and what comes in parts is counted."""

    def __init__(self, scope: Scope, receive: Receive, admission: Admission, who: str) -> None:
        self._receive = receive
        self._admission = admission
        self._who = who
        self._held = 0
        self._begun = False
        self._ended = scope["type"] != "http" or scope["method"] != "POST"
        self._deadline = asyncio.get_running_loop().time() + BODY_S

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            TimeoutError: it does not come in time.
            _TooMuch: the caller has too much here already.
        """
        if self._ended:
            return await self._receive()
        if self._begun:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        else:  # nearly always it is whole, and the connection itself does not wait for ever
            message = await self._receive()
            self._begun = True
        self._ended = not message.get("more_body", False)
        if self._held or not self._ended:
            self._hold(len(message.get("body", b"")))
        return message

    def _hold(self, size: int) -> None:
        try:
            self._admission.hold(self._who, size)
        except RateLimited as limited:
            raise _TooMuch(limited) from limited
        self._held += size

    def forget(self) -> None:
        """Let the bytes go."""
        if self._held:
            self._admission.release(self._who, self._held)
