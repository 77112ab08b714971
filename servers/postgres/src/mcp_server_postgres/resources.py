"""Tables as resources: what a person attaches to a conversation."""

from collections.abc import Mapping
from dataclasses import astuple

from mcp_server_shared.call import Call
from mcp_server_shared.output import Document, compact

from mcp_server_postgres.database import Database, Table

_MOST_COMPLETIONS = 101  # one more than a client is shown, so that it learns there are more


async def table(call: Call[Database], schema: str, table: str) -> Document:
    """Columns, keys, indexes and comments of one table or view."""
    return describe(await call.state.describe_table(schema, table))


def describe(found: Table) -> Document:
    """Write a table down: a line a column, key or index, each a JSON array."""
    lines = [f"{found.kind} {found.schema}.{found.name}" + (f": {found.comment}" if found.comment else "")]
    lines += ["columns [name, type, nullable, default, comment]", *(compact(astuple(c)) for c in found.columns)]
    if found.primary_key:
        lines += [f"primary key {compact(found.primary_key)}"]
    lines += [
        f"foreign key {compact(key.columns)} references {key.referenced_schema}.{key.referenced_table} "
        f"{compact(key.referenced_columns)}"
        for key in found.foreign_keys
    ]
    lines += [f"index {index.definition}" for index in found.indexes]
    facts = {} if found.estimated_rows is None else {"estimated_rows": found.estimated_rows}
    return Document(text="\n".join(lines), facts=facts)


async def complete_schema(call: Call[Database], value: str, others: Mapping[str, str]) -> list[str]:
    """Return schemas that begin so."""
    return await call.state.schema_names(value, _MOST_COMPLETIONS)


async def complete_table(call: Call[Database], value: str, others: Mapping[str, str]) -> list[str]:
    """Return tables and views that begin so, in the schema already chosen."""
    return await call.state.table_names(value, _MOST_COMPLETIONS, schema=others.get("schema"))
