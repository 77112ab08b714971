"""Columns that nobody may see here, by the database's own privileges.

A statement cannot be searched for a column reliably: views, functions, whole rows and SQL in strings all reach it. So a
mask hides nothing itself. It is a promise that is checked: where the login role, or a role that it can become, may read
the column, in the table or in one that inherits from it, nothing is run until that is revoked.
"""

from collections.abc import Sequence
from typing import cast

from mcp_server_shared import errors

from mcp_server_postgres.sessions import Session
from mcp_server_postgres.values import JsonValue

# $1: columns as schema.table.column. Those that do not exist (with nulls), and those that can be read, each with its
# table and the other columns of that.
_READABLE = """
with recursive named as (
  select m.mask, c.oid, a.attname
  from pg_catalog.unnest($1::text[]) m(mask) cross join lateral (select pg_catalog.parse_ident(m.mask) as part) p
  left join pg_catalog.pg_namespace n on n.nspname = p.part[1]
  left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = p.part[2]
  left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = p.part[3] and a.attnum > 0
    and not a.attisdropped
), family as (
  select * from named
  union
  select f.mask, i.inhrelid, f.attname from family f join pg_catalog.pg_inherits i on i.inhparent = f.oid
)
select f.mask, case when c.oid is not null then pg_catalog.format('%I.%I', n.nspname, c.relname) end,
  (select pg_catalog.string_agg(pg_catalog.quote_ident(o.attname), ', ' order by o.attnum)
   from pg_catalog.pg_attribute o
   where o.attrelid = c.oid and o.attnum > 0 and not o.attisdropped and o.attname <> f.attname)
from family f left join pg_catalog.pg_attribute a on a.attrelid = f.oid and a.attname = f.attname
left join pg_catalog.pg_class c on c.oid = a.attrelid left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where a.attnum is null or exists (
  select from pg_catalog.pg_roles r where pg_catalog.pg_has_role(session_user, r.oid, 'member')
    and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'select'))
"""

# $1: as above. The views that use such a column and that the role may read.
_VIEWS = """
select pg_catalog.string_agg(distinct pg_catalog.format('%I.%I', n.nspname, v.relname), ', ')
from pg_catalog.unnest($1::text[]) m(mask) cross join lateral (select pg_catalog.parse_ident(m.mask) as part) p
join pg_catalog.pg_namespace s on s.nspname = p.part[1]
join pg_catalog.pg_class c on c.relnamespace = s.oid and c.relname = p.part[2]
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = p.part[3]
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
  and d.refobjsubid = a.attnum and d.classid = 'pg_catalog.pg_rewrite'::regclass
join pg_catalog.pg_rewrite w on w.oid = d.objid join pg_catalog.pg_class v on v.oid = w.ev_class
join pg_catalog.pg_namespace n on n.oid = v.relnamespace
where pg_catalog.has_table_privilege(v.oid, 'select')
"""


async def refuse_readable(session: Session, masks: Sequence[str]) -> None:
    """Do nothing if the session's role can read none of these columns.

    Raises:
        PermissionDenied: it can, or there is no such column; the hint says what to revoke.
    """
    if not masks:
        return
    found = await session.query(_READABLE, [_wanted(masks)])
    if not found:
        return
    mask, table, others = found[0]
    if table is None:
        raise errors.PermissionDenied(
            "The operator's --mask names a column that does not exist, so nothing was run.", untrusted=str(mask)
        )
    raise errors.PermissionDenied(
        "The login role can read a column that the operator's --mask keeps from being read, so nothing was run.",
        untrusted=f"{mask}, in {table} beside {others}",
        hint="Take it from the role: REVOKE SELECT on the table, then GRANT SELECT on the other columns by name. A "
        "superuser, the owner and a member of pg_read_all_data read every column: log in as another role.",
    )


async def views_that_use(session: Session, masks: Sequence[str]) -> str:
    """Return the names of the views that use such a column and can be read; empty if there are none."""
    return str((await session.query(_VIEWS, [_wanted(masks)]))[0][0] or "") if masks else ""


def _wanted(masks: Sequence[str]) -> JsonValue:
    return cast("JsonValue", [*masks])
