"""Workflows that people repeat."""

from typing import Annotated

from mcp_server_shared.call import Call
from mcp_server_shared.output import Attached, Said
from pydantic import Field

from mcp_server_postgres import schemas
from mcp_server_postgres.database import Database
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.plans import check_plannable, planning
from mcp_server_postgres.resources import address, described, overview
from mcp_server_postgres.tools.querying import DatabaseName, time_for_statements

_MOST_TABLES = 4

Schema = Annotated[str, Field(description="Its schema.")]


async def explore_table(
    call: Call[Databases],
    table: Annotated[str, Field(description="The table or view.")],
    schema: Schema = "public",
    database: DatabaseName = "",
) -> list[Said | Attached]:
    """Get to know one table: what it holds, how it is connected, what is odd about it."""
    return [
        Said(
            f"Explore {schema}.{table}. Say what a row stands for, which columns matter and what values they take, "
            "which tables it joins to and by what, and what looks odd: nulls, duplicates, dates out of range. The "
            "statistics below answer much of that; sample and aggregate with the query tool for the rest, and never "
            "read the whole table. Name the queries you ran."
        ),
        await _table(call.state[database], schema, table),
    ]


async def explore_database(
    call: Call[Databases],
    schema: Annotated[str, Field(description="The schema to begin with.")] = "public",
    database: DatabaseName = "",
) -> list[Said | Attached]:
    """Get to know a database: what it is about, its main tables and how they belong together."""
    return [
        Said(
            "Explore this database. First say in two sentences what it is about. Then draw the main tables as a list "
            "with what a row stands for and about how many there are, and the foreign keys between them; name the "
            "tables that nothing refers to. Look closer with describe_table, and at other schemas with list_schemas. "
            "End with five questions that the data can answer, each with its SQL, tried out with a small LIMIT."
        ),
        Attached(address(database, schema), await overview(call.state[database], schema)),
    ]


async def speed_up_query(
    call: Call[Databases],
    sql: Annotated[str, Field(description="The statement that is slow.")],
    database: DatabaseName = "",
) -> list[Said | Attached]:
    """Find out why a statement is slow and what would make it fast."""
    check_plannable(sql)
    async with planning(call.state[database], time_for_statements(call)) as planner:
        relations = (await planner.plan(sql)).relations()
    tables = list(dict.fromkeys(relations.values()))[:_MOST_TABLES]
    return [
        Said(f"This statement is too slow:\n\n{sql}"),
        *[await _table(call.state[database], *relation) for relation in tables],
        Said(
            "Find out why, in this order. 1. explain_query without analyze, to see whether it is safe to run; then "
            "with analyze=true. Begin with slow_steps and the notes, and hold them against the indexes, sizes and "
            "statistics of the tables above. 2. Try each remedy before you propose it: an index with "
            "hypothetical_indexes or recommend_indexes (if hypopg is there), another wording of the statement with "
            "explain_query. 3. Check that a new wording returns the same rows."
        ),
        Said(
            "Report the cause in one sentence, the remedy as SQL, cost or time before and after as you saw them, and "
            "what the remedy costs: the size of an index, slower writes. Do not run anything that changes the database."
        ),
    ]


async def generate_migration(
    call: Call[Databases],
    change: Annotated[str, Field(description="What is to change, in plain words.")],
    table: Annotated[str, Field(description="The table it is about.")],
    schema: Schema = "public",
    database: DatabaseName = "",
) -> list[Said | Attached]:
    """Write a migration for a schema change, with its locks, its way back and its checks."""
    return [
        Said(f"Write a migration for {schema}.{table}: {change}"),
        await _table(call.state[database], schema, table),
        Said(
            "Look first at what depends on the table: references, views, triggers, policies, and how often it is used "
            "(top_queries, if it is there). Then write: 1. the SQL, forward, in steps that each hold strong locks for "
            "a moment only: SET lock_timeout, indexes CONCURRENTLY and outside a transaction, constraints NOT VALID "
            "and validated later, columns filled in batches. 2. for each step the lock it takes, what that blocks and "
            "about how long, given the size. 3. the way back, and what cannot be undone. 4. queries that check the "
            "result. Do not run it: that is for a person to decide."
        ),
    ]


async def _table(database: Database, schema: str, table: str) -> Attached:
    parts = await schemas.describe_table(database, schema, table)
    return Attached(address(database.name, schema, table), described(parts, database))
