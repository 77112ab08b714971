"""What makes a plan slow, in plain words: a note goes with the step that it is about."""

import math
from collections.abc import Callable, Iterator

from mcp_server_postgres.plans import SCAN_CONDITIONS, ColumnUse, Plan, Step

BIG_TABLE_ROWS = 10_000
FEW = 0.1  # of a table's rows: an index pays
MANY_LOOPS = 1_000
MISESTIMATE = 10
_NOTABLE_ROWS = 1_000


def notes_on(plan: Plan) -> dict[int, list[str]]:
    """Return what is slow about each step, by its number; steps with nothing to say are left out."""
    found = {step.number: [note for check in _CHECKS for note in check(plan, step)] for step in plan.steps}
    return {number: notes for number, notes in found.items() if notes}


def index_columns(uses: list[ColumnUse]) -> list[str]:
    """Return columns in the order in which an index serves the comparisons best: equal ones, then one range."""
    equal = [use.column for use in uses if use.operator in {"=", "IS NULL"}]
    ranges = [use.column for use in uses if use.operator not in {"=", "IS NULL"} and use.column not in equal]
    return list(dict.fromkeys([*equal, *ranges[:1]]))


def _filtered_scan(plan: Plan, step: Step) -> Iterator[str]:
    if "Filter" not in step.raw or step.relation is None:
        return
    if plan.was_run:
        read, kept = (step.removed + step.actual_rows) * step.processes, step.actual_rows * step.processes
    elif "Index Cond" not in step.raw and "Recheck Cond" not in step.raw:
        read, kept = plan.table_rows.get(step.relation, 0), step.rows
    else:
        return  # what a filter drops is known for a whole table only
    if read * max(1, step.loops) < BIG_TABLE_ROWS or kept > read * FEW:
        return
    columns = index_columns([use for use in step.uses("Filter") if use.alias == step.raw["Alias"]])
    advice = f"; an index on ({', '.join(columns)}) may help" if columns else ""
    how = "reads the whole table" if step.kind == "Seq Scan" else "finds"
    yield f"{how}: {_number(read)} rows, of which the filter keeps {_number(kept)}{advice}"


def _misestimate(plan: Plan, step: Step) -> Iterator[str]:
    factor = _factor(step)
    if factor < MISESTIMATE or any(_factor(child) >= MISESTIMATE for child in step.children):
        return  # an estimate is wrong above because it is wrong below
    table = f"run ANALYZE on {'.'.join(step.relation)}" if step.relation else "run ANALYZE on its tables"
    several = len({use.column for use in step.uses(*SCAN_CONDITIONS)}) > 1
    more = ", and CREATE STATISTICS on the filtered columns if they depend on each other" if several else ""
    rows = f"estimated {_number(step.rows)} rows, returned {_number(step.actual_rows)}"
    yield f"{rows}: off by a factor of {_number(factor)}; {table}{more}"


def _factor(step: Step) -> float:
    if step.loops == 0 or max(step.rows, step.actual_rows) * step.loops < _NOTABLE_ROWS:
        return 1.0
    cut_short = any(above.kind == "Limit" for above in step.above()) or step.raw.get("Parent Relationship") == "Inner"
    factor = (step.actual_rows + 1) / (step.rows + 1)
    return factor if factor >= 1 or cut_short else 1 / factor


def _spill(plan: Plan, step: Step) -> Iterator[str]:
    if step.raw.get("Sort Space Type") == "Disk":
        spilt = _kilobytes(step.raw["Sort Space Used"])
        yield f"the sort spills {spilt} to disk: sort fewer rows, have an index in this order, or more work_mem"
    if step.raw.get("Hash Batches", 1) > 1:
        yield f"the hash table spills to disk in {step.raw['Hash Batches']} batches: hash fewer rows, or more work_mem"
    elif step.raw.get("HashAgg Batches", 1) > 1:
        yield f"grouping spills {_kilobytes(step.raw.get('Disk Usage', 0))} to disk: fewer groups, or more work_mem"
    if step.raw.get("Lossy Heap Blocks", 0) > step.raw.get("Exact Heap Blocks", 0):
        yield "the bitmap does not fit work_mem, so whole pages are rechecked: more work_mem"


def _many_loops(plan: Plan, step: Step) -> Iterator[str]:
    if step.kind == "Nested Loop" and len(step.children) > 1:
        outer, inner = step.children[0], step.children[-1]
        loops = inner.loops if plan.was_run else outer.rows
        scans = [s for s in _below(inner) if s.kind == "Seq Scan" and s.relation]
        rereads = [s for s in scans if not any(above.kind in {"Materialize", "Memoize"} for above in s.above())]
        for scan in rereads:
            if loops * plan.table_rows.get(scan.relation or ("", ""), 0) >= BIG_TABLE_ROWS * MANY_LOOPS:
                name = ".".join(scan.relation or ())
                yield f"reads the whole of {name} {_number(loops)} times: it needs an index on the join columns"
        if not rereads and loops >= BIG_TABLE_ROWS and _weighs(plan, inner):
            yield f"runs its inner side {_number(loops)} times; is a hash join cheaper, are the row estimates right?"
    if step.raw.get("Subplan Name", "").startswith("SubPlan") and step.runs >= MANY_LOOPS:
        yield f"the subquery runs {_number(step.runs)} times, once a row: write it as a join"


def _weighs(plan: Plan, step: Step) -> bool:
    return not plan.was_run or sum(plan.share(below) for below in _below(step)) >= FEW


def _below(step: Step) -> Iterator[Step]:
    yield step
    for child in step.children:
        yield from _below(child)


def _upkeep(plan: Plan, step: Step) -> Iterator[str]:
    fetches = step.raw.get("Heap Fetches", 0)
    if fetches >= _NOTABLE_ROWS and fetches > step.actual_rows * step.loops * FEW:
        yield f"looks up {_number(fetches)} rows in the table although the index has all columns: VACUUM it"
    planned, launched = step.raw.get("Workers Planned", 0), step.raw.get("Workers Launched")
    if launched is not None and launched < planned:
        yield f"had {launched} of {planned} parallel workers: all were busy, or max_parallel_workers is low"


def _number(value: float) -> str:
    if value and value < 10:  # noqa: PLR2004
        return f"{value:.2g}"
    return f"{math.floor(value + 0.5):,}"


def _kilobytes(count: int) -> str:
    return f"{count / 1024:,.0f} MB" if count >= 10 * 1024 else f"{count:,} kB"


_CHECKS: tuple[Callable[[Plan, Step], Iterator[str]], ...] = (
    _filtered_scan,
    _misestimate,
    _spill,
    _many_loops,
    _upkeep,
)
