"""The one way out for a browser context: a forward proxy of its own that judges every connection.

It looks a name up once, judges every address, and connects to what it judged. The browser itself resolves nothing, so
redirects, frames, workers, beacons, popups and WebSockets all come by here.
"""

import asyncio
import base64
import re
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from mcp_server_shared.egress import DEFAULT_PORTS, Egress
from mcp_server_shared.errors import ExpectedError, InvalidArgument, PermissionDenied

_MOST_HEAD = 65_536
_USER = "mcp"
_CONNECT_S = 15.0
_CHUNK = 65_536
# asyncio never closes a connection that it accepts while its server is closed: what has come already is taken before.
_TURNS_TO_ACCEPT = 3
_HOP_BY_HOP = {b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive"}


@dataclass(frozen=True)
class Refusal:
    """A connection that was not made.

    Attributes:
        target: the URL or host:port that was asked for.
        error: why not.
    """

    target: str
    error: ExpectedError


class Proxy:
    """Serves one context.

    Args:
        egress: what may be reached.
        host: the address at which the browser finds it.
    """

    def __init__(self, egress: Egress, host: str = "127.0.0.1") -> None:
        self._egress = egress
        self._host = host
        self._is_local = host == "127.0.0.1"
        self._password = secrets.token_urlsafe(16)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._is_ending = False
        self.received_bytes = 0
        self.refused = 0
        self.refusals: deque[Refusal] = deque(maxlen=100)

    async def __aenter__(self) -> Self:
        # Where a browser on another machine has to find it, it listens on every address and asks for a password.
        everywhere = "::" if ":" in self._host else "0.0.0.0"  # noqa: S104
        host = self._host if self._is_local else everywhere
        self._server = await asyncio.start_server(self._start, host, 0, limit=_MOST_HEAD, start_serving=False)
        try:
            await self._server.start_serving()
        except asyncio.CancelledError:
            self._server.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_ending = True
        try:
            for _turn in range(_TURNS_TO_ACCEPT):
                await asyncio.sleep(0)
        finally:
            if self._server is not None:
                self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def address(self) -> dict[str, str]:
        """Return it as Playwright's `proxy` option wants it; loopback addresses come by here, too."""
        assert self._server is not None  # noqa: S101 - entered
        port = self._server.sockets[0].getsockname()[1]
        option = {"server": f"http://{self._host}:{port}", "bypass": "<-loopback>"}
        return option if self._is_local else option | {"username": _USER, "password": self._password}

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_ending:
            writer.close()
            return
        task = asyncio.create_task(self._accept(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.close())  # also of one that is cancelled before it begins

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):  # it sees its connection end
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _, *_ = *head.split(b"\r\n", 1)[0].split(b" ", 2), b"", b""
        if not self._is_ours(head):
            writer.write(
                b'HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic realm="mcp"\r\nContent-Length: 0\r\n\r\n'
            )
            return
        try:
            host, port = _destination(method, target.decode("latin-1"))
            upstream_reader, upstream_writer = await self._connect(host, port)
        except ExpectedError as error:
            self.refused += 1
            self.refusals.append(Refusal(target.decode("latin-1")[:200], error))
            status = b"403 Forbidden" if isinstance(error, PermissionDenied) else b"502 Bad Gateway"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        try:
            is_tunnel = method == b"CONNECT"
            if is_tunnel:
                writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                upstream_writer.write(_origin_form(head))
            await self._relay(reader, upstream_writer, upstream_reader, writer, is_tunnel=is_tunnel)
        finally:
            upstream_writer.close()

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        upstream_writer: asyncio.StreamWriter,
        upstream_reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_tunnel: bool,
    ) -> None:
        """Copy both ways until the origin has closed, whatever the browser still keeps open."""
        sending = asyncio.create_task(_copy(reader, upstream_writer))
        try:
            if not is_tunnel:
                writer.write(await self._answer_head(upstream_reader))
            while chunk := await upstream_reader.read(_CHUNK):
                self.received_bytes += len(chunk)
                writer.write(chunk)
                await writer.drain()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _answer_head(self, upstream: asyncio.StreamReader) -> bytes:
        """Return the head of the answer, which ends this connection whatever the origin would like.

        The browser would send its next request on it, to any host, and this origin would get to read that.
        """
        while True:
            head = await upstream.readuntil(b"\r\n\r\n")
            self.received_bytes += len(head)
            if head[9:12] == b"101":
                return head
            if head[9:10] != b"1":  # what is said before the answer itself, nobody here asked for
                return _closing(head)

    def _is_ours(self, head: bytes) -> bool:
        expected = b"Basic " + base64.b64encode(f"{_USER}:{self._password}".encode())
        given = re.search(rb"\r\nproxy-authorization: *([^\r\n]*)", head, re.IGNORECASE)
        return self._is_local or (given is not None and secrets.compare_digest(given[1], expected))

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        failure: OSError | TimeoutError | None = None
        for address in await self._egress.addresses(host, port):
            try:
                return await asyncio.wait_for(asyncio.open_connection(address, port), _CONNECT_S)
            except (OSError, TimeoutError) as error:
                failure = error
        raise InvalidArgument(f"{host}:{port} does not accept connections.", hint="Is it up?") from failure


def _destination(method: bytes, target: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{target}" if method == b"CONNECT" else target)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if method != b"CONNECT" and parts.scheme not in {"http", "ws"}:
        raise PermissionDenied("Only HTTP leaves this browser.")
    if not host:
        raise InvalidArgument("The request names no host.")
    return host, port or DEFAULT_PORTS["https" if method == b"CONNECT" else "http"]


def _origin_form(head: bytes) -> bytes:
    """Return the head as the origin server wants it; a connection carries one request."""
    first, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, version = first.split(b" ", 2)
    parts = urlsplit(target.decode("latin-1"))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [line for line in fields if line.partition(b":")[0].lower() not in _HOP_BY_HOP]
    if any(line.lower().startswith(b"upgrade:") for line in fields):
        kept.append(b"Connection: Upgrade")
    else:
        kept.append(b"Connection: close")
    return b"\r\n".join([b" ".join([method, path.encode("latin-1"), version]), *kept, b"", b""])


def _closing(head: bytes) -> bytes:
    """Return the head of an answer after which the connection ends."""
    first, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in fields if line.partition(b":")[0].strip().lower() not in _HOP_BY_HOP]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()
