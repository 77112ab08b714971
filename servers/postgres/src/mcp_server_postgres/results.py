"""The rows of a running statement, read in portions and shown in pages."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mcp_server_shared import errors
from mcp_server_shared.untrusted import show_invisible

from mcp_server_postgres import catalog_queries, values
from mcp_server_postgres.statements import called
from mcp_server_postgres.values import JsonValue

if TYPE_CHECKING:
    from mcp_server_postgres.text_connection import Row, Statement, TextConnection

_FIRST_ROWS = 50
_MOST_ROWS_AT_ONCE = 1000
MOST_SORTED_ROWS = 10_001  # as many as the largest page and one, before a sorted result is sorted as a whole
_LEAST_TOLD = 40  # characters of a cut cell; beside fewer, its length would take more room than the text
_NAMES = values.Type("text[]", 1009, values.Type("text", 25))
_COMPACT_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class CutCell:
    """A cell that is shown in part: where it is, counted from 0, and its characters, all and those shown."""

    row: int
    column: int
    characters: int
    shown: int


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Rows of a statement; `values.py` says how each type appears.

    Attributes:
        columns: name and type of each column; names may repeat.
        rows: one list a row, in the order of the columns.
        truncated: whether the statement has more rows than these.
        cut_cells: the cells of which only the beginning is shown.
        tag: the server's word on a statement that is done, such as "UPDATE 3".
        resume: the position after the first n rows, for `Database.more`; None where the rest cannot be had.
    """

    columns: list[tuple[str, str]]
    rows: list[list[JsonValue]]
    truncated: bool
    cut_cells: list[CutCell]
    tag: str = ""
    resume: Callable[[int], JsonValue] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a result is shown.

    Attributes:
        rows: the most rows, at least 1.
        cell_characters: longer cells are cut.
        characters: the most characters of columns and rows as compact JSON. The first row is always there; where it
            alone is over, its cells are cut shorter.
    """

    rows: int
    cell_characters: int
    characters: int


WHOLE = Limits(rows=10_000, cell_characters=5_000_000, characters=10_000_000)  # for statements of our own


class Rows:
    """The rows of one statement: those read and not yet done with, and the connection that has the rest.

    Args:
        connection: where the statement was parsed, in a transaction that sees one moment.
        statement: what was parsed.
        arguments: its parameters, as text.
        max_cell_characters: longer cells are cut.
        unlimited: the statement's SQL without the limit of `MOST_SORTED_ROWS` that it was given; empty if it has none.
            If more are read, it is run anew without, and the rows that were read before are left out.

    Attributes:
        columns: name and type of each column.
        is_done: whether the server has no more.
    """

    def __init__(
        self,
        connection: "TextConnection",
        statement: "Statement",
        arguments: Sequence[str | None],
        max_cell_characters: int,
        *,
        unlimited: str = "",
    ) -> None:
        self._connection = connection
        self._statement = statement
        self._arguments = arguments
        self._max_cell_characters = max_cell_characters
        self._types = [connection.types[oid] for _, oid in statement.columns]
        self._kept: list[Row] = []
        self._first = 0  # the number of the first one kept
        self._has_begun = False
        self._tag = ""
        self._read_in_all = 0
        self._unlimited = unlimited
        self._read_before: Counter[int] = Counter()  # hashes of rows
        self.is_done = False
        self.columns = [(name, kind.name) for (name, _), kind in zip(statement.columns, self._types, strict=True)]

    def has(self, number: int) -> bool:
        """Whether the row of this number, from 0, can still be shown: it is kept, or comes next."""
        return self._first <= number <= self._first + len(self._kept)

    async def page(self, start: int, limits: Limits) -> QueryResult:
        """Return rows from number `start`; those before it are forgotten, so that a page can be had again."""
        del self._kept[: start - self._first]
        self._first = start
        page = _Page(self._types, limits, limits.characters - _json_length(self.columns))
        room = page.takes(self._kept)
        while room and not self.is_done:
            rows = await self._read(page.rows_to_ask_for() if self._has_begun else min(limits.rows + 1, _FIRST_ROWS))
            self._kept += rows
            room = page.takes(rows)
        return QueryResult(self.columns, page.rows, page.is_full, page.cut_cells, self._tag)

    async def run_to_end(self) -> str:
        """Read and drop all further rows; return the server's word on the statement."""
        while not self.is_done:
            await self._read(_MOST_ROWS_AT_ONCE)
        return self._tag

    async def _read(self, at_most: int) -> "list[Row]":
        if self._unlimited and self._read_in_all == MOST_SORTED_ROWS:
            await self._run_unlimited()
        rows = await self._read_portion(at_most)
        if self._unlimited:
            self._read_before.update(map(hash, rows))
            self.is_done = self.is_done and self._read_in_all < MOST_SORTED_ROWS
            return rows
        return [row for row in rows if not self._was_read_before(row)] if self._read_before else rows

    async def _run_unlimited(self) -> None:
        names = cast("JsonValue", [*called(self._unlimited)])
        if volatile := await self._connection.texts(catalog_queries.VOLATILE, values.encode(names, _NAMES) or ""):
            raise errors.Unsupported(
                f"{volatile[0][0]}() gives another value each time, so a sorted result with it ends after "
                f"{MOST_SORTED_ROWS:,} rows.",
                hint="Page in SQL: ORDER BY a unique column, WHERE it is past the last value seen, LIMIT.",
            )
        self._statement = await self._connection.parse(self._unlimited)
        self._unlimited = ""
        self._has_begun = False

    def _was_read_before(self, row: "Row") -> bool:
        # Equal sort keys may come in another order, so it takes the rows themselves to tell.
        before = self._read_before[hash(row)]
        if before == 1:
            del self._read_before[hash(row)]
        elif before:
            self._read_before[hash(row)] -= 1
        return before > 0

    async def _read_portion(self, at_most: int) -> "list[Row]":
        if self._has_begun:
            portion = await self._connection.more_rows(self._statement, at_most)
        else:
            self._has_begun = True
            portion = await self._connection.first_rows(
                self._statement, self._arguments, at_most, self._max_cell_characters
            )
        self.is_done = portion.done or not portion.rows
        self._read_in_all += len(portion.rows)
        # The server counts anew with every portion.
        self._tag = re.sub(r"\d+$", str(self._read_in_all), portion.tag) if self.columns else portion.tag
        return portion.rows


