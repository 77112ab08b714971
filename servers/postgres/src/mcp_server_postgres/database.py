"""One PostgreSQL database: statements with bound parameters, read only unless a transaction is asked for.

Every statement runs alone (extended protocol, which refuses several), in an explicit transaction, READ ONLY and always
rolled back for what reads, on a session that is wiped before its next use. What a read-only transaction still allows,
such as reading the server's files, only the privileges of the login role can stop: see `privileges.py`.

asyncpg is imported on first use: a server starts, lists its tools and reports a missing URL without it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from mcp_server_shared import errors

from mcp_server_postgres import catalog_queries, sql_errors, values
from mcp_server_postgres.costs import refuse_costly
from mcp_server_postgres.results import MOST_SORTED_ROWS, WHOLE, Limits, QueryResult, Rows
from mcp_server_postgres.sessions import Session
from mcp_server_postgres.snapshots import IDLE_LIFETIME_S, Snapshots
from mcp_server_postgres.sql_errors import NO_SUCH_HOST, ConnectionLost, InvalidAddress, Refusal
from mcp_server_postgres.statements import first_word, limited
from mcp_server_postgres.values import JsonValue

if TYPE_CHECKING:
    from mcp_server_postgres.connection_pool import ConnectionPool
    from mcp_server_postgres.text_connection import TextConnection

_CATALOG_TIMEOUT_S = 15.0
_LONGEST_TIMEOUT_S = 2_000_000  # PostgreSQL counts milliseconds in 32 bits
_MOST_SNAPSHOTS = 4
_TOO_MANY_CONNECTIONS = "53300"
_HOW_TO_CONNECT = "Pass postgresql://user:…@host:5432/database as the first argument or set DATABASE_URL."
_HOW_TO_CONNECT_BY_NAME = "Start the server with --database {name}=postgresql://user:…@host:5432/database."
_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_WRITING = "BEGIN READ WRITE"


Audit = Callable[[Session], Awaitable[dict[str, Any]]]


class Database:
    """A pool of connections that opens on first use and survives errors and restarts of the server.

    Args:
        dsn: a postgresql:// URL; None for libpq's environment variables and defaults.
        name: what the operator calls it, where there are several.
        launch: starts a database server and returns its URL, to be used instead; called on a thread on first use.
        audit: judges the login role in the first session, before anything else runs; what it raises, the caller gets,
            and it is asked again with the next. It returns what every result has to say of the role.
        pool_size: the most connections for statements; further callers wait in turn. Results that can be continued
            hold a few more, see `snapshots.py`.
        connect_timeout_s: the longest wait for the server to accept a connection.

    Attributes:
        name: what the operator calls it; empty where it is the only one.
        role_facts: what the audit returned.
    """

    def __init__(
        self,
        dsn: str | None,
        *,
        name: str = "",
        launch: Callable[[], str] | None = None,
        audit: Audit | None = None,
        pool_size: int = 5,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self.name = name
        self.role_facts: dict[str, Any] = {}
        self._how_to_connect = _HOW_TO_CONNECT_BY_NAME.format(name=name) if name else _HOW_TO_CONNECT
        self._dsn = dsn
        self._launch = launch
        self._audit = audit
        self._pool_size = pool_size
        self._connect_timeout_s = connect_timeout_s
        self._address = _address_of(dsn)
        self._opening = asyncio.Lock()
        self._pool: ConnectionPool | None = None
        self._snapshots = Snapshots(_MOST_SNAPSHOTS, self._take_back)

    async def close(self) -> None:
        """Close every connection; statements still running after two seconds are cut off."""
        self._snapshots.drop_all()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def query(
        self,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        max_rows: int = 100,
        max_cell_characters: int = 2_000,
        max_characters: int = 25_000,
        timeout_s: float = 30.0,
        max_cost: float | None = None,
        held_for: str | None = None,
    ) -> QueryResult:
        """Run one statement read only, with `params` for $1, $2 and so on, and return its first rows.

        Args:
            sql: any one statement; one that returns no rows gives an empty result.
            params: JSON values; `values.py` says how each is read.
            max_rows: the most rows, at least 1.
            max_cell_characters: longer cells are cut and listed in `cut_cells`.
            max_characters: the most characters of all rows as compact JSON. The first row is always there; where it
                alone is over, its cells are cut shorter.
            timeout_s: from the call to the last row, the wait for a connection included.
            max_cost: a statement that the planner expects to cost more is not run; None for no limit.
            held_for: the caller who may go on with the rows after these, by `more`; None for nobody.

        Raises:
            ExpectedError: anything that the statement, the server or the network does wrong.
        """
        check_statement(sql)
        limits = Limits(max_rows, max_cell_characters, max_characters)
        ahead = (limited(sql, MOST_SORTED_ROWS) or sql) if max_cost is None and self._audit is None else ""
        async with self.session(timeout_s, ahead=ahead) as session:
            if max_cost is not None:
                await refuse_costly(session, sql, params, max_cost)
            rows = await session.run(sql, params, max_cell_characters=max_cell_characters, may_limit=True)
            result = await rows.page(0, limits)
            return result if held_for is None else self._held(result, held_for, rows, session)

    async def more(
        self,
        position: JsonValue,
        caller: str,
        *,
        max_rows: int = 100,
        max_cell_characters: int = 2_000,
        max_characters: int = 25_000,
        timeout_s: float = 30.0,
    ) -> QueryResult:
        """Return the rows after those of an earlier result: `position` is what its `resume` gave.

        Raises:
            NotFound: they are no longer held, or never were, or for another caller.
            ExpectedError: as `query`.
        """
        handle, start = cast("tuple[str, int]", position)
        limits = Limits(max_rows, max_cell_characters, max_characters)
        try:
            async with self._within(timeout_s):
                return await self._snapshots.page(handle, caller, start, limits)
        except Refusal as error:
            raise sql_errors.expected(error, "") from error

    @asynccontextmanager
    async def session(
        self, timeout_s: float = 30.0, *, leftovers: str = "", ahead: str = ""
    ) -> AsyncGenerator[Session]:
        """Yield a session whose statements share one read-only transaction, rolled back at its end.

        Args:
            timeout_s: for all statements together, the wait for a connection included.
            leftovers: a statement of our own that clears what a rollback does not; it runs at the end in any case.
            ahead: the statement that will be run first, where that is known; it saves a round trip.

        Raises:
            ExpectedError: anything that a statement, the server or the network does wrong; it ends the session.
        """
        async with self._session(f"{_READING}; {_settings(timeout_s)}", timeout_s, ahead) as session:
            session.connection.leftovers = leftovers
            yield session

    @asynccontextmanager
    async def writing(self, timeout_s: float, *, lock_timeout_s: float | None = None) -> AsyncGenerator[Session]:
        """Yield a session that may write; whoever wants its changes to last has it run COMMIT."""
        settings = _settings(timeout_s, lock_timeout_s)
        async with self._session(f"{_WRITING}; {settings}", timeout_s) as session:
            yield session

    async def catalog(
        self,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        max_rows: int = 10_000,
        timeout_s: float = _CATALOG_TIMEOUT_S,
    ) -> list[list[JsonValue]]:
        """Return the rows of a query of our own, whole."""
        result = await self.query(
            sql,
            params,
            max_rows=max_rows,
            max_cell_characters=WHOLE.cell_characters,
            max_characters=WHOLE.characters,
            timeout_s=timeout_s,
        )
        return result.rows

    async def nearest(self, names: Sequence[str], candidates_sql: str, about: JsonValue) -> str:
        """Return "Did you mean a, b?" or an empty string; never a second error on top of the first."""
        try:
            candidates = await self.catalog(candidates_sql, [about], max_rows=2000)
        except errors.ExpectedError:
            return ""
        written: dict[str, list[str]] = {}
        for plain, as_sql in candidates:
            written.setdefault(str(plain), []).append(str(as_sql))
        near = [text for plain in get_close_matches(names[-1], written) for text in written[plain]]
        near.sort(key=lambda text: not text.startswith(f"{names[0]}."))
        return f"Did you mean {', '.join(near[:3])}?" if near else ""

    async def _did_you_mean(self, error: Refusal, sql: str) -> str:
        names = sql_errors.names_at(error, sql)
        if names and error.sqlstate == sql_errors.UNDEFINED_TABLE:
            return await self.nearest(names, catalog_queries.RELATIONS_LIKE, names[-1])
        if names and error.sqlstate == sql_errors.UNDEFINED_COLUMN:
            return await self.nearest(names, catalog_queries.COLUMNS_OF, sql_errors.words_of(sql))
        if names and error.sqlstate == sql_errors.UNDEFINED_FUNCTION:
            return await self.nearest(names, catalog_queries.FUNCTIONS_LIKE, names[-1])
        return ""

    @asynccontextmanager
    async def _session(self, transaction: str, timeout_s: float, ahead: str = "") -> AsyncGenerator[Session]:
        session: Session | None = None
        try:
            async with self._lent(transaction, timeout_s, ahead) as connection:
                session = Session(connection)
                if self._audit is not None:
                    self.role_facts = await self._audit(session)
                    self._audit = None
                yield session
                return
        except Refusal as error:
            refusal = error
        # The session has to end before the catalog can be asked for names.
        sql = session.sql if session else ""
        raise sql_errors.expected(refusal, sql, await self._did_you_mean(refusal, sql)) from refusal

    @asynccontextmanager
    async def _lent(self, transaction: str, timeout_s: float, ahead: str) -> "AsyncGenerator[TextConnection]":
        """Yield a connection inside a transaction; its release rolls back and wipes, even when cancelled."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        pool = await self._open_pool()
        connection = await self._begin(pool, transaction, ahead, deadline)
        try:
            async with self._within(deadline - asyncio.get_running_loop().time(), told_s=timeout_s):
                yield connection
        finally:
            if connection not in pool.aside:
                pool.release(connection)

    @asynccontextmanager
    async def _within(self, timeout_s: float, *, told_s: float | None = None) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError as error:
            raise errors.DeadlineExceeded(
                f"The statement did not finish within {told_s or timeout_s:g} s and was cancelled.",
                hint="Narrow it (WHERE, LIMIT, fewer joins) or look at its plan with EXPLAIN.",
            ) from error
        except ConnectionLost as error:
            raise errors.Unavailable(f"The connection to {self._address} broke.", hint="Try again.") from error

    async def _open_pool(self) -> "ConnectionPool":
        async with self._opening:
            if self._pool is None:
                from mcp_server_postgres.connection_pool import ConnectionPool  # imports asyncpg

                dsn = await asyncio.to_thread(self._launch) if self._launch else self._dsn
                self._pool = ConnectionPool(dsn, size=self._pool_size, connect_timeout_s=self._connect_timeout_s)
            return self._pool

    async def _begin(self, pool: "ConnectionPool", transaction: str, ahead: str, deadline: float) -> "TextConnection":
        # Causes are left out: the driver's messages quote pieces of the URL.
        try:
            async with asyncio.timeout_at(deadline):
                return await self._begin_at_the_cost_of_snapshots(pool, transaction, ahead)
        except Refusal as error:
            raise sql_errors.refused_connection(error, self._address, self._how_to_connect) from None
        except ConnectionLost as error:
            raise self._unreachable(error.why) from None
        except TimeoutError:
            raise errors.Unavailable(
                f"The statement did not begin at {self._address} within the time of the call.",
                hint=f"All {self._pool_size} connections are busy (the operator's --pool-size), the server is slow, "
                "or a lock is in the way: try again.",
            ) from None
        except InvalidAddress:
            raise errors.InvalidArgument(
                "The database URL or libpq's environment is not valid.",
                hint=f"{self._how_to_connect} Percent-encode special characters in the password.",
            ) from None

    async def _begin_at_the_cost_of_snapshots(
        self, pool: "ConnectionPool", transaction: str, ahead: str
    ) -> "TextConnection":
        while True:
            try:
                return await pool.begin(transaction, ahead)
            except Refusal as error:
                if error.sqlstate != _TOO_MANY_CONNECTIONS or not self._snapshots.drop_oldest():
                    raise

    def _unreachable(self, why: str) -> errors.Unavailable:
        there = "Correct its name in the database URL." if why == NO_SUCH_HOST else "Is PostgreSQL running there?"
        hint = there if self._dsn else f"No database URL is set. {self._how_to_connect}"
        if (self._dsn or "").partition("?")[0].count("@") > 1:
            hint = "Percent-encode special characters in the password: %40 for @."
        return errors.Unavailable(f"Cannot connect to {self._address}: {why}.", hint=hint)

    def _held(self, result: QueryResult, caller: str, rows: Rows, session: Session) -> QueryResult:
        """Return the result with the means to go on, for as long as the rest is held."""
        pool = cast("ConnectionPool", self._pool)
        snapshot = self._snapshots.new(caller, rows, None if rows.is_done else session.connection)
        if not rows.is_done:
            if not self._snapshots.keep(snapshot):
                return result
            pool.set_aside(session.connection)

        def resume(shown: int) -> JsonValue:
            self._snapshots.keep(snapshot)  # all rows may have been read, and only now turn out to be too many to show
            return [snapshot.handle, shown]

        return replace(result, resume=resume)

    def _take_back(self, connection: "TextConnection") -> None:
        if self._pool is not None:
            self._pool.take_back(connection)


