"""Calls over Streamable HTTP, with one worker and with two, beside bare SDK servers.

What does nothing is an empty server of ours, what reads a file is the filesystem server.

The bare servers have no audit, no limits, no validation of their own and no marks around what is read. All answer in
JSON without sessions. The load comes from one process: on a machine with two cores it competes with two workers.
"""

import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from types import TracebackType
from typing import IO, Any, Self

from client import ENVELOPE, SERVER_TIMEOUT_S, Era, ServerFailed, server_environment
from node import NODE, PEERS

from comparisons import PORTIONS, Comparison, Figures, in_portions, in_rounds

SDK, OURS, TWO_WORKERS, TYPESCRIPT = "bare SDK server, uvloop", "ours", "ours, 2 workers", "bare TypeScript SDK server"
CALLS = 5_000
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
) -> Figures:
    """Measure one kind of call after the other; all sides run, and are asked in turn."""
    figures: dict[str, dict[str, list[float]]] = {side: {} for side in sides}
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
            stack.enter_context(_servers_first())
            for in_flight in IN_FLIGHT:
                loads = {
                    side: stack.enter_context(Load(port, _request(port, era, *call), in_flight))
                    for side, port in ports.items()
                }
                in_portions({side: partial(load.latencies, WARM_UP_CALLS) for side, load in loads.items()}, skipped)
                timed = {side: partial(load.timed, calls // PORTIONS) for side, load in loads.items()}
                for side, parts in in_portions(timed, skipped).items():
                    for measure, values in _figures(parts):
                        figures[side][f"{name}, {in_flight} in flight{measure}"] = values
    return figures


def _started(commands: dict[str, Sequence[str]], stack: ExitStack, skipped: dict[str, str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for side, command in commands.items():
        try:
            ports[side] = stack.enter_context(_serving(command))
        except ServerFailed as error:
            skipped[side] = str(error)
    return ports


@contextmanager
def _servers_first() -> Generator[None]:
    """Never take a processor from a server that runs: in the field the load is on other machines."""
    if sys.platform != "linux":
        yield
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _figures(parts: Sequence[tuple[list[float], float]]) -> Iterator[tuple[str, list[float]]]:
    percentiles = [quantiles(latencies, n=100) for latencies, _ in parts]
    yield " (calls a second)", [len(latencies) / seconds for latencies, seconds in parts]
    yield ", p50 (us)", [each[49] * 1e6 for each in percentiles]
    yield ", p99 (us)", [each[98] * 1e6 for each in percentiles]


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
    """So many connections to one server, each with at most one request unanswered; a context manager.

    Sockets alone, with as little between as possible: what the load takes of the processors, the servers lack.
    """

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self._port = port
        self._request = request
        self._connections = connections
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        for _ in range(self._connections):
            opened = socket.create_connection(("127.0.0.1", self._port))
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(opened, selectors.EVENT_READ, _Connection(opened, self._request))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for connection in self._all():
            connection.close()
        self._selector.close()

    def _all(self) -> "list[_Connection]":
        return [key.data for key in self._selector.get_map().values()]

    def timed(self, calls: int) -> tuple[list[float], float]:
        """Return the seconds of each call, and of all together."""
        start = time.perf_counter()
        latencies = self.latencies(calls)
        return latencies, time.perf_counter() - start

    def latencies(self, calls: int) -> list[float]:
        """Return the seconds of each call.

        Raises:
            ServerFailed: one is not answered, or by an error.
        """
        seconds: list[float] = []
        first = self._all()[:calls]
        for connection in first:
            connection.send()
        left, unanswered = calls - len(first), len(first)
        while unanswered:
            ready = self._selector.select(SERVER_TIMEOUT_S)
            if not ready:
                raise ServerFailed("does not answer")
            for key, _ in ready:
                took = key.data.received()
                if took is None:
                    continue
                seconds.append(took)
                if left:
                    left -= 1
                    key.data.send()
                else:
                    unanswered -= 1
        return seconds


class _Connection:
    """One connection, on which the same request is sent again and again."""

    def __init__(self, opened: socket.socket, request: bytes) -> None:
        self._socket = opened
        self._request = request
        self._answer = b""
        self._usual_length = 0  # of a whole answer, which is seen faster so
        self._sent = 0.0

    def send(self) -> None:
        """Send the request."""
        self._sent = time.perf_counter()
        self._socket.sendall(self._request)

    def received(self) -> float | None:
        """Take what has come; return the seconds since the request when that is the whole answer."""
        try:
            data = self._socket.recv(65_536)
        except OSError as error:
            raise ServerFailed(f"broke off: {error}") from error
        if not data:
            raise ServerFailed("broke off")
        answer = self._answer + data
        if len(answer) != self._usual_length and not _is_whole(answer):
            self._answer = answer
            return None
        seconds = time.perf_counter() - self._sent
        self._answer, self._usual_length = b"", len(answer)
        if b'"isError":true' in answer or b'"result"' not in answer:
            raise ServerFailed(f"answered {answer[:300].decode(errors='replace')}")
        return seconds

    def close(self) -> None:
        """Break it off."""
        self._socket.close()


def _is_whole(answer: bytes) -> bool:
    """Whether a response is all there, whose end its length or its last chunk tells."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        return len(body) >= int(length[1])
    return body.endswith(b"0\r\n\r\n")


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
