"""What the catalog says, against a real PostgreSQL."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import asyncpg
import pytest
from mcp_server_postgres.catalog_queries import FINGERPRINT
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.schemas import (
    describe_table,
    join_paths,
    list_schemas,
    schema_changes,
    schema_names,
    search_objects,
    table_names,
)
from mcp_server_shared import errors

pytestmark = pytest.mark.anyio

NewDatabase = Callable[..., AbstractContextManager[str]]

SCHEMA = "shop"

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
create table parcels (id integer primary key, order_id bigint references orders);
create table visits (place text not null, at integer not null, remark text);
create trigger unchanged before update on visits for each row execute function suppress_redundant_updates_trigger();
create policy own on visits using (place = 'Lisbon');
insert into visits select case when n % 4 = 0 then 'Osaka' else 'Lisbon' end, n from generate_series(1, 100) n;
insert into customers values (1, 'Ada'), (2, 'Bob');
insert into orders (customer_id, total) values (1, 10), (2, 20);
analyze customers; analyze visits;
"""


@pytest.fixture(scope="module")
def shop(postgres: EmbeddedPostgres, new_database: NewDatabase) -> Iterator[str]:
    with new_database(postgres, SETUP.format(schema=SCHEMA)) as dsn:
        yield dsn


@pytest.fixture
def schema() -> str:
    return SCHEMA


@pytest.fixture
async def database(shop: str) -> AsyncGenerator[Database]:
    database = Database(shop.replace("postgres@", "everyone_reads@"))
    yield database
    await database.close()


async def test_objects_of_every_kind_are_found(database: Database, schema: str) -> None:
    found = {(o.name, o.kind) for o in await search_objects(database, schema=schema)}
    assert found >= {
        ("orders", "table"),
        ("rich", "view"),
        ("totals", "materialized_view"),
        ("orders_by_customer", "index"),
        ("tickets", "sequence"),
        ("double_of(integer)", "function"),
        ("mood", "type"),
        ("pair", "type"),
        ("positive", "type"),
    }
    assert not any(name in {"_mood", "orders"} and kind == "type" for name, kind in found)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("CUSTOM", ["customers", "customers_pkey", "orders_by_customer"]),
        ("custom*", ["customers", "customers_pkey"]),
        ("order?", ["orders"]),
        ("%", []),
        ("a_b", []),
    ],
)
async def test_a_pattern_is_a_substring_or_a_glob(
    database: Database, schema: str, pattern: str, names: list[str]
) -> None:
    assert [o.name for o in await search_objects(database, pattern, schema=schema)] == names


async def test_a_pattern_with_a_dot_includes_the_schema(database: Database, schema: str) -> None:
    assert [o.name for o in await search_objects(database, f"{schema}.order", kinds=["table"])] == ["orders"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("_id", ["orders.customer_id", "parcels.order_id", "rich.customer_id"]),
        ("tot?l", ["orders.total", "rich.total", "totals.total"]),
        ("customers", []),
        ("orders.tot", ["orders.total"]),
        ("shop.orders.*ed", ["orders.doubled"]),
    ],
)
async def test_columns_are_found_by_their_own_name_or_with_that_of_the_table(
    database: Database, schema: str, pattern: str, names: list[str]
) -> None:
    assert [o.name for o in await search_objects(database, pattern, kinds=["column"], schema=schema)] == names


async def test_a_column_has_its_comment_and_type(database: Database, schema: str) -> None:
    (total,) = await search_objects(database, "orders.total", kinds=["column"], schema=schema, details=True)
    assert (total.comment, total.details) == ("With tax", "numeric(10,2)")


async def test_columns_are_there_only_when_asked_for(database: Database, schema: str) -> None:
    assert "column" not in {o.kind for o in await search_objects(database, schema=schema)}
    mixed = await search_objects(database, kinds=["column", "table"], schema=schema, limit=3)
    assert [(o.name, o.kind) for o in mixed] == [
        ("customers", "table"),
        ("customers.id", "column"),
        ("customers.name", "column"),
    ]


