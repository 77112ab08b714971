"""How statements run, and what would make them faster. Names, docstrings and error texts are prompts."""

from typing import Annotated, Any, cast

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres.costs import refuse_costly
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.plans import Plan, check_plannable, planning
from mcp_server_postgres.settings import Settings
from mcp_server_postgres.slow_parts import notes_on
from mcp_server_postgres.tools.querying import DatabaseName, time_for_statements

_CONDITION_CHARACTERS = 300
_SLOW_SHARE = 0.1
_MOST_SLOW_STEPS = 5


async def explain_query(
    call: Call[Databases],
    sql: Annotated[str, Field(description="One statement, without EXPLAIN.", min_length=1)],
    params: Annotated[list[Any] | None, Field(description="Values for $1, $2…; without: the generic plan.")] = None,
    analyze: Annotated[bool, Field(description="Run it, for real rows and times; changes nothing.")] = False,  # noqa: FBT002 - named on the wire
    hypothetical_indexes: Annotated[
        list[str] | None, Field(description='To try: "orders (customer_id, status)".', max_length=10)
    ] = None,
    cursor: Annotated[str | None, Field(description="From a truncated result; analyze runs again.")] = None,
    database: DatabaseName = "",
) -> Records:
    """Show a statement's plan, a row a step, with notes on what is slow and which index may help."""
    check_plannable(sql)
    chosen = call.state[database]
    skipped: int = call.position(cursor) or 0
    facts: dict[str, Any] = {}
    async with planning(chosen, time_for_statements(call), hypothetical=bool(hypothetical_indexes)) as planner:
        names: dict[str, str] = {}
        if hypothetical_indexes:
            facts["cost_without_hypothetical_indexes"] = (await planner.plan(sql, params)).cost
            for definition in hypothetical_indexes:
                _, name = await planner.add_index(create_index(definition))
                names[name] = f"hypothetical {definition}"
        max_cost = cast("Settings", call.settings).max_cost
        if analyze and max_cost is not None:
            await refuse_costly(planner.session, sql, params or (), max_cost)
        plan = await planner.plan(sql, params, analyze=analyze)
    for step in plan.steps:
        if step.raw.get("Index Name") in names:
            step.raw["Index Name"] = names[step.raw["Index Name"]]
    return _records(plan, chosen.role_facts | facts, skipped)


def create_index(definition: str) -> str:
    """Return the statement for an index given as table and columns, or as the whole statement."""
    return definition if definition.lower().startswith("create ") else f"create index on {definition}"


def _records(plan: Plan, facts: dict[str, Any], skipped: int) -> Records:
    notes = notes_on(plan)
    by_share = sorted(plan.steps, key=plan.share, reverse=True)
    slow = [step.number for step in by_share if plan.share(step) >= _SLOW_SHARE or step.number in notes]
    columns = ["step", "depth", "node", "reads", "condition", "rows", "cost", "share_percent"]
    if plan.was_run:
        columns += ["actual_rows", "loops", "ms", "blocks_read"]
    rows = [
        [
            step.number,
            step.depth,
            step.name,
            step.reads,
            step.condition[:_CONDITION_CHARACTERS],
            step.rows,
            step.raw["Total Cost"],
            round(100 * plan.share(step)),
            *(
                [_whole(step.actual_rows), step.loops, round(step.ms, 3), _blocks_read(step.raw)]
                if plan.was_run
                else ()
            ),
            notes.get(step.number, []),
        ]
        for step in plan.steps[skipped:]
    ]
    return Records(
        columns=[*columns, "notes"],
        rows=rows,
        facts=facts | _totals(plan) | {"slow_steps": slow[:_MOST_SLOW_STEPS]},
        resume=lambda kept: skipped + kept,
    )


def _totals(plan: Plan) -> dict[str, Any]:
    totals: dict[str, Any] = {"cost": plan.cost, "share_of": "time" if plan.was_run else "cost"}
    if plan.was_run:
        totals |= {"planning_ms": plan.facts.get("Planning Time"), "execution_ms": plan.facts["Execution Time"]}
    compiling = plan.facts.get("JIT", {}).get("Timing", {}).get("Total")
    return totals if compiling is None else totals | {"jit_ms": compiling}


def _whole(rows: float) -> float:
    return int(rows) if rows == int(rows) else rows


def _blocks_read(raw: dict[str, Any]) -> int:
    return sum(count for name, count in raw.items() if name.endswith(" Read Blocks") and isinstance(count, int))
