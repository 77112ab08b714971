"""Numbers for Prometheus: requests, how they ended, how long they took, what runs now, bytes."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Set
from functools import cache
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.methods import SPEC_CLIENT_METHODS
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server_shared.audit import code_of
from mcp_server_shared.serving.answers import answer

_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OTHER = "other"


class Metrics:
    """The numbers of this process; as middleware of a server and around its application it counts.

    Args:
        shared_in: the directory in which several workers keep theirs, so that each can tell all.
        targets: the names that may become labels; callers choose the others, so they may not.
    """

    def __init__(self, shared_in: str | None, targets: Set[str]) -> None:
        self._shared_in = shared_in
        self._targets = targets
        self._registry = registry = CollectorRegistry()
        labels = ["method", "target", "outcome"]
        self._requests = Counter(
            "mcp_requests", "Requests by how they ended: ok or an error code.", labels, registry=registry
        )
        self._seconds = Histogram(
            "mcp_request_seconds", "How long requests took.", ["method"], buckets=_BUCKETS_S, registry=registry
        )
        self._running = Gauge(
            "mcp_requests_running", "Requests that run now.", multiprocess_mode="livesum", registry=registry
        )
        self._statuses = Counter("mcp_http_responses", "HTTP responses by status.", ["status"], registry=registry)
        self._bytes = Counter("mcp_http_bytes", "Bytes of HTTP bodies.", ["direction"], registry=registry)
        self._requests_of = cache(self._requests.labels)  # which looks longer for what it has
        self._seconds_of = cache(self._seconds.labels)
        self._statuses_of = cache(self._statuses.labels)
        self._adding = _Adding()
        self._bytes_in = self._bytes.labels("in")
        self._bytes_out = self._bytes.labels("out")

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Serve one message; notifications are not counted."""
        if ctx.request_id is None:
            return await call_next(ctx)
        method = ctx.method if ctx.method in SPEC_CLIENT_METHODS else _OTHER
        name = (ctx.params or {}).get("name", "")
        known = isinstance(name, str) and name in self._targets  # nobody has looked at it yet
        target = name if known else _OTHER if name else ""
        started = time.perf_counter()
        outcome = "cancelled"
        self._adding.add(self._running)
        try:
            result = await call_next(ctx)
            wire: dict[str, Any] = result if isinstance(result, dict) else {}
            outcome = str(code_of(wire.get("_meta")) or "error") if wire.get("isError") else "ok"
        except MCPError as error:
            outcome = str(code_of(error.error.data) or error.error.code)
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            self._adding.add(self._running, -1)
            self._adding.add(self._requests_of(method, target, outcome))
            self._seconds_of(method).observe(time.perf_counter() - started)
        return result

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the application, its responses and bytes counted."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def receive_counted() -> Message:
                message = await receive()
                if received := message.get("body") or message.get("text"):
                    self._adding.add(self._bytes_in, len(received))
                return message

            async def send_counted(message: Message) -> None:
                if message["type"].endswith("http.response.start"):
                    self._adding.add(self._statuses_of(message["status"]))
                if sent := message.get("body") or message.get("text"):
                    self._adding.add(self._bytes_out, len(sent))
                await send(message)

            await app(scope, receive_counted, send_counted)

        return counted

    async def exposed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer `/metrics`."""
        self._adding.flush()
        registry = self._registry
        if self._shared_in:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=self._shared_in)
        await answer(scope, receive, send, 200, generate_latest(registry).decode())


class _Adding:
    """Adds up what is counted in one turn of the event loop: each change of a number costs a lock, or a file's page."""

    def __init__(self) -> None:
        self._amounts: defaultdict[Counter | Gauge, int] = defaultdict(int)

    def add(self, number: Counter | Gauge, amount: int = 1) -> None:
        """Let a number change at the end of this turn."""
        if not self._amounts:
            asyncio.get_running_loop().call_soon(self.flush)
        self._amounts[number] += amount

    def flush(self) -> None:
        """Change the numbers now."""
        amounts = list(self._amounts.items())
        self._amounts.clear()
        for number, amount in amounts:
            number.inc(amount)
