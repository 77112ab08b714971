"""Results that can be continued: their transactions stay open, so that later pages show the same moment.

Each holds a connection of its own, outside the pool's count, and keeps the server from clearing away what it may still
read. So they are few and short-lived.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from mcp_server_shared import errors

from mcp_server_postgres.results import Limits, QueryResult, Rows
from mcp_server_postgres.values import JsonValue

if TYPE_CHECKING:
    from mcp_server_postgres.text_connection import TextConnection

IDLE_LIFETIME_S = 60.0
_LONGEST_LIFETIME_S = 600.0


class Snapshot:
    """The rows of one statement as of one moment, for one caller.

    Attributes:
        rows: what is left to show.
        connection: where the rest of the rows is; None once all are read.
    """

    def __init__(self, caller: str, rows: Rows, connection: "TextConnection | None", ends_at: float) -> None:
        self.caller = caller
        self.rows = rows
        self.connection = connection
        self.ends_at = ends_at
        self.in_turn = asyncio.Lock()
        self.timer: asyncio.TimerHandle | None = None

    @cached_property
    def handle(self) -> str:
        """What finds it again; nobody can guess it."""
        return secrets.token_urlsafe(12)


class Snapshots:
    """At most `most` of them; the least recently used gives way to a new one.

    Args:
        most: how many.
        give_back: takes the connection of one that has ended.
        idle_lifetime_s: how long one is kept without being used.
    """

    def __init__(
        self, most: int, give_back: "Callable[[TextConnection], None]", *, idle_lifetime_s: float = IDLE_LIFETIME_S
    ) -> None:
        self._most = most
        self._give_back = give_back
        self._idle_lifetime_s = idle_lifetime_s
        self._held: OrderedDict[str, Snapshot] = OrderedDict()  # the least recently used first

    def new(self, caller: str, rows: Rows, connection: "TextConnection | None") -> Snapshot:
        """Return a snapshot that is not kept yet."""
        return Snapshot(caller, rows, connection, asyncio.get_running_loop().time() + _LONGEST_LIFETIME_S)

    def keep(self, snapshot: Snapshot) -> bool:
        """Keep it, for its idle lifetime from now; return False if there is no room, all others being read just now."""
        if snapshot.handle not in self._held and len(self._held) >= self._most and not self.drop_oldest():
            return False
        self._held[snapshot.handle] = snapshot
        self._held.move_to_end(snapshot.handle)
        loop = asyncio.get_running_loop()
        if snapshot.timer is not None:
            snapshot.timer.cancel()
        ends_at = min(loop.time() + self._idle_lifetime_s, snapshot.ends_at)
        snapshot.timer = loop.call_at(ends_at, self._expire, snapshot)
        return True

    async def page(self, handle: str, caller: str, start: int, limits: Limits) -> QueryResult:
        """Return rows from number `start` of a kept snapshot.

        Raises:
            NotFound: there is none of that handle for that caller, or it is past that row.
            ConnectionLost, Refusal: the connection has ended meanwhile.
        """
        snapshot = self._held.get(handle)
        if snapshot is None or snapshot.caller != caller:
            raise self._gone()
        async with snapshot.in_turn:
            if self._held.get(handle) is not snapshot or not snapshot.rows.has(start):
                raise self._gone()
            try:
                page = await snapshot.rows.page(start, limits)
            except BaseException:
                self._drop(snapshot)
                raise
            if snapshot.rows.is_done:
                self._end_transaction(snapshot)
            self.keep(snapshot)

            def resume(shown: int) -> JsonValue:
                return [handle, start + shown]

            return replace(page, resume=resume)

    def drop_oldest(self) -> bool:
        """End the least recently used one that nobody reads just now; return False if there is none."""
        for snapshot in self._held.values():
            if not snapshot.in_turn.locked():
                self._drop(snapshot)
                return True
        return False

    def drop_all(self) -> None:
        """End all of them."""
        while self.drop_oldest():
            pass

    def _expire(self, snapshot: Snapshot) -> None:
        if not snapshot.in_turn.locked():
            self._drop(snapshot)

    def _drop(self, snapshot: Snapshot) -> None:
        self._held.pop(snapshot.handle, None)
        if snapshot.timer is not None:
            snapshot.timer.cancel()
        self._end_transaction(snapshot)

    def _end_transaction(self, snapshot: Snapshot) -> None:
        connection, snapshot.connection = snapshot.connection, None
        if connection is not None:
            self._give_back(connection)

    def _gone(self) -> errors.NotFound:
        return errors.NotFound(
            "The result that 'cursor' continues is no longer held: it ends with the process, after "
            f"{self._idle_lifetime_s:g} s without use, or when {self._most} newer ones need the room.",
            hint="Run the query again, or page in SQL: ORDER BY a unique column, WHERE it is past the last value seen, "
            "LIMIT.",
        )
