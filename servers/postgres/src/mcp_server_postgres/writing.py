"""Statements that change the database: each call is one transaction, committed or, as a rehearsal, rolled back."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from mcp_server_shared import errors

from mcp_server_postgres.costs import refuse_costly
from mcp_server_postgres.database import Database, check_statement
from mcp_server_postgres.results import Limits, QueryResult
from mcp_server_postgres.sessions import Session
from mcp_server_postgres.sql_errors import CommitInDoubt, Refusal
from mcp_server_postgres.statements import shape, split
from mcp_server_postgres.values import JsonValue

_XID = "select coalesce(pg_catalog.pg_current_xact_id_if_assigned()::text, '')"

# What this session has locked beyond what reading and writing rows of others takes.
_LOCKS = """
select distinct
  case when c.oid is null then 'a dropped relation' else pg_catalog.format('%I.%I', n.nspname, c.relname) end, l.mode
from pg_catalog.pg_locks l left join pg_catalog.pg_class c on c.oid = l.relation
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation'
  and l.mode not in ('AccessShareLock', 'RowShareLock')
  and (c.oid is null or c.relkind in ('r', 'p', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast'))
  and l.relation >= 16384
order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of a migration and the server's word on it."""

    sql: str
    tag: str


@dataclass(frozen=True, slots=True)
class Migration:
    """What was done: each statement, and each table with the mode it was locked in."""

    steps: list[Step]
    locks: list[tuple[str, str]]


async def execute(
    database: Database,
    sql: str,
    params: Sequence[JsonValue] = (),
    *,
    dry_run: bool,
    limits: Limits,
    timeout_s: float,
    max_cost: float | None = None,
) -> QueryResult:
    """Run one statement to its end and commit it; return its first rows, and how many it changed as the tag.

    Raises:
        CommitInDoubt: the connection broke, or time ran out, while the server was committing.
        ExpectedError: anything else that goes wrong; then nothing has changed.
    """
    check_statement(sql)
    _refuse_transaction_control(sql)
    async with _transaction(database, timeout_s, None, dry_run=dry_run) as session:
        if max_cost is not None:
            await refuse_costly(session, sql, params, max_cost)
        rows = await session.run(sql, params, max_cell_characters=limits.cell_characters)
        result = await rows.page(0, limits)
        return replace(result, tag=await rows.run_to_end())


async def apply_migration(
    database: Database, sql: str, *, dry_run: bool, lock_timeout_s: float, timeout_s: float
) -> Migration:
    """Run the statements of a script in one transaction and commit it.

    Raises:
        InvalidArgument: there is no statement, or one that begins or ends a transaction.
        CommitInDoubt, ExpectedError: as `execute`.
    """
    statements = split(sql)
    for statement in statements:
        check_statement(statement)
        _refuse_transaction_control(statement)
    if not statements:
        raise errors.InvalidArgument("There is no statement in sql.")
    steps: list[Step] = []
    async with _transaction(database, timeout_s, lock_timeout_s, dry_run=dry_run) as session:
        for statement in statements:
            try:
                rows = await session.run(statement, max_cell_characters=1)
                steps.append(Step(statement, await rows.run_to_end()))
            except Refusal as error:
                error.beginning = f"Statement {len(steps) + 1} of {len(statements)} failed, so none was applied. "
                raise
        locks = await session.query(_LOCKS)
        return Migration(steps, [(str(relation), str(mode)) for relation, mode in locks])


@asynccontextmanager
async def _transaction(
    database: Database, timeout_s: float, lock_timeout_s: float | None, *, dry_run: bool
) -> AsyncGenerator[Session]:
    """Yield a session whose changes are committed at the end, or rolled back when it is a rehearsal."""
    in_doubt = xid = ""
    try:
        async with database.writing(timeout_s, lock_timeout_s=lock_timeout_s) as session:
            yield session
            if dry_run:
                return
            ((xid,),) = await session.connection.texts(_XID)
            in_doubt = xid
            await session.connection.run("COMMIT")
            in_doubt = ""
    except (errors.Unavailable, errors.DeadlineExceeded) as error:
        if in_doubt:
            raise CommitInDoubt(in_doubt) from error
        told = f"{error.message} Nothing was changed."
        raise type(error)(told, hint=error.hint, untrusted=error.untrusted) from error


def _refuse_transaction_control(sql: str) -> None:
    if shape(sql).controls_transaction:
        raise errors.InvalidArgument(
            "Each call is one transaction, begun and committed by this server.",
            hint="Leave out BEGIN, COMMIT, ROLLBACK and SAVEPOINT; use dry_run to try something out.",
        )
