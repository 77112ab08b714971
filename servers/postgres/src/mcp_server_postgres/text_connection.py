"""asyncpg, such that every value travels as PostgreSQL's own text, in both directions.

asyncpg's binary codecs turn values into Python objects that are not JSON and not always exact, know no text form of
ranges and composites, and ask the server about each new type. Text has none of these problems. All use of asyncpg is
in this file, the few uses of its internals that text takes included.
"""

# asyncpg ships no types, and what is protected in it is what the text codecs need.
# pyright: reportMissingTypeStubs=false, reportPrivateUsage=false, reportOptionalMemberAccess=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

import asyncio
import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from asyncpg.protocol import BUILTIN_TYPE_NAME_MAP

from mcp_server_postgres.sql_errors import ConnectionLost, InvalidAddress, Refusal

_CLOSE_TIMEOUT_S = 2
_RESET_TIMEOUT_S = 5

# One round trip. ROLLBACK and RESET ALL alone would leave session-level advisory locks and prepared statements behind.
_RESET = "ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all(); DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; RESET ALL"

# asyncpg's map by name has lost "char" to another type of that name.
_BUILTIN_OIDS = frozenset({18, *BUILTIN_TYPE_NAME_MAP.values()})

# What `_introspect_types` has to return as the statement that it ran; a name means that no unnamed one was replaced.
_NO_STATEMENT = SimpleNamespace(name="none")


@dataclass(frozen=True, slots=True)
class CutText:
    """The beginning of a value too long to keep, and how many characters the whole has."""

    text: str
    characters: int


Row: TypeAlias = tuple[str | CutText | None, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that the server has parsed: the types of its parameters, and its columns' names and types."""

    prepared: PreparedStatement
    parameters: list[int]
    columns: list[tuple[str, int]]


class TextConnection(asyncpg.Connection):
    """A connection that runs one statement at a time in the unnamed portal."""

    _max_cell_characters: float = math.inf

    async def use_text(self) -> None:
        """Do this once, before the first statement."""
        self._use_text_for(_BUILTIN_OIDS)

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 (asyncpg's signature)
        """End the transaction and forget everything that a statement may have left in the session."""
        self._max_cell_characters = math.inf
        async with asyncio.timeout(timeout or _RESET_TIMEOUT_S):
            await self.execute(_RESET)

    async def begin(self, transaction: str) -> None:
        """Run SQL of our own that opens a transaction."""
        await self.execute(transaction)

    async def texts(self, sql: str, *arguments: str) -> list[tuple[str, ...]]:
        """Run a query of our own whose values are never NULL."""
        return [tuple(record) for record in await self.fetch(sql, *arguments)]

    async def parse(self, sql: str) -> Statement:
        """Have the server parse one statement; it refuses several."""
        prepared = await self.prepare(sql, name="")
        columns = [(attribute.name, attribute.type.oid) for attribute in prepared.get_attributes()]
        return Statement(prepared, [parameter.oid for parameter in prepared.get_parameters()], columns)

    async def first_rows(
        self, statement: Statement, arguments: Sequence[str | None], at_most: int, max_cell_characters: int
    ) -> tuple[list[Row], bool]:
        """Run the statement; return rows, and whether they are the last.

        Each value is cut as it is read: what is over the limit is never kept, whatever the number of rows.
        """
        self._max_cell_characters = max_cell_characters
        state = statement.prepared._state
        records, _, done = await self._protocol.bind_execute(state, arguments, "", at_most, True, None)  # noqa: FBT003
        return [tuple(record) for record in records or ()], done

    async def more_rows(self, statement: Statement, at_most: int) -> tuple[list[Row], bool]:
        """Continue what `first_rows` began; nothing else may have run on the connection since."""
        records, _, done = await self._protocol.execute(statement.prepared._state, "", at_most, True, None)  # noqa: FBT003
        return [tuple(record) for record in records or ()], done

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[list[Any], Any]:  # noqa: ASYNC109
        self._use_text_for(typeoids)
        return [], _NO_STATEMENT

    def _use_text_for(self, oids: Iterable[int]) -> None:
        settings = self._protocol.get_settings()
        for oid in oids:
            settings.add_python_codec(oid, str(oid), "", [], "scalar", str, self._read, "text")

    def _read(self, text: str) -> str | CutText:
        if len(text) <= self._max_cell_characters:
            return text
        return CutText(text[: int(self._max_cell_characters)], len(text))


class TextPool:
    """Connections that open when needed, at most `size` of them, and are wiped when they come back."""

    def __init__(self, dsn: str | None, *, size: int, connect_timeout_s: float) -> None:
        self._pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=size,
            timeout=connect_timeout_s,
            connection_class=TextConnection,
            init=cast("Any", TextConnection.use_text),
            # Only the unnamed statement is used: DEALLOCATE ALL and poolers in transaction mode leave no other choice.
            statement_cache_size=0,
            server_settings={"application_name": "mcp-server-postgres"},
        )

    async def open(self) -> None:
        """Make the pool ready, without connecting."""
        await self._pool

    async def acquire(self) -> TextConnection:
        """Wait for a connection, or make one."""
        try:
            with plain_errors():
                return cast("TextConnection", await self._pool.acquire())
        except ValueError as error:
            raise InvalidAddress from error

    async def release(self, connection: TextConnection) -> None:
        """Give a connection back; it is wiped even when the caller is cancelled."""
        with plain_errors():
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close every connection; statements still running after two seconds are cut off."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._pool.close()


@contextmanager
def plain_errors() -> Generator[None]:
    """Turn asyncpg's exceptions into those of `sql_errors`."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise Refusal(
            sqlstate=error.sqlstate or "",
            message=str(error.args[0]) if error.args else "",
            detail=" ".join(text for text in (error.detail, error.hint) if text),
            context=error.context or "",
            position=int(error.position or 0),
        ) from error
    except asyncpg.ClientConfigurationError as error:
        raise InvalidAddress from error
    except (asyncpg.InterfaceError, OSError) as error:
        raise ConnectionLost(timed_out=isinstance(error, TimeoutError)) from error
