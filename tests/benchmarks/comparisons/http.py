"""Calls over Streamable HTTP, with one worker and with two, beside bare SDK servers.

What does nothing is an empty server of ours, what reads a file is the filesystem server.

The bare servers have no audit, no limits, no validation of their own and no marks around what is read. All answer in
JSON without sessions. The load comes from one process: on a machine with two cores it competes with two workers.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import quantiles
from typing import Any, cast

import uvloop
from client import ENVELOPE, SERVER_TIMEOUT_S, Era, ServerFailed, server_environment
from node import NODE, PEERS

from comparisons import Comparison, taken_in_turn

SDK, OURS, TWO_WORKERS, TYPESCRIPT = "bare SDK server, uvloop", "ours", "ours, 2 workers", "bare TypeScript SDK server"
CALLS = 2_000
WARM_UP_CALLS = 100
IN_FLIGHT = (1, 32)
FILE_BYTES = 4_000

_SERVERS = Path(__file__).parents[1] / "servers"


def compare(rounds: int, *, calls: int = CALLS) -> Comparison:
    """Measure each server with so many calls of each kind."""
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "file.txt"
        file.write_text(("x" * 79 + "\n") * (FILE_BYTES // 80))
        read = ("read_text_file", {"path": str(file)})
        http = ("--transport", "http", "--port", "0")
        ours = (
            (sys.executable, str(_SERVERS / "promising.py"), *http),
            (sys.executable, "-m", "mcp_server_filesystem", *http, name),
        )
        sdk = (sys.executable, str(_SERVERS / "http_sdk.py"))
        typescript = (NODE, str(_SERVERS / "http_typescript.mjs"), str(PEERS / "node_modules"))
        sides: dict[str, tuple[Sequence[str], Sequence[str]]] = {
            SDK: (sdk, sdk),
            OURS: ours,
            TWO_WORKERS: ((*ours[0], "--workers", "2"), (*ours[1], "--workers", "2")),
            TYPESCRIPT: (typescript, typescript),
        }

        def measured(empty: Sequence[str], reading: Sequence[str]) -> dict[str, float]:
            figures = _round("no-op", empty, "handshake", ("nothing", {}), calls)
            if empty is not typescript:  # that SDK does not know 2026-07-28 yet
                figures |= _round("no-op of 2026", empty, "modern", ("nothing", {}), calls)
            return figures | _round("read of 4 kB", reading, "handshake", read, calls)

        asked = {side: partial(measured, *commands) for side, commands in sides.items()}
        samples = taken_in_turn(asked, rounds, skipped)
    return Comparison(SDK, samples, skipped)


def _round(
    name: str, command: Sequence[str], era: Era, call: tuple[str, dict[str, Any]], calls: int
) -> dict[str, float]:
    figures: dict[str, float] = {}
    with _serving(command) as port:
        request = _request(port, era, *call)
        for in_flight in IN_FLIGHT:
            _load(port, request, WARM_UP_CALLS, in_flight)
            start = time.perf_counter()
            latencies = _load(port, request, calls, in_flight)
            seconds = time.perf_counter() - start
            percentiles = quantiles(latencies, n=100)
            figures[f"{name}, {in_flight} in flight (calls a second)"] = calls / seconds
            figures[f"{name}, {in_flight} in flight, p50 (us)"] = percentiles[49] * 1e6
            figures[f"{name}, {in_flight} in flight, p99 (us)"] = percentiles[98] * 1e6
    return figures


@contextmanager
def _serving(command: Sequence[str]) -> Generator[int]:
    """Run a server until the end; yield its port."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=server_environment()) as process:
        assert process.stderr is not None
        watchdog = threading.Timer(SERVER_TIMEOUT_S, process.terminate)
        watchdog.start()
        try:
            for line in process.stderr:
                if found := re.search(r"serves at http://127\.0\.0\.1:(\d+)/mcp;", line):
                    break
            else:
                raise ServerFailed("ended before it served")
            log = threading.Thread(target=process.stderr.read)
            log.start()
            yield int(found[1])
        finally:
            watchdog.cancel()
            process.terminate()
    log.join()


def _request(port: int, era: Era, tool: str, arguments: dict[str, Any]) -> bytes:
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    version, routing = "2025-11-25", ""
    if era == "modern":
        params["_meta"] = ENVELOPE
        version, routing = "2026-07-28", f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {version}\r\n{routing}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _load(port: int, request: bytes, calls: int, in_flight: int) -> list[float]:
    """Return the seconds of each call, over as many connections as calls are in flight."""

    async def all_connections() -> list[float]:
        loop = asyncio.get_running_loop()
        left = iter(range(calls))
        made = [loop.create_connection(partial(_Caller, request, left), "127.0.0.1", port) for _ in range(in_flight)]
        callers = [caller for _, caller in await asyncio.gather(*made)]
        return list(chain(*await asyncio.gather(*(caller.done for caller in callers))))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(all_connections())


class _Caller(asyncio.Protocol):
    """Sends a request again and again while there are calls left, at as little cost of its own as possible."""

    def __init__(self, request: bytes, left: Iterator[int]) -> None:
        self._request = request
        self._left = left
        self._latencies: list[float] = []
        self._answer = b""
        self.done: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        if next(self._left, None) is None:
            self.done.set_result(self._latencies)
            self._transport.close()
            return
        self._started = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not _is_whole(self._answer):
            return
        self._latencies.append(time.perf_counter() - self._started)
        answer, self._answer = self._answer, b""
        if b'"isError":true' in answer or b'"result"' not in answer:
            self._fail(f"answered {answer[:300].decode(errors='replace')}")
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"broke off: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(ServerFailed(why))
            self._transport.close()


def _is_whole(answer: bytes) -> bool:
    """Whether a response is all there, whose end its length or its last chunk tells."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n")


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
