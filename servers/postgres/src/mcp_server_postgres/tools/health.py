"""How a database fares. Names, docstrings and error texts are prompts."""

from dataclasses import astuple
from typing import Annotated, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_postgres import health
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.tools.querying import DatabaseName

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
    call: Call[Databases],
    checks: Annotated[list[CheckName] | None, Field(description="Default: all.")] = None,
    database: DatabaseName = "",
) -> Records:
    """Find problems (unused, duplicate and invalid indexes, blockers, full sequences…) with SQL for a person to run."""
    chosen = call.state[database]
    found = await health.problems(chosen, checks or ())
    hidden = await health.hidden(chosen)
    facts = chosen.role_facts | {"checked": checks or list(health.CHECKS)} | ({"not_visible": hidden} if hidden else {})
    return Records(
        columns=["check", "severity", "object", "what", "why", "fix"],
        rows=[list(astuple(problem)) for problem in found],
        facts=facts,
    )