def check_statement(sql: str) -> None:
    """Refuse text that is no statement, and statements that make no sense here.

    Raises:
        InvalidArgument, Unsupported: why, fit for a model to read.
    """
    keyword = first_word(sql)
    if not keyword:
        raise errors.InvalidArgument("There is no statement in sql.")
    if "\0" in sql or not values.is_unicode(sql):
        raise errors.InvalidArgument("sql contains a character that PostgreSQL text cannot hold.")
    if keyword in {"copy", "prepare"}:
        raise errors.Unsupported(
            f"{keyword.upper()} is not supported here.", hint="Use SELECT, with $1, $2… and params."
        )


def _settings(timeout_s: float, lock_timeout_s: float | None = None) -> str:
    """Return the SQL that bounds a transaction and fixes how values are written.

    `statement_timeout` starts anew with every fetch, so the deadline is kept on this side too.
    """
    statement_ms = _milliseconds(timeout_s)
    lock_ms = _milliseconds(timeout_s / 2 if lock_timeout_s is None else lock_timeout_s)
    idle_ms = _milliseconds(max(timeout_s, IDLE_LIFETIME_S) + 5)
    return (
        f"SET LOCAL statement_timeout = {statement_ms}; SET LOCAL lock_timeout = {lock_ms}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {idle_ms}; SET LOCAL datestyle = ISO; "
        "SET LOCAL intervalstyle = iso_8601; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex"
    )


def _milliseconds(seconds: float) -> int:
    return max(1, int(min(seconds, _LONGEST_TIMEOUT_S) * 1000))


def _address_of(dsn: str | None) -> str:
    """Return host and port of a URL for error texts, never its user, password or database."""
    try:
        url = urlsplit(dsn or "")
    except ValueError:  # the driver will say that it is no URL; the exception quotes the password
        return "the database server"
    if not dsn or ("@" in dsn and "@" not in url.netloc):
        return "the database server"
    hosts = url.netloc.rpartition("@")[2] or ",".join(parse_qs(url.query).get("host", ()))
    return hosts or "the database server"
