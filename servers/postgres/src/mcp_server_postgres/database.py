"""One PostgreSQL database, read only: statements with bound parameters, and what the catalog says.

Every statement runs alone (extended protocol, which refuses several), in an explicit READ ONLY transaction that is
always rolled back, on a session that is wiped before its next use. What a read-only transaction still allows, such as
reading the server's files, only the privileges of the login role can stop.

asyncpg is imported on first use: a server starts, lists its tools and reports a missing URL without it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qs, urlsplit

from mcp_server_shared import errors

from mcp_server_postgres import catalog_queries, sql_errors, values
from mcp_server_postgres.sql_errors import ConnectionLost, InvalidAddress, Refusal
from mcp_server_postgres.values import JsonValue

if TYPE_CHECKING:
    from mcp_server_postgres.text_connection import Row, Statement, TextConnection, TextPool

OBJECT_KINDS: Final = (
    "table",
    "partitioned_table",
    "view",
    "materialized_view",
    "foreign_table",
    "index",
    "sequence",
    "function",
    "procedure",
    "type",
)

_FIRST_ROWS = 50
_MOST_ROWS_AT_ONCE = 1000
_CATALOG_TIMEOUT_S = 15.0
_LONGEST_TIMEOUT_S = 2_000_000  # PostgreSQL counts milliseconds in 32 bits
_COMPACT_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_HOW_TO_CONNECT = "Pass postgresql://user:…@host:5432/database as the first argument or set DATABASE_URL."


@dataclass(frozen=True, slots=True)
class CutCell:
    """A cell that is shown in part: where it is, counted from 0, and how many characters the whole has."""

    row: int
    column: int
    characters: int


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of a statement; `values.py` says how each type appears.

    Attributes:
        columns: name and type of each column; names may repeat.
        rows: one list a row, in the order of the columns.
        truncated: whether the statement has more rows than these.
        cut_cells: the cells of which only the beginning is shown.
    """

    columns: list[tuple[str, str]]
    rows: list[list[JsonValue]]
    truncated: bool
    cut_cells: list[CutCell]


@dataclass(frozen=True, slots=True)
class DatabaseObject:
    """A named thing in a schema; a function's name includes its argument types. Rows are the planner's estimate."""

    schema: str
    name: str
    kind: str
    estimated_rows: int | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its type as SQL writes it and its default as an expression."""

    name: str
    type: str
    nullable: bool
    default: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns that refer to those of another table, pairwise."""

    name: str
    columns: list[str]
    referenced_schema: str
    referenced_table: str
    referenced_columns: list[str]


