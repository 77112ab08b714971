"""Statements that share one transaction on one connection."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcp_server_shared import errors

from mcp_server_postgres import catalog_queries, values
from mcp_server_postgres.results import MOST_SORTED_ROWS, WHOLE, Rows
from mcp_server_postgres.sql_errors import Refusal
from mcp_server_postgres.statements import first_word, limited
from mcp_server_postgres.values import JsonValue

if TYPE_CHECKING:
    from mcp_server_postgres.text_connection import Statement, TextConnection

_HOW_TO_GIVE = "Give one value in params for each of $1, $2 and so on."
_HOW_TO_EXPLAIN = f"{_HOW_TO_GIVE} Without values, explain_query shows the generic plan."


class Session:
    """Statements that share one transaction.

    Attributes:
        sql: the last statement, as its caller wrote it.
        server_version: major and minor, such as (15, 4).
    """

    def __init__(self, connection: "TextConnection") -> None:
        self.sql = ""
        self.connection = connection

    @property
    def server_version(self) -> tuple[int, int]:
        """Major and minor, such as (15, 4)."""
        version = self.connection.get_server_version()
        return version.major, version.minor

    async def query(self, sql: str, params: Sequence[JsonValue] = (), *, prefix: str = "") -> list[list[JsonValue]]:
        """Return all rows of one statement, whole: for statements of our own, whose results are small.

        Args:
            sql: one statement.
            params: for $1, $2 and so on.
            prefix: SQL of our own that goes before it, such as EXPLAIN; positions in errors do not count it.
        """
        rows = await self.run(sql, params, max_cell_characters=WHOLE.cell_characters, prefix=prefix)
        try:
            return (await rows.page(0, WHOLE)).rows
        except Refusal as error:
            error.position = max(0, error.position - len(prefix))
            raise

    async def run(
        self,
        sql: str,
        params: Sequence[JsonValue] = (),
        *,
        max_cell_characters: int,
        prefix: str = "",
        may_limit: bool = False,
    ) -> Rows:
        """Have the server parse one statement; it runs once its rows are asked for.

        Args:
            sql: one statement.
            params: for $1, $2 and so on.
            max_cell_characters: longer cells are cut.
            prefix: SQL of our own that goes before it.
            may_limit: whether the server may be told that few rows of a sorted result are likely to be read.

        Raises:
            InvalidArgument: `params` do not fit the statement.
            Refusal, ConnectionLost: what the server says, or that it says nothing any more.
        """
        self.sql = sql
        limited_sql = limited(sql, MOST_SORTED_ROWS) if may_limit else ""
        try:
            statement = await self.connection.parse(limited_sql or prefix + sql)
        except Refusal as error:
            error.position = max(0, error.position - len(prefix))
            raise
        await self._learn_types([*statement.parameters, *(oid for _, oid in statement.columns)])
        arguments = self._arguments(statement, params)
        return Rows(self.connection, statement, arguments, max_cell_characters, unlimited=sql if limited_sql else "")

    async def _learn_types(self, needed: Sequence[int]) -> None:
        unknown = set(needed) - self.connection.types.keys()
        if not unknown:
            return
        oids = "{" + ",".join(map(str, unknown)) + "}"
        found = {
            int(oid): (name, int(base), int(element), delimiter)
            for oid, name, base, element, delimiter in await self.connection.texts(catalog_queries.TYPES, oids)
        }

        def resolve(oid: int) -> values.Type:
            name, base, element, delimiter = found[oid]
            if base:
                below = resolve(base)
                return values.Type(name, below.base_oid, below.element, below.delimiter)
            return values.Type(name, oid, resolve(element) if element else None, delimiter)

        self.connection.types.update({oid: resolve(oid) for oid in found})

    def _arguments(self, statement: "Statement", params: Sequence[JsonValue]) -> list[str | None]:
        types = [self.connection.types[oid] for oid in statement.parameters]
        if len(params) != len(types):
            wanted = f": {', '.join(f'${n} {of_type.name}' for n, of_type in enumerate(types, 1))}" if types else ""
            raise errors.InvalidArgument(
                f"The statement has {len(types)} parameters{wanted}; {len(params)} values were given.",
                hint=_HOW_TO_EXPLAIN if first_word(self.sql) == "explain" else _HOW_TO_GIVE,
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
