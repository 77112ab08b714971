"""What is wrong with a database, or soon will be."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from mcp_server_shared import errors

from mcp_server_postgres import health_queries as queries
from mcp_server_postgres.database import Database
from mcp_server_postgres.values import JsonValue

Severity = Literal["critical", "warning", "info", "not checked"]
_SEVERITIES = ("critical", "warning", "info", "not checked")
LONG_S = 60.0
MANY_BLOCKS = 1_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One question: its query, why the answer matters, and which threshold the query takes as $1."""

    sql: str
    why: str
    takes: Literal["seconds", "blocks"] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `fix` is SQL, or advice, for a person to run after thought; nothing here runs it."""

    check: str
    severity: Severity
    object: str
    what: str
    why: str
    fix: str


CHECKS: Final[dict[str, tuple[Check, ...]]] = {
    "bloat": (
        Check(queries.BLOAT, "Scans read the dead space too."),
        Check(queries.INDEX_BLOAT, "Lookups read more pages, and the cache holds less."),
    ),
    "indexes": (
        Check(queries.INVALID_INDEXES, "A concurrent build failed."),
        Check(queries.DUPLICATE_INDEXES, "Every write keeps both."),
        Check(queries.UNUSED_INDEXES, "Every write keeps it up."),
    ),
    "wraparound": (Check(queries.WRAPAROUND, "Transaction ids run out."),),
    "locks": (Check(queries.LOCKS, "Work stands still.", "seconds"),),
    "connections": (
        Check(queries.CONNECTIONS, "It holds locks and keeps VACUUM from cleaning, or nobody else gets in.", "seconds"),
    ),
    "cache": (Check(queries.CACHE, "Reads go to the disk.", "blocks"),),
    "replication": (Check(queries.REPLICATION, "Replicas fall behind, or WAL fills the disk."),),
    "sequences": (Check(queries.SEQUENCES, "Inserts fail at the end."),),
    "constraints": (Check(queries.CONSTRAINTS, "Bad rows may exist, and rows cannot be told apart or replicated."),),
    "statistics": (Check(queries.STATISTICS, "Plans are made on wrong numbers."),),
}


async def problems(
    database: Database, names: Collection[str] = (), *, long_s: float = LONG_S, many_blocks: int = MANY_BLOCKS
) -> list[Problem]:
    """Return what the checks find, the worst first; a check that fails is a finding too.

    Args:
        database: what to check.
        names: some of `CHECKS`; none for all.
        long_s: from how many seconds on a wait or an idle transaction is long.
        many_blocks: from how many blocks read on the share found in the cache says anything.
    """
    thresholds: dict[str | None, list[JsonValue]] = {None: [], "seconds": [long_s], "blocks": [many_blocks]}
    found: list[Problem] = []
    for name in names or CHECKS:
        for check in CHECKS[name]:
            found += await _ask(database, name, check, thresholds[check.takes])
    return sorted(found, key=lambda problem: _SEVERITIES.index(problem.severity))


async def _ask(database: Database, name: str, check: Check, thresholds: list[JsonValue]) -> list[Problem]:
    try:
        rows = await database.catalog(check.sql, thresholds)
    except (errors.PermissionDenied, errors.DeadlineExceeded, errors.Unsupported) as error:
        return [Problem(name, "not checked", "", str(error), check.why, error.hint)]
    return [
        Problem(name, severity, thing, what, check.why, fix)
        for severity, thing, what, fix in cast("list[tuple[Any, Any, Any, Any]]", rows)
    ]


async def hidden(database: Database) -> dict[str, JsonValue]:
    """Return how much of what is checked this role does not see, with what would show it; empty if nothing."""
    ((sessions, tables, sequences),) = await database.catalog(queries.HIDDEN)
    counts = {
        "sessions (needs pg_monitor)": sessions,
        "tables (need SELECT)": tables,
        "sequences (need SELECT)": sequences,
    }
    return {name: count for name, count in counts.items() if count}
