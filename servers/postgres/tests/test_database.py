"""The client module against a real PostgreSQL."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import json
import re
import subprocess
import sys
import tracemalloc
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import asyncpg
import pytest
from mcp_server_postgres import text_connection
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.results import CutCell, QueryResult
from mcp_server_postgres.sql_errors import Refusal
from mcp_server_postgres.values import JsonValue
from mcp_server_shared import errors

pytestmark = pytest.mark.anyio


def says(pattern: str) -> Callable[[errors.ExpectedError], bool]:
    """Return whether an error has this in its text."""
    return lambda error: re.search(pattern, error.text(), re.DOTALL) is not None


SETUP = """
create schema {schema};
set search_path = {schema};
create type mood as enum ('sad', 'happy');
create type pair as (a integer, b text);
create domain positive as integer check (value > 0);
create domain scores as integer[];
create table customers (id integer primary key, name text not null, nick text default 'none');
create table orders (
  id bigint generated always as identity primary key,
  customer_id integer not null references customers,
  total numeric(10, 2) not null,
  doubled numeric generated always as (total * 2) stored
);
comment on table orders is 'What was bought';
comment on column orders.total is 'With tax';
create index orders_by_customer on orders (customer_id);
create view rich as select * from orders where total > 100;
create materialized view totals as select sum(total) as total from orders;
create sequence tickets;
create function double_of(n integer) returns integer language sql immutable as 'select n * 2';
insert into customers values (1, 'Ada'), (2, 'Bob');
insert into orders (customer_id, total) values (1, 10), (2, 20);
analyze customers;
"""


@pytest.fixture(scope="module")
def schema(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Make a schema of this module's own, with a few objects."""
    name = f"test_{uuid.uuid4().hex}"
    run_sql(postgres.admin_dsn, SETUP.format(schema=name))
    yield name
    run_sql(postgres.admin_dsn, f"drop schema {name} cascade")


@pytest.fixture
def url(postgres: EmbeddedPostgres, schema: str) -> str:
    return f"{postgres.admin_dsn}&search_path={schema}"


