"""What is in a database, from its catalog: schemas, objects, tables and how they are joined."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from mcp_server_shared import errors

from mcp_server_postgres import catalog_queries
from mcp_server_postgres.database import Database
from mcp_server_postgres.values import JsonValue

OBJECT_KINDS: Final = (
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
)
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "table": (
        "kind",
        "owner",
        "comment",
        "estimated_rows",
        "table_bytes",
        "index_bytes",
        "row_security",
        "partition_key",
        "partition_of",
        "partitions",
    ),
    "definition": ("line",),
    "columns": ("name", "type", "nullable", "default", "comment"),
    "constraints": ("name", "definition", "validated"),
    "referenced_by": ("table", "foreign_key"),
    "indexes": ("name", "definition", "bytes", "scans", "valid"),
    "triggers": ("name", "definition", "enabled"),
    "policies": ("name", "permissive", "roles", "command", "using", "check"),
    "statistics": ("column", "null_fraction", "distinct", "common_values_and_shares", "lowest", "highest"),
}
MOST_HOPS = 3
WATCH_INTERVAL_S = 2.0

_MOST_PATHS = 5
_MOST_SCHEMAS = 1_000

Relation = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DatabaseObject:
    """A named thing in a schema; a function's name includes its argument types, a column's its table.

    Attributes:
        estimated_rows: the planner's estimate, for what holds rows.
        details: columns of a relation, definition of an index, labels of an enum…; only where asked for.
    """

    schema: str
    name: str
    kind: str
    estimated_rows: int | None
    comment: str | None
    details: JsonValue = None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a table's description: a name out of `PARTS`, and rows of the fields that it lists there."""

    name: str
    rows: list[list[JsonValue]]

    @property
    def fields(self) -> tuple[str, ...]:
        """What each row has."""
        return PARTS[self.name]


@dataclass(frozen=True, slots=True)
class Join:
    """A foreign key as one step of a way from table to table: which columns are equal."""

    left: Relation
    right: Relation
    left_columns: tuple[str, ...]
    right_columns: tuple[str, ...]

    def reversed(self) -> "Join":
        """Return the same step, the other way."""
        return Join(self.right, self.left, self.right_columns, self.left_columns)

    def __str__(self) -> str:
        left, right = ".".join(self.left), ".".join(self.right)
        pairs = zip(self.left_columns, self.right_columns, strict=True)
        return f"{left} JOIN {right} ON {' AND '.join(f'{left}.{a} = {right}.{b}' for a, b in pairs)}"


async def list_schemas(database: Database, *, system: bool = False) -> list[list[JsonValue]]:
    """Return name, owner, number of tables, views and functions, estimated bytes, whether usable, and comment."""
    return await database.catalog(catalog_queries.SCHEMAS, [system], max_rows=_MOST_SCHEMAS)


async def search_objects(
    database: Database,
    pattern: str = "*",
    *,
    kinds: Collection[str] = (),
    schema: str | None = None,
    limit: int = 100,
    after: tuple[str, str, str] | None = None,
    details: bool = False,
) -> list[DatabaseObject]:
    """Return objects whose name contains `pattern`, ordered by schema, name and kind.

    Args:
        database: where to look.
        pattern: case does not matter; with `*` or `?` in it, the whole name has to match; with a dot in it, it is
            compared with schema.name.
        kinds: some of `OBJECT_KINDS`; none for all but columns.
        schema: only this one; without it the system's schemas are left out.
        limit: the most objects.
        after: schema, name and kind of the object to continue after.
        details: whether to say what each object is made of.
    """
    wanted: JsonValue = [*kinds] or None
    params = [wanted, schema, _like(pattern), "." in pattern, *(after or (None, None, None)), limit, details]
    rows = await database.catalog(catalog_queries.SEARCH_OBJECTS, params, max_rows=limit)
    return [DatabaseObject(*cast("Any", row)) for row in rows]


