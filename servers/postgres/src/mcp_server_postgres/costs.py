"""The gate for statements that the planner expects to be expensive."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from mcp_server_shared import errors

from mcp_server_postgres.sessions import Session
from mcp_server_postgres.statements import explained, first_word
from mcp_server_postgres.values import JsonValue

_EXPLAINABLE = frozenset({"select", "with", "values", "table", "(", "insert", "update", "delete", "merge"})
_MOST_NODES = 5


async def refuse_costly(session: Session, sql: str, params: Sequence[JsonValue], max_cost: float) -> None:
    """Do nothing if the planner expects a statement to cost at most `max_cost`, or if there is no plan of it.

    Raises:
        TooLarge: it expects more; the message has the plan in short.
    """
    statement = explained(sql)
    if first_word(statement) not in _EXPLAINABLE:
        return
    rows = await session.query(statement, params, prefix="EXPLAIN (FORMAT JSON) ")
    plan: dict[str, Any] = cast("Any", rows)[0][0][0]["Plan"]
    cost = float(plan["Total Cost"])
    if cost > max_cost:
        nodes = [node for _, node in zip(range(_MOST_NODES), _nodes(plan), strict=False)]
        raise errors.TooLarge(
            f"The planner expects a cost of {cost:,.0f}; the operator's --max-cost is {max_cost:,.0f}. "
            f"Nothing was run. Plan: {'; '.join(nodes)}.",
            hint="Narrow it (WHERE on an indexed column, LIMIT, fewer joins); EXPLAIN shows the whole plan.",
        )


def _nodes(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nodes of a plan from the top, as "Seq Scan on orders (1,000 rows, cost 12)"."""
    relation = f" on {plan['Relation Name']}" if "Relation Name" in plan else ""
    yield f"{plan['Node Type']}{relation} ({plan['Plan Rows']:,.0f} rows, cost {plan['Total Cost']:,.0f})"
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
