"""A host's side of one server process: raw JSON-RPC lines over its pipes, at as little cost of its own as possible."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

Era = Literal["handshake", "modern"]

SERVER_TIMEOUT_S = 60.0
_BETWEEN_LISTS_S = 0.005  # so that the lists themselves are no load
_CLIENT_INFO = {"name": "benchmark", "version": "0"}
_INITIALIZE: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _CLIENT_INFO}
ENVELOPE: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": _CLIENT_INFO,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_NOTHING: Mapping[str, Any] = MappingProxyType({})
# Either variable would make Python servers slower or hide what they do in a host, which does not set them.
_UNSET = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")


class ServerFailed(Exception):
    """The server did not start, left, or answered with an error."""


class StdioClient:
    """One running server; a context manager. It is killed after `timeout_s` whatever happens."""

    def __init__(self, command: Sequence[str], era: Era, timeout_s: float = SERVER_TIMEOUT_S) -> None:
        self._era = era
        self._next_id = 0
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=server_environment(),
            )
        except OSError as error:
            self._stderr.close()
            raise ServerFailed(f"cannot be started: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin = self._process.stdin
        self._stdout = self._process.stdout
        self._watchdog = threading.Timer(timeout_s, self._process.kill)
        self._watchdog.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def open(self) -> None:
        """Open the connection as a host of this era does."""
        if self._era == "modern":
            self.request("server/discover")
            return
        self.request("initialize", _INITIALIZE)
        self._write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')

    def request(self, method: str, params: dict[str, Any] | None = None) -> bytes:
        """Send one request and return the line of its answer."""
        self._send(method, params or {})
        return self._receive()

    def call(self, tool: str, arguments: dict[str, Any]) -> bytes:
        """Call a tool and return the line of its answer."""
        return self.request("tools/call", {"name": tool, "arguments": {**arguments}})

    def peak_megabytes(self) -> float | None:
        """Return the most memory that the process had at any time; None where the system does not tell."""
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            return None
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024

    def call_latencies(self, tool: str, count: int, arguments: Mapping[str, Any] = _NOTHING) -> list[float]:
        """Call `tool` `count` times, one after the other, and return the seconds that each took."""
        seconds: list[float] = []
        for _ in range(count):
            start = time.perf_counter()
            self._send("tools/call", {"name": tool, "arguments": {**arguments}})
            self._receive()
            seconds.append(time.perf_counter() - start)
        return seconds

    def calls_per_second(
        self, tool: str, count: int, arguments: Mapping[str, Any] = _NOTHING, *, in_flight: int
    ) -> float:
        """Call `tool` `count` times with `in_flight` calls unanswered at any time."""
        start = time.perf_counter()
        for number in range(count + in_flight):
            if number >= in_flight:
                self._receive()
            if number < count:
                self._send("tools/call", {"name": tool, "arguments": {**arguments}})
        return count / (time.perf_counter() - start)

    def call_each(self, tool: str, arguments: Sequence[dict[str, Any]], *, in_flight: int) -> list[bytes]:
        """Call `tool` once with each of the arguments, so many unanswered at any time; return the answers in order."""
        first = self._next_id + 1
        answers: dict[int, bytes] = {}
        for number in range(len(arguments) + in_flight):
            if number >= in_flight:
                line = self._receive()
                answers[json.loads(line)["id"]] = line
            if number < len(arguments):
                self._send("tools/call", {"name": tool, "arguments": arguments[number]})
        return [answers[first + number] for number in range(len(arguments))]

    def answered_beside(self, method: str, tool: str, arguments: Sequence[dict[str, Any]]) -> tuple[float, float]:
        """Call `tool` with each of the arguments at once and then send a request, which should not wait for them.

        Returns:
            The seconds until the request was answered, and until everything was.
        """
        start = time.perf_counter()
        for given in arguments:
            self._send("tools/call", {"name": tool, "arguments": given})
        sent = time.perf_counter()
        self._send(method, {})
        beside, wanted = 0.0, self._next_id
        for _ in range(len(arguments) + 1):
            if json.loads(self._receive())["id"] == wanted:
                beside = time.perf_counter() - sent
        return beside, time.perf_counter() - start

    def list_latencies(self, tool: str, waiting: Sequence[dict[str, Any]]) -> tuple[list[float], float]:
        """Send all these calls at once, and list the tools again and again until the last is answered.

        Returns:
            The seconds that each list took, and those that all calls took.
        """
        unanswered = len(waiting)
        seconds: list[float] = []
        began = time.perf_counter()
        for arguments in waiting:
            self._send("tools/call", {"name": tool, "arguments": arguments})
        while unanswered:
            start = time.perf_counter()
            self._send("tools/list", {})
            while json.loads(self._receive())["id"] != self._next_id:
                unanswered -= 1
            seconds.append(time.perf_counter() - start)
            time.sleep(_BETWEEN_LISTS_S)
        return seconds, time.perf_counter() - began

    def _send(self, method: str, params: dict[str, Any]) -> None:
        self._next_id += 1
        if self._era == "modern":
            params = {**params, "_meta": ENVELOPE}
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        self._write(json.dumps(message).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            self._stdin.write(line)
            self._stdin.flush()
        except BrokenPipeError:
            raise ServerFailed(self._last_words()) from None

    def _receive(self) -> bytes:
        while line := self._stdout.readline():
            message = json.loads(line)
            if "error" in message or message.get("result", {}).get("isError"):
                raise ServerFailed(f"answered with an error: {line[:200].decode()}")
            if "result" in message:
                return line
        raise ServerFailed(self._last_words())

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        return f"left: {next((line for line in reversed(lines) if line), 'without a word')[:200]}"


def server_environment() -> dict[str, str]:
    """Return this process's environment without what would distort the figures."""
    return {name: value for name, value in os.environ.items() if name not in _UNSET}
