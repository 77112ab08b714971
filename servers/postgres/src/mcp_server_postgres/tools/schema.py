"""Finding out what is in a database. Names, docstrings, descriptions and error texts are prompts."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records, compact
from pydantic import Field

from mcp_server_postgres import schemas
from mcp_server_postgres.database import Database
from mcp_server_postgres.schemas import Part

ObjectKind = Literal[
    "table",
    "partitioned_table",
    "view",
    "materialized_view",
    "foreign_table",
    "index",
    "sequence",
    "function",
    "procedure",
    "type",
]
_COLUMNS = {
    "names": ["schema", "name", "kind"],
    "summary": ["schema", "name", "kind", "estimated_rows", "comment"],
    "full": ["schema", "name", "kind", "estimated_rows", "comment", "details"],
}
_LINE_CHARACTERS = 400  # of a part of a table's description, so that a page can end within it


async def list_schemas(
    call: Call[Database],
    system: Annotated[bool, Field(description="With the system's.")] = False,  # noqa: FBT002 - named on the wire
) -> Records:
    """List schemas with their owners, sizes and numbers of tables, views and functions."""
    return Records(
        columns=["name", "owner", "tables", "views", "functions", "estimated_bytes", "usable", "comment"],
        rows=await schemas.list_schemas(call.state, system=system),
        facts=call.state.role_facts,
    )


async def search_objects(
    call: Call[Database],
    pattern: Annotated[str, Field(description="Part of a name, or a glob; may be schema.name.", max_length=200)] = "*",
    kinds: Annotated[list[ObjectKind] | None, Field(description="Default: all.")] = None,
    schema: Annotated[str | None, Field(description="Only this schema.", max_length=200)] = None,
    detail: Annotated[
        Literal["names", "summary", "full"], Field(description="full: columns, definitions too.")
    ] = "summary",
    limit: Annotated[int, Field(ge=1, le=1_000, description="Most objects.")] = 100,
    cursor: Annotated[str | None, Field(description="From a truncated result.")] = None,
) -> Records:
    """Find tables, views, functions and other objects by name. Then describe_table."""
    position = call.position(cursor)
    found = await schemas.search_objects(
        call.state,
        pattern,
        kinds=kinds or (),
        schema=schema,
        limit=limit + 1,
        after=position and tuple(position),
        details=detail == "full",
    )
    page = found[:limit]
    columns = _COLUMNS[detail]
    return Records(
        columns=columns,
        rows=[[getattr(thing, column) for column in columns] for thing in page],
        facts=call.state.role_facts,
        more=len(found) > limit,
        resume=lambda kept: [page[kept - 1].schema, page[kept - 1].name, page[kept - 1].kind],
    )


async def describe_table(
    call: Call[Database],
    table: Annotated[str, Field(description="Its name, unqualified.", max_length=200)],
    schema: Annotated[str, Field(description="Its schema.", max_length=200)] = "public",
    join_to: Annotated[
        str | None, Field(description="A table (or schema.table) to find join paths to.", max_length=400)
    ] = None,
    cursor: Annotated[str | None, Field(description="From a truncated result.")] = None,
) -> Records:
    """Describe a table or view: columns, keys, references, indexes, sizes, triggers, policies, value statistics."""
    skipped: int = call.position(cursor) or 0
    parts = await schemas.describe_table(call.state, schema, table)
    rows = [line for part in parts for line in _lines(part)]
    if join_to is not None:
        other_schema, _, other = join_to.rpartition(".")
        paths = await schemas.join_paths(call.state, (schema, table), (other_schema or schema, other))
        rows += [["join_path", ["steps"], [[str(join)] for join in path]] for path in paths]
    return Records(
        columns=["part", "fields", "rows"],
        rows=rows[skipped:],
        facts=call.state.role_facts,
        resume=lambda kept: skipped + kept,
    )


def _lines(part: Part) -> Iterator[list[Any]]:
    """Divide a part into lines of some rows each."""
    lines: list[Any] = []
    characters = 0
    for row in part.rows:
        length = len(compact(row))
        if lines and characters + length > _LINE_CHARACTERS:
            yield [part.name, part.fields, lines]
            lines, characters = [], 0
        lines.append(row)
        characters += length
    yield [part.name, part.fields, lines]
