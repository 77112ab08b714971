"""TCP connections: sockets that answer without delay, and limits on what peers may take while they say nothing.

There are only so many connections. Whoever opens one more than that takes the place of those that have waited longest
without asking anything, so that peers who say nothing, and anybody can be one, keep nobody else off.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from mcp_server_shared.settings import SettingsProblem

logger = logging.getLogger(__name__)

HANDSHAKE_S = 20.0  # of TLS
MOST_HANDSHAKES = 1_024
ACCEPTED_AGAIN_S = 1.0  # when there was no file for a connection
HEADERS_S = 20.0  # from a connection's opening, or a request's first byte, until its headers are there
BODY_S = 35.0  # and then until its body is; whoever reads it is less patient, and says so
MOST_HEADER_BYTES = 64 * 1_024
KEEP_ALIVE_S = 75  # longer than balancers keep idle connections, so that they end them and not we
# A peer that vanished without a word is noticed within two minutes; what one does not take for one ends the connection.
KEPT_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 60_000}
BACKLOG = 2_048
MOST_FILES = 65_536
KEPT_FREE = 128  # of the files that may be open, for upstreams and logs
SHARE_GIVEN_UP = 8  # one in so many of the connections that ask nothing, when there are too many
HEALTH_PATH = "/healthz"


def listening_sockets(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    """Return bound sockets, one for each address of the host and all of one port.

    Args:
        host: name or address.
        port: 0 for a free one.
        shared: whether other processes bind the same port.

    Raises:
        SettingsProblem: it cannot be listened there.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            sockets.append(_bound(family, (address[0], port, *address[2:]), shared=shared))
            port = sockets[0].getsockname()[1]
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise SettingsProblem(f"cannot listen at {host}, port {port}: {error.strerror}") from None
    return sockets


def _bound(family: int, address: tuple[Any, ...], *, shared: bool) -> socket.socket:
    # Of protocol 0, as uvicorn makes them, asyncio would not turn off Nagle's algorithm: 40 ms for each answer.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEPT_ALIVE.items():
            if hasattr(socket, option):  # accepted connections inherit all of them
                bound.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


