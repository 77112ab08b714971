"""A pool of connections: opened on first use, lent in turn, wiped before their next use."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from mcp_server_postgres import text_connection
from mcp_server_postgres.sql_errors import ConnectionLost, Refusal
from mcp_server_postgres.text_connection import TextConnection

_IDLE_LIFETIME_S = 300.0
_CLOSE_TIMEOUT_S = 2.0
_WIPING_PATIENCE_S = 0.25
# What a session says that ended while nobody looked: the server stopped or restarted, or a pooler dropped it.
_SESSION_HAS_ENDED = ("08", "57P")


class ConnectionPool:
    """At most `size` connections are lent at a time; who asks first is served first.

    Args:
        dsn: a postgresql:// URL; None for libpq's environment variables and defaults.
        size: the most connections lent at a time, and the most kept idle.
        connect_timeout_s: the longest wait for the server to accept a connection.

    Attributes:
        aside: the connections that are kept beyond the call they were lent for.
    """

    def __init__(self, dsn: str | None, *, size: int, connect_timeout_s: float) -> None:
        self._dsn = dsn
        self._size = size
        self._connect_timeout_s = connect_timeout_s
        self._places = asyncio.Semaphore(size)
        self._idle: list[tuple[TextConnection, asyncio.TimerHandle]] = []
        self._wiping: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._open: set[TextConnection] = set()
        self.aside: set[TextConnection] = set()
        self._is_closed = False

    async def begin(self, transaction: str, ahead: str = "") -> TextConnection:
        """Wait for a connection and open a transaction in it.

        Args:
            transaction: statements of our own.
            ahead: what the connection will be asked to parse first, see `TextConnection.begin`.

        Raises:
            InvalidAddress, Refusal, ConnectionLost: no connection can be made.
        """
        await self._places.acquire()
        try:
            while (connection := await self._reusable()) is not None:
                if await self._began(connection, transaction, ahead):
                    return connection
            connection = await self._new()
            try:
                await connection.begin(transaction, ahead)
            except asyncio.CancelledError:
                self.take_back(connection)
                raise
            except BaseException:
                self.discard(connection)
                raise
        except BaseException:
            self._places.release()
            raise
        return connection

    def release(self, connection: TextConnection) -> None:
        """Give a connection back; it is wiped in the background, and its place is free after that."""
        _start(self._wipe(connection, frees_place=True), self._wiping)

    def set_aside(self, connection: TextConnection) -> None:
        """Free the place of a connection that is kept beyond the call it was lent for."""
        self.aside.add(connection)
        self._places.release()

    def take_back(self, connection: TextConnection) -> None:
        """Give back a connection that has no place, or no longer."""
        self.aside.discard(connection)
        _start(self._wipe(connection, frees_place=False), self._wiping)

    def discard(self, connection: TextConnection) -> None:
        """Close a connection at once."""
        self._open.discard(connection)
        self.aside.discard(connection)
        connection.terminate()

    async def close(self) -> None:
        """Close every connection; statements still running after two seconds are cut off."""
        self._is_closed = True
        if self._wiping | self._closing:
            await asyncio.wait(self._wiping | self._closing, timeout=_CLOSE_TIMEOUT_S)
        while self._idle:
            connection, timer = self._idle.pop()
            timer.cancel()
            await self._close(connection)
        for connection in [*self._open]:
            self.discard(connection)
        await asyncio.gather(*self._wiping, *self._closing, return_exceptions=True)

    async def _reusable(self) -> TextConnection | None:
        # A connection that is being wiped is there sooner than a new one, unless its statement is hard to stop.
        if not self._idle and self._wiping:
            await asyncio.wait(self._wiping, timeout=_WIPING_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._idle:
            return None
        connection, timer = self._idle.pop()
        timer.cancel()
        return connection

    async def _began(self, connection: TextConnection, transaction: str, ahead: str) -> bool:
        """Open a transaction in an idle connection; return False if it turns out to have ended meanwhile."""
        try:
            await connection.begin(transaction, ahead)
        except ConnectionLost:
            self.discard(connection)
            return False
        except Refusal as error:
            self.discard(connection)
            if error.sqlstate.startswith(_SESSION_HAS_ENDED):
                return False
            raise
        except asyncio.CancelledError:  # it may wait for a lock, and only a wipe has the server stop that
            self.take_back(connection)
            raise
        except BaseException:
            self.discard(connection)
            raise
        return True

    async def _new(self) -> TextConnection:
        connection = await text_connection.connect(self._dsn, self._connect_timeout_s)
        self._open.add(connection)
        return connection

    async def _wipe(self, connection: TextConnection, *, frees_place: bool) -> None:
        try:
            await connection.reset()
        except (ConnectionLost, Refusal, TimeoutError):
            self.discard(connection)
        except BaseException:
            self.discard(connection)
            raise
        else:
            await self._keep_or_close(connection)
        finally:
            if frees_place:
                self._places.release()

    async def _keep_or_close(self, connection: TextConnection) -> None:
        if self._is_closed or len(self._open) - len(self.aside) > self._size:
            await self._close(connection)
            return
        timer = asyncio.get_running_loop().call_later(_IDLE_LIFETIME_S, self._expire, connection)
        self._idle.append((connection, timer))

    def _expire(self, connection: TextConnection) -> None:
        self._idle = [(other, timer) for other, timer in self._idle if other is not connection]
        _start(self._close(connection), self._closing)

    async def _close(self, connection: TextConnection) -> None:
        self._open.discard(connection)
        with suppress(ConnectionLost, Refusal, TimeoutError):
            await connection.end(_CLOSE_TIMEOUT_S)


def _start(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    among.add(task)
    task.add_done_callback(among.discard)
