"""Which indexes would make statements cheaper, by the planner's own estimate with hypothetical ones."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from mcp_server_postgres.plans import JOIN_CONDITIONS, SCAN_CONDITIONS, ColumnUse, Plan, Planner
from mcp_server_postgres.sql_errors import Refusal

Relation = tuple[str, str]

_WIDEST = 3
_MOST_CANDIDATES = 60
_LEAST_GAIN = 0.05  # of the cost of the statements that an index helps
_LEAST_GAIN_OF_ALL = 0.01
_NEARLY_AS_GOOD = 0.97  # of the best gain: then the narrower index wins

# $1, $2: schemas and names, pairwise. Columns that a B-tree can hold, and those that valid indexes begin with.
_TABLES = """
select n.nspname, c.relname,
  (select pg_catalog.json_agg(a.attname) from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and (t.typcategory in ('A', 'B', 'D', 'E', 'I', 'N', 'R', 'S', 'T', 'V') or t.typname in ('uuid', 'bytea'))),
  (select pg_catalog.json_agg(columns) from (
    select pg_catalog.json_agg(a.attname order by k.position) as columns
    from pg_catalog.pg_index i
    cross join pg_catalog.unnest(i.indkey::int2[]) with ordinality k(attnum, position)
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
    where i.indrelid = c.oid and i.indisvalid and i.indpred is null and i.indexprs is null
      and k.position <= i.indnkeyatts
    group by i.indexrelid) as indexes)
from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted(schema, name)
join pg_catalog.pg_namespace n on n.nspname = wanted.schema
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that may help: the table and its columns, each with whether it descends."""

    relation: Relation
    columns: tuple[tuple[str, bool], ...]

    @property
    def definition(self) -> str:
        """The index as SQL, after CREATE INDEX ON."""
        columns = ", ".join(f"{_quoted(name)}{' DESC' if descends else ''}" for name, descends in self.columns)
        return f"{'.'.join(map(_quoted, self.relation))} ({columns})"


@dataclass(eq=False)
class Subject:
    """A statement to be made cheaper; its weight is how often it runs. `advise` fills in the rest."""

    sql: str
    weight: float = 1.0
    before: float = 0.0
    cost: float = 0.0
    relations: set[Relation] = field(default_factory=set[Relation])
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """One index, its estimated size, the part of all cost that it saves, and each statement's cost before and after."""

    definition: str
    size_bytes: int
    gain: float
    helped: list[tuple[Subject, float, float]]


async def advise(planner: Planner, subjects: Sequence[Subject], *, most: int, until: float) -> list[Advice]:
    """Return indexes in the order in which each gains the most on top of those before it.

    Args:
        planner: with hypothetical indexes.
        subjects: what is to be made cheaper; costs and problems are noted in them.
        most: the most indexes.
        until: the time of the event loop at which to stop with what there is.
    """
    plans: list[Plan] = []
    for subject in subjects:
        plan = await _plan(planner, subject)
        if plan is not None:
            plans.append(plan)
    candidates = await _candidates(planner, plans)
    sound = [subject for subject in subjects if not subject.problem]
    advice: list[Advice] = []
    while candidates and len(advice) < most:
        trials = await _try_all(planner, candidates, sound, until)
        if not trials:
            break
        best_gain = max(gain for gain, _, _ in trials)
        good = [trial for trial in trials if trial[0] >= best_gain * _NEARLY_AS_GOOD]
        gain, candidate, costs = min(good, key=lambda trial: len(trial[1].columns))
        advice.append(await _accept(planner, candidate, gain, costs, sound))
        candidates = [other for _, other, _ in trials if other is not candidate]
    return advice


Trial = tuple[float, Candidate, dict[Subject, float]]


async def _try_all(planner: Planner, candidates: list[Candidate], subjects: list[Subject], until: float) -> list[Trial]:
    """Return those candidates that gain enough, with the gain and the cost of each statement."""
    trials: list[Trial] = []
    total = sum(subject.weight * subject.before for subject in subjects)
    for candidate in candidates:
        if asyncio.get_running_loop().time() > until:
            break
        oid = await _add(planner, candidate)
        if oid is None:
            continue
        touched = [subject for subject in subjects if candidate.relation in subject.relations]
        costs = {subject: await planner.cost(subject.sql) for subject in touched}
        await planner.drop_index(oid)
        gain = sum(subject.weight * (subject.cost - costs[subject]) for subject in touched)
        helped = [subject for subject in touched if costs[subject] < subject.cost]
        of_helped = sum(subject.weight * subject.cost for subject in helped)
        if gain > max(_LEAST_GAIN * of_helped, _LEAST_GAIN_OF_ALL * total):
            trials.append((gain, candidate, costs))
    return trials


