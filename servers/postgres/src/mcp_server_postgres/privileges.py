"""What the login role may do beyond reading: judged in the first session, before anything else runs, and by `check`.

A READ ONLY transaction does not stop a powerful role from everything: it can run programs, write the server's files,
create replication slots, end other sessions. So in read-only mode such a role is refused. "May write" is any right to
change what lasts, held by the role, by one that it can become (SET ROLE), or by everyone: owning an object; INSERT,
UPDATE, DELETE, TRUNCATE, TRIGGER or MAINTAIN on a relation outside the system's schemas, or on a column; USAGE or
UPDATE on a sequence; CREATE on a schema or the database; CREATEROLE and CREATEDB; a predefined role that does any of
it; EXECUTE on the system's functions for files and administration; SET and ALTER SYSTEM on a parameter; USAGE of a
foreign-data wrapper. Temporary tables do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from mcp_server_shared import errors
from mcp_server_shared.catalog import Finding

from mcp_server_postgres.database import Database
from mcp_server_postgres.masks import refuse_readable, views_that_use
from mcp_server_postgres.sessions import Session
from mcp_server_postgres.sql_errors import Refusal

OVERRIDE = "--allow-privileged-role"

# One row for each kind of right that is too much: what it is, on how many objects, three of them, and whether everyone
# has it. pg_roles has a role's attributes, which are not inherited; access lists also name 0, everyone. A function that
# runs SQL with its caller's rights gives none, as adminpack's pg_file_rename(text, text); those for replication origins
# are everyone's before 14, and then look for a superuser themselves.
_TOO_MUCH = """
with roles as materialized (
  select r.* from pg_catalog.pg_roles r where pg_catalog.pg_has_role(session_user, r.oid, 'member')
), grantees as materialized (
  select oid from roles union all select 0
), relations as (
  select c.oid, c.relkind, c.relacl, pg_catalog.format('%I.%I', n.nspname, c.relname) as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
), found(kind, name, grantee) as (
  select a.kind, r.rolname::text, r.oid from roles r cross join lateral (values
    ('superuser', r.rolsuper and r.rolname = session_user),
    ('becomes', r.rolsuper and r.rolname <> session_user), ('replication', r.rolreplication),
    ('creates roles', r.rolcreaterole), ('creates databases', r.rolcreatedb)) a(kind, applies) where a.applies
  union all
  select 'predefined', r.rolname::text, r.oid from roles r
  where r.rolname in ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program',
    'pg_signal_backend', 'pg_signal_autovacuum_worker', 'pg_checkpoint', 'pg_maintain', 'pg_create_subscription')
  union all
  select 'owns', pg_catalog.pg_describe_object(d.classid, d.objid, 0), d.refobjid
  from pg_catalog.pg_shdepend d join roles r on r.oid = d.refobjid
  where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.deptype = 'o' and d.dbid in (
    0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
  union all
  select 'writes', c.name, a.grantee from relations c cross join lateral pg_catalog.aclexplode(c.relacl) a
  where case when c.relkind = 'S' then a.privilege_type in ('USAGE', 'UPDATE')
    else a.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'MAINTAIN') end
  union all
  select 'writes', c.name, a.grantee
  from relations c join pg_catalog.pg_attribute t on t.attrelid = c.oid and t.attacl is not null
  cross join lateral pg_catalog.aclexplode(t.attacl) a where a.privilege_type in ('INSERT', 'UPDATE')
  union all
  select 'creates in', pg_catalog.quote_ident(n.nspname), a.grantee
  from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
  where a.privilege_type = 'CREATE' and n.nspname !~ '^pg_(temp|toast)'
  union all
  select 'creates schemas', pg_catalog.quote_ident(d.datname), a.grantee
  from pg_catalog.pg_database d cross join lateral pg_catalog.aclexplode(d.datacl) a
  where a.privilege_type = 'CREATE' and d.datname = pg_catalog.current_database()
  union all
  select 'runs', pg_catalog.format('%s()', p.proname), a.grantee
  from pg_catalog.pg_proc p
  join pg_catalog.pg_language l on l.oid = p.prolang and (l.lanname in ('internal', 'c') or p.prosecdef)
  cross join lateral pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
  where a.privilege_type = 'EXECUTE' and (p.proname ~ '^pg_stat(_statements)?_reset'
    or p.proname ~ '^pg_replication_origin_'
      and pg_catalog.current_setting('server_version_num')::int >= 140000
    or p.proname in ('pg_read_file', 'pg_read_binary_file', 'pg_ls_dir', 'pg_stat_file', 'lo_import', 'lo_export',
      'pg_file_write', 'pg_file_rename', 'pg_file_unlink', 'pg_file_sync', 'dblink_connect_u', 'pg_reload_conf',
      'pg_rotate_logfile', 'pg_promote', 'pg_switch_wal', 'pg_create_restore_point', 'pg_wal_replay_pause',
      'pg_wal_replay_resume', 'pg_backup_start', 'pg_backup_stop'))
  union all
  select 'wraps', pg_catalog.quote_ident(w.fdwname), a.grantee
  from pg_catalog.pg_foreign_data_wrapper w cross join lateral pg_catalog.aclexplode(w.fdwacl) a
  {parameters}
)
select f.kind, pg_catalog.count(distinct f.name),
  pg_catalog.to_json((pg_catalog.array_agg(distinct f.name order by f.name))[1:3]),
  pg_catalog.bool_or(f.grantee = 0)