@pytest.fixture
async def database(url: str) -> AsyncGenerator[Database]:
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
async def admin(url: str) -> AsyncGenerator[Any]:
    """Another session, by the driver alone."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


def run_sql(dsn: str, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute(sql)
        await connection.close()

    asyncio.run(run())


async def value_of(database: Database, expression: str, *params: JsonValue) -> JsonValue:
    return (await database.query(f"select {expression}", params)).rows[0][0]


async def is_running(admin: Any, marker: str) -> bool:
    running = (
        "select count(*) from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid()"
    )
    return bool(await admin.fetchval(running, f"%{marker}%"))


async def until_running(admin: Any, marker: str, *, expected: bool) -> None:
    """Return once a statement that contains the marker runs in another session, or none does any more."""
    async with asyncio.timeout(60):
        while await is_running(admin, marker) != expected:  # noqa: ASYNC110 (another process to wait for)
            await asyncio.sleep(0)


async def cancel_once_running(database: Database, sql: str, admin: Any) -> None:
    """Cancel a call while its statement runs or waits for a lock; return once the server has stopped it."""
    task = asyncio.create_task(database.query(sql, timeout_s=600))  # longer than anybody waits here
    await until_running(admin, sql, expected=True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_running(admin, sql, expected=False)


# Results


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("true", True),
        ("null::integer", None),
        ("9007199254740991", 9007199254740991),
        ("-9223372036854775808", "-9223372036854775808"),
        ("32767::smallint", 32767),
        ("4294967295::oid", 4294967295),
        ("0.1::float8", 0.1),
        ("1e300::float8", 1e300),
        ("3.4028235e38::real", 3.4028235e38),
        ("'-Infinity'::float8", "-Infinity"),
        ('\'{"n": 1.5, "s": "é"}\'::jsonb', {"n": 1.5, "s": "é"}),
        ("'[12345678901234567890]'::jsonb", "[12345678901234567890]"),
        ("array[[1, null], [3, 4]]", [[1, None], [3, 4]]),
        ("array['a,b', 'NULL', null, '']", ["a,b", "NULL", None, ""]),
        ("array[9007199254740993]", ["9007199254740993"]),
        ("array['{\"a\": 1}'::jsonb]", [{"a": 1}]),
        ("'[0:1]={7,8}'::int[]", "[0:1]={7,8}"),
        ("'{(1,1),(0,0);(3,3),(2,2)}'::box[]", ["(1,1),(0,0)", "(3,3),(2,2)"]),
        ("array['sad'::mood]", ["sad"]),
        ("5::positive", 5),
        ("array[1, 2]::scores", [1, 2]),
        ("'1 2'::int2vector", "1 2"),
        ("timestamptz '2024-02-29 12:00:00.123456+00' at time zone 'UTC'", "2024-02-29 12:00:00.123456"),
        ("interval '1 year 2 days 03:04:05.6'", "P1Y2DT3H4M5.6S"),
        ("'\\xdeadbeef'::bytea", "\\xdeadbeef"),
        ("row(1, 'a b')::pair", '(1,"a b")'),
    ],
)
async def test_a_value_has_the_documented_form(database: Database, expression: str, shown: JsonValue) -> None:
    assert await value_of(database, expression) == shown


@pytest.mark.parametrize(
    "expression",
    [
        "123456789012345678901234567890.123456789",
        "'NaN'::numeric",
        "1.10::numeric(5,2)",
        "timestamp 'infinity'",
        "timestamptz '0044-03-15 12:00:00+00 BC'",
        "time '24:00:00'",
        "timetz '01:02:03+04:30'",
        "date '-infinity'",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
        "inet '192.168.0.1/24'",
        "cidr '10.0.0.0/8'",
        "macaddr '08:00:2b:01:02:03'",
        "B'1010'::bit(4)",
        "B'101'::varbit",
        "point '(1.5,2)'",
        "polygon '((0,0),(1,1),(2,0))'",
        "int4range '[1,5)'",
        "tstzrange(null, '2024-01-01+00')",
        "int4multirange '{[1,3),[5,7)}'",
        "12.34::money",
        "'happy'::mood",
        "to_tsvector('simple', 'a fat cat')",
        "'a & b'::tsquery",
        "'0/16B3748'::pg_lsn",
        "row(1, null, 'x\"y')",
        "'a'::\"char\"",
        "'pg_class'::regclass",
        "'x'::name",
        "jsonpath '$.a[*]'",
        "pg_current_snapshot()",
        "'(1,2)'::tid",
    ],
)
async def test_any_other_value_is_exactly_the_servers_own_text(database: Database, expression: str) -> None:
    shown, text = (await database.query(f"select v, v::text from (select {expression}) t(v)")).rows[0]
    assert shown == text


async def test_every_type_of_the_server_can_be_returned(database: Database, admin: Any) -> None:
    types = await admin.fetch(
        "select format_type(oid, null), format_type(typarray, null) from pg_type "
        "where typtype not in ('p', 'd') and typarray <> 0"
    )
    names = [name for record in types for name in record]
    result = await database.query("select " + ", ".join(f"null::{name}" for name in names))
    assert [name for _, name in result.columns] == names
    arrays = await database.query("select " + ", ".join(f"array[null::{name}]" for name in names[::2]))
    assert arrays.rows == [[[None]] * len(types)]


async def test_columns_carry_their_types_and_repeated_names_survive(database: Database) -> None:
    result = await database.query("select 1 as x, 'a' as x, now() as x, array[1.5] as y, 'sad'::mood")
    assert [name for name, _ in result.columns] == ["x", "x", "x", "y", "mood"]
    assert [of_type for _, of_type in result.columns[:4]] == [
        "integer",
        "text",
        "timestamp with time zone",
        "numeric[]",
    ]
    assert len(result.rows[0]) == 5


@pytest.mark.parametrize(
    "sql",
    [
        "select * from customers",
        "with c as (select * from customers) select * from c",
        "values (1), (2)",
        "table customers",
        "(select 1) union all (select 2)",
        "select 1 fetch first 5 rows only;",
        "explain select 1",
        "explain (analyze, format json) select * from customers",
        "show datestyle",
        "/* a /* nested */ comment */ -- and another\n ; select 1",
        "select name from customers where name like 'A%'",
        "/* not -- the end */ select 1",
    ],
)
async def test_every_statement_that_returns_rows_is_answered(database: Database, sql: str) -> None:
    assert (await database.query(sql)).rows


@pytest.mark.parametrize(
    "sql", ["set work_mem = '8MB'", "do $$ begin perform 1; end $$", "select where false", "select"]
)
async def test_a_statement_without_columns_gives_an_empty_table(database: Database, sql: str) -> None:
    result = await database.query(sql)
    assert result.columns == []
    assert all(row == [] for row in result.rows)


async def test_a_changed_date_style_of_the_role_does_not_show(url: str) -> None:
    database = Database(f"{url}&datestyle=german&intervalstyle=sql_standard&bytea_output=escape&extra_float_digits=-5")
    row = (await database.query("select date '2024-02-01', interval '1 day', '\\x00'::bytea, 0.1::float8 + 0.2")).rows[
        0
    ]
    assert row == ["2024-02-01", "P1D", "\\x00", 0.1 + 0.2]
    await database.close()


# Limits


async def test_rows_are_capped_and_the_rest_is_announced(database: Database) -> None:
    result = await database.query("select generate_series(1, 1000)", max_rows=120)
    assert [row[0] for row in result.rows] == list(range(1, 121))
    assert result.truncated


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 119, 120])
async def test_a_result_that_fits_is_not_called_truncated(database: Database, count: int) -> None:
    result = await database.query("select generate_series(1, $1::int)", [count], max_rows=120)
    assert (len(result.rows), result.truncated) == (count, False)


async def test_characters_are_capped_at_whole_rows(database: Database) -> None:
    result = await database.query(
        "select repeat('x', 100) from generate_series(1, 1000)", max_rows=1000, max_characters=5_000
    )
    assert result.truncated
    assert 4_000 < len(json.dumps(result.rows, separators=(",", ":"))) <= 5_000


async def test_a_long_cell_is_cut_and_listed(database: Database) -> None:
    result = await database.query("select 1, repeat('é', 5000), 2 from generate_series(1, 2)", max_cell_characters=50)
    assert result.rows == [[1, "é" * 50 + "… [5000 characters in all]", 2]] * 2
    assert result.cut_cells == [CutCell(0, 1, 5000, 50), CutCell(1, 1, 5000, 50)]


async def test_a_cell_at_the_limit_is_whole(database: Database) -> None:
    result = await database.query("select repeat('x', 10)", max_cell_characters=10)
    assert (result.rows, result.cut_cells) == ([["x" * 10]], [])


async def test_the_first_row_is_given_even_when_it_alone_is_too_long(database: Database) -> None:
    columns = ", ".join(["repeat('x', 1000)"] * 20)
    result = await database.query(f"select {columns} from generate_series(1, 3)", max_characters=5_000)
    assert (len(result.rows), len(result.cut_cells), result.truncated) == (1, 20, True)


async def memory_of(database: Database, sql: str, *, max_rows: int = 100) -> tuple[QueryResult, int]:
    await database.query("select 1, ''")
    tracemalloc.start()
    result = await database.query(sql, max_rows=max_rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


async def test_a_million_rows_take_no_more_memory_than_the_limit_asks_for(database: Database) -> None:
    result, peak = await memory_of(database, "select n, md5(n::text) from generate_series(1, 1000000) n", max_rows=1000)
    assert result.truncated
    assert peak < 5_000_000


async def test_many_huge_cells_take_the_memory_of_one(database: Database) -> None:
    huge = "select repeat('x', 4000000) from generate_series(1, 20)"
    result, peak = await memory_of(database, huge)
    assert [cut.characters for cut in result.cut_cells] == [4_000_000] * len(result.rows)
    assert peak < 20_000_000


# Parameters


@pytest.mark.parametrize(
    ("expression", "value", "text"),
    [
        ("$1::date", "2024-01-01", "2024-01-01"),
        ("$1::timestamptz at time zone 'UTC'", "2024-01-01T00:00:00+02:00", "2023-12-31 22:00:00"),
        ("$1::uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("$1::numeric", "1.10", "1.10"),
        ("$1::numeric", 7, "7"),
        ("$1::numeric", 0.1, "0.1"),
        ("$1::float8", 1e300, "1e+300"),
        ("host($1::inet)", "10.0.0.1", "10.0.0.1"),
        ("$1::interval", "2 days", "P2D"),
        ("$1::bigint", "9223372036854775807", "9223372036854775807"),
        ("$1::boolean", True, "true"),
        ("$1::jsonb", {"a": [1, "ü"]}, '{"a": [1, "ü"]}'),
        ("$1::jsonb", [1, {"b": None}], '[1, {"b": null}]'),
        ("$1::jsonb", '{"a": 1}', '{"a": 1}'),
        ("$1::jsonb", 3, "3"),
        ("$1::int[]", [1, None, 3], "{1,NULL,3}"),
        ("$1::text[]", ["a,b", 'q"q', "back\\slash", "NULL", ""], '{"a,b","q\\"q","back\\\\slash","NULL",""}'),
        ("$1::int[]", [[1, 2], [3, 4]], "{{1,2},{3,4}}"),
        ("$1::date[]", ["2024-01-01"], "{2024-01-01}"),
        ("$1::mood", "happy", "happy"),
        ("$1::positive", 4, "4"),
        ("$1::scores", [4, 5], "{4,5}"),
        ("$1::pair", "(1,x)", "(1,x)"),
        ("$1::int4range", "[1,5)", "[1,5)"),
        ("$1::bytea", "\\xDEADBEEF", "\\xdeadbeef"),
        ("$1::text", "'; drop table orders; --", "'; drop table orders; --"),
        ("$1::text", None, None),
    ],
)
async def test_a_json_value_fits_the_type_of_its_parameter(
    database: Database, expression: str, value: JsonValue, text: str | None
) -> None:
    assert await value_of(database, f"({expression})::text", value) == text


async def test_parameters_take_their_types_from_the_statement(database: Database) -> None:
    result = await database.query("select name from customers where id = any($1) and name like $2", [[1, 2], "A%"])
    assert result.rows == [["Ada"]]


@pytest.mark.parametrize("params", [[], [1, 2, 3]])
async def test_a_wrong_number_of_parameters_names_those_expected(database: Database, params: list[JsonValue]) -> None:
    with pytest.raises(errors.InvalidArgument, check=says(r"2 parameters: \$1 integer, \$2 text")):
        await database.query("select $1::int, $2::text", params)


async def test_a_plan_without_values_is_for_another_tool(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("explain_query shows the generic plan")):
        await database.query("explain (generic_plan) select * from customers where id = $1")


@pytest.mark.parametrize(
    ("cast", "value"),
    [("int", "x"), ("date", "2024-13-01"), ("smallint", 70000), ("uuid", 5), ("jsonb", "{"), ("int", True)],
)
async def test_a_value_that_the_server_cannot_read_names_the_parameter(
    database: Database, cast: str, value: JsonValue
) -> None:
    with pytest.raises(errors.InvalidArgument, check=says(r"SQLSTATE 22.*Parameter \$2: ")):
        await database.query(f"select $1::int, $2::{cast}", [1, value])


@pytest.mark.parametrize("value", ["a\0b", "\ud800", {"a": "\ud800"}, [1]])
async def test_a_value_that_cannot_be_sent_names_the_parameter(database: Database, value: JsonValue) -> None:
    with pytest.raises(errors.InvalidArgument, check=says(r"Parameter \$1 \(text\)")):
        await database.query("select $1::text", [value])


async def test_a_parameter_without_a_type_asks_for_a_cast(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await database.query("select $1 is null", [1])
    assert "cast" in caught.value.hint


# Read only


@pytest.mark.parametrize(
    "sql",
    [
        "insert into customers values (3, 'Eve')",
        "delete from orders returning *",
        "with gone as (delete from orders returning *) select * from gone",
        "update customers set name = 'x'",
        "truncate orders",
        "drop table orders",
        "create table hacked (a int)",
        "create temp table t (a int)",
        "select nextval('tickets')",
        "select setval('tickets', 99)",
        "select * from customers for update",
        "explain analyze delete from orders",
        "select * into hacked from customers",
        "grant all on customers to public",
        "comment on table orders is 'x'",
        "refresh materialized view totals",
    ],
)
async def test_a_write_is_refused_and_changes_nothing(database: Database, admin: Any, sql: str) -> None:
    state = "select (select count(*) from customers), (select count(*) from orders), (select last_value from tickets)"
    before = await admin.fetchrow(state)
    with pytest.raises(errors.PermissionDenied, check=says("read-only transaction")):
        await database.query(sql)
    assert await admin.fetchrow(state) == before


@pytest.mark.parametrize(
    "sql",
    [
        "select 1; select 2",
        "commit; delete from orders",
        "rollback; drop table orders",
        "set transaction read write; delete from orders; commit",
    ],
)
async def test_several_statements_are_refused(database: Database, sql: str) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("one statement at a time")):
        await database.query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "commit",
        "rollback and chain",
        "set transaction read write",
        "set session characteristics as transaction read write",
        "select set_config('default_transaction_read_only', 'off', false)",
    ],
)
async def test_leaving_the_transaction_opens_no_way_to_write(url: str, sql: str) -> None:
    database = Database(url, pool_size=1)
    await database.query(sql)
    with pytest.raises(errors.PermissionDenied):
        await database.query("delete from orders")
    await database.close()


async def test_a_block_that_commits_cannot_write(database: Database, admin: Any) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("2D000")):
        await database.query("do $$ begin commit; set transaction read write; delete from orders; end $$")
    assert await admin.fetchval("select count(*) from orders") == 2


@pytest.mark.parametrize(
    "sql", ["copy customers to stdout", ";; Prepare transaction 'x'", "/* /* */ -- */ COPY t from stdin"]
)
async def test_copy_and_prepare_are_not_supported(database: Database, sql: str) -> None:
    with pytest.raises(errors.Unsupported):
        await database.query(sql)


@pytest.mark.parametrize("sql", ["", "  ;\n", "-- nothing", "/* nothing"])
async def test_no_statement_at_all_is_an_invalid_argument(database: Database, sql: str) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("no statement")):
        await database.query(sql)


@pytest.mark.parametrize("sql", ["select 'a\0b'", "select '\ud800'"])
async def test_sql_that_is_no_text_is_an_invalid_argument(database: Database, sql: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        await database.query(sql)


@pytest.mark.parametrize(
    ("poison", "probe", "clean"),
    [
        ("set search_path = pg_catalog", "current_setting('search_path') = 'pg_catalog'", False),
        ("select set_config('work_mem', '64kB', false)", "current_setting('work_mem') = '64kB'", False),
        ("select set_config('my.secret', 'x', false)", "coalesce(current_setting('my.secret', true), '') = 'x'", False),
        ("set role pg_monitor", "current_user = 'pg_monitor'", False),
        ("set session authorization pg_monitor", "session_user = 'pg_monitor'", False),
        ("select pg_advisory_lock(4711)", "exists (select from pg_locks where locktype = 'advisory')", False),
        ("listen news", "exists (select pg_listening_channels())", False),
        ("declare c cursor with hold for select 1", "exists (select from pg_cursors where name = 'c')", False),
        ("commit", "current_setting('transaction_read_only')", "on"),
        ("set statement_timeout = 1", "current_setting('statement_timeout')", "30s"),
    ],
)
async def test_nothing_of_a_session_reaches_the_next_call(url: str, poison: str, probe: str, clean: JsonValue) -> None:
    database = Database(url, pool_size=1)
    await database.query(poison)
    assert await value_of(database, probe) == clean
    await database.close()


# Deadlines, cancellation, lost connections


async def test_a_slow_statement_is_stopped_at_the_deadline(database: Database, admin: Any) -> None:
    await database.query("select 1")  # to connect takes time, too
    with pytest.raises(errors.DeadlineExceeded):
        await database.query("select pg_sleep(60), 'slow one'", timeout_s=0.5)
    await until_running(admin, "slow one", expected=False)


async def test_the_deadline_holds_over_many_short_fetches(database: Database) -> None:
    slow_rows = "select pg_sleep(0.01), repeat('x', 100) from generate_series(1, 100000)"
    await database.query("select 1")
    with pytest.raises(errors.DeadlineExceeded):
        await database.query(slow_rows, max_rows=100_000, max_characters=10_000_000, timeout_s=0.7)


async def test_a_statement_that_switches_its_own_timeout_off_is_stopped_all_the_same(database: Database) -> None:
    rows = "select set_config('statement_timeout', '0', true), pg_sleep(0.01) from generate_series(1, 100000)"
    await database.query("select 1")
    with pytest.raises(errors.DeadlineExceeded):
        await database.query(rows, max_rows=100_000, max_characters=10_000_000, timeout_s=0.7)


async def test_a_cancelled_call_stops_the_statement_on_the_server(url: str, admin: Any) -> None:
    database = Database(url, pool_size=1)
    await cancel_once_running(database, "select pg_sleep(60), 'cancel me'", admin)
    assert await value_of(database, "1") == 1
    await database.close()


async def test_a_call_that_is_cancelled_before_its_statement_could_begin_stops_it_on_the_server(
    url: str, admin: Any
) -> None:
    database = Database(url, pool_size=1)
    await database.query("select 1")
    locking: Any = await asyncpg.connect(url)
    async with locking.transaction():
        await locking.execute("lock table customers in access exclusive mode")
        await cancel_once_running(database, "select 'held up' from customers", admin)
        assert await value_of(database, "1") == 1
    await locking.close()
    await database.close()


async def test_a_cancelled_scope_leaves_a_clean_session(url: str) -> None:
    database = Database(url, pool_size=1)
    with anyio.move_on_after(0.1) as scope:
        await database.query("select set_config('work_mem', '64kB', false), pg_sleep(60)")
    assert scope.cancelled_caught
    assert await value_of(database, "current_setting('work_mem') <> '64kB'") is True
    await database.close()


async def test_a_wait_for_a_lock_ends_with_a_word_about_the_lock(database: Database, admin: Any) -> None:
    await database.query("select 1")
    async with admin.transaction():
        await admin.execute("lock table customers in access exclusive mode")
        with pytest.raises(errors.Unavailable, check=says("55P03")) as caught:
            await database.query("select * from customers", timeout_s=6)
    assert caught.value.retryable


async def test_a_terminated_backend_is_unavailable_once_and_then_replaced(url: str, admin: Any) -> None:
    database = Database(url, pool_size=1)
    with pytest.raises(errors.Unavailable):
        await database.query("select pg_terminate_backend(pg_backend_pid())")
    pid = await value_of(database, "pg_backend_pid()")
    await admin.fetchval("select pg_terminate_backend($1, 5000)", pid)
    assert await value_of(database, "pg_backend_pid()") != pid
    await database.close()


async def test_what_was_parsed_ahead_is_not_taken_for_what_ran_in_between(url: str) -> None:
    connection = await text_connection.connect(url, 10)
    await connection.begin("BEGIN", "select 'ahead'")
    assert await connection.texts("select 'between'") == [("between",)]
    statement = await connection.parse("select 'ahead'")
    assert (await connection.first_rows(statement, [], 10, 100)).rows == [("ahead",)]
    await connection.end(1)


async def test_a_transaction_that_cannot_begin_is_told_and_not_what_is_wrong_with_the_statement(url: str) -> None:
    connection = await text_connection.connect(url, 10)
    with pytest.raises(Refusal) as caught:
        await connection.begin("BEGIN; SET LOCAL nothing = 1", "selec 1")
    assert (caught.value.sqlstate, caught.value.message) == (
        "42704",
        'unrecognized configuration parameter "nothing"',
    )
    await connection.end(1)


async def test_a_statement_that_is_wrong_is_told_when_it_is_its_turn(url: str) -> None:
    connection = await text_connection.connect(url, 10)
    await connection.begin("BEGIN", "selec 1")
    with pytest.raises(Refusal) as caught:
        await connection.parse("selec 1")
    assert (caught.value.sqlstate, caught.value.position) == ("42601", 1)
    await connection.end(1)


async def test_an_error_costs_no_connection(url: str) -> None:
    database = Database(url, pool_size=1)
    pid = await value_of(database, "pg_backend_pid()")
    with pytest.raises(errors.InvalidArgument):
        await database.query("selec 1")
    assert await value_of(database, "pg_backend_pid()") == pid
    await database.close()


async def test_fifty_callers_share_a_small_pool(url: str, admin: Any) -> None:
    name = uuid.uuid4().hex
    database = Database(f"{url}&application_name={name}", pool_size=3)
    values = await asyncio.gather(*(value_of(database, "$1::int", n) for n in range(50)))
    assert values == list(range(50))
    sessions = "select count(*) from pg_stat_activity where application_name = $1"
    assert await admin.fetchval(sessions, name) <= 3
    await database.close()


async def test_a_caller_that_finds_every_connection_busy_is_told_so(url: str) -> None:
    database = Database(url, pool_size=1)
    busy = asyncio.create_task(database.query("select pg_sleep(60)"))
    await asyncio.sleep(0)
    with pytest.raises(errors.Unavailable, check=says("All 1 connections are busy")) as caught:
        await database.query("select 1", timeout_s=0.2)
    assert "busy" in caught.value.hint
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    await database.close()


async def test_a_server_that_comes_back_is_used_again(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    sockets = postgres.admin_dsn.rpartition("host=")[2].partition("&")[0]
    link = tmp_path / "s"
    database = Database(f"postgresql://postgres@/postgres?host={link}")
    with pytest.raises(errors.Unavailable):
        await database.query("select 1")
    link.symlink_to(sockets.replace("%2F", "/"))
    assert await value_of(database, "1") == 1
    await database.close()


async def test_a_closed_database_can_be_used_again(database: Database) -> None:
    await database.query("select 1")
    await database.close()
    assert await value_of(database, "1") == 1


# Connecting


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:hunter2@127.0.0.1:1/shop",
        "postgresql://app:hunter2@nowhere.invalid/shop",
        "postgresql://app:hun%2Fter2@/shop?host=/nonexistent",
        "postgresql://app:hunter2@h:hunter2/shop",
        "mysql://app:hunter2@127.0.0.1/shop",
        "postgresql://app:hunter2/x@127.0.0.1:1/shop",
        "postgresql://app:hunter2#x@127.0.0.1:1/shop",
        "host=127.0.0.1 password=hunter2",
        "postgresql://app:hunter2@127.0.0.1:1/shop?sslmode=hunter2",
    ],
)
async def test_a_connection_that_cannot_be_made_is_explained_without_secrets(dsn: str) -> None:
    database = Database(dsn, connect_timeout_s=2)
    with pytest.raises((errors.Unavailable, errors.InvalidArgument)) as caught:
        await database.query("select 1")
    told = caught.value.text() + repr(caught.value) + repr(database) + repr(caught.value.__cause__)
    assert "hunter2" not in told
    assert "app" not in told.replace("application", "")


async def test_an_at_sign_in_a_password_is_noticed() -> None:
    database = Database("postgresql://u:hunter@2@nowhere.invalid:1/x", connect_timeout_s=20)
    with pytest.raises(errors.Unavailable) as caught:
        await database.query("select 1")
    assert "%40 for @" in caught.value.hint
    assert "hunter" not in caught.value.text()


async def test_the_address_that_does_not_answer_is_named() -> None:
    with pytest.raises(errors.Unavailable, check=says(r"127\.0\.0\.1:1")):
        await Database("postgresql://app:hunter2@127.0.0.1:1/shop").query("select 1")


async def test_without_a_url_the_error_says_how_to_give_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGHOST", str(tmp_path))
    with pytest.raises(errors.Unavailable) as caught:
        await Database(None).query("select 1")
    assert "DATABASE_URL" in caught.value.hint


async def test_libpq_variables_are_used_without_a_url(
    monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres
) -> None:
    sockets = postgres.admin_dsn.rpartition("host=")[2].partition("&")[0]
    for name, value in {"PGHOST": sockets.replace("%2F", "/"), "PGUSER": "postgres", "PGDATABASE": "postgres"}.items():
        monkeypatch.setenv(name, value)
    database = Database(None)
    assert await value_of(database, "current_user") == "postgres"
    await database.close()


async def test_an_unknown_role_is_unauthenticated(url: str) -> None:
    with pytest.raises(errors.Unauthenticated) as caught:
        await Database(url.replace("postgres@", "nobody_here@").replace("postgres:", "nobody_here:")).query("select 1")
    assert "nobody_here" not in caught.value.text()
    assert "DATABASE_URL" in caught.value.hint


async def test_an_unknown_database_is_not_found(url: str) -> None:
    with pytest.raises(errors.NotFound, check=says("no database")):
        await Database(url.replace("/postgres?", "/no_such_database?")).query("select 1")


def test_the_module_does_not_import_the_driver() -> None:
    program = "import sys, mcp_server_postgres.database; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Errors in SQL


async def test_a_misspelt_table_suggests_the_near_ones(database: Database, schema: str) -> None:
    with pytest.raises(errors.NotFound, check=says(r'42P01.*"ordrs" does not exist')) as caught:
        await database.query("select * from ordrs")
    assert caught.value.hint == f"Did you mean {schema}.orders?"


async def test_the_schema_that_was_written_comes_first_among_near_names(
    database: Database, admin: Any, schema: str
) -> None:
    other = f"a{schema}"
    await admin.execute(f"create schema {other}; create table {other}.orders ()")
    try:
        with pytest.raises(errors.NotFound) as caught:
            await database.query(f"select * from {schema}.ordrs")
    finally:
        await admin.execute(f"drop schema {other} cascade")
    assert caught.value.hint == f"Did you mean {schema}.orders, {other}.orders?"


async def test_a_misspelt_column_suggests_those_of_the_tables_in_the_statement(database: Database) -> None:
    with pytest.raises(errors.NotFound, check=says("42703")) as caught:
        await database.query("select o.totl from orders as o")
    assert caught.value.hint == "Did you mean total?"


async def test_a_misspelt_function_suggests_the_near_ones(database: Database, schema: str) -> None:
    with pytest.raises(errors.NotFound) as caught:
        await database.query("select doubl_of(2)")
    assert caught.value.hint == f"Did you mean {schema}.double_of?"


async def test_a_syntax_error_has_its_place(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, check=says('at line 2, column 7, near "frm customers"')):
        await database.query("select 1, 'ü'\n  frm customers")


@pytest.mark.parametrize(
    ("sql", "kind", "sqlstate"),
    [
        ("select 1/0", errors.InvalidArgument, "22012"),
        ("select no_such_function(1)", errors.NotFound, "42883"),
        ("select * from no_such_schema.t", errors.NotFound, "42P01"),
        ("select 'x'::int", errors.InvalidArgument, "22P02"),
        ("vacuum", errors.InvalidArgument, "25001"),
        ("select '\\u0000'::jsonb", errors.InvalidArgument, "22P02"),
    ],
)
async def test_other_errors_carry_the_sqlstate(
    database: Database, sql: str, kind: type[errors.ExpectedError], sqlstate: str
) -> None:
    with pytest.raises(kind, check=says(sqlstate)):
        await database.query(sql)


async def test_the_drivers_advice_about_poolers_is_left_out(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("26000")) as caught:
        await database.query("execute nothing")
    assert "pgbouncer" not in caught.value.text()


async def test_a_missing_privilege_names_the_object(reader_url: str) -> None:
    database = Database(reader_url)
    with pytest.raises(errors.PermissionDenied, check=says("pg_authid")):
        await database.query("select * from pg_authid")
    await database.close()
