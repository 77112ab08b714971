"""Statements that change a database: committed whole or not at all, rehearsed, and never twice."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from mcp_server_postgres import writing
from mcp_server_postgres.database import Database
from mcp_server_postgres.results import Limits, QueryResult
from mcp_server_postgres.sql_errors import CommitInDoubt
from mcp_server_postgres.writing import Migration
from mcp_server_shared import errors

pytestmark = pytest.mark.anyio


def says(pattern: str) -> Callable[[errors.ExpectedError], bool]:
    """Return whether an error has this in its text."""
    return lambda error: re.search(pattern, error.text(), re.DOTALL) is not None


SETUP = """
create table items (id int primary key, name text);
insert into items select n, 'item ' || n from generate_series(1, 500) n;
create table checked (id int unique deferrable initially deferred);
insert into checked values (1);
create sequence tickets;
create function add_item(n int) returns int language sql volatile as 'insert into items values ($1, null) returning id';
"""


@pytest.fixture
async def admin(database_url: str) -> AsyncGenerator[Any]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(SETUP)
    yield connection
    await connection.close()


@pytest.fixture
async def database(database_url: str, admin: Any) -> AsyncGenerator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def execute(database: Database, sql: str, *params: Any, **options: Any) -> QueryResult:
    settings: dict[str, Any] = {"dry_run": False, "limits": Limits(10, 100, 1000), "timeout_s": 20.0}
    return await writing.execute(database, sql, params, **(settings | options))


async def migrate(database: Database, sql: str, **options: Any) -> Migration:
    settings: dict[str, Any] = {"dry_run": False, "lock_timeout_s": 5.0, "timeout_s": 20.0}
    return await writing.apply_migration(database, sql, **(settings | options))


async def count(admin: Any, what: str = "items") -> int:
    return await admin.fetchval(f"select count(*) from {what}")


# One statement


async def test_a_change_is_committed_and_counted(database: Database, admin: Any) -> None:
    assert (await execute(database, "delete from items where id > $1", 400)).tag == "DELETE 100"
    assert await count(admin) == 400


async def test_a_rehearsal_counts_and_changes_nothing(database: Database, admin: Any) -> None:
    assert (await execute(database, "delete from items", dry_run=True)).tag == "DELETE 500"
    assert await count(admin) == 500


async def test_rows_that_are_returned_are_capped_and_all_are_changed(database: Database, admin: Any) -> None:
    result = await execute(database, "update items set name = 'x' returning id")
    assert (len(result.rows), result.truncated, result.tag) == (10, True, "UPDATE 500")
    assert await count(admin, "items where name = 'x'") == 500


async def test_a_query_that_calls_functions_runs_to_its_end(database: Database, admin: Any) -> None:
    await execute(database, "select add_item(1000 + n) from generate_series(1, 200) n")
    assert await count(admin) == 700


async def test_ddl_is_committed(database: Database, admin: Any) -> None:
    assert (await execute(database, "create table made (id int)")).tag == "CREATE TABLE"
    assert await count(admin, "made") == 0


async def test_a_failed_statement_changes_nothing(database: Database, admin: Any) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("22012")):
        await execute(database, "update items set name = (1 / (id - 250))::text")
    assert await count(admin, "items where id = 250") == 1


async def test_a_constraint_that_fails_at_the_commit_is_an_error_without_doubt(database: Database, admin: Any) -> None:
    with pytest.raises(errors.Conflict, check=says("23505")):
        await execute(database, "insert into checked values (1)")
    assert await count(admin, "checked") == 1


@pytest.mark.parametrize("sql", ["commit", "begin", "rollback", "savepoint a", "set transaction read only"])
async def test_transaction_control_is_refused(database: Database, sql: str) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("one transaction")):
        await execute(database, sql)


async def test_several_statements_are_refused(database: Database, admin: Any) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("one statement at a time")):
        await execute(database, "delete from items where false; delete from items")
    assert await count(admin) == 500


@pytest.mark.parametrize("sql", ["vacuum items", "create index concurrently on items (name)", "create database other"])
async def test_what_cannot_run_in_a_transaction_is_refused_with_advice(database: Database, sql: str) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("25001")) as refused:
        await execute(database, sql)
    assert "psql" in refused.value.hint


async def test_a_role_that_reads_only_by_default_writes_all_the_same_when_asked_to(
    database_url: str, admin: Any
) -> None:
    database = Database(f"{database_url}&default_transaction_read_only=on")
    assert (await execute(database, "delete from items")).tag == "DELETE 500"
    await database.close()


async def test_reading_stays_read_only_beside_writing(database: Database, admin: Any) -> None:
    await execute(database, "delete from items where id = 1")
    with pytest.raises(errors.PermissionDenied, check=says("25006")):
        await database.query("delete from items")


async def test_nothing_of_a_writing_session_reaches_the_next_call(database_url: str, admin: Any) -> None:
    database = Database(database_url, pool_size=1)
    await execute(database, "set work_mem = '64kB'")
    assert (await database.query("select current_setting('work_mem') <> '64kB'")).rows == [[True]]
    await database.close()


async def test_too_little_time_changes_nothing_and_says_so(database: Database, admin: Any) -> None:
    await database.query("select 1")  # to connect takes time, too
    with pytest.raises(errors.DeadlineExceeded, check=says("Nothing was changed")):
        await execute(database, "with gone as (delete from items) select pg_sleep(60)", timeout_s=0.5)
    assert await count(admin) == 500


async def test_a_cancelled_call_changes_nothing(database: Database, admin: Any) -> None:
    task = asyncio.create_task(execute(database, "with gone as (delete from items) select pg_sleep(60), 'cancelled'"))
    running = "select count(*) from pg_stat_activity where query like '%''cancelled''%' and pid <> pg_backend_pid()"
    async with asyncio.timeout(60):
        while not await admin.fetchval(running):  # noqa: ASYNC110 (another process to wait for)
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with admin.transaction():
        await admin.execute("lock table items")
    assert await count(admin) == 500


async def test_a_connection_lost_before_the_commit_changes_nothing_and_says_so(database: Database, admin: Any) -> None:
    with pytest.raises(errors.Unavailable, check=says("Nothing was changed")):
        await execute(database, "with gone as (delete from items) select pg_terminate_backend(pg_backend_pid())")
    assert await count(admin) == 500


class Wire:
    """Between client and server: cuts the line when it sees a text go by, before or after it arrives."""

    def __init__(self, socket: str, text: bytes, *, arrives: bool) -> None:
        self.seen = 0
        self._socket, self._text, self._arrives = socket, text, arrives

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_unix_connection(self._socket)
        back = asyncio.create_task(self._copy(upstream_reader, writer))
        while data := await reader.read(65536):
            if self._text in data:
                self.seen += 1
                if self._arrives:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    upstream.write(data)
                    await upstream_reader.read(1)
                break
            upstream.write(data)
        back.cancel()
        writer.close()
        upstream.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)


@pytest.mark.parametrize(("arrives", "left", "status"), [(True, 0, "committed"), (False, 500, "aborted")])
async def test_a_connection_lost_at_the_commit_is_a_doubt_that_the_server_can_settle(
    database_url: str,
    admin: Any,
    tmp_path: Any,
    arrives: bool,  # noqa: FBT001
    left: int,
    status: str,
) -> None:
    host = database_url.rpartition("host=")[2].partition("&")[0]
    wire = Wire(f"{host}/.s.PGSQL.5432", b"COMMIT", arrives=arrives)
    async with await asyncio.start_unix_server(wire.serve, tmp_path / ".s.PGSQL.5432"):
        database = Database(database_url.replace(host, quote(str(tmp_path), safe="")))
        with pytest.raises(CommitInDoubt, check=says("unknown whether")) as doubt:
            await execute(database, "delete from items")
        await database.close()
    question = doubt.value.hint.partition("query: ")[2].partition(", which")[0]
    async with asyncio.timeout(60):
        while (found := await admin.fetchval(question)) == "in progress":  # noqa: ASYNC110 (another process)
            await asyncio.sleep(0)
    assert (found, await count(admin), wire.seen) == (status, left, 1)
    assert doubt.value.retryable is False


# Migrations


async def test_a_migration_applies_all_statements_and_says_what_each_did(database: Database, admin: Any) -> None:
    done = await migrate(
        database,
        "alter table items add column price numeric; update items set price = 1; -- that is all\n"
        "create function f() returns int language plpgsql as $$ begin return 1; end $$;",
    )
    assert [step.tag for step in done.steps] == ["ALTER TABLE", "UPDATE 500", "CREATE FUNCTION"]
    assert await count(admin, "items where price = 1 and f() = 1") == 500


async def test_a_migration_says_which_tables_it_locked_and_how(database: Database) -> None:
    done = await migrate(database, "alter table items add column price numeric; drop table checked", dry_run=True)
    assert done.locks == [("a dropped relation", "AccessExclusiveLock"), ("public.items", "AccessExclusiveLock")]


async def test_a_migration_that_fails_applies_nothing_and_names_the_statement(database: Database, admin: Any) -> None:
    with pytest.raises(errors.NotFound, check=says("Statement 2 of 3 failed, so none was applied.*42P01")):
        await migrate(database, "delete from items; delete from itemz; delete from items")
    assert await count(admin) == 500


async def test_a_rehearsed_migration_leaves_no_trace(database: Database, admin: Any) -> None:
    await migrate(database, "delete from items; drop table checked", dry_run=True)
    assert (await count(admin), await count(admin, "checked")) == (500, 1)


async def test_a_migration_waits_for_a_lock_no_longer_than_told(database: Database, admin: Any) -> None:
    async with admin.transaction():
        await admin.execute("lock table items in share mode")
        with pytest.raises(errors.Unavailable, check=says("55P03")):
            await migrate(database, "alter table items add column price numeric", lock_timeout_s=0.1)


@pytest.mark.parametrize("script", ["begin; delete from items; commit", "delete from items; rollback"])
async def test_a_migration_that_controls_the_transaction_is_refused_before_it_runs(
    database: Database, admin: Any, script: str
) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("one transaction")):
        await migrate(database, script)
    assert await count(admin) == 500


async def test_a_migration_without_a_statement_is_an_invalid_argument(database: Database) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("no statement")):
        await migrate(database, " ; -- nothing")


async def test_a_body_that_commits_is_refused(database: Database, admin: Any) -> None:
    with pytest.raises(errors.InvalidArgument, check=says("2D000")):
        await execute(database, "do $$ begin delete from items; commit; end $$")
    assert await count(admin) == 500


# Cost


async def test_a_costly_change_is_not_run(database: Database, admin: Any) -> None:
    with pytest.raises(errors.TooLarge, check=says("--max-cost is 1")):
        await execute(database, "delete from items", max_cost=1)
    assert await count(admin) == 500


@pytest.mark.parametrize(
    "sql", ["select * from items i, items j", "explain analyze select * from items i, items j", "(table items)"]
)
async def test_a_costly_query_is_refused_with_its_plan(database: Database, sql: str) -> None:
    with pytest.raises(errors.TooLarge, check=says(r"Seq Scan on items \(")) as refused:
        await database.query(sql, max_cost=1)
    assert "Nothing was run" in refused.value.message


@pytest.mark.parametrize("sql", ["select 1", "show work_mem", "explain select * from items", "select $1::int"])
async def test_a_cheap_statement_or_one_without_a_plan_runs(database: Database, sql: str) -> None:
    params = [1] if "$" in sql else []
    assert (await database.query(sql, params, max_cost=1)).rows


async def test_an_error_in_a_statement_is_the_same_with_and_without_a_gate(database: Database) -> None:
    with pytest.raises(errors.NotFound, check=says("line 1, column 15")) as refused:
        await database.query("select * from itemz", max_cost=1)
    assert "public.items" in refused.value.hint