from found f join grantees g on g.oid = f.grantee group by f.kind
"""
_PARAMETERS = """
  union all
  select 'configures', p.parname, a.grantee
  from pg_catalog.pg_parameter_acl p cross join lateral pg_catalog.aclexplode(p.paracl) a
"""
_FIRST_VERSION_WITH_PARAMETER_ACL = 15
_FIRST_VERSION_WITH_READ_ALL_DATA = 14

_LOGIN = """
select session_user, pg_catalog.quote_ident(pg_catalog.current_database()), pg_catalog.current_setting('server_version')
"""

# What the role was not given, but can use all the same: worth a look, no reason to refuse.
_WORTH_A_LOOK = """
select
  (select pg_catalog.string_agg(distinct pg_catalog.format('%I.%I', n.nspname, p.proname), ', ')
   from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where p.proname in ('dblink', 'dblink_exec', 'dblink_connect')
     and pg_catalog.has_function_privilege(p.oid, 'execute')),
  (select pg_catalog.string_agg(distinct pg_catalog.format('%I.%I', n.nspname, p.proname), ', ')
   from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   join pg_catalog.pg_roles r on r.oid = p.proowner
   where p.prosecdef and r.rolsuper and n.nspname not in ('pg_catalog', 'information_schema')
     and pg_catalog.has_function_privilege(p.oid, 'execute'))
