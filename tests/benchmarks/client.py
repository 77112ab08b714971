"""A host's side of one server process: raw JSON-RPC lines over its pipes, at as little cost of its own as possible."""

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self

Era = Literal["handshake", "modern"]

SERVER_TIMEOUT_S = 60.0
_CLIENT_INFO = {"name": "benchmark", "version": "0"}
_INITIALIZE: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": _CLIENT_INFO}
_ENVELOPE: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": _CLIENT_INFO,
    "io.modelcontextprotocol/clientCapabilities": {},
}
# Either variable would make Python servers slower or hide what they do in a host, which does not set them.
_UNSET = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")


class ServerFailed(Exception):
    """The server did not start, left, or answered with an error."""


class StdioClient:
    """One running server; a context manager. It is killed after `SERVER_TIMEOUT_S` whatever happens."""

    def __init__(self, command: Sequence[str], era: Era) -> None:
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
        self._watchdog = threading.Timer(SERVER_TIMEOUT_S, self._process.kill)
        self._watchdog.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

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

    def call_latencies(self, tool: str, count: int) -> list[float]:
        """Call `tool` `count` times, one after the other, and return the seconds that each took."""
        seconds: list[float] = []
        for _ in range(count):
            start = time.perf_counter()
            self._send("tools/call", {"name": tool, "arguments": {}})
            self._receive()
            seconds.append(time.perf_counter() - start)
        return seconds

    def calls_per_second(self, tool: str, count: int, *, in_flight: int) -> float:
        """Call `tool` `count` times with `in_flight` calls unanswered at any time."""
        start = time.perf_counter()
        for number in range(count + in_flight):
            if number >= in_flight:
                self._receive()
            if number < count:
                self._send("tools/call", {"name": tool, "arguments": {}})
        return count / (time.perf_counter() - start)

    def _send(self, method: str, params: dict[str, Any]) -> None:
        self._next_id += 1
        if self._era == "modern":
            params = {**params, "_meta": _ENVELOPE}
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
