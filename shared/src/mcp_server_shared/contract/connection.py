"""A client that knows JSON-RPC and nothing else, since the checks are about what is really on the wire."""

import json
import os
import selectors
from collections.abc import Mapping
from typing import Any, Literal, cast

TIMEOUT_S = 30.0  # no check asserts a time; this ends one whose server is stuck

Era = Literal["2025-11-25", "2026-07-28"]
HANDSHAKE: Era = "2025-11-25"
MODERN: Era = "2026-07-28"

CLIENT = {"name": "contract-suite", "version": "1"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
Message = dict[str, Any]


def envelope(version: str) -> dict[str, Any]:
    """Return the `_meta` that every request of the stateless era carries."""
    return {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": CLIENT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }


class Connection:
    """One client of one server.

    Args:
        to_server: a descriptor to write requests to; owned from now on.
        from_server: a descriptor to read messages from; owned from now on.
        era: how requests are made.
    """

    def __init__(self, to_server: int, from_server: int, era: Era) -> None:
        self.era: Era = era
        self._to_server = to_server
        self._from_server = from_server
        self._rest = bytearray()
        self._unclaimed: list[Message] = []
        self._last_id = 0
        self.handshake: Message = {}

    def initialize(self, version: str = HANDSHAKE) -> Message:
        """Shake hands; return the result."""
        given = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT}
        self.handshake = self.result("initialize", given)
        self.notify("notifications/initialized")
        return self.handshake

    def send(self, line: bytes) -> None:
        """Send bytes as they are, and a line end."""
        data = memoryview(line + b"\n")
        try:
            while data:
                data = data[os.write(self._to_server, data) :]
        except BrokenPipeError:
            raise AssertionError("the server has left") from None

    def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Send a notification."""
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}).encode())

    def post(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Send a request and return its id, without waiting for the answer."""
        self._last_id += 1
        meta = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
        if self.era == MODERN:
            meta |= envelope(MODERN)
        request = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": {"_meta": meta, **(params or {})}}
        self.send(json.dumps(request).encode())
        return self._last_id

    def receive(self) -> Message | None:
        """Return the next message, None at the end; whatever is not one JSON-RPC message a line fails the check."""
        while b"\n" not in self._rest:
            with selectors.DefaultSelector() as selector:
                selector.register(self._from_server, selectors.EVENT_READ)
                assert selector.select(TIMEOUT_S), f"the server sent nothing for {TIMEOUT_S:g} seconds"
            chunk = os.read(self._from_server, 65_536)
            if not chunk:
                assert not self._rest, f"the server ended in the middle of a line: {bytes(self._rest)!r}"
                return None
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            message: Any = json.loads(line)
        except ValueError:
            message = None
        is_message = isinstance(message, dict) and cast(Message, message).get("jsonrpc") == "2.0"
        assert is_message, f"the server sent something else than a message: {bytes(line[:300])!r}"
        return cast(Message, message)

    def answer(self, request_id: int | str | None) -> Message:
        """Return the answer to one request; messages before it are kept for `finish`."""
        while (message := self.receive()) is not None:
            if "method" not in message and message.get("id") == request_id:
                return message
            self._unclaimed.append(message)
        raise AssertionError(f"the server left without an answer to request {request_id}")

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> Message:
        """Send a request and return the answer, whether a result or an error."""
        return self.answer(self.post(method, params))

    def result(self, method: str, params: Mapping[str, Any] | None = None) -> Message:
        """Send a request and return its result."""
        answer = self.request(method, params)
        assert "result" in answer, f"{method} failed: {answer.get('error')}"
        return cast(Message, answer["result"])

    def tools(self) -> dict[str, Message]:
        """Return the listed tools by name."""
        return {tool["name"]: tool for tool in self.result("tools/list")["tools"]}

    def call(self, tool: str, arguments: Mapping[str, Any]) -> Message:
        """Call a tool; return the result, which may be error content."""
        return self.result("tools/call", {"name": tool, "arguments": arguments})

    def finish(self) -> list[Message]:
        """Close the server's input and return the messages that nobody has taken, up to the last."""
        self._close_input()
        while (message := self.receive()) is not None:
            self._unclaimed.append(message)
        return self._unclaimed

    def close(self) -> None:
        """Close both directions."""
        self._close_input()
        if self._from_server >= 0:
            os.close(self._from_server)
            self._from_server = -1

    def _close_input(self) -> None:
        if self._to_server >= 0:
            os.close(self._to_server)
            self._to_server = -1