"""

_WORDS = {
    "superuser": "is a superuser",
    "becomes": "can become superuser {names}",
    "replication": "may replicate ({names})",
    "creates roles": "may create roles ({names})",
    "creates databases": "may create databases ({names})",
    "predefined": "is a member of {names}",
    "owns": "owns {names}",
    "writes": "may change {names}",
    "creates in": "may create in schema {names}",
    "creates schemas": "may create schemas in database {names}",
    "runs": "may run {names}",
    "wraps": "may use foreign-data wrapper {names}",
    "configures": "may set {names}",
}
_MOST_IN_FACTS = 200  # characters, since every result has them
_HARMLESS_WHERE_WRITES_ARE_GRANTED = frozenset({"owns", "writes", "creates in", "creates schemas"})


@dataclass(frozen=True, slots=True)
class Role:
    """The login role, its database, and what it may do beyond reading, as parts of a sentence."""

    name: str
    database: str
    server_version: str
    major: int
    too_much: Sequence[str]
    everyone_creates_in: Sequence[str]

    def script(self) -> str:
        """Return the SQL that makes a role for reading this database."""
        revoked = "".join(f" REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC;" for schema in self.everyone_creates_in)
        reading = (
            "pg_read_all_data"
            if self.major >= _FIRST_VERSION_WITH_READ_ALL_DATA
            else "USAGE ON SCHEMA public TO mcp_reader; GRANT SELECT ON ALL TABLES IN SCHEMA public"
        )
        return (
            "CREATE ROLE mcp_reader LOGIN CONNECTION LIMIT 20; "
            f"GRANT CONNECT ON DATABASE {self.database} TO mcp_reader; GRANT {reading} TO mcp_reader;{revoked} "
            "then, in psql, \\password mcp_reader"
        )


class RoleAudit:
    """Refuses a login role that may do more than the operator wants of it.

    Args:
        writes: whether writes are granted; then rights that writing takes are no reason.
        override: whether the operator accepts any role; then every result says what it may do.
        masks: columns, as schema.table.column, that the role must not be able to read in any case.
    """

    def __init__(self, *, writes: bool, override: bool, masks: Sequence[str] = ()) -> None:
        self._writes = writes
        self._override = override
        self._masks = masks

    async def __call__(self, session: Session) -> dict[str, Any]:
        """Judge the role of a session; return what every result has to say of it.

        Raises:
            PermissionDenied: it may do too much; the hint has the script for the right one.
        """
        role = await self._role(session)
        await refuse_readable(session, self._masks)
        if not role.too_much:
            return {}
        if self._writes or self._override:
            return {"login_role": f"{role.name} {', '.join(role.too_much)}"[:_MOST_IN_FACTS]}
        raise errors.PermissionDenied(
            "The login role may do more than read. "
            "A READ ONLY transaction does not stop such a role from everything, so nothing was run.",
            untrusted=f"{role.name} {', '.join(role.too_much)}",
            hint=f"Log in as a role that only reads; this makes one: {role.script()}. "
            f"Or the operator accepts this role by {OVERRIDE}.",
        )

    async def findings(self, database: Database) -> list[Finding]:
        """Connect, and name what the role may do beyond what it is here for."""
        try:
            async with database.session() as session:
                role = await self._role(session)
                dblink, definer = (await session.query(_WORTH_A_LOOK))[0]
                views = await views_that_use(session, self._masks)
        except errors.ExpectedError as error:
            return [Finding("problem", f"{error.message} {error.untrusted}".strip(), error.hint)]
        found = [Finding("ok", f"Connected to {role.database} (PostgreSQL {role.server_version}) as {role.name}.")]
        if role.too_much:
            found += [Finding("warning", f"The role {role.name} {', '.join(role.too_much)}.", role.script())]
        else:
            beyond = "reading and writing" if self._writes else "reading"
            found += [Finding("ok", f"The role has no privilege beyond {beyond}.")]
        if dblink:
            advice = "REVOKE EXECUTE ON FUNCTION … FROM PUBLIC, unless it is needed."
            found += [Finding("warning", f"The role may open connections to other databases: {dblink}.", advice)]
        if definer:
            text = f"The role may run functions with a superuser's rights (SECURITY DEFINER): {str(definer)[:500]}."
            found += [Finding("warning", text, "Make sure that they do only what a reader may do.")]
        if views:
            advice = "Make sure that they do not show what the column holds."
            found += [Finding("warning", f"Views that the role may read use masked columns: {views}.", advice)]
        return found

    async def _role(self, session: Session) -> Role:
        major = session.server_version[0]
        parameters = _PARAMETERS if major >= _FIRST_VERSION_WITH_PARAMETER_ACL else ""
        try:
            ((name, database, version),) = await session.query(_LOGIN)
            found = await session.query(_TOO_MUCH.format(parameters=parameters))
        except Refusal as error:
            raise errors.PermissionDenied(
                f"What the login role may do cannot be found out (SQLSTATE {error.sqlstate}), so nothing was run.",
                hint=f"Is this PostgreSQL 13 or newer? The operator can accept any role by {OVERRIDE}.",
            ) from error
        by_kind = {
            str(kind): (int(str(count)), cast("list[str]", names), everyone) for kind, count, names, everyone in found
        }
        if "superuser" in by_kind:
            by_kind = {"superuser": by_kind["superuser"]}  # all the rest follows from it
        too_much = [
            words.format(names=_names(*by_kind[kind]))
            for kind, words in _WORDS.items()
            if kind in by_kind and not (self._writes and kind in _HARMLESS_WHERE_WRITES_ARE_GRANTED)
        ]
        _, schemas, everyone = by_kind.get("creates in", (0, [], False))
        return Role(str(name), str(database), str(version), major, too_much, schemas if everyone else [])


def _names(count: int, names: Sequence[str], everyone: object) -> str:
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return f"{', '.join(names)}{more}{' (as everyone may)' if everyone else ''}"