async def test_an_object_has_its_comment_and_estimated_rows(database: Database, schema: str) -> None:
    customers, orders, *_ = await search_objects(database, kinds=["table"], schema=schema)
    assert (customers.estimated_rows, orders.comment) == (2, "What was bought")


async def test_pages_of_objects_join_without_gap_or_repeat(database: Database, schema: str) -> None:
    whole = await search_objects(database, schema=schema)
    pages: list[Any] = []
    while page := await search_objects(database, schema=schema, limit=3, after=key_of(pages)):
        pages += page
    assert pages == whole


def key_of(objects: list[Any]) -> tuple[str, str, str] | None:
    return (objects[-1].schema, objects[-1].name, objects[-1].kind) if objects else None


async def test_system_objects_are_found_only_when_asked_for(database: Database) -> None:
    assert await search_objects(database, "pg_class", kinds=["table"]) == []
    assert [o.name for o in await search_objects(database, "pg_class", kinds=["table"], schema="pg_catalog")] == [
        "pg_class"
    ]


async def test_a_table_is_described_in_parts(database: Database, schema: str) -> None:
    found = {part.name: part.rows for part in await describe_table(database, schema, "orders")}
    assert found["columns"] == [
        ["id", "bigint", False, "generated as identity", None],
        ["customer_id", "integer", False, None, None],
        ["total", "numeric(10,2)", False, None, "With tax"],
        ["doubled", "numeric", True, "generated always as ((total * (2)::numeric))", None],
    ]
    assert [row[:2] for row in found["constraints"]] == [
        ["orders_pkey", "PRIMARY KEY (id)"],
        ["orders_customer_id_fkey", f"FOREIGN KEY (customer_id) REFERENCES {schema}.customers(id)"],
    ]
    assert [row[0] for row in found["indexes"]] == ["orders_by_customer", "orders_pkey"]
    assert found.keys() == {"table", "columns", "constraints", "referenced_by", "indexes"}


async def test_a_description_tells_who_refers_to_the_table(database: Database, schema: str) -> None:
    found = {part.name: part.rows for part in await describe_table(database, schema, "customers")}
    assert found["referenced_by"] == [
        [f"{schema}.orders", f"FOREIGN KEY (customer_id) REFERENCES {schema}.customers(id)"]
    ]


async def test_values_are_profiled_from_statistics(database: Database, schema: str) -> None:
    found = {part.name: part.rows for part in await describe_table(database, schema, "visits")}
    assert found["statistics"] == [
        ["place", 0, 2, [["Lisbon", 0.75], ["Osaka", 0.25]], None, None],
        ["at", 0, 100, None, "1", "100"],
        ["remark", 1, 0, None, None, None],
    ]


async def test_statistics_of_what_a_role_may_not_read_are_not_shown(shop: str, schema: str) -> None:
    database = Database(shop.replace("postgres@", "stranger@"))
    try:
        found = {part.name for part in await describe_table(database, schema, "visits")}
    finally:
        await database.close()
    assert found == {"table", "columns", "triggers", "policies"}


async def test_triggers_and_policies_are_described(database: Database, schema: str) -> None:
    found = {part.name: part.rows for part in await describe_table(database, schema, "visits")}
    assert found["triggers"] == [
        [
            "unchanged",
            f"CREATE TRIGGER unchanged BEFORE UPDATE ON {schema}.visits FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            True,
        ]
    ]
    assert found["policies"] == [["own", "PERMISSIVE", ["public"], "ALL", "(place = 'Lisbon'::text)", None]]


async def test_a_view_is_described_with_its_definition(database: Database, schema: str) -> None:
    found = {part.name: part.rows for part in await describe_table(database, schema, "rich")}
    assert (found.keys(), len(found["columns"])) == ({"table", "definition", "columns"}, 4)
    assert "total > 100" in str(found["definition"][-1])


async def test_join_paths_go_along_foreign_keys_in_both_directions(database: Database, schema: str) -> None:
    paths = await join_paths(database, (schema, "customers"), (schema, "parcels"))
    assert [[str(join) for join in path] for path in paths] == [
        [
            f"{schema}.customers JOIN {schema}.orders ON {schema}.customers.id = {schema}.orders.customer_id",
            f"{schema}.orders JOIN {schema}.parcels ON {schema}.orders.id = {schema}.parcels.order_id",
        ]
    ]


