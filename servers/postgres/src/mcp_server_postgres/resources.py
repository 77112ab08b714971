"""Schemas and tables as resources: what a person attaches to a conversation."""

from collections.abc import AsyncGenerator, Iterable, Mapping

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound
from mcp_server_shared.output import Document, compact

from mcp_server_postgres import schemas
from mcp_server_postgres.database import Database
from mcp_server_postgres.schemas import DatabaseObject, Part

_MOST_COMPLETIONS = 101  # one more than a client is shown, so that it learns there are more
_MOST_OBJECTS = 2_000


async def table(call: Call[Database], schema: str, table: str) -> Document:
    """Columns, keys, references, indexes, triggers, policies and value statistics of one table or view."""
    return described(await schemas.describe_table(call.state, schema, table), call.state)


async def schema(call: Call[Database], schema: str) -> Document:
    """Tables, views, functions and types of one schema, with comments."""
    return await overview(call.state, schema)


async def overview(database: Database, schema: str) -> Document:
    """Write a schema down: a line an object, each a JSON array.

    Raises:
        NotFound: there is no schema of that name; the hint has some that there are.
    """
    kinds = [kind for kind in schemas.OBJECT_KINDS if kind not in {"index", "sequence"}]
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


async def watch_schema(database: Database, schema: str) -> AsyncGenerator[None]:
    """Yield when something in the schema has changed."""
    async for _ in schemas.schema_changes(database, schema):
        yield


async def watch_table(database: Database, schema: str, table: str) -> AsyncGenerator[None]:
    """Yield when something in the table's schema has changed: a neighbour may refer to it now."""
    async for _ in schemas.schema_changes(database, schema):
        yield


async def complete_schema(call: Call[Database], value: str, others: Mapping[str, str]) -> list[str]:
    """Return schemas that begin so."""
    return await schemas.schema_names(call.state, value, _MOST_COMPLETIONS)


async def complete_table(call: Call[Database], value: str, others: Mapping[str, str]) -> list[str]:
    """Return tables and views that begin so, in the schema already chosen."""
    return await schemas.table_names(call.state, value, _MOST_COMPLETIONS, schema=others.get("schema"))
