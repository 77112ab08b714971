"""Short answers that need no server: refusals and health, to a request or to the opening of a WebSocket."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

_WEBSOCKET_DENIAL = "websocket.http.response"


async def answer(
    scope: Scope, receive: Receive, send: Send, status: int, body: Any, headers: Mapping[str, str] | None = None
) -> None:
    """Send a whole JSON answer; a body that is text already is sent as plain text."""
    is_text = isinstance(body, str)
    data = (body if is_text else json.dumps(body, separators=(",", ":"))).encode()
    fields = {
        "content-type": "text/plain; charset=utf-8" if is_text else "application/json",
        "content-length": str(len(data)),
        **(headers or {}),
    }
    prefix = ""
    if scope["type"] == "websocket":
        await receive()  # the connection's opening, which is refused
        if _WEBSOCKET_DENIAL not in scope.get("extensions", {}):
            await send({"type": "websocket.close"})
            return
        prefix = "websocket."
    encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
    await send({"type": f"{prefix}http.response.start", "status": status, "headers": encoded})
    await send({"type": f"{prefix}http.response.body", "body": b"" if scope.get("method") == "HEAD" else data})


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    error: str,
    description: str,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Say what is wrong with a request, in the form that OAuth errors have."""
    await answer(scope, receive, send, status, {"error": error, "error_description": description}, headers)
