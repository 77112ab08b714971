"""MCP over stdin and stdout without worker threads: one JSON-RPC message a line, read and written by the event loop.

The SDK's own stdio transport hands every line through two threads, which costs half the latency of a call; it has no
limit on the size of a message, drops what it cannot parse without an answer, and cancels the calls that are still
running when stdin ends. This one serves the same server loop.
"""

import asyncio
import json
import logging
import os
import re
import signal
import stat
import sys
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.server.lowlevel import Server
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp.types.jsonrpc import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from mcp_server_shared import logs
from mcp_server_shared.standard_streams import claim_stdin, claim_stdout

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_OUTPUT_BYTES = 256 * 1024  # waiting for the client to read; past it senders wait, and no more requests are read
EOF_GRACE_S = 5.0  # for calls that still run when stdin ends
FLUSH_GRACE_S = 1.0  # for a client that still has to read the last answers
EXIT_GRACE_S = 1.5  # after a signal; hosts send SIGKILL two seconds after SIGTERM
ENDLESS_METHODS = frozenset({"subscriptions/listen"})  # not waited for when stdin ends


async def serve_stdio(server: Server[Any], *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Serve one client over the process's stdin and stdout until it leaves; the process is expected to end then.

    Returns when stdin ends (requests already received are answered first, for at most `EOF_GRACE_S`), when the client
    no longer takes answers, and on SIGTERM, SIGINT or SIGHUP: running calls are cancelled, and what has not ended after
    `EXIT_GRACE_S` is abandoned by leaving with exit code 0. A line longer than `max_message_bytes` is refused with an
    error and never kept in memory.

    Call it in the main thread, on asyncio. Stdin and stdout stay claimed, see `claim_stdout`. On Windows, whose event
    loop cannot watch pipes that it did not open, the SDK's own transport serves: threads, and no limit.
    """
    options = server.create_initialization_options()
    if sys.platform == "win32":
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, options)
        return

    streams = stdio_streams(claim_stdin(), claim_stdout(), max_message_bytes=max_message_bytes)
    async with streams as (read_stream, write_stream):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, _leave, read_stream.end)
        await server.run(read_stream, write_stream, options)


def _leave(end: Callable[[], None]) -> None:
    end()
    # A call that ignores its cancellation, or its thread, would hold the exit until the host's SIGKILL.
    deadline = threading.Timer(EXIT_GRACE_S, os._exit, args=(0,))
    deadline.daemon = True
    deadline.start()


@asynccontextmanager
async def stdio_streams(
    stdin: int, stdout: int, *, max_message_bytes: int = MAX_MESSAGE_BYTES, eof_grace_s: float = EOF_GRACE_S
) -> "AsyncGenerator[tuple[ReadStream, WriteStream]]":
    """Yield the two streams that `Server.run` takes, over two open descriptors of any kind, which stay open.

    Pipes and sockets are non-blocking inside the context and get back their mode at its end.
    """
    with _pollable(stdin) as source, _non_blocking(source), _non_blocking(stdout):
        wire = _Wire(source, stdout, max_message_bytes, eof_grace_s)
        try:
            yield ReadStream(wire), WriteStream(wire)
        finally:
            wire.close()


class ReadStream(ObjectReceiveStream[SessionMessage]):
    """The client's messages, in order; what is not a JSON-RPC message is answered here and does not appear."""

    def __init__(self, wire: "_Wire") -> None:
        self._wire = wire

    async def receive(self) -> SessionMessage:
        """Return the next message; raises `anyio.EndOfStream` after the last."""
        return await self._wire.receive()

    def end(self) -> None:
        """End the stream at once: no more messages, and no waiting for those that are being answered."""
        self._wire.end()

    async def aclose(self) -> None:
        """Read nothing more."""
        self._wire.end()


class WriteStream(ObjectSendStream[SessionMessage]):
    """The server's messages. Waits while the client does not read."""

    def __init__(self, wire: "_Wire") -> None:
        self._wire = wire

    async def send(self, item: SessionMessage) -> None:
        """Queue one message; raises `anyio.BrokenResourceError` when the client is gone."""
        await self._wire.send(item.message)

    async def aclose(self) -> None:
        """Give the client `FLUSH_GRACE_S` to read what is queued."""
        await self._wire.flush()


class _Wire:
    """Both directions of one connection: each has to know the other's state to hold back and to end in order."""

    def __init__(self, stdin: int, stdout: int, max_message_bytes: int, eof_grace_s: float) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._eof_grace_s = eof_grace_s
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()  # something a waiter may wait for has happened; it looks what

        self._lines = _Lines(max_message_bytes)
        self._received: deque[bytes | _Overlong] = deque()
        self._watching_stdin = False
        self._eof = False
        self._ended = False
        self._unanswered: set[RequestId] = set()

        self._output = bytearray()
        self._flush_due = False
        self._watching_stdout = False
        self._broken = False

    async def receive(self) -> SessionMessage:
        while True:
            await self._until(self._receivable)
            if self._ended or not self._received:
                raise anyio.EndOfStream
            message = self._decode(self._received.popleft())
            if message is not None:
                return message

    def _receivable(self) -> bool:
        if self._ended:
            return True
        if self._is_full():
            return False
        if self._received:
            return True
        if self._eof:
            return not self._unanswered
        if not self._watching_stdin:
            self._watching_stdin = True
            self._loop.add_reader(self._stdin, self._read)
        return False

    def _read(self) -> None:
        if self._received:  # the server is behind: let the pipe fill
            self._ignore_stdin()
            return
        try:
            chunk = os.read(self._stdin, CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a reset socket: as good as closed
            chunk = b""
        self._received.extend(self._lines.feed(chunk) if chunk else self._lines.end())
        if not chunk:
            self._ignore_stdin()
            self._eof = True
            self._loop.call_later(self._eof_grace_s, self.end)
        self._changed.set()

    def _ignore_stdin(self) -> None:
        if self._watching_stdin:
            self._watching_stdin = False
            self._loop.remove_reader(self._stdin)

    def _decode(self, line: "bytes | _Overlong") -> SessionMessage | None:
        if isinstance(line, _Overlong):
            text = f"Message too large: the limit is {self._lines.max_bytes} bytes. Send less at once."
            self._refuse(line.ends, INVALID_REQUEST, text)
            return None
        if not line.strip():
            return None
        try:
            message = decode(line)
        except Malformed as problem:
            self._refuse(line, problem.code, str(problem))
            return None
        if not isinstance(message, JSONRPCRequest) or message.method in ENDLESS_METHODS:
            return SessionMessage(message)
        self._unanswered.add(message.id)
        on_cancelled = partial(self._cancelled, message.id)
        return SessionMessage(message, ServerMessageMetadata(on_request_unanswered=on_cancelled))

    def _refuse(self, line: bytes, code: int, text: str) -> None:
        logger.warning("refused a message from the client: %s", text)
        self._write(refusal(line, code, text))

    async def _cancelled(self, request_id: RequestId) -> None:
        self._answered(request_id)

    def _answered(self, request_id: RequestId | None) -> None:
        self._unanswered.discard(request_id)
        if self._eof:
            self._changed.set()

    async def send(self, message: JSONRPCMessage) -> None:
        await self._until(lambda: self._broken or not self._is_full())
        self._write(message)

    def _write(self, message: JSONRPCMessage) -> None:
        if self._broken:
            raise anyio.BrokenResourceError
        self._output += encode(message) + b"\n"
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._answered(message.id)
        if self._flush_due:
            return
        self._flush_due = True
        if self._unanswered:  # once for all answers that are ready in this turn of the loop
            self._loop.call_soon(self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        logs.flush()  # whoever has an answer finds the line of its call
        try:
            while self._output:
                del self._output[: os.write(self._stdout, self._output)]
        except BlockingIOError:
            if not self._watching_stdout:
                self._watching_stdout = True
                self._loop.add_writer(self._stdout, self._flush)
        except OSError:  # the client is gone
            self._broken = True
            self._output.clear()
            self.end()
        if not self._output:
            self._flush_due = False
            self._ignore_stdout()
        self._changed.set()

    def _ignore_stdout(self) -> None:
        if self._watching_stdout:
            self._watching_stdout = False
            self._loop.remove_writer(self._stdout)

    def _is_full(self) -> bool:
        return len(self._output) > MAX_OUTPUT_BYTES

    async def flush(self) -> None:
        self._flush()
        with anyio.move_on_after(FLUSH_GRACE_S, shield=True):
            await self._until(lambda: not self._output)

    def end(self) -> None:
        self._ended = True
        self._ignore_stdin()
        self._changed.set()

    def close(self) -> None:
        self.end()
        self._ignore_stdout()
        self._output.clear()
        self._broken = True

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


@dataclass(frozen=True, slots=True)
class _Overlong:
    """What is left of a line over the limit: enough of both ends to find the request's id."""

    ends: bytes


class _Lines:
    """Cuts a stream of bytes into lines; of a line over `max_bytes` it keeps the two ends only."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._line = bytearray()
        self._overlong = False

    def feed(self, chunk: bytes) -> Iterator[bytes | _Overlong]:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._extend(end)
            yield self._take()
        self._extend(rest)

    def end(self) -> Iterator[bytes | _Overlong]:
        yield self._take()

    def _extend(self, part: bytes) -> None:
        self._line += part
        if len(self._line) > self.max_bytes:
            self._overlong = True
        if self._overlong:
            del self._line[_END_BYTES:-_END_BYTES]

    def _take(self) -> bytes | _Overlong:
        line = bytes(self._line)
        overlong, self._overlong = self._overlong, False
        self._line.clear()
        return _Overlong(line) if overlong else line


_END_BYTES = 256
_ID = rb'"id"\s*:\s*(-?\d{1,18}|"[^"\\]{0,128}")'
# Only an `id` that provably belongs to the message itself, not to something inside it: one right at the start, as most
# clients write it, or the very last member, as the TypeScript SDK does. An error under a wrong id fails another call.
_LEADING_ID = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*' + _ID + rb'\s*,\s*"method"')
_TRAILING_ID = re.compile(rb'\s*\{\s*"method".*,\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*' + _ID + rb"\s*\}\s*", re.DOTALL)


def _request_id(line: bytes) -> RequestId | None:
    """Return the id of a request that cannot be parsed, where it is certain."""
    ends = line[:_END_BYTES] + line[_END_BYTES:][-_END_BYTES:]
    found = _LEADING_ID.match(ends) or _TRAILING_ID.fullmatch(ends)
    with suppress(ValueError):
        return json.loads(found[1]) if found else None
    return None


class Malformed(Exception):
    """What a client sent is not one JSON-RPC message; `code` is JSON-RPC's for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def decode(line: bytes) -> JSONRPCMessage:
    """Return the JSON-RPC message that a text is.

    Raises:
        Malformed: it is none.
    """
    with suppress(ValidationError):  # nearly all are requests, and to try one kind is faster than all four
        return JSONRPCRequest.model_validate_json(line, by_name=False)
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError as error:
        reason = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if reason["type"] == "json_invalid":
            raise Malformed(PARSE_ERROR, f"Parse error: {reason['msg']}") from None
        raise Malformed(INVALID_REQUEST, "Invalid request: not one JSON-RPC 2.0 message") from None
    if isinstance(message, JSONRPCNotification) and b'"id"' in line and "id" in json.loads(line):
        # The SDK takes a request whose id is neither string nor integer for a notification, and never answers.
        raise Malformed(INVALID_REQUEST, "Invalid request: 'id' must be a string or an integer")
    return message


def refusal(line: bytes, code: int, text: str) -> JSONRPCError:
    """Return the answer to a text that is no message, under the id that its sender waits for where that is certain."""
    return JSONRPCError(jsonrpc="2.0", id=_request_id(line), error=ErrorData(code=code, message=text))


def encode(message: JSONRPCMessage) -> bytes:
    """Return a message as one line of JSON, without its end."""
    try:  # `model_dump_json` would make a string of it, only to be encoded again
        return message.__pydantic_serializer__.to_json(message, by_alias=True, exclude_unset=True)
    except PydanticSerializationError:  # a lone surrogate, which UTF-8 has no form for: it becomes U+FFFD
        text = json.dumps(message.model_dump(mode="json", by_alias=True, exclude_unset=True), ensure_ascii=False)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _is_pipe_or_socket(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


@contextmanager
def _non_blocking(fd: int) -> Generator[None]:
    """Non-blocking for a pipe or socket alone: the flag is shared with all who hold a terminal or a file open."""
    if not _is_pipe_or_socket(fd):
        yield
        return
    was_blocking = os.get_blocking(fd)
    os.set_blocking(fd, False)
    try:
        yield
    finally:
        os.set_blocking(fd, was_blocking)


@contextmanager
def _pollable(stdin: int) -> Generator[int]:
    """Yield a descriptor that the event loop can watch: a file or a terminal goes through a thread and a pipe."""
    if _is_pipe_or_socket(stdin):
        yield stdin
        return
    source, sink = os.pipe()
    threading.Thread(target=_pump, args=(stdin, sink), name="stdin", daemon=True).start()
    try:
        yield source
    finally:
        os.close(source)


def _pump(source: int, sink: int) -> None:
    try:
        with suppress(OSError):
            while chunk := os.read(source, CHUNK_BYTES):
                while chunk:
                    chunk = chunk[os.write(sink, chunk) :]
    finally:
        os.close(sink)