async def describe_table(database: Database, schema: str, table: str) -> list[Part]:
    """Return what there is to say about a table or view, without looking into it: the parts that have any rows.

    Raises:
        NotFound: there is none of that name; the hint has the nearest ones.
    """
    rows = await database.catalog(catalog_queries.DESCRIBE_TABLE, [schema, table], max_rows=1)
    if not rows:
        raise await _no_relation(database, schema, table)
    found = cast("dict[str, list[list[JsonValue]]]", rows[0][0])
    return [Part(name, found[name]) for name in PARTS if name in found]


async def join_paths(database: Database, start: Relation, end: Relation) -> list[list[Join]]:
    """Return the shortest ways from one table to another along foreign keys, in either direction.

    At most `MOST_HOPS` joins each, and none that visits a table twice.

    Raises:
        NotFound: there is no table to arrive at; the hint has the nearest ones.
    """
    steps: defaultdict[Relation, list[Join]] = defaultdict(list)
    for schema, table, other_schema, other, columns, other_columns in cast(
        "list[Any]", await database.catalog(catalog_queries.FOREIGN_KEYS, max_rows=100_000)
    ):
        join = Join((schema, table), (other_schema, other), tuple(columns), tuple(other_columns))
        steps[join.left].append(join)
        steps[join.right].append(join.reversed())
    if end not in steps and not await database.catalog(catalog_queries.RELATION, [*end]):
        raise await _no_relation(database, *end)
    return list(_shortest(steps, start, end))


async def _no_relation(database: Database, schema: str, name: str) -> errors.NotFound:
    near = await database.nearest([schema, name], catalog_queries.RELATIONS_LIKE, name)
    return errors.NotFound(
        f"There is no table or view {schema}.{name}.", hint=near or "Look for the name with search_objects."
    )


def _shortest(steps: dict[Relation, list[Join]], start: Relation, end: Relation) -> Iterator[list[Join]]:
    waiting: deque[list[Join]] = deque([[join] for join in steps.get(start, ())])
    found = 0
    while waiting and found < _MOST_PATHS:
        path = waiting.popleft()
        here = path[-1].right
        if here == end:
            found += 1
            yield path
        elif len(path) < MOST_HOPS:
            visited = {start, *(join.right for join in path)}
            waiting.extend([*path, join] for join in steps.get(here, ()) if join.right not in visited)


async def schema_changes(
    database: Database, schema: str, *, interval_s: float = WATCH_INTERVAL_S
) -> AsyncGenerator[None]:
    """Yield after each change of what a schema consists of, seen within `interval_s`.

    A database that does not answer is asked again: a change meanwhile is seen once it does.
    """
    known = await _fingerprint(database, schema)
    while True:
        await asyncio.sleep(interval_s)
        now = await _fingerprint(database, schema)
        if now is not None and now != known:
            if known is not None:
                yield
            known = now


async def _fingerprint(database: Database, schema: str) -> JsonValue:
    try:
        return (await database.catalog(catalog_queries.FINGERPRINT, [schema]))[0][0] or "empty"
    except errors.ExpectedError:
        return None


async def table_names(database: Database, prefix: str, limit: int, *, schema: str | None = None) -> list[str]:
    """Return names of tables and views that begin with `prefix`, in one schema or in all but the system's."""
    params = [_like_escaped(prefix) + "%", schema, limit]
    rows = await database.catalog(catalog_queries.TABLE_NAMES, params, max_rows=limit)
    return [str(name) for (name,) in rows]


async def schema_names(database: Database, prefix: str, limit: int) -> list[str]:
    """Return names of schemas that begin with `prefix`."""
    rows = await database.catalog(catalog_queries.SCHEMA_NAMES, [_like_escaped(prefix) + "%", limit], max_rows=limit)
    return [str(name) for (name,) in rows]


def _like(pattern: str) -> str:
    escaped = _like_escaped(pattern)
    if "*" in pattern or "?" in pattern:
        return escaped.replace("*", "%").replace("?", "_")
    return f"%{escaped}%"


def _like_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