@dataclass(frozen=True, slots=True)
class Index:
    """An index and the statement that makes it."""

    name: str
    definition: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, partitioned table, foreign table, view or materialised view."""

    schema: str
    name: str
    kind: str
    comment: str | None
    estimated_rows: int | None
    columns: list[Column]
    primary_key: list[str]
    foreign_keys: list[ForeignKey]
    indexes: list[Index]


class Database:
    """A pool of connections that opens on first use and survives errors and restarts of the server.

    Args:
        dsn: a postgresql:// URL; None for libpq's environment variables and defaults.
        launch: starts a database server and returns its URL, to be used instead; called on a thread on first use.
        pool_size: the most connections; further callers wait in turn.
        connect_timeout_s: the longest wait for the server to accept a connection.
    """

    def __init__(
        self,
        dsn: str | None,
        *,
        launch: Callable[[], str] | None = None,
        pool_size: int = 5,
        connect_timeout_s: float = 10.0,
    ) -> None:
        self._dsn = dsn
        self._launch = launch
        self._pool_size = pool_size
        self._connect_timeout_s = connect_timeout_s
        self._address = _address_of(dsn)
        self._opening = asyncio.Lock()
        self._pool: TextPool | None = None
        self._types: dict[int, values.Type] = {}

    async def close(self) -> None:
        """Close every connection; statements still running after two seconds are cut off."""
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

        Raises:
            ExpectedError: anything that the statement, the server or the network does wrong.
        """
        _check_statement(sql)
        limits = _Limits(max_rows, max_cell_characters, max_characters)
        try:
            async with self._session(timeout_s) as connection:
                return await self._run(connection, sql, params, limits)
        except Refusal as error:
            refusal = error
        # The session has to end before the catalog can be asked for names.
        raise sql_errors.expected(refusal, sql, await self._did_you_mean(refusal, sql)) from refusal

    async def search_objects(
        self,
        pattern: str = "*",
        *,
        kinds: Collection[str] = (),
        schema: str | None = None,
        limit: int = 100,
        after: tuple[str, str, str] | None = None,
    ) -> list[DatabaseObject]:
        """Return objects whose name contains `pattern`, ordered by schema, name and kind.

        Args:
            pattern: case does not matter; with `*` or `?` in it, the whole name has to match; with a dot in it, it is
                compared with schema.name.
            kinds: some of `OBJECT_KINDS`; none for all.
            schema: only this one; without it the system's schemas are left out.
            limit: the most objects.
            after: schema, name and kind of the object to continue after.
        """
        wanted: JsonValue = [*kinds] or None
        params = [wanted, schema, _like(pattern), "." in pattern, *(after or (None, None, None)), limit]
        rows = await self._catalog(catalog_queries.SEARCH_OBJECTS, params, limit)
        return [DatabaseObject(*cast("Any", row)) for row in rows]

    async def describe_table(self, schema: str, table: str) -> Table:
        """Return the columns, keys, indexes and comments of a table or view.

        Raises:
            NotFound: there is none of that name; the hint has the nearest ones.
        """
        rows = await self._catalog(catalog_queries.DESCRIBE_TABLE, [schema, table], 1)
        if not rows:
            near = await self._nearest([schema, table], catalog_queries.RELATIONS_LIKE, table)
            raise errors.NotFound(
                f"There is no table or view {schema}.{table}.",
                hint=near or "Look for the name with search_objects.",
            )
        found = cast("dict[str, Any]", rows[0][0])
        found["columns"] = [Column(**column) for column in found["columns"]]
        found["foreign_keys"] = [ForeignKey(**key) for key in found["foreign_keys"]]
        found["indexes"] = [Index(**index) for index in found["indexes"]]
        return Table(**found)

    async def table_names(self, prefix: str, limit: int, *, schema: str | None = None) -> list[str]:
        """Return names of tables and views that begin with `prefix`, in one schema or in all but the system's."""
        rows = await self._catalog(catalog_queries.TABLE_NAMES, [_like_escaped(prefix) + "%", schema, limit], limit)
        return [str(name) for (name,) in rows]

    async def schema_names(self, prefix: str, limit: int) -> list[str]:
        """Return names of schemas that begin with `prefix`."""
        rows = await self._catalog(catalog_queries.SCHEMA_NAMES, [_like_escaped(prefix) + "%", limit], limit)
        return [str(name) for (name,) in rows]

    async def _catalog(self, sql: str, params: Sequence[JsonValue], max_rows: int) -> list[list[JsonValue]]:
        result = await self.query(
            sql,
            params,
            max_rows=max_rows,
            max_cell_characters=5_000_000,
            max_characters=10_000_000,
            timeout_s=_CATALOG_TIMEOUT_S,
        )
        return result.rows

    async def _open_pool(self) -> "TextPool":
        async with self._opening:
            if self._pool is None:
                from mcp_server_postgres.text_connection import TextPool  # imports asyncpg

                dsn = await asyncio.to_thread(self._launch) if self._launch else self._dsn
                pool = TextPool(dsn, size=self._pool_size, connect_timeout_s=self._connect_timeout_s)
                await pool.open()
                self._pool = pool
            return self._pool

    @asynccontextmanager
    async def _session(self, timeout_s: float) -> "AsyncGenerator[TextConnection]":
        """Yield a connection inside a read-only transaction; its release rolls back and wipes, even when cancelled."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        pool = await self._open_pool()
        from mcp_server_postgres.text_connection import plain_errors  # imports asyncpg

        connection = await self._acquire(pool, deadline)
        try:
            async with asyncio.timeout_at(deadline):
                try:
                    with plain_errors():
                        await connection.begin(_begin(timeout_s))
                        yield connection
                finally:
                    await pool.release(connection)
        except TimeoutError as error:
            raise errors.DeadlineExceeded(
                f"The statement did not finish within {timeout_s:g} s and was cancelled.",
                hint="Narrow it (WHERE, LIMIT, fewer joins) or look at its plan with EXPLAIN.",
            ) from error
        except ConnectionLost as error:
            raise errors.Unavailable(f"The connection to {self._address} broke.", hint="Try again.") from error

    async def _acquire(self, pool: "TextPool", deadline: float) -> "TextConnection":
        # Causes are left out: the driver's messages quote pieces of the URL.
        try:
            async with asyncio.timeout_at(deadline):
                return await pool.acquire()
        except Refusal as error:
            raise sql_errors.refused_connection(error, self._address, _HOW_TO_CONNECT) from None
        except (ConnectionLost, TimeoutError) as error:
            raise self._unreachable(timed_out=isinstance(error, TimeoutError) or error.timed_out) from None
        except InvalidAddress:
            raise errors.InvalidArgument(
                "The database URL or libpq's environment is not valid.",
                hint=f"{_HOW_TO_CONNECT} Percent-encode special characters in the password.",
            ) from None

    def _unreachable(self, *, timed_out: bool) -> errors.Unavailable:
        if timed_out:
            return errors.Unavailable(
                f"No connection to {self._address} in time.",
                hint=f"It does not answer, or all {self._pool_size} connections are busy: try again.",
            )
        hint = "Is PostgreSQL running there?" if self._dsn else f"No database URL is set. {_HOW_TO_CONNECT}"
        return errors.Unavailable(f"Cannot connect to {self._address}: nothing answers, or TLS fails.", hint=hint)

    async def _run(
        self, connection: "TextConnection", sql: str, params: Sequence[JsonValue], limits: "_Limits"
    ) -> QueryResult:
        statement = await connection.parse(sql)
        await self._learn_types(connection, [*statement.parameters, *(oid for _, oid in statement.columns)])
        arguments = self._arguments(statement, params)
        types = [self._types[oid] for _, oid in statement.columns]
        page = _Page(types, limits)
        at_once = min(limits.rows + 1, _FIRST_ROWS)
        rows, done = await connection.first_rows(statement, arguments, at_once, limits.cell_characters)
        while page.takes(rows) and rows and not done:
            rows, done = await connection.more_rows(statement, page.rows_to_ask_for())
        columns = [(name, of_type.name) for (name, _), of_type in zip(statement.columns, types, strict=True)]
        return QueryResult(columns, page.rows, page.is_full, page.cut_cells)

    async def _learn_types(self, connection: "TextConnection", needed: Sequence[int]) -> None:
        unknown = set(needed) - self._types.keys()
        if not unknown:
            return
        oids = "{" + ",".join(map(str, unknown)) + "}"
        found = {
            int(oid): (name, int(base), int(element), delimiter)
            for oid, name, base, element, delimiter in await connection.texts(catalog_queries.TYPES, oids)
        }

        def resolve(oid: int) -> values.Type:
            name, base, element, delimiter = found[oid]
            if base:
                below = resolve(base)
                return values.Type(name, below.base_oid, below.element, below.delimiter)
            return values.Type(name, oid, resolve(element) if element else None, delimiter)

        self._types.update({oid: resolve(oid) for oid in found})

    def _arguments(self, statement: "Statement", params: Sequence[JsonValue]) -> list[str | None]:
        types = [self._types[oid] for oid in statement.parameters]
        if len(params) != len(types):
            wanted = f": {', '.join(f'${n} {of_type.name}' for n, of_type in enumerate(types, 1))}" if types else ""
            raise errors.InvalidArgument(
                f"The statement has {len(types)} parameters{wanted}; {len(params)} values were given.",
                hint="Give one value in params for each of $1, $2 and so on.",
            )
        arguments: list[str | None] = []
        for number, (value, of_type) in enumerate(zip(params, types, strict=True), 1):
            try:
                arguments.append(values.encode(value, of_type))
            except ValueError as error:
                raise errors.InvalidArgument(
                    f"Parameter ${number} ({of_type.name}) cannot be sent: {error}."
                ) from error
        return arguments

    async def _did_you_mean(self, error: Refusal, sql: str) -> str:
        names = sql_errors.names_at(error, sql)
        if names and error.sqlstate == sql_errors.UNDEFINED_TABLE:
            return await self._nearest(names, catalog_queries.RELATIONS_LIKE, names[-1])
        if names and error.sqlstate == sql_errors.UNDEFINED_COLUMN:
            return await self._nearest(names, catalog_queries.COLUMNS_OF, sql_errors.words_of(sql))
        return ""

    async def _nearest(self, names: Sequence[str], candidates_sql: str, about: JsonValue) -> str:
        """Return "Did you mean a, b?" or an empty string; never a second error on top of the first."""
        try:
            candidates = await self._catalog(candidates_sql, [about], 2000)
        except errors.ExpectedError:
            return ""
        written: dict[str, list[str]] = {}
        for plain, as_sql in candidates:
            written.setdefault(str(plain), []).append(str(as_sql))
        near = [text for plain in get_close_matches(names[-1], written) for text in written[plain]]
        near.sort(key=lambda text: not text.startswith(f"{names[0]}."))
        return f"Did you mean {', '.join(near[:3])}?" if near else ""


@dataclass(frozen=True, slots=True)
class _Limits:
    rows: int
    cell_characters: int
    characters: int


class _Page:
    """Rows taken from a portal until a limit is met."""

    def __init__(self, types: list[values.Type], limits: _Limits) -> None:
        self.rows: list[list[JsonValue]] = []
        self.cut_cells: list[CutCell] = []
        self.is_full = False
        self._types = types
        self._limits = limits
        self._characters = len("[")

    def takes(self, rows: "Sequence[Row]") -> bool:
        """Take rows in turn; return False once one no longer fits."""
        for row in rows:
            if not self._takes(row):
                self.is_full = True
                return False
        return True

    def rows_to_ask_for(self) -> int:
        """As many rows as may still fit, judged by those so far, and one more to see whether there are more."""
        by_characters = (self._limits.characters - self._characters) * len(self.rows) // max(self._characters, 1)
        return min(self._limits.rows - len(self.rows), by_characters, _MOST_ROWS_AT_ONCE) + 1

    def _takes(self, row: "Row") -> bool:
        if len(self.rows) == self._limits.rows:
            return False
        cells, cut = self._to_json(row, self._limits.cell_characters)
        size = _json_length(cells)
        if self.rows and self._characters + size > self._limits.characters:
            return False
        if size > self._limits.characters:
            cells, cut = self._to_json(row, self._limits.characters // len(row))
            size = _json_length(cells)
        self.rows.append(cells)
        self.cut_cells += cut
        self._characters += size
        return True

    def _to_json(self, row: "Row", max_characters: int) -> tuple[list[JsonValue], list[CutCell]]:
        cells: list[JsonValue] = []
        cut: list[CutCell] = []
        for column, (cell, of_type) in enumerate(zip(row, self._types, strict=True)):
            if cell is None:
                cells.append(None)
                continue
            text, length = (cell, len(cell)) if isinstance(cell, str) else (cell.text, cell.characters)
            if length > max_characters:
                cells.append(f"{text[:max_characters]}… [{length} characters in all]")
                cut.append(CutCell(len(self.rows), column, length))
            else:
                cells.append(values.decode(text, of_type))
        return cells, cut


def _json_length(cells: list[JsonValue]) -> int:
    """Return the length of a row as compact JSON, with what separates it from the next."""
    return len(_COMPACT_JSON.encode(cells)) + len(",")


def _begin(timeout_s: float) -> str:
    """Return the SQL that opens the transaction, in one round trip.

    `statement_timeout` starts anew with every fetch, so the deadline is kept on this side too.
    """
    ms = max(1, int(min(timeout_s, _LONGEST_TIMEOUT_S) * 1000))
    return (
        f"BEGIN READ ONLY; SET LOCAL statement_timeout = {ms}; SET LOCAL lock_timeout = {max(1, ms // 2)}; "
        f"SET LOCAL idle_in_transaction_session_timeout = {ms}; SET LOCAL datestyle = ISO; "
        "SET LOCAL intervalstyle = iso_8601; SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = hex"
    )


def _check_statement(sql: str) -> None:
    keyword = sql_errors.first_word(sql)
    if not keyword:
        raise errors.InvalidArgument("There is no statement in sql.")
    if "\0" in sql or not values.is_unicode(sql):
        raise errors.InvalidArgument("sql contains a character that PostgreSQL text cannot hold.")
    if keyword in {"copy", "prepare"}:
        raise errors.Unsupported(
            f"{keyword.upper()} is not supported here.", hint="Use SELECT, with $1, $2… and params."
        )


def _like(pattern: str) -> str:
    escaped = _like_escaped(pattern)
    if "*" in pattern or "?" in pattern:
        return escaped.replace("*", "%").replace("?", "_")
    return f"%{escaped}%"


def _like_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _address_of(dsn: str | None) -> str:
    """Return host and port of a URL for error texts, never its user, password or database."""
    url = urlsplit(dsn or "")
    if not dsn or ("@" in dsn and "@" not in url.netloc):
        return "the database server"
    hosts = url.netloc.rpartition("@")[2] or ",".join(parse_qs(url.query).get("host", ()))
    return hosts or "the database server"
