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

pytestmark = pytest.mark.anyio

SETUP = """
create table orders (id int primary key, note text);
insert into orders select n, 'note ' || n from generate_series(1, 300) n;
create table other as select 1 as n;
create sequence tickets;
create view order_view as select * from orders;
create materialized view order_count as select count(*) from orders;
create function write_one() returns int language sql volatile as 'insert into orders values (0, null) returning id';
create function pretend() returns int stable language plpgsql as
  $$ begin execute 'delete from orders'; return 1; end $$;
create procedure sneak() language plpgsql as $$ begin delete from orders; commit; end $$;
create function lent() returns int language sql security definer as 'delete from orders returning id';
select lo_from_bytea(4711, 'abc');
grant select on all tables in schema public to public;
"""
DBLINK = """
do $$ begin
  if exists (select from pg_available_extensions where name = 'dblink') then create extension dblink; end if;
end $$
"""

STATE = """
select (select count(*) from orders), (select count(*) from other), (select last_value from tickets),
  (select is_called from tickets), (select count(*) from pg_class), (select count(*) from pg_proc),
  (select count(*) from pg_namespace where nspname !~ '^pg_temp|^pg_toast_temp'),
  (select string_agg(rolname || rolsuper::text, ',' order by rolname) from pg_roles),
  (select count(*) from pg_collation), (select count(*) from pg_largeobject), (select md5(string_agg(data, '')) from
    pg_largeobject), (select count(*) from pg_replication_slots), (select count(*) from pg_database),
  (select pg_stat_file('postgresql.auto.conf')::text),
  (select count(*) from pg_stat_file('stolen', true) s where s.size is not null),
  (select string_agg(relname || relacl::text, ',' order by relname) from pg_class where relacl is not null
    and relnamespace = 'public'::regnamespace), (select count(*) from pg_prepared_xacts),
  (select count(*) from pg_locks where locktype = 'advisory'),
  (select setting from pg_settings where name = 'work_mem'),
  (select count(*) from pg_default_acl), (select count(*) from pg_description), (select count(*) from pg_trigger),
  (select stats_reset from pg_stat_database where datname = current_database())
"""

ATTACKS = [
    # Plain writes
    "insert into orders values (-1, 'x')",
    "update orders set note = 'x'",
    "delete from orders",
    "delete from orders returning *",
    "merge into orders o using other on o.id = other.n when matched then delete",
    "truncate orders",
    "with gone as (delete from orders returning *) select * from gone",
    "with made as (insert into orders values (-1, 'x') returning *) select * from made",
    "insert into order_view values (-1, 'x')",
    "select nextval('tickets')",
    "select setval('tickets', 99)",
    "select * from orders for update",
    "select * into stolen from orders",
    "refresh materialized view order_count",
    # Definitions
    "create table stolen as select * from orders",
    "create temp table stolen (n int)",
    "create schema stolen",
    "create function stolen() returns int language sql as 'select 1'",
    "create role stolen superuser",
    "create extension dblink",
    "alter table orders add column stolen int",
    "alter role current_user superuser",
    "alter default privileges grant all on tables to public",
    "alter system set work_mem = '1GB'",
    "alter database postgres set work_mem = '1GB'",
    "drop table orders",
    "drop owned by current_user cascade",
    "grant all on orders to public",
    "revoke select on orders from public",
    "comment on table orders is 'stolen'",
    "create trigger stolen before insert on orders execute function suppress_redundant_updates_trigger()",
    "security label on table orders is 'x'",
    "reindex table orders",
    "cluster orders using orders_pkey",
    "vacuum orders",
    # Out of the transaction, or several statements
    "commit; delete from orders",
    "rollback; delete from orders; commit",
    "abort; drop table orders",
    "end; drop table orders",
    "select 1; delete from orders",
    "set transaction read write; delete from orders; commit",
    "set transaction_read_only = off; delete from orders; commit",
    "set session characteristics as transaction read write",
    "select set_config('transaction_read_only', 'off', false), write_one()",
    "select set_config('default_transaction_read_only', 'off', false)",
    "do $$ begin commit; set transaction read write; delete from orders; end $$",
    "do $$ begin execute 'set transaction read write'; delete from orders; end $$",
    "call sneak()",
    "begin; delete from orders; commit",
    "prepare transaction 'stolen'",
    "savepoint a",
    "start transaction read write",
    # Inside functions, and SQL in strings
    "select write_one()",
    "select pretend()",
    "select lent()",
    "select * from write_one()",
    "select (1).write_one",
    "select query_to_xml('delete from orders returning 1', true, true, '')",
    "select cursor_to_xml('c', 1, true, true, '')",
    "select * from ts_stat('select write_one()::text::tsvector')",
    "select ts_rewrite('a'::tsquery, 'select write_one()::text::tsquery, ''b''::tsquery')",
    "select table_to_xml('orders', true, true, ''), write_one()",
    "explain analyze delete from orders",
    "explain (analyze, buffers) insert into orders values (-1, 'x')",
    "execute stolen",
    "prepare stolen as delete from orders",
    "declare c cursor with hold for delete from orders returning *",
    # Files, programs, other servers
    "copy orders to '/tmp/stolen'",
    "copy orders to program 'touch stolen'",
    "copy orders from program 'echo 1'",
    "select lo_export(4711, 'stolen')",
    "select lo_import('/etc/hostname')",
    "select lo_unlink(4711)",
    "select lo_put(4711, 0, 'xyz')",
    "select lo_from_bytea(0, 'xyz')",
    "select lo_create(0)",
    "select pg_file_write('stolen', 'x', false)",
    "load 'dblink'",
    "select dblink_exec('dbname=' || current_database(), 'delete from orders')",
    "select * from dblink('dbname=' || current_database(), 'delete from orders returning id') as t(id int)",
    "select * from ts_stat('select dblink_exec(''dbname='' || current_database(), ''delete from orders'')::tsvector')",
    "create foreign data wrapper stolen",
    # Administration
    "select pg_create_physical_replication_slot('stolen')",
    "select pg_create_logical_replication_slot('stolen', 'test_decoding')",
    "select pg_import_system_collations('pg_catalog')",
    "select pg_stat_reset()",
    "select pg_reload_conf()",
    "select pg_promote()",
    "select pg_create_restore_point('stolen')",
    "select pg_advisory_lock(4711)",
    "listen stolen",
    "notify stolen, 'x'",
    "lock table orders in access exclusive mode",
    "set role postgres",
    "set session authorization postgres",
    "select set_config('role', 'postgres', false), lo_export(4711, 'stolen')",
    "select set_config('work_mem', '64kB', false)",
    "set work_mem = '64kB'",
    "reset all",
    "discard all",
    "checkpoint",
]

