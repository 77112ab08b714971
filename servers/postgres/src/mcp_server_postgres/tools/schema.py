"""Finding out what is in a database. Names, docstrings, descriptions and error texts are prompts."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records, compact
from pydantic import Field

from mcp_server_postgres import schemas
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.schemas import Part
from mcp_server_postgres.tools.querying import DatabaseName

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
    "column",
]
_COLUMNS = {
    "names": ["schema", "name", "kind"],
    "summary": ["schema", "name", "kind", "estimated_rows", "comment"],
    "full": ["schema", "name", "kind", "estimated_rows", "comment", "details"],
}
_LINE_CHARACTERS = 400  # of a part of a table's description, so that a page can end within it


async def list_schemas(
    call: Call[Databases],
    system: Annotated[bool, Field(description="With the system's.")] = False,  # noqa: FBT002 - named on the wire
    database: DatabaseName = "",
) -> Records:
    """List schemas with their owners, sizes and numbers of tables, views and functions."""
    chosen = call.state[database]
    return Records(
        columns=["name", "owner", "tables", "views", "functions", "estimated_bytes", "usable", "comment"],
        rows=await schemas.list_schemas(chosen, system=system),
        facts=chosen.role_facts,
    )


async def search_objects(
    call: Call[Databases],
    pattern: Annotated[str, Field(description="Part of a name, or a glob; may be schema.name.", max_length=200)] = "*",
    kinds: Annotated[list[ObjectKind] | None, Field(description="Default: all but column.")] = None,
    schema: Annotated[str | None, Field(description="Only this schema.", max_length=200)] = None,
    detail: Annotated[
        Literal["names", "summary", "full"], Field(description="full: columns, definitions too.")
    ] = "summary",
    limit: Annotated[int, Field(ge=1, le=1_000, description="Most objects.")] = 100,
    cursor: Annotated[str | None, Field(description="From a truncated result.")] = None,
    database: DatabaseName = "",
) -> Records:
    """Find tables, columns, views, functions and other objects by name. Then describe_table."""
    chosen = call.state[database]
    position = call.position(cursor)
    found = await schemas.search_objects(
        chosen,
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
        facts=chosen.role_facts,
        more=len(found) > limit,
        resume=lambda kept: [page[kept - 1].schema, page[kept - 1].name, page[kept - 1].kind],
    )


async def describe_table(
    call: Call[Databases],
    table: Annotated[str, Field(description="Its name, unqualified.", max_length=200)],
    schema: Annotated[str, Field(description="Its schema.", max_length=200)] = "public",
    join_to: Annotated[
        str | None, Field(description="A table (or schema.table) to find join paths to.", max_length=400)
    ] = None,
    cursor: Annotated[str | None, Field(description="From a truncated result.")] = None,
    database: DatabaseName = "",
) -> Records:
    """Describe a table or view: columns, keys, references, indexes, sizes, triggers, policies, value statistics."""
    chosen = call.state[database]
    skipped: int = call.position(cursor) or 0
    parts = await schemas.describe_table(chosen, schema, table)
    rows = [line for part in parts for line in _lines(part)]
    facts: dict[str, Any] = {}
    if join_to is not None:
        other_schema, _, other = join_to.rpartition(".")
        paths = await schemas.join_paths(chosen, (schema, table), (other_schema or schema, other))
        rows += [["join_path", ["steps"], [[str(join)] for join in path]] for path in paths]
        facts["join_paths"] = len(paths)
    return Records(
        columns=["part", "fields", "rows"],
        rows=rows[skipped:],
        facts=chosen.role_facts | facts,
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
