"""How a database fares. Names, docstrings and error texts are prompts."""

from dataclasses import astuple
from typing import Annotated, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres import health
from mcp_server_postgres.database import Database

CheckName = Literal[
    "bloat",
    "indexes",
    "wraparound",
    "locks",
    "connections",
    "cache",
    "replication",
    "sequences",
    "constraints",
    "statistics",
]


async def check_health(
    call: Call[Database],
    checks: Annotated[list[CheckName] | None, Field(description="Default: all.")] = None,
) -> Records:
    """Find problems (unused, duplicate and invalid indexes, blockers, full sequences…) with SQL for a person to run."""
    found = await health.problems(call.state, checks or ())
    hidden = await health.hidden(call.state)
    facts = (
        call.state.role_facts | {"checked": checks or list(health.CHECKS)} | ({"not_visible": hidden} if hidden else {})
    )
    return Records(
        columns=["check", "severity", "object", "what", "why", "fix"],
        rows=[list(astuple(problem)) for problem in found],
        facts=facts,
    )