class _Page:
    """Rows taken in turn until a limit is met."""

    def __init__(self, types: list[values.Type], limits: Limits, room: int) -> None:
        self.rows: list[list[JsonValue]] = []
        self.cut_cells: list[CutCell] = []
        self.is_full = False
        self._characters = 0
        self._types = types
        self._limits = limits
        self._room = room

    def takes(self, rows: "Sequence[Row]") -> bool:
        """Take rows in turn; return False once one no longer fits."""
        for row in rows:
            if not self._takes(row):
                self.is_full = True
                return False
        return True

    def rows_to_ask_for(self) -> int:
        """As many rows as may still fit, judged by those so far, and one more to see whether there are more."""
        by_characters = self._room * len(self.rows) // max(self._characters, 1)
        return max(0, min(self._limits.rows - len(self.rows), by_characters, _MOST_ROWS_AT_ONCE)) + 1

    def _takes(self, row: "Row") -> bool:
        if len(self.rows) == self._limits.rows:
            return False
        cells, cut = self._to_json(row, self._limits.cell_characters)
        size = _json_length(cells) if self.rows else _shown_length(cells)
        if self.rows and size > self._room:
            return False
        shorter = self._limits.cell_characters
        while size > self._room and shorter:
            shorter //= 2
            cells, cut = self._to_json(row, shorter)
            size = _shown_length(cells)
        self.rows.append(cells)
        self.cut_cells += cut
        self._room -= size
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
                told = f" [{length} characters in all]" if max_characters > _LEAST_TOLD else ""
                cells.append(f"{text[:max_characters]}…{told}")
                cut.append(CutCell(len(self.rows), column, length, max_characters))
            else:
                cells.append(values.decode(text, of_type))
        return cells, cut


def _json_length(cells: Sequence[Any]) -> int:
    """Return the length of a row as compact JSON, with what separates it from the next."""
    return len(_COMPACT_JSON.encode(cells)) + len(",")


def _shown_length(cells: Sequence[Any]) -> int:
    """Return the same once invisible characters are shown."""
    return len(show_invisible(_COMPACT_JSON.encode(cells))) + len(",")
