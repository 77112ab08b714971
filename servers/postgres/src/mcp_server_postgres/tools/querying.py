"""Running statements. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, cast

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres.database import Database
from mcp_server_postgres.results import QueryResult
from mcp_server_postgres.settings import Settings

CELL_CHARACTERS = 2_000
_REPORTING_S = 0.25  # left of the deadline for telling that the statement took too long


async def query(
    call: Call[Database],
    sql: Annotated[str, Field(description="One statement; $1, $2… for params.", min_length=1)],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2…")] = None,
    max_rows: Annotated[int, Field(ge=1, le=10_000, description="Most rows to return.")] = 100,
    cursor: Annotated[str | None, Field(description="From a truncated result, to go on with the same rows.")] = None,
) -> Records:
    """Run one read-only SQL statement (SELECT, WITH, VALUES, SHOW, EXPLAIN…). Find names with search_objects first."""
    position = call.position(cursor)
    limits: dict[str, Any] = {
        "max_rows": max_rows,
        "max_cell_characters": CELL_CHARACTERS,
        "max_characters": call.budget,
        "timeout_s": time_for_statements(call),
    }
    if position is None:
        max_cost = cast("Settings", call.settings).max_cost
        result = await call.state.query(sql, params or (), max_cost=max_cost, held_for=call.caller, **limits)
    else:
        result = await call.state.more(position, call.caller, **limits)
    return Records(
        columns=[list(column) for column in result.columns],
        rows=result.rows,
        facts=call.state.role_facts | cut_cells(result),
        more=result.truncated,
        resume=result.resume,
    )


def time_for_statements(call: Call[Database]) -> float:
    """Return the seconds until the deadline of the call, less what it takes to report that they were too few."""
    return max(_REPORTING_S, call.remaining_s() - _REPORTING_S)


def cut_cells(result: QueryResult) -> dict[str, Any]:
    """Say which columns have cells that are not whole; those cells are as long as the limit."""
    if not result.cut_cells:
        return {}
    columns = sorted({cell.column for cell in result.cut_cells})
    longest = max(cell.characters for cell in result.cut_cells)
    return {"cut_cells": {"columns": columns, "shown_characters": CELL_CHARACTERS, "longest": longest}}
