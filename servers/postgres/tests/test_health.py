"""Planted problems are found, on every PostgreSQL that is here, and a sound database has none."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

import asyncpg
import pytest
from mcp_server_postgres import health
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.health import Problem

pytestmark = pytest.mark.anyio

NewDatabase = Callable[..., AbstractContextManager[str]]

SOUND = """
create table customers (id bigint generated always as identity primary key, name text not null);
create table orders (
  id bigint generated always as identity primary key, customer_id bigint not null references customers, note text);
create index on orders (customer_id);
insert into customers (name) select 'customer ' || n from generate_series(1, 2000) n;
insert into orders (customer_id, note) select 1 + n % 2000, 'note ' || n from generate_series(1, 20000) n;
create sequence tickets;
"""

UNSOUND = """
create table orders (id integer primary key, customer_id integer, note text) with (autovacuum_enabled = off);
insert into orders select n, n % 1000, repeat('x', 100) from generate_series(1, 50000) n;
analyze orders;
update orders set note = note || 'y';
update orders set note = note || 'z';
create index never_used on orders (note);
create index by_customer on orders (customer_id);
create index by_customer_again on orders (customer_id);
create index by_customer_and_id on orders (customer_id, id);
create index broken on orders (id, note);
update pg_index set indisvalid = false where indexrelid = 'broken'::regclass;
create table keyless (id integer);
create table shrunk (id integer primary key);
insert into shrunk select generate_series(1, 460000);
delete from shrunk where id % 50 <> 0;
alter table orders add constraint positive check (id > 0) not valid;
create table numbered (id serial primary key);
select setval('numbered_id_seq', 2000000000);
"""
WIDE = """
create table wide (id integer, filler text) with (fillfactor = 10);
insert into wide select n, repeat('x', 700) from generate_series(1, 2000) n;
"""
FLUSH = "select pg_stat_force_next_flush()"
READ_OFTEN = "do $$ begin for n in 1..60 loop perform * from orders where id = n; end loop; end $$"


@pytest.fixture(scope="module", params=["postgres", "system_postgres"])
def server(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def sound(server: EmbeddedPostgres, new_database: NewDatabase) -> Iterator[str]:
    with new_database(server, SOUND, "analyze") as dsn:
        yield dsn


@pytest.fixture(scope="module")
def unsound(server: EmbeddedPostgres, new_database: NewDatabase) -> Iterator[str]:
    with new_database(server, UNSOUND, "vacuum shrunk", "analyze shrunk") as dsn:
        yield dsn


@pytest.fixture
def empty(server: EmbeddedPostgres, new_database: NewDatabase) -> Iterator[str]:
    with new_database(server) as dsn:
        yield dsn


def as_role(dsn: str, role: str) -> str:
    return dsn.replace("postgres@", f"{role}@", 1)


async def problems(
    dsn: str, *names: str, role: str = "monitor", long_s: float = 60, many_blocks: int = 1_000_000
) -> list[Problem]:
    database = Database(as_role(dsn, role))
    try:
        return await health.problems(database, names, long_s=long_s, many_blocks=many_blocks)
    finally:
        await database.close()


@asynccontextmanager
async def session(dsn: str) -> AsyncGenerator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


def summaries(found: list[Problem]) -> dict[str, str]:
    return {problem.object: problem.severity for problem in found}


async def test_a_sound_database_has_no_problems(sound: str) -> None:
    assert await problems(sound) == []


async def test_rows_updated_again_and_again_leave_bloat(unsound: str) -> None:
    found = {problem.object: problem.fix for problem in await problems(unsound, "bloat")}
    assert found["public.orders"].startswith("VACUUM (ANALYZE) public.orders;")


async def test_an_index_that_lost_most_of_its_entries_is_bloated_and_no_other_is(unsound: str) -> None:
    found = {problem.object: problem.fix for problem in await problems(unsound, "bloat")}
    assert found["public.shrunk_pkey"] == "REINDEX INDEX CONCURRENTLY public.shrunk_pkey;"
    assert found.keys() == {"public.orders", "public.shrunk", "public.shrunk_pkey"}


async def test_duplicate_redundant_and_invalid_indexes_are_found_and_the_kept_one_is_not(unsound: str) -> None:
    found = summaries([problem for problem in await problems(unsound, "indexes") if "never" not in problem.what])
    assert found == {
        "public.broken": "warning",
        "public.by_customer": "info",
        "public.by_customer_again": "warning",
    }


async def test_an_index_nobody_used_is_found_once_its_table_was_read(unsound: str) -> None:
    async with session(unsound) as admin:
        await admin.execute(READ_OFTEN)
        await admin.execute(FLUSH)
    found = [problem.object for problem in await problems(unsound, "indexes") if "never used" in problem.what]
    assert "public.never_used" in found


async def test_a_sequence_that_nears_the_end_of_its_column_is_critical(unsound: str) -> None:
    (problem,) = await problems(unsound, "sequences")
    assert (problem.object, problem.severity) == ("public.numbered_id_seq", "critical")
    assert "ALTER TABLE numbered ALTER COLUMN id TYPE bigint" in problem.fix


async def test_constraints_never_validated_and_tables_without_a_key_are_found(unsound: str) -> None:
    assert summaries(await problems(unsound, "constraints")) == {"public.orders": "warning", "public.keyless": "info"}


async def test_statistics_older_than_the_data_are_found(unsound: str) -> None:
    async with session(unsound) as admin:
        await admin.execute(FLUSH)
    assert summaries(await problems(unsound, "statistics")) == {"public.orders": "warning"}


async def test_a_blocked_session_is_found_with_the_one_that_blocks_it(sound: str) -> None:
    async with session(sound) as holder, session(sound) as waiter:
        await holder.execute("begin; lock table orders")
        blocked = asyncio.create_task(waiter.execute("begin; lock table orders"))
        try:
            found: list[Problem] = []
            async with asyncio.timeout(60):
                while not found:
                    found = await problems(sound, "locks")
        finally:
            await holder.execute("rollback")
            await asyncio.gather(blocked, return_exceptions=True)
    (problem,) = found
    assert problem.object == f"session {waiter.get_server_pid()}"
    assert f"on orders, held by session {holder.get_server_pid()}" in problem.what


async def test_an_idle_transaction_is_found_when_it_is_long(sound: str) -> None:
    async with session(sound) as idle:
        await idle.execute("begin")
        found = [problem.object for problem in await problems(sound, "connections", long_s=0)]
        assert await problems(sound, "connections", long_s=3600) == []
        assert f"session {idle.get_server_pid()}" in found


async def test_a_transaction_that_runs_long_is_found(sound: str) -> None:
    async with session(sound) as busy:
        running = asyncio.create_task(busy.execute("select pg_sleep(60)"))
        try:
            found: dict[str, str] = {}
            async with asyncio.timeout(60):
                while f"session {busy.get_server_pid()}" not in found:
                    found = {p.object: p.what for p in await problems(sound, "connections", long_s=0)}
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert "runs a transaction" in found[f"session {busy.get_server_pid()}"]


@pytest.mark.slow
async def test_connections_that_run_out_are_found(sound: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(245):
            await stack.enter_async_context(session(sound))
        found = {p.object: p.what for p in await problems(sound, "connections")}
    assert "of 300 are in use" in found["connections"]


async def test_a_table_whose_transaction_ids_run_out_is_critical(sound: str) -> None:
    old = "((4294967296 + txid_current() - 1600000000) % 4294967296)::text::xid"
    async with session(sound) as admin:
        await admin.execute("create table aged (id integer primary key)")
        try:
            await admin.execute(f"update pg_class set relfrozenxid = {old} where relname = 'aged'")
            (problem,) = await problems(sound, "wraparound")
        finally:
            await admin.execute("drop table aged")
    assert (problem.object, problem.severity) == ("public.aged", "critical")
    assert problem.fix == "VACUUM (FREEZE) public.aged;"


async def test_a_cache_that_misses_is_found_once_enough_was_read(empty: str) -> None:
    async with session(empty) as admin:
        # None of a table that was rewritten is cached.
        for sql in (WIDE, "vacuum (full) wide", FLUSH, "select pg_stat_reset()", "select count(*) from wide", FLUSH):
            await admin.execute(sql)
    assert await problems(empty, "cache") == []
    assert summaries(await problems(empty, "cache", many_blocks=1_000)) == {"cache": "warning"}


async def test_a_slot_that_nobody_reads_is_found(sound: str) -> None:
    async with session(sound) as admin:
        await admin.execute("select pg_create_physical_replication_slot('forgotten', true)")
        try:
            found = summaries(await problems(sound, "replication"))
        finally:
            await admin.execute("select pg_drop_replication_slot('forgotten')")
    assert found == {"slot forgotten": "warning"}


async def test_what_a_role_may_not_see_is_counted(sound: str) -> None:
    database = Database(as_role(sound, "stranger"))
    try:
        hidden = await health.hidden(database)
    finally:
        await database.close()
    assert hidden["tables (need SELECT)"] == 2


async def test_a_role_without_privileges_gets_an_answer_from_every_check(unsound: str) -> None:
    found = await problems(unsound, role="stranger")
    assert "not checked" not in {problem.severity for problem in found}


async def test_a_check_that_is_forbidden_is_said_not_raised(sound: str) -> None:
    async with session(sound) as admin:
        await admin.execute("revoke select on pg_catalog.pg_stats from public")
    found = await problems(sound, "bloat", role="stranger")
    assert [problem.severity for problem in found] == ["not checked"] * 2
