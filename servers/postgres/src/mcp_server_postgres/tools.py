"""What a model can do with a database. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres.database import Database, QueryResult

ObjectKind = Literal[
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
]
CELL_CHARACTERS = 2_000
_REPORTING_S = 0.25  # left of the deadline for telling that the statement took too long


async def query(
    call: Call[Database],
    sql: Annotated[str, Field(description="One statement; $1, $2… for params.", min_length=1)],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2…")] = None,
    max_rows: Annotated[int, Field(ge=1, le=10_000, description="Most rows to return.")] = 100,
) -> Records:
    """Run one read-only SQL statement (SELECT, WITH, VALUES, SHOW, EXPLAIN…). Find names with search_objects first."""
    result = await call.state.query(
        sql,
        params or (),
        max_rows=max_rows,
        max_cell_characters=CELL_CHARACTERS,
        max_characters=call.budget,
        timeout_s=max(_REPORTING_S, call.remaining_s() - _REPORTING_S),
    )
    return Records(
        columns=[list(column) for column in result.columns],
        rows=result.rows,
        facts=_cut(result),
        more=result.truncated,
    )


def _cut(result: QueryResult) -> dict[str, Any]:
    """Say which columns have cells that are not whole; those cells are as long as the limit."""
    if not result.cut_cells:
        return {}
    columns = sorted({cell.column for cell in result.cut_cells})
    longest = max(cell.characters for cell in result.cut_cells)
    return {"cut_cells": {"columns": columns, "shown_characters": CELL_CHARACTERS, "longest": longest}}


async def search_objects(
    call: Call[Database],
    pattern: Annotated[str, Field(description="Part of a name, or a glob; may be schema.name.", max_length=200)] = "*",
    kinds: Annotated[list[ObjectKind] | None, Field(description="Default: all.")] = None,
    schema: Annotated[str | None, Field(description="Only this schema.", max_length=200)] = None,
    limit: Annotated[int, Field(ge=1, le=1_000, description="Most objects.")] = 100,
    cursor: Annotated[str | None, Field(description="From a truncated result, to go on.")] = None,
) -> Records:
    """Find tables, views, functions and other objects by name. A table's columns: query information_schema.columns."""
    position = call.position(cursor)
    found = await call.state.search_objects(
        pattern, kinds=kinds or (), schema=schema, limit=limit + 1, after=position and tuple(position)
    )
    page = found[:limit]
    return Records(
        columns=["schema", "name", "kind", "estimated_rows", "comment"],
        rows=[[o.schema, o.name, o.kind, o.estimated_rows, o.comment] for o in page],
        more=len(found) > limit,
        resume=lambda kept: [page[kept - 1].schema, page[kept - 1].name, page[kept - 1].kind],
    )