async def test_tables_that_nothing_joins_have_no_path(database: Database, schema: str) -> None:
    assert await join_paths(database, (schema, "customers"), (schema, "visits")) == []


async def test_a_table_to_join_to_that_is_not_there_is_told_with_the_near_ones(database: Database, schema: str) -> None:
    with pytest.raises(errors.NotFound, match=f"no table or view {schema}.parcel\\.") as caught:
        await join_paths(database, (schema, "customers"), (schema, "parcel"))
    assert f"{schema}.parcels" in caught.value.hint


async def test_details_say_what_an_object_is_made_of(database: Database, schema: str) -> None:
    found = {o.name: o.details for o in await search_objects(database, schema=schema, details=True)}
    assert found["customers"] == {"id": "integer", "name": "text", "nick": "text"}
    assert found["mood"] == ["sad", "happy"]
    assert found["positive"] == "integer"
    assert found["pair"] == {"a": "integer", "b": "text"}
    assert (
        found["orders_by_customer"] == f"CREATE INDEX orders_by_customer ON {schema}.orders USING btree (customer_id)"
    )
    assert found["double_of(integer)"] == {
        "arguments": "n integer",
        "returns": "integer",
        "language": "sql",
        "volatility": "immutable",
    }


async def test_schemas_are_listed_with_what_is_in_them(database: Database, schema: str) -> None:
    rows = {str(name): (owner, *counts) for name, owner, *counts in await list_schemas(database)}
    assert rows[schema][:4] == ("postgres", 4, 2, 1)
    assert "pg_catalog" not in rows
    assert "pg_catalog" in {str(row[0]) for row in await list_schemas(database, system=True)}


async def test_a_changed_schema_is_noticed(database: Database, shop: str) -> None:
    connection = await asyncpg.connect(shop)
    await connection.execute("create schema watched; create table watched.t (id integer)")
    noticed = asyncio.create_task(anext(schema_changes(database, "watched", interval_s=0)))
    try:
        async with asyncio.timeout(60):
            number = 0
            while not noticed.done():  # the first look may come after a change
                number += 1
                await connection.execute(f"alter table watched.t add column c{number} text")
    finally:
        noticed.cancel()
        await asyncio.gather(noticed, return_exceptions=True)
        await connection.execute("drop schema watched cascade")
        await connection.close()


@pytest.mark.parametrize(
    ("statement", "is_change"),
    [
        ("insert into seen.t values (1)", False),
        ("analyze seen.t", False),
        ("alter table seen.t alter column id type bigint", True),
        ("alter table seen.t alter column id set default 1", True),
        ("create index on seen.t (id)", True),
        ("comment on table seen.t is 'a table'", True),
        ("create function seen.f() returns integer language sql as 'select 1'", True),
        ("drop table seen.t", True),
    ],
)
async def test_the_fingerprint_of_a_schema_changes_with_it_alone(
    database: Database, shop: str, statement: str, *, is_change: bool
) -> None:
    connection = await asyncpg.connect(shop)
    await connection.execute("create schema seen; create table seen.t (id integer)")
    try:
        before = await database.catalog(FINGERPRINT, ["seen"])
        await connection.execute(statement)
        assert (await database.catalog(FINGERPRINT, ["seen"]) != before) is is_change
    finally:
        await connection.execute("drop schema seen cascade")
        await connection.close()


async def test_a_missing_table_suggests_the_near_ones(database: Database, schema: str) -> None:
    with pytest.raises(errors.NotFound, match=r"no table or view public\.orderz") as caught:
        await describe_table(database, "public", "orderz")
    assert f"{schema}.orders" in caught.value.hint


async def test_table_names_complete_within_a_schema(database: Database, schema: str) -> None:
    assert await table_names(database, "or", 10, schema=schema) == ["orders"]
    assert await table_names(database, "", 2, schema=schema) == ["customers", "orders"]
    assert await table_names(database, "o%", 10, schema=schema) == []


async def test_schema_names_complete(database: Database, schema: str) -> None:
    assert await schema_names(database, schema, 10) == [schema]
