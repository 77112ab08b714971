"""What is open: so that it ends when its token does, and when the server stops."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server_shared.callers import CallerToken
from mcp_server_shared.serving.answers import refuse

LOOKED_AT_EVERY_S = 10.0


@dataclass(eq=False)
class _Stream:
    scope: Scope
    cancel_scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)


class Streams:
    """Keeps what is open; a request, a stream of events or a WebSocket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[_Stream] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one of them."""
        if scope.get("method") == "POST" and "user" not in scope:  # it has no token to outlive, and ends by itself
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        stream = _Stream(scope)
        self._open.add(stream)
        try:
            with stream.cancel_scope:
                await self._app(scope, receive, watched)
        finally:
            self._open.discard(stream)
        if not stream.cancel_scope.cancelled_caught or scope["type"] == "websocket":
            return
        if not begun:
            await refuse(
                scope, receive, send, 401, "invalid_token", "The token has ended, and what it asked for with it."
            )
            return
        with suppress(OSError, RuntimeError):  # the client may be gone, or the answer complete
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def end_outdated(self, is_still_good: Callable[[CallerToken], Awaitable[bool]]) -> None:
        """End what outlives its token, for as long as the server runs."""
        while True:
            await anyio.sleep(LOOKED_AT_EVERY_S)
            for stream in list(self._open):
                user = stream.scope.get("user")
                if user is not None and not await is_still_good(user.access_token):
                    stream.cancel_scope.cancel()

    def end_endless(self) -> None:
        """End what waits for events that nobody will publish any more."""
        for stream in self._open:
            if stream.scope["type"] == "websocket" or stream.scope["method"] == "GET":
                stream.cancel_scope.cancel()
