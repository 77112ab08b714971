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
import configparser
import socket
import ssl
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from asyncpg.protocol import BUILTIN_TYPE_NAME_MAP

from mcp_server_postgres.bounded_messages import CUT_MARK, UNLIMITED, BoundedMessages
from mcp_server_postgres.sql_errors import NO_SUCH_HOST, ConnectionLost, InvalidAddress, Refusal
from mcp_server_postgres.values import Type

_RESET_TIMEOUT_S = 5
_QUERY_HEADER = Struct("!cI")
_LEAST_LONG_VALUE = 65_536  # bytes; values below are not worth the trouble to cut on their way
_MOST_BYTES_A_CHARACTER = 4

# One round trip. ROLLBACK and RESET ALL alone would leave session-level advisory locks and prepared statements behind.
_RESET = "ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all(); DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; RESET ALL"

# Parameters of libpq's URLs for its own connection, and those that the driver has no use for unless they are "require".
_LIBPQS_OWN = frozenset(
    {"fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"}
    | {"sslcompression", "sslsni", "tcp_user_timeout"}
)
_OF_SECURITY = frozenset({"channel_binding", "gssencmode"})
_LEAST_CONNECT_TIMEOUT_S = 2  # as in libpq

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
class Portion:
    """Some rows of a statement, whether they are the last, and then the server's word on it, such as "UPDATE 3"."""

    rows: list[Row]
    done: bool
    tag: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that the server has parsed: the types of its parameters, and its columns' names and types."""

    prepared: PreparedStatement
    parameters: list[int]
    columns: list[tuple[str, int]]


