"""What the database is asked, and which indexes would help. Names, docstrings and error texts are prompts."""

import asyncio
from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres.database import Database
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.index_advice import Advice, Subject, advise
from mcp_server_postgres.plans import hypopg_schema, planning
from mcp_server_postgres.statements import first_word
from mcp_server_postgres.tools.querying import DatabaseName, time_for_statements
from mcp_server_postgres.workload import HIDDEN_TEXT, Statement, top_statements

Sort = Literal["total_time", "mean_time", "calls", "rows", "blocks_read", "temp_blocks"]
_PLANNED = {"select", "with", "values", "table", "insert", "update", "delete", "merge"}
_QUERY_CHARACTERS = 1_500
_SHORT_QUERY_CHARACTERS = 200
_WORKLOAD_STATEMENTS = 30
_SEARCHING = 0.7  # of the time of the call


async def top_queries(
    call: Call[Databases],
    sort: Annotated[Sort, Field(description="What is the most.")] = "total_time",
    limit: Annotated[int, Field(ge=1, le=200, description="Most statements.")] = 10,
    database: DatabaseName = "",
) -> Records:
    """List the statements that cost the database the most, from pg_stat_statements (constants are $1, $2…)."""
    chosen = call.state[database]
    found = await top_statements(chosen, sort, limit)
    hidden = sum(statement.query == HIDDEN_TEXT for statement in found)
    return Records(
        columns=[
            "calls",
            "total_ms",
            "mean_ms",
            "max_ms",
            "share_percent",
            "rows",
            "blocks_hit",
            "blocks_read",
            "temp_blocks",
            "query",
        ],
        rows=[_row(statement, min(_QUERY_CHARACTERS, call.budget // 4)) for statement in found],
        facts=chosen.role_facts | ({"hidden_queries": hidden, "to_see_them": "pg_monitor"} if hidden else {}),
    )


def _row(statement: Statement, query_characters: int) -> list[Any]:
    return [
        statement.calls,
        round(statement.total_ms, 2),
        round(statement.total_ms / statement.calls, 3),
        round(statement.max_ms, 3),
        round(100 * (statement.share or 0), 1),
        statement.rows,
        statement.blocks_hit,
        statement.blocks_read,
        statement.temp_blocks,
        _short(statement.query, query_characters),
    ]


async def recommend_indexes(
    call: Call[Databases],
    queries: Annotated[
        list[str] | None,
        Field(description="Statements; $1 may stay open. Default: the top of pg_stat_statements.", max_length=20),
    ] = None,
    limit: Annotated[int, Field(ge=1, le=20, description="Most indexes.")] = 5,
    database: DatabaseName = "",
) -> Records:
    """Find the indexes that make statements cheaper, by the planner's estimate with hypothetical ones (hypopg)."""
    chosen = call.state[database]
    until = asyncio.get_running_loop().time() + call.remaining_s() * _SEARCHING
    await hypopg_schema(chosen)  # without it, nothing else needs to be there
    subjects = [Subject(sql) for sql in queries or ()] or await _workload(chosen)
    async with planning(chosen, time_for_statements(call), hypothetical=True) as planner:
        advice = await advise(planner, subjects, most=limit, until=until)
    failed = [{"query": _short(s.sql, _SHORT_QUERY_CHARACTERS), "problem": s.problem} for s in subjects if s.problem]
    rows = [_advice(index) for index in advice] + ([[None, None, None, failed]] if failed else [])
    return Records(
        columns=["index", "size_bytes", "gain_percent", "queries"],
        rows=rows,
        facts=chosen.role_facts
        | {
            "indexes": len(advice),
            "queries": len(subjects),
            "cost_before": round(sum(subject.weight * subject.before for subject in subjects), 2),
            "cost_after": round(sum(subject.weight * subject.cost for subject in subjects), 2),
        },
    )


async def _workload(database: Database) -> list[Subject]:
    top = await top_statements(database, limit=_WORKLOAD_STATEMENTS)
    return [Subject(found.query, found.calls) for found in top if first_word(found.query) in _PLANNED]


def _advice(index: Advice) -> list[Any]:
    helped = [
        {"query": _short(subject.sql, _SHORT_QUERY_CHARACTERS), "cost_before": before, "cost_after": after}
        for subject, before, after in index.helped
    ]
    statement = index.definition.replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)
    return [f"{statement};", index.size_bytes, round(100 * index.gain, 1), helped]


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters] + "…"
