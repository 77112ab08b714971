"""Changing a database, where the operator allows it. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, cast

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres import writing
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.results import Limits
from mcp_server_postgres.settings import Settings
from mcp_server_postgres.statements import shape
from mcp_server_postgres.tools.querying import (
    CELL_CHARACTERS,
    DatabaseName,
    cut_cells,
    room_for_rows,
    time_for_statements,
)

_SHOWN_CHARACTERS = 1_500  # of SQL, to the person who is asked
_STEP_CHARACTERS = 200


async def execute(
    call: Call[Databases],
    sql: Annotated[str, Field(description="One statement; $1, $2… for params.", min_length=1)],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2…")] = None,
    *,
    dry_run: Annotated[bool, Field(description="Run it, report, and roll back.")] = False,
    max_rows: Annotated[int, Field(ge=1, le=10_000, description="Most rows of RETURNING.")] = 100,
    database: DatabaseName = "",
) -> Records:
    """Run one SQL statement that changes data (INSERT, UPDATE, DELETE, MERGE, DDL…) and commit it."""
    chosen = call.state[database]
    found = shape(sql)
    if not dry_run and found.everywhere:
        await _confirm(call, f"{found.everywhere.upper()} without WHERE changes every row{_where(database)}.", sql)
    elif not dry_run and found.defines:
        await _confirm(call, f"{found.keyword.upper()} changes more than rows{_where(database)}.", sql)
    result = await writing.execute(
        chosen,
        sql,
        params or (),
        dry_run=dry_run,
        limits=Limits(max_rows, CELL_CHARACTERS, room_for_rows(call.budget)),
        timeout_s=time_for_statements(call),
        max_cost=cast("Settings", call.settings).max_cost,
    )
    return Records(
        columns=[list(column) for column in result.columns],
        rows=result.rows,
        facts=chosen.role_facts | _outcome(committed=not dry_run) | {"result": result.tag} | cut_cells(result),
        more=result.truncated,
    )


async def apply_migration(
    call: Call[Databases],
    sql: Annotated[str, Field(description="Statements, separated by semicolons.", min_length=1)],
    *,
    dry_run: Annotated[bool, Field(description="Run them, report, and roll back.")] = False,
    lock_timeout_s: Annotated[float, Field(gt=0, le=60, description="Longest wait for a lock.")] = 5,
    database: DatabaseName = "",
) -> Records:
    """Run several statements in one transaction: all or none. Says what each did and which tables it locked."""
    chosen = call.state[database]
    if not dry_run:
        await _confirm(call, f"This migration changes the database {database}".strip() + ".", sql)
    done = await writing.apply_migration(
        chosen, sql, dry_run=dry_run, lock_timeout_s=lock_timeout_s, timeout_s=time_for_statements(call)
    )
    steps = [["statement", step.sql[:_STEP_CHARACTERS], step.tag] for step in done.steps]
    locks = [["lock", relation, mode] for relation, mode in done.locks]
    return Records(
        columns=["kind", "what", "result"],
        rows=[*steps, *locks],
        facts=chosen.role_facts | _outcome(committed=not dry_run),
    )


def _outcome(*, committed: bool) -> dict[str, Any]:
    note = "Rolled back; sequences, and what lies outside the database, keep their change."
    return {"committed": True} if committed else {"committed": False, "note": note}


def _where(database: str) -> str:
    return f" in {database}" if database else ""


async def _confirm(call: Call[Databases], warning: str, sql: str) -> None:
    cut = len(sql) > _SHOWN_CHARACTERS
    shown = f"{sql[:_SHOWN_CHARACTERS]}… [{len(sql)} characters in all]" if cut else sql
    await call.confirm("write", f"{warning} Run it?\n\n{shown}")
