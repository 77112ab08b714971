"""Masked columns: nothing runs while the login role can read one, whatever the way."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.privileges import RoleAudit
from mcp_server_postgres.settings import Settings
from mcp_server_shared import errors
from mcp_server_shared.catalog import Finding
from mcp_server_shared.settings import SettingsProblem

SETUP = """
create table people (id int, name text, "E mail" text);
insert into people values (1, 'Ann', 'ann@shop.example');
create table customers (since date) inherits (people);
create view contacts as select "E mail" from people;
grant select (id, name) on people to stranger;
"""
EMAIL = 'public.people."E mail"'


@pytest.fixture(scope="module")
def database_url(postgres: EmbeddedPostgres, new_database: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    with new_database(postgres, SETUP) as dsn:
        yield dsn


def query(dsn: str, role: str, sql: str, *masks: str, override: bool = False) -> object:
    async def run() -> object:
        audit = RoleAudit(writes=False, override=override, masks=masks)
        database = Database(dsn.replace("postgres@", f"{role}@"), audit=audit)
        try:
            return (await database.query(sql)).rows
        finally:
            await database.close()

    return asyncio.run(run())


def test_a_role_that_cannot_read_the_column_reads_the_others(database_url: str) -> None:
    assert query(database_url, "stranger", "select id, name from people", EMAIL) == [[1, "Ann"]]


@pytest.mark.parametrize("sql", ['select "E mail" from people', "table people", "select p from people p"])
def test_the_database_itself_keeps_the_column(database_url: str, sql: str) -> None:
    with pytest.raises(errors.PermissionDenied):
        query(database_url, "stranger", sql, EMAIL)


@pytest.mark.parametrize(("role", "override"), [("everyone_reads", False), ("postgres", True)])
def test_nothing_runs_for_a_role_that_can_read_the_column(
    database_url: str,
    role: str,
    override: bool,  # noqa: FBT001
) -> None:
    with pytest.raises(errors.PermissionDenied) as refused:
        query(database_url, role, "select 1", EMAIL, override=override)
    assert refused.value.untrusted.endswith("in public.people beside id, name")


def test_a_column_that_can_be_read_in_a_table_that_inherits_it_is_no_secret(
    database_url: str, new_database: Callable[..., AbstractContextManager[str]], postgres: EmbeddedPostgres
) -> None:
    made = new_database(postgres, SETUP + "grant select on customers to stranger")
    with made as dsn, pytest.raises(errors.PermissionDenied, match="--mask"):
        query(dsn, "stranger", "select 1", EMAIL)


def test_a_mask_of_no_column_is_told(database_url: str) -> None:
    with pytest.raises(errors.PermissionDenied, match="does not exist"):
        query(database_url, "stranger", "select 1", "public.people.phone")


def test_check_names_views_that_use_the_column(
    new_database: Callable[..., AbstractContextManager[str]], postgres: EmbeddedPostgres
) -> None:
    async def findings(dsn: str) -> list[Finding]:
        audit = RoleAudit(writes=False, override=False, masks=[EMAIL])
        database = Database(dsn.replace("postgres@", "stranger@"), audit=audit)
        try:
            return await audit.findings(database)
        finally:
            await database.close()

    with new_database(postgres, SETUP + "grant select on contacts to stranger") as dsn:
        assert "public.contacts" in asyncio.run(findings(dsn))[-1].text


@pytest.mark.parametrize("mask", ["people", "public.people", "a.b.c.d", "a.b.c; select 1", ""])
def test_a_mask_that_is_no_column_is_refused_at_the_start(mask: str) -> None:
    with pytest.raises(SettingsProblem, match=r"schema\.table\.column"):
        Settings.load([f"--mask={mask}"], {})