@cache
def most_connections() -> int:
    """Return how many connections this process may have, once it has taken all the open files that it is allowed."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(files - KEPT_FREE, files // 2)


class JoiningTransport:
    """Sends the headers of a response together with the beginning of its body, which uvicorn writes one by one.

    It takes half the system calls, and where the process is killed between the two, nobody gets half an answer.

    Args:
        transport: what everything else is asked of.
        loop: at the end of whose turn headers leave that no body has followed.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self._has_begun = False

    def __getattr__(self, name: str) -> Any:
        """Return what the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Keep the first that is written; send it with the next."""
        if self._has_begun:
            self._transport.write(self._taken() + data)
            return
        self._has_begun = True
        self._held = data
        self._loop.call_soon(self._send_held)

    def close(self) -> None:
        """Send what is held, then close."""
        self._send_held()
        self._transport.close()

    def _send_held(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(self._taken())

    def _taken(self) -> bytes:
        held, self._held = self._held or b"", None
        return held


class ImpatientProtocol(HttpToolsProtocol):
    """Ends a connection whose next headers or body do not come, or whose headers do not end; uvicorn has no limit."""

    _timer: asyncio.TimerHandle | None = None
    _deadline: float | None = None  # of what is waited for; the timer may be earlier, but not later
    _in_headers = True
    _got_on = False  # with the parts of a request that are not kept by the parser
    _kept_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait, unless there is no room for one more."""
        super().connection_made(transport)
        self._opened = self.loop.time()
        if len(self.connections) > self._most() and not self._is_room_made():
            transport.abort()
            return
        self._expect_within(HEADERS_S)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless it is headers, or trailers after a body, without end."""
        self._got_on = False
        super().data_received(data)
        self._kept_bytes = 0 if self._got_on else self._kept_bytes + len(data)
        if self._kept_bytes > MOST_HEADER_BYTES:
            logger.warning("a peer sends headers without end")
            self.transport.abort()
        elif self._deadline is None and self._is_idle():  # line ends between two requests
            self._expect_within(HEADERS_S)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of the headers."""
        super().on_message_begin()
        self._in_headers = self._got_on = True
        self._expect_within(HEADERS_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field; blanks around its value do not belong to it (RFC 9110, 5.5), though the parser leaves them.

        A field after the body is dropped: the guards have seen those before it and proxies may not look at it.
        """
        if self._in_headers:
            super().on_header(name, value.strip(b" \t"))

    def on_headers_complete(self) -> None:
        """Wait for the body; whether the process lives is told however much there is to do."""
        self._in_headers = False
        self.limit_concurrency = None if self.url == HEALTH_PATH.encode() else self.config.limit_concurrency
        self._expect_within(BODY_S)
        super().on_headers_complete()
        answering: Any = self.cycle
        if answering is not None:
            answering.transport = JoiningTransport(self.transport, self.loop)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._got_on = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait no more."""
        self._got_on = True
        self._stop_waiting()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Wait no more: WebSockets are asked whether they live."""
        self._stop_waiting()
        self._stop_timer()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._stop_timer()
        super().connection_lost(exc)

    def _most(self) -> int:
        """Return how many connections there may be, fewer than those with which uvicorn refuses requests."""
        limit = self.config.limit_concurrency
        return most_connections() if limit is None else min(most_connections(), limit - limit // SHARE_GIVEN_UP)

    def _is_room_made(self) -> bool:
        """Whether there is room again, once some of those that ask nothing have been ended, the oldest first."""
        there = [other for other in self.connections if not (other.transport and other.transport.is_closing())]
        if len(there) <= self._most():
            return True
        idle = [o for o in there if isinstance(o, ImpatientProtocol) and o is not self and o._asks_nothing()]
        idle.sort(key=lambda other: other._opened)
        for other in idle[: len(idle) // SHARE_GIVEN_UP + 1]:
            other.transport.abort()
        return bool(idle) or len(there) <= most_connections()

    def _asks_nothing(self) -> bool:
        current: Any = self.cycle
        return not self.pipeline and (current is None or current.response_complete)

    def _is_idle(self) -> bool:
        answered: Any = self.cycle
        return self.timeout_keep_alive_task is None and answered is not None and answered.response_complete

    def _expect_within(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._stop_timer()
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._look)

    def _stop_waiting(self) -> None:
        self._deadline = None  # the timer stays: to set one for each request would cost more than to look in vain

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self.loop.time():
            self._timer = self.loop.call_at(self._deadline, self._look)
        else:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ImpatientWebSocket(WebSocketsSansIOProtocol):
    """Reads no more of a peer who reads nothing, or its pings, which are answered at once, would pile up here."""

    _is_full = False

    def pause_writing(self) -> None:
        """Take no more until the peer has read something."""
        super().pause_writing()
        self._is_full = True
        self._read_no_more()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._is_full = False
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> Any:
        """Return what the peer said next, which has it read again; but not while it reads nothing itself."""
        received = await super().receive()
        if self._is_full:
            self._read_no_more()
        return received

    def _read_no_more(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()


class TlsListener:
    """Takes connections that begin with TLS; asyncio's own server waits a minute for that, of any number of peers.

    Args:
        listening: bound; it begins to listen.
        context: the certificate.
        protocol: makes what serves a connection once it is encrypted.
    """

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._listening = listening
        self._context = context
        self._protocol = protocol
        self._handshakes: dict[socket.socket, asyncio.Task[None]] = {}  # the oldest first
        listening.setblocking(False)  # noqa: FBT003
        listening.listen(BACKLOG)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())
        self._accepting.add_done_callback(lambda _: listening.close())  # whoever connects from then on is told so

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as error:
                logger.warning("cannot take a connection: %s", error.strerror)
                await asyncio.sleep(ACCEPTED_AGAIN_S)
                continue
            if len(self._handshakes) >= min(MOST_HANDSHAKES, most_connections() // SHARE_GIVEN_UP):
                self._give_up(next(iter(self._handshakes)))
            self._handshakes[connection] = loop.create_task(self._encrypt(connection))

    async def _encrypt(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):  # a peer who does not speak TLS, leaves or takes too long
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._protocol, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_S
                )
        finally:
            self._handshakes.pop(connection, None)

    def _give_up(self, connection: socket.socket) -> None:
        del self._handshakes[connection]
        with suppress(OSError):  # it has ended already
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections, and give up those that have not begun."""
        self._accepting.cancel()
        for connection in list(self._handshakes):
            self._give_up(connection)

    async def wait_closed(self) -> None:
        """Return when it takes none."""
        await asyncio.wait([self._accepting])


class NetworkServer(uvicorn.Server):
    """Uvicorn, with its end in our hands: what runs may finish before anything is closed."""

    def __init__(
        self, config: uvicorn.Config, *, on_started: Callable[[], None], drain: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._on_started = on_started
        self._drain = drain

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to whoever started us."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        context = self.config.ssl
        if isinstance(context, ssl.SSLContext):
            await super().startup([])
            self.servers.extend(cast(Any, TlsListener(each, context, self._protocol)) for each in sockets or ())
        else:
            await super().startup(sockets)
        self._on_started()

    def _protocol(self) -> asyncio.Protocol:
        return ImpatientProtocol(self.config, self.server_state, self.lifespan.state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let calls finish, then close."""
        for server in self.servers:
            server.close()
        await self._drain()
        await super().shutdown(sockets)
