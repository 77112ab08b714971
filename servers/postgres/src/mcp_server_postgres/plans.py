"""Plans of statements: asked of the server, read into steps, with the columns that their conditions compare."""

import json
import math
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from mcp_server_shared import errors

from mcp_server_postgres.database import Database
from mcp_server_postgres.sessions import Session
from mcp_server_postgres.sql_errors import Refusal
from mcp_server_postgres.statements import first_word, has_parameters
from mcp_server_postgres.values import JsonValue

JOIN_CONDITIONS = ("Hash Cond", "Merge Cond", "Join Filter")
SCAN_CONDITIONS = ("Index Cond", "Recheck Cond", "Filter")
_CONDITIONS = ("Index Cond", *JOIN_CONDITIONS, "Filter", "One-Time Filter", "Sort Key", "Group Key")
_AGGREGATES = {"Hashed": "HashAggregate", "Sorted": "GroupAggregate", "Mixed": "MixedAggregate"}
_NEEDS_SIZES = {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Sample Scan", "Tid Range Scan"}

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_CAST = r"(?:::[\w. ]+(?:\(\d+(?:,\d+)?\))?)?"
_COLUMN = rf"\(?({_NAME})\.({_NAME})\)?{_CAST}"
_COMPARED = re.compile(rf"{_COLUMN} (=|<=|>=|<|>|IS NULL\b)")
_COMPARED_REVERSED = re.compile(rf" (=|<=|>=|<|>) {_COLUMN}(?=[) ])")
_SORTED = re.compile(rf"^{_COLUMN}( DESC)?(?: NULLS (?:FIRST|LAST))?$")
_LITERAL = re.compile(r"'(?:[^']|'')*'")

# $1, $2: schemas and names, pairwise.
_SIZES = """
select n.nspname, c.relname, greatest(c.reltuples, 0)::bigint
from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted(schema, name)
join pg_catalog.pg_namespace n on n.nspname = wanted.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
"""
_HOW_TO_DEFINE = 'Give table and columns, such as "orders (customer_id, status)", or a CREATE INDEX statement.'
_HYPOPG = """
select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'hypopg'
"""


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """A column that a condition compares: "=", "<", ">" (or with =), "IS NULL", or that a sort orders by: "sort"."""

    alias: str
    column: str
    operator: str


@dataclass(eq=False)
class Step:
    """One node of a plan.

    Attributes:
        number: its place, counted from 1 in the order in which EXPLAIN prints.
        depth: how many steps are above it.
        raw: the node as EXPLAIN (FORMAT JSON) has it, without its children.
        parent: the step that takes its rows.
        children: the steps whose rows it takes.
        processes: how many processes run it side by side.
    """

    number: int
    depth: int
    raw: dict[str, Any]
    parent: "Step | None" = None
    children: "list[Step]" = field(default_factory=list["Step"])
    processes: int = 1

    @property
    def kind(self) -> str:
        """The node type, such as "Seq Scan"."""
        return self.raw["Node Type"]

    @property
    def name(self) -> str:
        """The node type as EXPLAIN's text form writes it."""
        if self.kind == "Aggregate":
            name = _AGGREGATES.get(self.raw.get("Strategy", ""), "Aggregate")
        elif self.kind in {"Nested Loop", "Hash Join", "Merge Join"} and self.raw.get("Join Type") != "Inner":
            name = f"{self.kind.removesuffix(' Join')} {self.raw.get('Join Type')} Join"
        else:
            name = self.raw.get("Operation", self.kind) if self.kind == "ModifyTable" else self.kind
        partial = f"{self.raw['Partial Mode']} " if self.raw.get("Partial Mode", "Simple") != "Simple" else ""
        parallel = "Parallel " if self.raw.get("Parallel Aware") else ""
        subplan = f"{self.raw['Subplan Name']}: " if "Subplan Name" in self.raw else ""
        return f"{subplan}{parallel}{partial}{name}"

    @property
    def relation(self) -> tuple[str, str] | None:
        """Schema and name of the table that it reads."""
        return (self.raw["Schema"], self.raw["Relation Name"]) if "Relation Name" in self.raw else None

    @property
    def reads(self) -> str:
        """What it reads, with index and alias: "public.orders o by orders_pkey"."""
        source = (
            ".".join(self.relation) if self.relation else self.raw.get("CTE Name", self.raw.get("Function Name", ""))
        )
        alias = self.raw.get("Alias", "")
        named = f"{source} {alias}" if alias and alias != source.rpartition(".")[2] else source
        index = self.raw.get("Index Name", "")
        return f"{named} by {index}".removeprefix(" by ") if index else named

    @property
    def condition(self) -> str:
        """Its conditions, sort and group keys."""
        found: list[tuple[str, str | list[str]]] = [
            (label, self.raw[label]) for label in _CONDITIONS if label in self.raw
        ]
        return "; ".join(f"{label}: {v if isinstance(v, str) else ', '.join(v)}" for label, v in found)

    @property
    def rows(self) -> float:
        """Rows that the planner expects, each time it runs."""
        return self.raw["Plan Rows"]

    @property
    def loops(self) -> int:
        """How often it ran; 0 if never, or if the statement was not run."""
        return int(self.raw.get("Actual Loops", 0))

    @property
    def actual_rows(self) -> float:
        """Rows that it returned, each time it ran."""
        return self.raw.get("Actual Rows", 0)

    @property
    def removed(self) -> float:
        """Rows that its filters dropped, each time it ran."""
        return sum(
            v for k, v in self.raw.items() if k.startswith("Rows Removed by") and k != "Rows Removed by Index Recheck"
        )

    @property
    def ms(self) -> float:
        """Milliseconds that it took with all below it, of all its runs."""
        return self.raw.get("Actual Total Time", 0.0) * self.loops / self.processes

    @property
    def own_ms(self) -> float:
        """Milliseconds that it took itself."""
        return max(0.0, self.ms - sum(child.ms for child in self.children))

    @property
    def runs(self) -> float:
        """How often it ran, or is expected to run, for one run of the step above."""
        if self.parent is None:
            return 1
        if "Actual Loops" in self.raw:
            return self.loops / max(1, self.parent.loops)
        if self.raw.get("Subplan Name", "").startswith("SubPlan"):
            return max(1, self.parent.rows)
        if self.parent.kind == "Nested Loop" and self is self.parent.children[-1]:
            return max(1, self.parent.children[0].rows)
        return 1

    @property
    def cost(self) -> float:
        """The planner's cost of it with all below it, of all its runs."""
        runs = math.prod(step.runs for step in (self, *self.above()))
        return min(self.raw["Total Cost"] * runs, self.parent.cost) if self.parent else self.raw["Total Cost"]

    @property
    def own_cost(self) -> float:
        """The planner's cost of the step itself."""
        return max(0.0, self.cost - sum(child.cost for child in self.children))

    def above(self) -> "Iterator[Step]":
        """Yield the steps above it, nearest first."""
        step = self.parent
        while step:
            yield step
            step = step.parent

    def uses(self, *labels: str) -> list[ColumnUse]:
        """Return the columns that it compares under these labels ("Filter", "Hash Cond"…)."""
        found: list[ColumnUse] = []
        for label in labels:
            text = _LITERAL.sub("''", str(self.raw.get(label, "")))
            found += [ColumnUse(_plain(a), _plain(c), op) for a, c, op in _COMPARED.findall(text)]
            found += [ColumnUse(_plain(a), _plain(c), _MIRRORED[op]) for op, a, c in _COMPARED_REVERSED.findall(text)]
        return list(dict.fromkeys(found))

    def sort_columns(self) -> list[tuple[ColumnUse, bool]]:
        """Return the columns that it sorts by, each with whether it descends; empty if one is not a plain column."""
        matches = [_SORTED.match(key) for key in self.raw.get("Sort Key", [])]
        if not all(matches):
            return []
        return [(ColumnUse(_plain(m[1]), _plain(m[2]), "sort"), bool(m[3])) for m in matches if m]


_MIRRORED = {"=": "=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}


@dataclass(frozen=True)
class Plan:
    """A plan, read.

    Attributes:
        steps: in the order in which EXPLAIN prints them; the first is the whole.
        table_rows: how many rows the tables in it have, by the last ANALYZE.
        facts: what EXPLAIN says beside the steps: planning and execution time, JIT.
    """

    steps: list[Step]
    table_rows: dict[tuple[str, str], int]
    facts: dict[str, Any]

    @property
    def cost(self) -> float:
        """The planner's cost of the whole."""
        return self.steps[0].raw["Total Cost"]

    @property
    def was_run(self) -> bool:
        """Whether the statement was run."""
        return "Execution Time" in self.facts

    def relations(self) -> dict[str, tuple[str, str]]:
        """Return schema and name of each table, by the alias that conditions have for it."""
        return {step.raw["Alias"]: step.relation for step in self.steps if step.relation and "Alias" in step.raw}

    def share(self, step: Step) -> float:
        """Return the part, from 0 to 1, of the time (of the cost, if not run) that is spent in the step itself."""
        own = [s.own_ms if self.was_run else s.own_cost for s in self.steps]
        return own[step.number - 1] / (sum(own) or 1.0)


class Planner:
    """Asks for plans in one session; `planning` makes it."""

    def __init__(self, session: Session, hypopg: str | None) -> None:
        self.session = session
        self._hypopg = hypopg

    async def plan(self, sql: str, params: Sequence[JsonValue] | None = None, *, analyze: bool = False) -> Plan:
        """Return the plan of a statement; with `analyze`, run it.

        With parameters but no values for them, the plan is the generic one. Whatever the statement, nothing is
        changed: the transaction is read only, and PostgreSQL itself refuses to run what is not.
        """
        document = cast("dict[str, Any]", (await self._explain(sql, params, analyze=analyze))[0])
        if "Plan" not in document:
            raise errors.Unsupported("PostgreSQL makes no plan for this statement.", hint="Give a SELECT or the like.")
        steps = list(_read(document.pop("Plan"), None, [0], 1))
        names = sorted({step.relation for step in steps if step.relation and step.kind in _NEEDS_SIZES})
        found = await self.session.query(_SIZES, [[s for s, _ in names], [n for _, n in names]]) if names else []
        sizes = {(str(schema), str(name)): int(cast("int", rows)) for schema, name, rows in found}
        return Plan(steps, sizes, document)

    async def cost(self, sql: str) -> float:
        """Return the planner's cost of a statement; parameters stay open."""
        (document,) = cast("list[Any]", await self._explain(sql, None, analyze=False))
        return document["Plan"]["Total Cost"]

    @asynccontextmanager
    async def savepoint(self) -> AsyncGenerator[None]:
        """Let a statement fail without the session; what the server says is raised all the same."""
        await self.session.query("savepoint mcp_savepoint")
        try:
            yield
        except Refusal:
            await self.session.query("rollback to savepoint mcp_savepoint")
            raise
        await self.session.query("release savepoint mcp_savepoint")

    async def add_index(self, definition: str) -> tuple[int, str]:
        """Make a hypothetical index of a CREATE INDEX statement; return its OID and the name that plans have for it."""
        sql = f"select indexrelid, indexname from {self._hypopg}.hypopg_create_index($1)"  # noqa: S608
        try:
            rows = await self.session.query(sql, [definition])
        except Refusal:
            self.session.sql = definition  # which the place in the error is of
            raise
        if not rows:  # hypopg warns of any other statement, and leaves it alone
            raise errors.InvalidArgument(f"This defines no index: {definition[:200]}", hint=_HOW_TO_DEFINE)
        return cast("tuple[int, str]", tuple(rows[0]))

    async def index_size(self, oid: int) -> int:
        """Return the estimated bytes of a hypothetical index."""
        rows = await self.session.query(f"select {self._hypopg}.hypopg_relation_size($1)", [oid])
        return int(cast("int", rows[0][0]))

    async def index_definition(self, oid: int) -> str:
        """Return the CREATE INDEX statement of a hypothetical index, as the server writes it."""
        rows = await self.session.query(f"select {self._hypopg}.hypopg_get_indexdef($1)", [oid])
        return str(rows[0][0])

    async def drop_index(self, oid: int) -> None:
        """Remove a hypothetical index."""
        await self.session.query(f"select {self._hypopg}.hypopg_drop_index($1)", [oid])

    async def _explain(self, sql: str, params: Sequence[JsonValue] | None, *, analyze: bool) -> list[JsonValue]:
        options = "verbose, format json" + (", analyze, buffers" if analyze else "")
        if params or not has_parameters(sql):
            rows = await self.session.query(sql, params or (), prefix=f"explain ({options}) ")
        elif analyze:
            raise errors.InvalidArgument("To run the statement, params needs a value for each of $1, $2 and so on.")
        else:
            rows = await self._explain_generic(sql, options)
        document = rows[0][0]
        # A plan nested too deeply to be carried as data comes as its text.
        return cast("list[JsonValue]", json.loads(document) if isinstance(document, str) else document)

    async def _explain_generic(self, sql: str, options: str) -> list[list[JsonValue]]:
        await self.session.query("set local plan_cache_mode = force_generic_plan")
        await self.session.query(sql, prefix="prepare mcp_plan as ")
        types = "select pg_catalog.cardinality(parameter_types) from pg_catalog.pg_prepared_statements where name = $1"
        count = int(cast("int", (await self.session.query(types, ["mcp_plan"]))[0][0]))
        nulls = f"({', '.join(['null'] * count)})" if count else ""
        rows = await self.session.query(f"explain ({options}) execute mcp_plan{nulls}")
        # The server would keep a plan with an index that is hypothetical no more.
        await self.session.query("deallocate mcp_plan")
        return rows


@asynccontextmanager
async def planning(database: Database, timeout_s: float, *, hypothetical: bool = False) -> AsyncGenerator[Planner]:
    """Yield what asks for plans; `hypothetical` indexes need the extension hypopg.

    Raises:
        Unsupported: hypothetical indexes are wanted, and there is no hypopg.
    """
    schema = await hypopg_schema(database) if hypothetical else None
    leftovers = f"select {schema}.hypopg_reset()" if schema else ""
    async with database.session(timeout_s, leftovers=leftovers) as session:
        yield Planner(session, schema)


async def hypopg_schema(database: Database) -> str:
    """Return the schema of the extension hypopg, as SQL writes it.

    Raises:
        Unsupported: there is none.
    """
    rows = await database.catalog(_HYPOPG)
    if not rows:
        raise errors.Unsupported(
            "Hypothetical indexes need the extension hypopg, which this database does not have.",
            hint="Someone with the privilege has to install its package and run CREATE EXTENSION hypopg.",
        )
    return str(rows[0][0])


def check_plannable(sql: str) -> None:
    """Refuse what cannot stand after EXPLAIN, in words better than those of a syntax error."""
    if first_word(sql) == "explain":
        raise errors.InvalidArgument("Give the statement without EXPLAIN.", hint="analyze=true runs it.")


def _read(raw: dict[str, Any], parent: Step | None, counter: list[int], processes: int) -> Iterator[Step]:
    counter[0] += 1
    children = raw.pop("Plans", [])
    step = Step(counter[0], parent.depth + 1 if parent else 0, raw, parent, processes=processes)
    if parent:
        parent.children.append(step)
    yield step
    # Times of the steps below are averages over the leader and its workers.
    below = processes + raw.get("Workers Launched", 0)
    for child in children:
        yield from _read(child, step, counter, below)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
