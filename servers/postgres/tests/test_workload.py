"""What pg_stat_statements tells, and the indexes that hypopg's hypothetical ones recommend."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import contextlib
import math
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager

import asyncpg
import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.index_advice import Advice, Subject, advise
from mcp_server_postgres.plans import planning
from mcp_server_postgres.workload import HIDDEN_TEXT, SORTS, top_statements
from mcp_server_shared import errors

pytestmark = pytest.mark.anyio

NewDatabase = Callable[..., AbstractContextManager[str]]

SETUP = """
create table customers (id integer primary key, name text);
create table orders (id integer primary key, customer_id integer, placed integer, "Order" json);
insert into customers select n, 'customer ' || n from generate_series(1, 5000) n;
insert into orders select n, n % 5000, n from generate_series(1, 100000) n;
"""


@pytest.fixture(scope="module")
def shop(system_postgres: EmbeddedPostgres, new_database: NewDatabase) -> Iterator[str]:
    """Make a database that has hypopg."""
    with new_database(system_postgres, SETUP, "vacuum analyze") as dsn:
        yield dsn


@pytest.fixture
async def database(shop: str) -> AsyncGenerator[Database]:
    connection = await asyncpg.connect(shop)
    try:
        await connection.execute("create extension if not exists hypopg")
    except asyncpg.FeatureNotSupportedError:
        pytest.skip("no hypopg: on Debian, apt-get install postgresql-NN-hypopg")
    finally:
        await connection.close()
    database = Database(shop.replace("postgres@", "everyone_reads@"), pool_size=1)
    yield database
    await database.close()


@pytest.fixture(params=["postgres", "system_postgres"])
def counted(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[str]:
    """Make a database that has pg_stat_statements."""
    server: EmbeddedPostgres = request.getfixturevalue(request.param)
    with new_database(server, SETUP, "create extension pg_stat_statements") as dsn:
        yield dsn


async def advice_for(database: Database, *statements: str, most: int = 5) -> list[Advice]:
    async with planning(database, 30, hypothetical=True) as planner:
        return await advise(planner, [Subject(sql) for sql in statements], most=most, until=math.inf)


async def test_an_index_for_a_lookup_is_recommended_with_its_gain_and_size(database: Database) -> None:
    (index,) = await advice_for(database, "select * from orders where customer_id = $1")
    ((_, before, after),) = index.helped
    assert index.definition == "CREATE INDEX ON public.orders USING btree (customer_id)"
    assert after < before / 10
    assert 0.9 < index.gain <= 1
    assert 500_000 < index.size_bytes < 20_000_000


async def test_an_equal_column_comes_before_the_one_that_is_sorted_by(database: Database) -> None:
    sql = "select * from orders where customer_id % 2 = 0 order by placed desc limit 5"
    (index,) = await advice_for(database, sql)
    assert "(placed)" in index.definition


async def test_one_index_serves_a_join_from_either_statement(database: Database) -> None:
    sql = "select * from customers c join orders o on o.customer_id = c.id where c.id = $1"
    (index,) = await advice_for(database, sql, "select count(*) from orders where customer_id = 9")
    assert "orders USING btree (customer_id)" in index.definition
    assert len(index.helped) == 2


async def test_what_an_index_serves_already_needs_no_other(database: Database) -> None:
    assert await advice_for(database, "select * from orders where id = $1", "select count(*) from customers") == []


async def test_a_statement_that_cannot_be_planned_does_not_stop_the_others(database: Database) -> None:
    subjects = [Subject("select nonsense"), Subject("select * from orders where customer_id = 1")]
    async with planning(database, 30, hypothetical=True) as planner:
        advice = await advise(planner, subjects, most=5, until=math.inf)
    assert (len(advice), subjects[0].problem) == (1, 'column "nonsense" does not exist')


async def test_an_error_in_a_hypothetical_index_is_placed_in_its_definition(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, match=r'column 33, near "on orders \(placed\) wher"'):
        async with planning(database, 30, hypothetical=True) as planner:
            await planner.add_index("create index on orders (placed) wher")


async def test_a_statement_that_defines_no_index_is_refused(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, match="defines no index"):
        async with planning(database, 30, hypothetical=True) as planner:
            await planner.add_index("create table stolen (n int)")


async def test_time_that_has_run_out_gives_what_there_is(database: Database) -> None:
    async with planning(database, 30, hypothetical=True) as planner:
        assert await advise(planner, [Subject("select * from orders where placed = 1")], most=5, until=0) == []


async def test_no_hypothetical_index_outlives_its_session(database: Database) -> None:
    await advice_for(database, "select * from orders where customer_id = $1")
    with contextlib.suppress(errors.NotFound):
        async with planning(database, 30, hypothetical=True) as planner:
            await planner.add_index("create index on orders (placed)")
            await planner.plan("select * from nowhere")
    rows = await database.catalog("select count(*) from hypopg_list_indexes")
    assert rows == [[0]]


async def test_without_hypopg_it_is_said_how_to_have_it(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.start())
    try:
        with pytest.raises(errors.Unsupported, match="hypopg") as caught:
            await advice_for(database, "select 1")
    finally:
        await database.close()
    assert "CREATE EXTENSION hypopg" in caught.value.hint


async def test_the_statements_that_took_most_come_first(counted: str) -> None:
    connection = await asyncpg.connect(counted)
    await connection.execute("select pg_stat_statements_reset()")
    for number in range(3):
        await connection.execute(f"select count(*) from customers where id = {number}")
    await connection.execute("select count(*) from orders a join orders b on a.placed = b.placed + 1")
    await connection.close()
    database = Database(counted.replace("postgres@", "monitor@"))
    try:
        by_time = await top_statements(database, "total_time", 1)
        by_calls = {found.query: found.calls for found in await top_statements(database, "calls", 50)}
        for sort in SORTS:
            assert await top_statements(database, sort, 2)
    finally:
        await database.close()
    assert "orders a join orders b" in by_time[0].query
    assert by_calls["select count(*) from customers where id = $1"] == 3


async def test_statements_of_others_are_hidden_from_a_role_without_the_privilege(counted: str) -> None:
    database = Database(counted.replace("postgres@", "stranger@"))
    try:
        found = await top_statements(database, "total_time", 50)
    finally:
        await database.close()
    assert HIDDEN_TEXT in {statement.query for statement in found}


async def test_without_pg_stat_statements_it_is_said_how_to_have_it(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.start())
    try:
        with pytest.raises(errors.Unsupported, match="pg_stat_statements") as caught:
            await top_statements(database)
    finally:
        await database.close()
    assert "shared_preload_libraries" in caught.value.hint
