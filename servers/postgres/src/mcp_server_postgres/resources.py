"""Schemas and tables as resources: what a person attaches to a conversation."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from urllib.parse import quote

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound
from mcp_server_shared.output import Document, compact

from mcp_server_postgres import schemas
from mcp_server_postgres.database import Database
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.schemas import DatabaseObject, Part

_MOST_COMPLETIONS = 101  # one more than a client is shown, so that it learns there are more
_MOST_OBJECTS = 2_000


def address(database: str, *names: str) -> str:
    """Return the address of a schema, or of a table in one, as the templates read it; any name may be in it."""
    return f"postgres://{database}/" + "/".join(quote(name, safe="") for name in names)


async def table(call: Call[Databases], schema: str, table: str, database: str = "") -> Document:
    """Columns, keys, references, indexes, triggers, policies and value statistics of one table or view."""
    chosen = call.state[database]
    return described(await schemas.describe_table(chosen, schema, table), chosen)


async def schema(call: Call[Databases], schema: str, database: str = "") -> Document:
    """Tables, views, functions and types of one schema, with comments."""
    return await overview(call.state[database], schema)


async def overview(database: Database, schema: str) -> Document:
    """Write a schema down: a line an object, each a JSON array.

    Raises:
        NotFound: there is no schema of that name; the hint has some that there are.
    """
    kinds = [kind for kind in schemas.OBJECT_KINDS if kind not in {"index", "sequence", "column"}]
    found = await schemas.search_objects(database, kinds=kinds, schema=schema, limit=_MOST_OBJECTS + 1)
    if not found and schema not in await schemas.schema_names(database, schema, _MOST_COMPLETIONS):
        known = ", ".join(await schemas.schema_names(database, "", 10))
        raise NotFound(f"There is no schema {schema}.", untrusted=f"There is: {known}.")
    lines = ["[name, kind, estimated_rows, comment]", *(_line(thing) for thing in found[:_MOST_OBJECTS])]
    more = {"truncated": True} if len(found) > _MOST_OBJECTS else {}
    return Document(text="\n".join(lines), facts=database.role_facts | {"objects": len(lines) - 1} | more)


def _line(thing: DatabaseObject) -> str:
    return compact([thing.name, thing.kind, thing.estimated_rows, thing.comment])


def described(parts: Iterable[Part], database: Database) -> Document:
    """Write a table down: each part's name and fields, then a line a row, each a JSON array."""
    lines = [line for part in parts for line in (f"{part.name} [{', '.join(part.fields)}]", *map(compact, part.rows))]
    return Document(text="\n".join(lines), facts=database.role_facts)


async def watch_schema(databases: Databases, schema: str, database: str = "") -> AsyncGenerator[None]:
    """Yield when something in the schema has changed."""
    async for _ in schemas.schema_changes(databases[database], schema):
        yield


async def watch_table(databases: Databases, schema: str, table: str, database: str = "") -> AsyncGenerator[None]:
    """Yield when something in the table's schema has changed: a neighbour may refer to it now."""
    async for _ in schemas.schema_changes(databases[database], schema):
        yield


async def complete_database(call: Call[Databases], value: str, others: Mapping[str, str]) -> list[str]:
    """Return databases that begin so."""
    return [name for name in call.state if name.startswith(value)]


async def complete_schema(call: Call[Databases], value: str, others: Mapping[str, str]) -> list[str]:
    """Return schemas that begin so, in the database already chosen."""
    chosen = _chosen(call.state, others)
    return await schemas.schema_names(chosen, value, _MOST_COMPLETIONS) if chosen else []


async def complete_table(call: Call[Databases], value: str, others: Mapping[str, str]) -> list[str]:
    """Return tables and views that begin so, in the database and schema already chosen."""
    chosen = _chosen(call.state, others)
    return await schemas.table_names(chosen, value, _MOST_COMPLETIONS, schema=others.get("schema")) if chosen else []


def _chosen(databases: Databases, others: Mapping[str, str]) -> Database | None:
    """Return the only database, or the one that was chosen; None before that."""
    return databases[others.get("database", "")] if "database" in others or len(databases) == 1 else None