# What a superuser still changes in a READ ONLY transaction that is rolled back: only another role prevents it.
LEFT_OPEN = {
    "select lo_export(4711, 'stolen')",
    "select set_config('role', 'postgres', false), lo_export(4711, 'stolen')",
    "select dblink_exec('dbname=' || current_database(), 'delete from orders')",
    "select * from dblink('dbname=' || current_database(), 'delete from orders returning id') as t(id int)",
    "select * from ts_stat('select dblink_exec(''dbname='' || current_database(), ''delete from orders'')::tsvector')",
    "select pg_create_physical_replication_slot('stolen')",
    "select pg_stat_reset()",
}

GOOD = [
    "select 1",
    "select count(*) from orders",
    "table orders",
    "values (1, 'a'), (2, 'b')",
    "with o as (select * from orders) select count(*) from o",
    "with recursive n(i) as (values (1) union all select i + 1 from n where i < 5) select sum(i) from n",
    "(select 1) union all (select 2) order by 1",
    "select * from orders order by id limit 5 offset 2",
    "select * from orders fetch first 3 rows only",
    "select 'delete from orders; drop table orders'",
    "select $$update orders set note = 'x'$$",
    "select E'it\\'s'",
    "select 'a' as \"delete\"",
    "select note as update from orders limit 1",
    "select /* insert */ 1 -- delete",
    "-- a comment first\nselect 1",
    "/* a /* nested */ comment */ select 1",
    "select * from orders where note like '%1%'",
    "select * from orders where note ilike 'NOTE' || '%'",
    "select * from orders where note ~ '^note'",
    "select obj_description('orders'::regclass), date_bin('1 day', now(), now()), point(1, 2)",
    "select json_agg(o) from orders o where id < 3",
    "select jsonb_path_query('{\"a\": [1, 2]}', '$.a[*]')",
    "select row_number() over (order by id), lag(note) over (order by id) from orders limit 3",
    "select count(*) filter (where id > 5), percentile_cont(0.5) within group (order by id) from orders",
    "select grouping(id), count(*) from orders group by rollup (id) limit 3",
    "select o.* from orders o left join lateral (select 1) x on true limit 1",
    "select * from generate_series(now(), now() + interval '3 days', '1 day')",
    "select * from unnest(array[1, 2], array['a', 'b']) as t(n, s)",
    "select string_agg(note, ',' order by id) from orders where id < 4",
    "select exists (select from orders where id = 1)",
    "select case when id > 1 then 'x' else 'y' end from orders limit 2",
    "select to_tsvector('english', 'fat cats') @@ to_tsquery('cat')",
    "select * from pg_stat_activity limit 1",
    "select table_name from information_schema.tables limit 1",
    "select pg_size_pretty(pg_total_relation_size('orders'))",
    "select pg_sleep(0)",
    "select random(), gen_random_uuid(), clock_timestamp()",
    "show work_mem",
    "show all",
    "explain select * from orders",
    "explain (analyze, buffers, format json) select * from orders",
    "explain analyze select count(*) from orders",
    "select set_config('work_mem', '8MB', true)",
    "select * from orders tablesample system (100) limit 1",
    "select currval('tickets') where false",
    "select last_value from tickets",
    "select array(select id from orders order by id limit 3)",
    "select distinct on (id % 3) * from orders",
    "select format('%I', 'x'), quote_literal('y'), md5('z')",
    ";select 1;",
    "select 1 ; ",
]

CAPPED = [
    "select * from orders",
    "table orders",
    "(select * from orders)",
    "((select * from orders) order by id)",
    "with o as (select * from orders) select * from o",
    "with o as materialized (select * from orders limit 250) select * from o",
    "select * from orders where id in (select id from orders limit 200)",
    "select * from orders fetch first 200 rows only",
    "select * from orders limit all",
    "select * from orders -- limit 3",
    "select * from orders /* limit 3 */ limit 200",
    "select 'limit 3' from orders",
    "select * from generate_series(1, 1000000)",
    "select * from orders union all select * from orders",
    "select * from orders a, orders b",
    "select unnest(array_agg(id)) from orders",
    "select * from orders order by note;",
    "show all",
    "explain (verbose, costs off) select " + ", ".join(["(select 1)"] * 120),
]


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
            await asyncio.gather(database.query(sql, timeout_s=5), return_exceptions=True)
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
