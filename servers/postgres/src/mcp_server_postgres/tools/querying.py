"""Running statements. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, cast

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres.databases import Databases
from mcp_server_postgres.results import QueryResult
from mcp_server_postgres.settings import Settings

CELL_CHARACTERS = 2_000
_FACTS_CHARACTERS = 900
_MOST_COLUMNS_NAMED = 20
_REPORTING_S = 0.25  # left of the deadline for telling that the statement took too long

# There is no such argument where the operator configured one database.
DatabaseName = Annotated[str, Field(description="Which database.")]


async def query(
    call: Call[Databases],
    sql: Annotated[str, Field(description="One statement; $1, $2… for params.", min_length=1)],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2…")] = None,
    max_rows: Annotated[int, Field(ge=1, le=10_000, description="Most rows to return.")] = 100,
    cursor: Annotated[str | None, Field(description="From a truncated result, to go on with the same rows.")] = None,
    database: DatabaseName = "",
) -> Records:
    """Run one read-only SQL statement (SELECT, WITH, VALUES, SHOW, EXPLAIN…). Find names with search_objects first."""
    chosen = call.state[database]
    position = call.position(cursor)
    limits: dict[str, Any] = {
        "max_rows": max_rows,
        "max_cell_characters": CELL_CHARACTERS,
        "max_characters": room_for_rows(call.budget),
        "timeout_s": time_for_statements(call),
    }
    if position is None:
        max_cost = cast("Settings", call.settings).max_cost
        result = await chosen.query(sql, params or (), max_cost=max_cost, held_for=call.caller, **limits)
    else:
        result = await chosen.more(position, call.caller, **limits)
    return Records(
        columns=[list(column) for column in result.columns],
        rows=result.rows,
        facts=chosen.role_facts | cut_cells(result) | _without_rows(result),
        more=result.truncated,
        resume=result.resume,
    )


def _without_rows(result: QueryResult) -> dict[str, str]:
    """Say what became of a statement like SET or BEGIN; a model may count on it in its next call."""
    if result.columns or result.tag.startswith("SELECT"):
        return {}
    return {"result": result.tag, "note": "Nothing of it lasts: each call has a session of its own."}


def time_for_statements(call: Call[Databases]) -> float:
    """Return the seconds until the deadline of the call, less what it takes to report that they were too few."""
    return max(_REPORTING_S, call.remaining_s() - _REPORTING_S)


def cut_cells(result: QueryResult) -> dict[str, Any]:
    """Say which columns have cells that are not whole, how much of them is shown, at least, and the longest whole."""
    if not result.cut_cells:
        return {}
    columns: list[int] | str = sorted({cell.column for cell in result.cut_cells})
    if len(columns) > _MOST_COLUMNS_NAMED:
        columns = f"{len(columns)} of {len(result.columns)}"
    longest = max(cell.characters for cell in result.cut_cells)
    shown = min(cell.shown for cell in result.cut_cells)
    return {"cut_cells": {"columns": columns, "shown_characters": shown, "longest": longest}}


def room_for_rows(budget: int) -> int:
    """Return how many characters of the budget are left for columns and rows beside the facts and the marks."""
    return budget - min(_FACTS_CHARACTERS, budget // 2)
