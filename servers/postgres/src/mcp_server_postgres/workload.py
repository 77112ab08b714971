"""What the database has been asked, by pg_stat_statements."""

from dataclasses import dataclass
from typing import Any, Final, cast

from mcp_server_shared import errors

from mcp_server_postgres.database import Database

SORTS: Final = {
    "total_time": "total_ms",
    "mean_time": "total_ms / calls",
    "calls": "calls",
    "rows": "rows",
    "blocks_read": "blocks_read",
    "temp_blocks": "temp_blocks",
}
HIDDEN_TEXT = "<insufficient privilege>"

_SCHEMA = """
select pg_catalog.quote_ident(n.nspname) from pg_catalog.pg_extension e
join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'
"""
# Statements that only manage sessions, or look at others, are left out; those of several roles are one.
_STATEMENTS = """
with statements as (
  select queryid::text as id, min(query) as query, sum(calls)::bigint as calls, sum(total_exec_time) as total_ms,
    max(max_exec_time) as max_ms, sum(rows)::bigint as rows, sum(shared_blks_hit)::bigint as blocks_hit,
    sum(shared_blks_read)::bigint as blocks_read, sum(temp_blks_written)::bigint as temp_blocks
  from {schema}.pg_stat_statements
  where dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) and calls > 0
    and query !~* '^\\s*(begin|start|commit|end|rollback|abort|savepoint|release|set|reset|discard|unlisten)\\y'
    and query !~* '^\\s*(explain|prepare|execute|deallocate|declare|fetch|close)\\y'
  group by queryid
)
select id, query, calls, total_ms, max_ms, rows, blocks_hit, blocks_read, temp_blocks,
  total_ms / nullif((select sum(total_ms) from statements), 0)
from statements order by {sort} desc, id limit $1
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with its constants as $1, $2… and what all its runs took.

    Attributes:
        id: pg_stat_statements' queryid.
        share: its part, from 0 to 1, of the time of all statements.
    """

    id: str
    query: str
    calls: int
    total_ms: float
    max_ms: float
    rows: int
    blocks_hit: int
    blocks_read: int
    temp_blocks: int
    share: float | None


async def top_statements(database: Database, sort: str = "total_time", limit: int = 10) -> list[Statement]:
    """Return the statements that took the most, by one of `SORTS`.

    Raises:
        Unsupported: pg_stat_statements is not there; the hint says how to enable it.
    """
    schemas = await database.catalog(_SCHEMA)
    if not schemas:
        raise _not_enabled("This database does not have the extension pg_stat_statements.")
    sql = _STATEMENTS.format(schema=schemas[0][0], sort=SORTS[sort])
    try:
        rows = await database.catalog(sql, [limit])
    except errors.InvalidArgument as error:
        if "shared_preload_libraries" in str(error):
            raise _not_enabled("pg_stat_statements is not loaded by the server.") from error
        raise
    return [Statement(*cast("list[Any]", row)) for row in rows]


def _not_enabled(message: str) -> errors.Unsupported:
    return errors.Unsupported(
        message,
        hint="Someone with the privilege has to set shared_preload_libraries = 'pg_stat_statements', restart the "
        "server, and run CREATE EXTENSION pg_stat_statements in this database.",
    )
