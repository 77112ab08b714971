"""Plans and what is said about them, on every PostgreSQL that is here."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager

import asyncpg
import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.plans import Plan, check_plannable, planning
from mcp_server_postgres.slow_parts import notes_on
from mcp_server_postgres.values import JsonValue
from mcp_server_shared import errors

pytestmark = pytest.mark.anyio

NewDatabase = Callable[..., AbstractContextManager[str]]

SETUP = """
create table customers (id integer primary key, region integer, zone integer);
create table orders (id integer primary key, customer_id integer, "Total due" numeric, note text);
insert into customers select n, n % 200, n % 200 from generate_series(1, 20000) n;
insert into orders select n, n % 20000, n, repeat('x', 40) from generate_series(1, 100000) n;
create function meddle() returns integer language sql volatile as 'insert into customers values (0); select 1';
create sequence counted;
"""


@pytest.fixture(scope="module", params=["postgres", "system_postgres"])
def shop(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[str]:
    server: EmbeddedPostgres = request.getfixturevalue(request.param)
    with new_database(server, SETUP, "vacuum analyze") as dsn:
        yield dsn


@pytest.fixture
async def database(shop: str) -> AsyncGenerator[Database]:
    database = Database(shop.replace("postgres@", "everyone_reads@"))
    yield database
    await database.close()


async def plan_of(
    database: Database, sql: str, params: list[JsonValue] | None = None, *, analyze: bool = False, settings: str = ""
) -> Plan:
    async with planning(database, 30) as planner:
        for setting in filter(None, settings.split(";")):
            await planner.session.query(f"set local {setting}")
        return await planner.plan(sql, params, analyze=analyze)


def notes_of(plan: Plan) -> str:
    return "\n".join(f"{plan.steps[number - 1].kind}: {'; '.join(notes)}" for number, notes in notes_on(plan).items())


async def test_a_plan_is_read_step_by_step(database: Database) -> None:
    plan = await plan_of(database, "select * from customers where id = 5")
    (step,) = plan.steps
    assert (step.name, step.reads, step.condition) == (
        "Index Scan",
        "public.customers by customers_pkey",
        "Index Cond: (customers.id = 5)",
    )
    assert (plan.was_run, plan.share(step)) == (False, 1)


async def test_a_plan_that_was_run_has_rows_and_times(database: Database) -> None:
    plan = await plan_of(database, "select count(*) from customers where region = $1", [3], analyze=True)
    scan = plan.steps[-1]
    assert (scan.actual_rows, scan.loops, scan.removed) == (100, 1, 19900)
    assert 0 < sum(plan.share(step) for step in plan.steps) <= 1.001
    assert plan.facts["Execution Time"] > 0


async def test_open_parameters_give_the_generic_plan(database: Database) -> None:
    plan = await plan_of(database, "select * from customers where id = $1 and region > $2")
    assert "customers.id = $1" in plan.steps[0].condition


async def test_to_run_a_statement_takes_its_parameters(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, match="params"):
        await plan_of(database, "select * from customers where id = $1", analyze=True)


@pytest.mark.parametrize("sql", ["select 'costs $5'", 'select 1 as "$1" -- $2', "select $$a $1 b$$"])
async def test_a_dollar_in_quotes_is_no_parameter(database: Database, sql: str) -> None:
    assert (await plan_of(database, sql, analyze=True)).was_run


async def test_a_whole_table_read_for_few_rows_is_noted_with_the_index_that_is_missing(database: Database) -> None:
    plan = await plan_of(database, """select * from orders where "Total due" > 99990 and customer_id = 7""")
    assert "reads the whole table: 100,000 rows" in notes_of(plan)
    assert "an index on (customer_id, Total due) may help" in notes_of(plan)


async def test_a_filter_in_an_analysed_plan_counts_real_rows(database: Database) -> None:
    plan = await plan_of(
        database, "select * from orders where note <> repeat('x', 40)", analyze=True, settings="jit = off"
    )
    assert "reads the whole table: 100,000 rows, of which the filter keeps 0" in notes_of(plan)


async def test_a_primary_key_lookup_has_no_notes(database: Database) -> None:
    plan = await plan_of(database, "select * from customers where id = 5", analyze=True)
    assert notes_on(plan) == {}


async def test_columns_that_depend_on_each_other_are_a_misestimate(database: Database) -> None:
    sql = "select * from customers where region = 3 and zone = 3 union all select * from customers where region < 0"
    plan = await plan_of(database, "select * from orders o join customers c on c.id = o.customer_id", analyze=True)
    assert "estimated" not in notes_of(plan)
    plan = await plan_of(
        database, f"select * from orders o join ({sql}) c on c.region = o.customer_id % 7", analyze=True
    )
    assert "off by a factor of" in notes_of(plan)


async def test_a_sort_that_spills_is_noted(database: Database) -> None:
    plan = await plan_of(
        database, "select * from orders order by note, id desc", analyze=True, settings="work_mem = '64kB'"
    )
    assert "Sort: the sort spills" in notes_of(plan)


async def test_a_hash_that_spills_is_noted(database: Database) -> None:
    settings = "work_mem = '64kB'; enable_mergejoin = off; enable_nestloop = off"
    sql = "select count(*) from orders a join orders b on a.id = b.customer_id"
    assert "spills to disk in" in notes_of(await plan_of(database, sql, analyze=True, settings=settings))


async def test_a_nested_loop_over_a_whole_table_is_noted(database: Database) -> None:
    settings = "enable_hashjoin = off; enable_mergejoin = off; enable_material = off; enable_memoize = off"
    sql = "select * from customers c join orders o on o.customer_id = c.region"
    assert "reads the whole of public." in notes_of(await plan_of(database, sql, settings=settings))


async def test_a_subquery_for_each_row_is_noted(database: Database) -> None:
    sql = "select id, (select sum(o.id) from orders o where o.customer_id = c.id) from customers c"
    notes = notes_of(await plan_of(database, sql))
    assert "the subquery runs 20,000 times" in notes
    assert "an index on (customer_id) may help" in notes


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("delete from orders", "25006"),
        ("update customers set region = 0", "25006"),
        ("insert into customers values (0)", "25006"),
        ("with gone as (delete from orders returning *) select * from gone", "25006"),
        ("select meddle()", "25006"),
        ("select nextval('counted')", "25006"),
        ("merge into customers c using orders o on c.id = o.id when matched then delete", "25006"),
        ("create table made as select 1", ""),  # runs, and is rolled back
        ("select * from orders for update", "25006"),
        ("drop table orders", "42601"),
    ],
)
async def test_no_analysed_statement_changes_anything(shop: str, statement: str, sqlstate: str) -> None:
    state = """
        select (select count(*) from customers), (select sum(region) from customers), (select count(*) from orders),
          (select last_value from counted), (select count(*) from pg_class)
    """
    # As the superuser, so that nothing but the transaction stands in the way.
    database = Database(shop)
    connection = await asyncpg.connect(shop)
    try:
        before = await connection.fetchrow(state)
        said = ""
        try:
            await plan_of(database, statement, analyze=True)
        except errors.ExpectedError as error:
            said = error.message
        assert await connection.fetchrow(state) == before
        assert sqlstate in said
    finally:
        await database.close()
        await connection.close()


async def test_a_write_can_be_planned_without_running_it(shop: str) -> None:
    database = Database(shop)
    try:
        plan = await plan_of(database, "delete from orders where id = 1")
    finally:
        await database.close()
    assert plan.steps[0].name == "Delete"


async def test_several_statements_are_refused(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, match="one statement"):
        await plan_of(database, "select 1; select 2")


async def test_an_error_is_placed_in_the_statement_as_it_was_given(database: Database) -> None:
    with pytest.raises(errors.NotFound, match='at line 1, column 15, near "select') as caught:
        await plan_of(database, "select * from ordrs")
    assert "public.orders" in caught.value.hint


def test_explain_is_not_explained() -> None:
    with pytest.raises(errors.InvalidArgument, match="without EXPLAIN"):
        check_plannable(" /* a */ EXPLAIN select 1")


async def test_conditions_name_columns_with_their_operators(database: Database) -> None:
    sql = """select * from orders o where o.note = 'a.b = c' and 5 < o.customer_id and "Total due" is null"""
    (scan,) = [step for step in (await plan_of(database, sql)).steps if step.relation]
    assert {(use.alias, use.column, use.operator) for use in scan.uses("Filter")} == {
        ("o", "note", "="),
        ("o", "customer_id", ">"),
        ("o", "Total due", "IS NULL"),
    }
