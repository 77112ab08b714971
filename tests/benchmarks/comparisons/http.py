"""Calls over Streamable HTTP, with one worker and with two, beside bare SDK servers.

What does nothing is an empty server of ours, what reads a file is the filesystem server.

The bare servers have no audit, no limits, no validation of their own and no marks around what is read. All answer in
JSON without sessions. The load comes from one process: on a machine with two cores it competes with two workers.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import quantiles
from types import TracebackType
from typing import IO, Any, Self, cast

import uvloop
from client import ENVELOPE, SERVER_TIMEOUT_S, Era, ServerFailed, server_environment
from node import NODE, PEERS

from comparisons import PORTIONS, Comparison, in_portions, in_rounds

SDK, OURS, TWO_WORKERS, TYPESCRIPT = "bare SDK server, uvloop", "ours", "ours, 2 workers", "bare TypeScript SDK server"
CALLS = 2_000
WARM_UP_CALLS = 20  # a portion
IN_FLIGHT = (1, 32)
FILE_BYTES = 4_000

Call = tuple[str, dict[str, Any]]

_START_BYTES = 10_000
_SERVES = re.compile(rb"serves at http://127\.0\.0\.1:(\d+)/mcp;")
_LOOKED_AGAIN_S = 0.01
_SERVERS = Path(__file__).parents[1] / "servers"


def compare(rounds: int, *, calls: int = CALLS) -> Comparison:
    """Measure each server with so many calls of each kind."""
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "file.txt"
        file.write_text(("x" * 79 + "\n") * (FILE_BYTES // 80))
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

        read = ("read_text_file", {"path": str(file)})
        samples = in_rounds(lambda: _measured(sides, read, calls, skipped), rounds)
    return Comparison(SDK, samples, skipped)


def _measured(
    sides: dict[str, tuple[Sequence[str], Sequence[str]]], read: Call, calls: int, skipped: dict[str, str]
) -> dict[str, dict[str, float]]:
    """Measure one kind of call after the other; all sides run, and are asked in turn."""
    figures: dict[str, dict[str, float]] = {side: {} for side in sides}
    empty = {side: commands[0] for side, commands in sides.items()}
    known = {side: command for side, command in empty.items() if side != TYPESCRIPT}  # that SDK does not know 2026 yet
    reading = {side: commands[1] for side, commands in sides.items()}
    kinds: list[tuple[str, dict[str, Sequence[str]], Era, Call]] = [
        ("no-op", empty, "handshake", ("nothing", {})),
        ("no-op of 2026", known, "modern", ("nothing", {})),
        ("read of 4 kB", reading, "handshake", read),
    ]
    for name, commands, era, call in kinds:
        with ExitStack() as stack:
            ports = _started(commands, stack, skipped)
            for in_flight in IN_FLIGHT:
                loads = {
                    side: stack.enter_context(Load(port, _request(port, era, *call), in_flight))
                    for side, port in ports.items()
                }
                in_portions({side: partial(load.latencies, WARM_UP_CALLS) for side, load in loads.items()}, skipped)
                timed = {side: partial(load.timed, calls // PORTIONS) for side, load in loads.items()}
                for side, parts in in_portions(timed, skipped).items():
                    for measure, figure in _figures(parts):
                        figures[side][f"{name}, {in_flight} in flight{measure}"] = figure
    return figures


def _started(commands: dict[str, Sequence[str]], stack: ExitStack, skipped: dict[str, str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for side, command in commands.items():
        try:
            ports[side] = stack.enter_context(_serving(command))
        except ServerFailed as error:
            skipped[side] = str(error)
    return ports


def _figures(parts: Sequence[tuple[list[float], float]]) -> Iterator[tuple[str, float]]:
    latencies = [*chain(*(part for part, _ in parts))]
    percentiles = quantiles(latencies, n=100)
    yield " (calls a second)", len(latencies) / sum(seconds for _, seconds in parts)
    yield ", p50 (us)", percentiles[49] * 1e6
    yield ", p99 (us)", percentiles[98] * 1e6


@contextmanager
def _serving(command: Sequence[str]) -> Generator[int]:
    """Run a server until the end; yield its port. Its log goes into a file: to read it would slow the load down."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stderr=log, env=server_environment()) as process,
    ):
        try:
            yield _port(process, log, 2 if "--workers" in command else 1)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], log: IO[bytes], workers: int) -> int:
    """Return the port once all workers serve: the first would have all connections that are made before."""
    deadline = time.monotonic() + SERVER_TIMEOUT_S
    while time.monotonic() < deadline:
        has_ended = process.poll() is not None
        found = _SERVES.findall(os.pread(log.fileno(), _START_BYTES, 0))
        if len(found) == workers:
            return int(found[0])
        if has_ended:
            break
        time.sleep(_LOOKED_AGAIN_S)
    raise ServerFailed("does not serve")


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


class Load:
    """So many connections to one server, each with at most one request unanswered; a context manager."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self._port = port
        self._request = request
        self._connections = connections
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def __enter__(self) -> Self:
        self._callers = self._runner.run(self._connected())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for caller in self._callers:
            caller.close()
        self._runner.close()

    def timed(self, calls: int) -> tuple[list[float], float]:
        """Return the seconds of each call, and of all together."""
        start = time.perf_counter()
        latencies = self.latencies(calls)
        return latencies, time.perf_counter() - start

    def latencies(self, calls: int) -> list[float]:
        """Return the seconds of each call."""
        return self._runner.run(self._called(calls))

    async def _connected(self) -> "list[_Caller]":
        loop = asyncio.get_running_loop()
        made = [
            loop.create_connection(partial(_Caller, self._request), "127.0.0.1", self._port)
            for _ in range(self._connections)
        ]
        return [caller for _, caller in await asyncio.gather(*made)]

    async def _called(self, calls: int) -> list[float]:
        left = iter(range(calls))
        return [*chain(*await asyncio.gather(*(caller.call(left) for caller in self._callers)))]


class _Caller(asyncio.Protocol):
    """Sends a request again and again while there are calls left, at as little cost of its own as possible."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._left: Iterator[int] = iter(())
        self._latencies: list[float] = []
        self._answer = b""
        self._usual_length = 0  # of a whole answer, which is seen faster so
        self._done: asyncio.Future[list[float]] | None = None

    def call(self, left: Iterator[int]) -> asyncio.Future[list[float]]:
        """Return the seconds of each call that was made from here."""
        self._left, self._latencies = left, []
        self._done = asyncio.get_running_loop().create_future()
        self._send()
        return self._done

    def close(self) -> None:
        """Break the connection off."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def _send(self) -> None:
        if next(self._left, None) is None:
            self._finish(None)
            return
        self._started = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        answer = self._answer + data
        if len(answer) != self._usual_length and not _is_whole(answer):
            self._answer = answer
            return
        self._latencies.append(time.perf_counter() - self._started)
        self._answer, self._usual_length = b"", len(answer)
        if b'"isError":true' in answer or b'"result"' not in answer:
            self._finish(f"answered {answer[:300].decode(errors='replace')}")
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(f"broke off: {exc}")

    def _finish(self, failure: str | None) -> None:
        if self._done is None or self._done.done():
            return
        if failure is None:
            self._done.set_result(self._latencies)
        else:
            self._done.set_exception(ServerFailed(failure))


def _is_whole(answer: bytes) -> bool:
    """Whether a response is all there, whose end its length or its last chunk tells."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n")


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
