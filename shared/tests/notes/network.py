"""The notes server as a process of its own that is reached over a network, and clients of it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_server_shared.commands.remote_websocket import websocket_client

TESTS = Path(__file__).parents[1]
TIMEOUT_S = 60

JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
MODERN = {"mcp-protocol-version": "2026-07-28"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}},
}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Served:
    """A server that takes connections."""

    process: subprocess.Popen[str]
    url: str = ""
    lines: list[str] = field(default_factory=list[str])
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def origin(self) -> str:
        """The address without its path."""
        return self.url.rpartition("/")[0]

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self.origin.rpartition(":")[2])

    def logged(self, pattern: str, *, lines: int = 1) -> re.Match[str]:
        """Wait for so many lines on stderr and return what fits of the first."""
        with self.changed:
            found: list[re.Match[str]] = []

            def is_there() -> bool:
                found[:] = [match for line in self.lines if (match := re.search(pattern, line))]
                return len(found) >= lines or self.process.poll() is not None

            assert self.changed.wait_for(is_there, TIMEOUT_S), f"nobody said {pattern} in:\n{''.join(self.lines)}"
            assert len(found) >= lines, f"ended without saying {pattern}:\n{''.join(self.lines)}"
            return found[0]

    def read(self) -> None:
        """Collect what the process says on stderr, until it ends."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        self.process.wait()
        with self.changed:
            self.changed.notify_all()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)


def command(*arguments: str, module: str = "notes") -> list[str]:
    """Return the command line of the notes server, or of another that is a Python module."""
    return [sys.executable, "-m", module, *arguments]


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings of servers, and with some variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "NOTES_"))}
    return inherited | {"PYTHONPATH": str(TESTS)} | dict(variables or {})


@contextmanager
def launched(words: list[str], announced: str, variables: Mapping[str, str] | None = None) -> Generator[Served]:
    """Run a command until it has announced itself; at the end it must stop in order.

    Args:
        words: the command line.
        announced: the pattern of a line on stderr; its first group becomes the address.
        variables: for its environment.
    """
    with subprocess.Popen(
        words, env=environment(variables), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        server = Served(process)
        reader = threading.Thread(target=server.read)
        reader.start()
        try:
            server.url = server.logged(announced)[1]
            yield server
            if process.poll() is None:
                process.terminate()
            assert process.wait(TIMEOUT_S) == 0, "".join(server.lines)
        finally:
            process.kill()
            reader.join()


@contextmanager
def served(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    transport: str = "http",
    module: str = "notes",
    port: int = 0,
) -> Generator[Served]:
    """Start the notes server, or another, at a free port unless one is given."""
    words = command("--transport", transport, "--port", str(port), *arguments, module=module)
    with launched(words, r"serves at (\S+);", variables) as server:
        yield server


def bearer(token: str | None) -> dict[str, str]:
    """Return the header that brings a token."""
    return {} if token is None else {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def client_of(
    url: str, era: str = "2026-07-28", *, token: str | None = None, verify: Any = True, **options: Any
) -> AsyncGenerator[Client]:
    """Connect a client over the transport that the address is for; a test that hangs fails."""
    with anyio.fail_after(TIMEOUT_S):
        async with httpx2.AsyncClient(headers=bearer(token), verify=verify, timeout=TIMEOUT_S) as http:
            if url.startswith("ws"):
                transport = websocket_client(url, bearer(token).get("authorization"))
            elif url.endswith("/sse"):
                transport = sse_client(url, headers=bearer(token), timeout=TIMEOUT_S)
            else:
                transport = streamable_http_client(url, http_client=http)
            async with Client(transport, mode=era, **options) as client:
                yield client


def request(method: str, params: dict[str, Any] | None = None, *, request_id: Any = 1) -> dict[str, Any]:
    """Return a request of protocol 2026-07-28."""
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": {**(params or {}), "_meta": ENVELOPE}}


def headers_for(message: dict[str, Any], token: str | None = None) -> dict[str, str]:
    """Return the headers that a request of protocol 2026-07-28 has."""
    name = message["params"].get("name")
    named = {"mcp-name": name} if name else {}
    return JSON | MODERN | {"mcp-method": message["method"]} | named | bearer(token)


def post(url: str, message: dict[str, Any], *, token: str | None = None, **headers: str) -> httpx2.Response:
    """Send one request of protocol 2026-07-28 by plain HTTP."""
    return httpx2.post(url, json=message, headers=headers_for(message, token) | headers, timeout=TIMEOUT_S)


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the request that calls a tool."""
    return request("tools/call", {"name": tool, "arguments": arguments})