async def _accept(
    planner: Planner, candidate: Candidate, gain: float, costs: dict[Subject, float], subjects: list[Subject]
) -> Advice:
    oid, _ = await planner.add_index(f"create index on {candidate.definition}")
    total = sum(subject.weight * subject.before for subject in subjects)
    helped: list[tuple[Subject, float, float]] = []
    for subject in subjects:
        cost = costs.get(subject, subject.cost)
        if cost < subject.cost:
            helped.append((subject, subject.cost, cost))
            subject.cost = cost
    return Advice(await planner.index_definition(oid), await planner.index_size(oid), gain / (total or 1), helped)


async def _plan(planner: Planner, subject: Subject) -> Plan | None:
    try:
        async with planner.savepoint():
            plan = await planner.plan(subject.sql)
    except Refusal as error:
        subject.problem = error.message
        return None
    subject.before = subject.cost = plan.cost
    subject.relations = set(plan.relations().values())
    return plan


async def _add(planner: Planner, candidate: Candidate) -> int | None:
    try:
        async with planner.savepoint():
            oid, _ = await planner.add_index(f"create index on {candidate.definition}")
    except Refusal:  # no operator class of that type, too many columns…
        return None
    return oid


async def _candidates(planner: Planner, plans: list[Plan]) -> list[Candidate]:
    """Return what conditions and sorts of the plans ask for, without what an index begins with already."""
    relations = sorted({relation for plan in plans for relation in plan.relations().values()})
    if not relations:
        return []
    found = await planner.session.query(_TABLES, [[s for s, _ in relations], [n for _, n in relations]])
    usable = {(str(s), str(n)): set(cast("list[str]", columns or [])) for s, n, columns, _ in found}
    existing = {(str(s), str(n)): cast("list[list[str]]", indexes or []) for s, n, _, indexes in found}
    wanted = dict.fromkeys(candidate for plan in plans for candidate in _wanted(plan))
    return [
        candidate
        for candidate in wanted
        if {name for name, _ in candidate.columns} <= usable.get(candidate.relation, set())
        and not any(_begins(index, candidate) for index in existing[candidate.relation])
    ][:_MOST_CANDIDATES]


def _begins(index: list[str], candidate: Candidate) -> bool:
    return index[: len(candidate.columns)] == [name for name, _ in candidate.columns]


def _wanted(plan: Plan) -> Iterator[Candidate]:
    relations = plan.relations()
    compared: dict[str, list[ColumnUse]] = {alias: [] for alias in relations}
    joined: dict[str, list[ColumnUse]] = {alias: [] for alias in relations}
    sorted_by: dict[str, list[tuple[str, bool]]] = {}
    for step in plan.steps:
        for uses, labels in ((compared, SCAN_CONDITIONS), (joined, JOIN_CONDITIONS)):
            for use in step.uses(*labels):
                if use.alias in uses:
                    uses[use.alias].append(use)
        keys = step.sort_columns()
        aliases = {use.alias for use, _ in keys}
        if len(aliases) == 1 and aliases <= relations.keys():
            sorted_by[aliases.pop()] = [(use.column, descends) for use, descends in keys]
    for alias, relation in relations.items():
        for columns in _column_lists(compared[alias], joined[alias], sorted_by.get(alias, [])):
            yield Candidate(relation, tuple(columns))


def _column_lists(
    compared: list[ColumnUse], joined: list[ColumnUse], sorted_by: list[tuple[str, bool]]
) -> Iterator[list[tuple[str, bool]]]:
    equal = _ascending(use for use in compared if use.operator in {"=", "IS NULL"})
    ranges = _ascending(use for use in compared if use.operator not in {"=", "IS NULL"})
    joins = _ascending(use for use in joined if use.operator == "=")
    if len({descends for _, descends in sorted_by}) == 1:
        sorted_by = [(name, False) for name, _ in sorted_by]  # an index is read in either direction
    singles = [[column] for column in dict.fromkeys([*equal, *joins, *ranges])]
    pairs = [[a, b] for a, b in pairwise(equal)] + [[b, a] for a, b in pairwise(equal)]
    combined = [
        equal,
        [*equal, *ranges[:1]],
        [*equal, *joins[:1]],
        [*joins[:1], *equal],
        [*joins[:1], *ranges[:1]],
        sorted_by,
        [*equal, *sorted_by],
    ]
    for columns in [*singles, *pairs, *combined]:
        distinct = {name: (name, descends) for name, descends in reversed(columns)}
        unique = [distinct[name] for name in dict.fromkeys(name for name, _ in columns)]
        if unique:
            yield unique[:_WIDEST]


def _ascending(uses: Iterator[ColumnUse]) -> list[tuple[str, bool]]:
    return [(column, False) for column in dict.fromkeys(use.column for use in uses)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
