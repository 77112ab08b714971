"""The audit line: one JSON object for each request, enough to reconstruct what happened, without its secrets."""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, cast

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS
from pydantic import ValidationError

from mcp_server_shared import logs
from mcp_server_shared.callers import caller
from mcp_server_shared.errors import ERROR_META_KEY
from mcp_server_shared.redaction import redact, redact_text

_MOST_ARGUMENTS = 50
_MOST_ARGUMENT_BYTES = 2_048
_MOST_NAME_CHARACTERS = 100
_PREVIEW_CHARACTERS = 200
_LONGEST_UNSEEN = 128  # characters of a secret that may be needed to see that it is one
_TRACEPARENT = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Audit:
    """Middleware that logs every request once, when it ends in whatever way.

    Args:
        server: the server's name.
        version: its version.
        log_results: how much of each result the line keeps.
    """

    def __init__(self, server: str, version: str, log_results: Literal["none", "preview", "full"]) -> None:
        self._identity = {"server": server, "version": version}
        self._log_results = log_results

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Serve one message; notifications leave no line."""
        if ctx.request_id is None or not logs.is_audited():
            return await call_next(ctx)
        started = time.perf_counter()
        ending: dict[str, Any] = {"outcome": "cancelled"}
        try:
            result = await call_next(ctx)
            ending = self._of_result(result)
        except MCPError as error:
            ending = {"outcome": "error", "error": code_of(error.error.data) or error.error.code}
            raise
        except ValidationError:  # what the SDK answers when a message does not follow the protocol's schema
            ending = {"outcome": "error", "error": INVALID_PARAMS}
            raise
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException:
            ending = {"outcome": "error", "error": "internal"}
            raise
        finally:
            took_ms = round((time.perf_counter() - started) * 1000, 3)
            logs.audit({**self._identity, **_request(ctx), **ending, "duration_ms": took_ms})
        return result

    def _of_result(self, result: HandlerResult) -> dict[str, Any]:
        wire = result if isinstance(result, dict) else {}
        failed = bool(wire.get("isError"))
        line: dict[str, Any] = {"outcome": "error" if failed else wire.get("resultType", "complete")}
        if line["outcome"] == "complete":
            line["outcome"] = "ok"
        if failed:
            line["error"] = code_of(wire.get("_meta"))
        text = _text(wire)
        line["output_characters"] = len(text)
        if self._log_results == "preview":
            line["output"] = _head_of_any(text, _PREVIEW_CHARACTERS)
        elif self._log_results == "full":
            line["output"] = redact(wire)
        return line


def _request(ctx: ServerRequestContext[Any, Any]) -> dict[str, Any]:
    params = ctx.params or {}
    request_id = _head(ctx.request_id, _MOST_NAME_CHARACTERS) if isinstance(ctx.request_id, str) else ctx.request_id
    method = _head(ctx.method, _MOST_NAME_CHARACTERS)
    line: dict[str, Any] = {"method": method, "request_id": request_id, "protocol": ctx.protocol_version}
    for key in ("name", "uri"):
        if key in params:
            line["target"] = _head(str(params[key]), _MOST_ARGUMENT_BYTES)
    if arguments := params.get("arguments"):
        line["arguments"] = _arguments(arguments)
    if client := ctx.session.client_params:
        line["client"] = _head(f"{client.client_info.name} {client.client_info.version}", _MOST_NAME_CHARACTERS)
    line["caller"] = caller()
    if trace := _trace_id(params.get("_meta")):
        line["trace_id"] = trace
    return line


def _arguments(arguments: Any) -> Any:
    if not isinstance(arguments, dict):
        return _head(str(arguments), _MOST_ARGUMENT_BYTES)
    first = islice(cast(dict[str, Any], arguments).items(), _MOST_ARGUMENTS)
    return redact({_head(name, _MOST_NAME_CHARACTERS): _capped(value) for name, value in first})


def _capped(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) * 4 <= _MOST_ARGUMENT_BYTES:
        return value
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) <= _MOST_ARGUMENT_BYTES:
        return value
    head = _head(text, _MOST_ARGUMENT_BYTES).encode("utf-8", "ignore")[:_MOST_ARGUMENT_BYTES].decode("utf-8", "ignore")
    return {"head": head, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


@lru_cache(maxsize=512)
def _head_of_short(text: str, characters: int) -> str:
    """Return the same as `_head`, remembered: a client has one name and few methods."""
    return redact_text(text)[:characters]


def _head(text: str, characters: int) -> str:
    """Return the beginning of a text without its secrets, in a time that does not grow with the text."""
    if len(text) <= _MOST_NAME_CHARACTERS:
        return _head_of_short(text, characters)
    return _head_of_any(text, characters)


def _head_of_any(text: str, characters: int) -> str:
    # Redacted before it is cut, or half a secret would no longer look like one; so the end of the window goes too.
    window = redact_text(text[: 2 * characters + _LONGEST_UNSEEN])
    return (window if len(text) <= 2 * characters + _LONGEST_UNSEEN else window[:-_LONGEST_UNSEEN])[:characters]


def code_of(carrier: Any) -> Any:
    """Return the code of an error, from `_meta` of a result or `data` of a protocol error."""
    return _item(_item(carrier, ERROR_META_KEY), "code")


def _item(mapping: Any, key: str) -> Any:
    return cast(dict[str, Any], mapping).get(key) if isinstance(mapping, dict) else None


def _text(wire: Mapping[str, Any]) -> str:
    """Return the text of a result of any method."""
    if parts := wire.get("content") or wire.get("contents"):
        return "\n".join([text for part in parts if (text := _item(part, "text"))])
    return json.dumps({k: v for k, v in wire.items() if k != "_meta"}, default=str) if "messages" in wire else ""


def _trace_id(meta: Any) -> str | None:
    """Return the trace id of a W3C `traceparent` in the request's `_meta`."""
    parent = _item(meta, "traceparent")
    found = _TRACEPARENT.fullmatch(parent) if isinstance(parent, str) else None
    return found and found[1]
