"""Statements that try to change what lasts, and good ones that must never be refused, on every PostgreSQL there is.

An oracle looks at the state before and after. With the right role nothing may change; with a superuser, whom the
operator would have to accept by a flag, what a READ ONLY transaction leaves open is listed here.
"""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import asyncpg
import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_shared import errors
from statements_to_try import ATTACKS, CAPPED, DBLINK, GOOD, LEFT_OPEN, SETUP, STATE

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["postgres", "system_postgres"])
def attacked(
    request: pytest.FixtureRequest, new_database: Callable[[EmbeddedPostgres, str], AbstractContextManager[str]]
) -> Iterator[str]:
    """Yield the superuser's DSN of a database with something to lose."""
    with new_database(request.getfixturevalue(request.param), SETUP + DBLINK) as dsn:
        yield dsn


@pytest.fixture
async def admin(attacked: str) -> AsyncGenerator[Any]:
    connection = await asyncpg.connect(attacked)
    yield connection
    await connection.close()


async def changed_by(statement: str, dsn: str, admin: Any) -> bool:
    """Run a statement in every way that it may have; return whether the state is another one afterwards."""
    before = await admin.fetchrow(STATE)
    database = Database(dsn, pool_size=1)
    try:
        for sql in (statement, "select * from orders limit 1"):  # the second one gets what the first one left behind
            await asyncio.gather(database.query(sql, timeout_s=30), return_exceptions=True)
    finally:
        await database.close()
    return await admin.fetchrow(STATE) != before


@pytest.mark.parametrize("statement", ATTACKS)
async def test_with_the_right_role_no_statement_changes_what_lasts(attacked: str, admin: Any, statement: str) -> None:
    reader = attacked.replace("postgres@", "everyone_reads@")
    assert not await changed_by(statement, reader, admin)


@pytest.mark.parametrize("statement", [sql for sql in ATTACKS if sql not in LEFT_OPEN])
async def test_even_a_superuser_changes_nothing_by_any_other_statement(
    attacked: str, admin: Any, statement: str
) -> None:
    assert not await changed_by(statement, attacked, admin)


async def test_what_a_superuser_can_still_do_is_known(attacked: str, admin: Any) -> None:
    for statement in sorted(LEFT_OPEN):
        async with admin.transaction():
            await admin.execute("insert into orders select n from generate_series(1, 300) n on conflict do nothing")
        if "dblink" in statement and not await admin.fetchval("select to_regproc('dblink_exec') is not null"):
            continue
        assert await changed_by(statement, attacked, admin), statement
        await admin.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
        await admin.execute("copy (select 1) to program 'rm -f stolen'")


@pytest.mark.parametrize("statement", GOOD)
async def test_a_good_statement_is_never_refused(attacked: str, statement: str) -> None:
    database = Database(attacked.replace("postgres@", "everyone_reads@"))
    try:
        assert (await database.query(statement)).columns
    finally:
        await database.close()


@pytest.mark.parametrize("statement", CAPPED)
async def test_the_row_cap_holds_for_every_statement(attacked: str, statement: str) -> None:
    database = Database(attacked.replace("postgres@", "everyone_reads@"))
    try:
        result = await database.query(statement, max_rows=20)
    finally:
        await database.close()
    assert (len(result.rows), result.truncated) == (20, True)


async def test_a_good_statement_takes_parameters_anywhere(attacked: str) -> None:
    database = Database(attacked.replace("postgres@", "everyone_reads@"))
    try:
        sql = "select count(*) from orders where note like $1 and id = any($2) limit $3"
        assert (await database.query(sql, ["note%", [1, 2], 5])).rows == [[2]]
        with pytest.raises(errors.InvalidArgument):
            await database.query("select * from $1", ["orders"])
    finally:
        await database.close()