class TextConnection(asyncpg.Connection):
    """A connection that runs one statement at a time in the unnamed portal. Its methods raise what `connect` raises.

    Attributes:
        types: what is known of the types that this connection has met, by OID.
        leftovers: a statement of our own that clears what nothing else does; it runs once, with the next reset.
    """

    types: dict[int, Type]
    leftovers: str
    _ahead: tuple[str, Statement | Refusal] | None = None  # what `begin` had parsed, as long as nothing else has run
    _messages: BoundedMessages
    _max_cell_characters = UNLIMITED

    def use_text(self) -> None:
        """Do this once, before the first statement."""
        self.types = {}
        self.leftovers = ""
        self._use_text_for(_BUILTIN_OIDS)
        self._messages = BoundedMessages(cast("Any", self._protocol))
        self._transport.set_protocol(self._messages)

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 (asyncpg's signature)
        """End the transaction and forget everything that a statement may have left in the session."""
        self._limit_cells(UNLIMITED)
        leftovers, self.leftovers = self.leftovers, ""
        self._ahead = None
        with plain_errors():
            async with asyncio.timeout(timeout or _RESET_TIMEOUT_S):
                await self.execute(f"{_RESET}; {leftovers}")

    async def end(self, timeout_s: float) -> None:
        """Close the connection in good order."""
        with plain_errors():
            await self.close(timeout=timeout_s)

    async def run(self, sql: str) -> None:
        """Run statements of our own that return nothing, in one round trip."""
        self._ahead = None
        with plain_errors():
            await self.execute(sql)

    async def begin(self, transaction: str, ahead: str = "") -> None:
        """Open a transaction and have the server parse the statement that comes next, in one round trip.

        Args:
            transaction: statements of our own that return nothing.
            ahead: what `parse` will be asked for first; what is wrong with it is told then. Empty if that is not known.
        """
        if not ahead:
            await self.run(transaction)
            return
        query = transaction.encode() + b"\0"
        self._messages.expect_answers()
        self._transport.write(_QUERY_HEADER.pack(b"Q", len(query) + 4) + query)
        try:
            parsed: Statement | Refusal = await self.parse(ahead)
        except Refusal as refusal:
            parsed = refusal
        except ConnectionLost:
            self._raise_for_transaction()
            raise
        self._raise_for_transaction()
        self._ahead = ahead, parsed

    def _raise_for_transaction(self) -> None:
        if error := self._messages.error:
            raise Refusal(sqlstate=error.get("C", ""), message=error.get("M", ""), detail="", context="", position=0)

    async def texts(self, sql: str, *arguments: str) -> list[tuple[str, ...]]:
        """Run a query of our own whose values are never NULL."""
        self._limit_cells(UNLIMITED)
        self._ahead = None
        with plain_errors():
            return [tuple(record) for record in await self.fetch(sql, *arguments)]

    async def parse(self, sql: str) -> Statement:
        """Have the server parse one statement; it refuses several."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == sql:
            if isinstance(ahead[1], Refusal):
                raise ahead[1]
            return ahead[1]
        with plain_errors():
            prepared = await self.prepare(sql, name="")
        columns = [(attribute.name, attribute.type.oid) for attribute in prepared.get_attributes()]
        return Statement(prepared, [parameter.oid for parameter in prepared.get_parameters()], columns)

    async def first_rows(
        self, statement: Statement, arguments: Sequence[str | None], at_most: int, max_cell_characters: int
    ) -> Portion:
        """Run the statement and return its first rows.

        Each value is cut as it arrives: what is over the limit is never kept, whatever the number of rows.
        """
        self._limit_cells(max_cell_characters)
        state = statement.prepared._state
        with plain_errors():
            return _portion(await self._protocol.bind_execute(state, arguments, "", at_most, True, None))  # noqa: FBT003

    async def more_rows(self, statement: Statement, at_most: int) -> Portion:
        """Continue what `first_rows` began; nothing else may have run on the connection since."""
        with plain_errors():
            return _portion(await self._protocol.execute(statement.prepared._state, "", at_most, True, None))  # noqa: FBT003

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> tuple[list[Any], Any]:  # noqa: ASYNC109
        self._use_text_for(typeoids)
        return [], _NO_STATEMENT

    def _use_text_for(self, oids: Iterable[int]) -> None:
        settings = self._protocol.get_settings()
        for oid in oids:
            settings.add_python_codec(oid, str(oid), "", [], "scalar", str, self._read, "text")

    def _limit_cells(self, max_characters: int) -> None:
        self._max_cell_characters = max_characters
        self._messages.longest_value = max(max_characters * _MOST_BYTES_A_CHARACTER, _LEAST_LONG_VALUE)

    def _read(self, text: str) -> str | CutText:
        if len(text) <= self._max_cell_characters:
            return text
        beginning, _, length = text.rpartition(CUT_MARK)
        return CutText((beginning or text)[: self._max_cell_characters], int(length) if beginning else len(text))


async def connect(dsn: str | None, timeout_s: float) -> TextConnection:
    """Connect to a postgresql:// URL, or to where libpq's environment says.

    Raises:
        InvalidAddress: the URL or the environment makes no sense.
        Refusal: the server does not want the connection.
        ConnectionLost: nothing answers in time, or not in PostgreSQL's protocol.
    """
    try:
        dsn, timeout_s = _without_libpqs_own(dsn, timeout_s)
        with plain_errors():
            connection: TextConnection = await asyncpg.connect(
                dsn,
                timeout=cast("Any", timeout_s),
                connection_class=TextConnection,
                # Only the unnamed statement is used: DEALLOCATE ALL and poolers in transaction mode leave no choice.
                statement_cache_size=0,
                server_settings={"application_name": "mcp-server-postgres"},
            )
    except (ValueError, OverflowError, LookupError, configparser.Error) as error:
        raise InvalidAddress from error
    connection.use_text()
    return connection


def _without_libpqs_own(dsn: str | None, timeout_s: float) -> tuple[str | None, float]:
    """Take out of a URL what only libpq reads, and the driver would send to the server as a setting.

    Return the URL and the shorter timeout. What asks for security that the driver cannot give stays, and is refused.
    """
    address, mark, query = (dsn or "").partition("?")
    kept: list[str] = []
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        if name == "connect_timeout":
            timeout_s = min(timeout_s, max(_LEAST_CONNECT_TIMEOUT_S, int(value)) if int(value) > 0 else timeout_s)
        elif name not in _LIBPQS_OWN and not (name in _OF_SECURITY and value in {"prefer", "disable"}):
            kept.append(parameter)
    return (f"{address}{mark}{'&'.join(kept)}" if dsn else dsn), timeout_s


def _portion(answer: tuple[Any, bytes | None, bool]) -> Portion:
    records, status, done = answer
    return Portion([tuple(record) for record in records or ()], done, (status or b"").decode())


@contextmanager
def plain_errors() -> Generator[None]:
    """Turn asyncpg's exceptions into those of `sql_errors`."""
    try:
        yield
    except asyncpg.ConnectionDoesNotExistError as error:  # the driver's own, though it looks like the server's
        raise ConnectionLost(_why(error)) from error
    except asyncpg.PostgresError as error:
        raise Refusal(
            sqlstate=error.sqlstate or "",
            message=str(error.args[0]) if error.args else "",
            detail=" ".join(text for text in (error.detail, _hint(error)) if text),
            context=error.context or "",
            position=int(error.position or 0),
        ) from error
    except asyncpg.ClientConfigurationError as error:
        raise InvalidAddress from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise ConnectionLost(_why(error)) from error


_WHY: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "it does not answer in time"),
    (socket.gaierror, NO_SUCH_HOST),
    (ssl.SSLCertVerificationError, "its certificate is not what sslmode and sslrootcert ask for"),
    (ssl.SSLError, "TLS fails"),
    (ConnectionRefusedError, "nothing listens there"),
    (FileNotFoundError, "nothing listens there"),
    (PermissionError, "the system does not let this process in there"),
    (ConnectionResetError, "it closes the connection"),
    (asyncpg.ConnectionDoesNotExistError, "it closes the connection"),
    (ConnectionError, "it does not offer TLS, or is no PostgreSQL"),
    (asyncpg.InternalClientError, "it does not speak PostgreSQL's protocol"),
)


def _hint(error: asyncpg.PostgresError) -> str:
    """Return the server's hint, without what the driver adds about its own statements, of which there are none."""
    return (error.hint or "").partition("NOTE: pgbouncer")[0].strip()


def _why(error: Exception) -> str:
    return next((why for kind, why in _WHY if isinstance(error, kind)), "the driver gives up")
