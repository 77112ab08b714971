"""The promises that every server makes, for this one."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio

import asyncpg
import pytest
from mcp_server_postgres.__main__ import program
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_shared.contract import Example, Subject, checks

globals().update(checks())


# Statistics that the checks themselves do not change: what the server's role runs and reads is not counted.
COUNTED = """
create extension pg_stat_statements;
alter role reader set pg_stat_statements.track = none;
alter role reader set track_counts = off;
grant pg_read_all_stats to reader;
alter role reader connection limit -1;
"""


@pytest.fixture(scope="module")
def server(system_postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """Return a server whose sample database has the extensions that some tools need."""
    sample = system_postgres.admin_dsn.replace("@/postgres?", "@/sample?")
    asyncio.run(execute(sample, COUNTED))
    try:
        asyncio.run(execute(sample, "create extension hypopg"))
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("no hypopg: on Debian, apt-get install postgresql-NN-hypopg")
    return system_postgres


async def execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def subject(server: EmbeddedPostgres) -> Subject:
    return Subject(
        program=program,
        arguments=[server.start()],
        examples=[
            Example("query", {"sql": "select n, repeat('ü', 50) from generate_series(1, 100) n"}, paged=True),
            Example(
                "query", {"sql": "select n, md5(n::text) from generate_series(1, 60) n", "max_rows": 7}, paged=True
            ),
            Example("query", {"sql": "select $1::text", "params": ["\u202e"]}),
            Example("search_objects", paged=True),
            Example("search_objects", {"pattern": "*", "schema": "pg_catalog", "kinds": ["view"]}, paged=True),
            Example("search_objects", {"detail": "full", "kinds": ["table", "index", "type"]}),
            Example("explain_query", {"sql": "table order_totals", "hypothetical_indexes": ["orders (note)"]}),
            Example("explain_query", {"sql": "select * from orders where id = $1"}),
            Example("list_schemas", {"system": True}),
            Example("describe_table", {"table": "orders", "join_to": "products"}, paged=True),
            # Not of what moves by itself, as who is connected and waits: each result is compared with another.
            Example("check_health", {"checks": ["bloat", "indexes", "sequences", "constraints", "statistics"]}),
            Example("check_health", {"checks": ["indexes", "wraparound"]}),
            Example("top_queries", {"sort": "mean_time", "limit": 5}),
            Example("recommend_indexes", {"queries": ["select * from orders where note = $1", "select no"]}),
            Example("recommend_indexes"),
        ],
        resources=["postgres:///public", "postgres:///public/orders"],
        prompts=[
            Example("explore_table", {"table": "orders"}),
            Example("explore_database"),
            Example("speed_up_query", {"sql": "select * from order_totals where total > 100"}),
            Example("generate_migration", {"table": "orders", "change": "add a column for the courier"}),
        ],
        slow=[
            Example("query", {"sql": "select pg_sleep(600)"}),
            Example("explain_query", {"sql": "select pg_sleep(600)", "analyze": True}),
        ],
        upstream_hint="DATABASE_URL",
    )
