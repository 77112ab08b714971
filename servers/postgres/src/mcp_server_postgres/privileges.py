"""What the login role may do beyond reading: the findings of `check`."""

from mcp_server_shared.catalog import Finding

from mcp_server_postgres.database import Database

_ROLE = """
select current_user, current_setting('server_version'), current_database(),
       r.rolsuper, r.rolreplication, r.rolcreaterole or r.rolcreatedb,
       (select string_agg(m.rolname, ', ') from pg_roles m
         where m.rolname in ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                             'pg_execute_server_program', 'pg_signal_backend')
           and pg_has_role(current_user, m.oid, 'member')),
       (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
           and has_table_privilege(c.oid, 'insert, update, delete, truncate'))
  from pg_roles r where r.rolname = current_user
"""
_ADVICE = "Log in as a role made for reading: CREATE ROLE reader LOGIN PASSWORD '…'; GRANT pg_read_all_data TO reader;"


async def findings(database: Database) -> list[Finding]:
    """Connect, and name every privilege that reading does not need."""
    result = await database.query(_ROLE)
    role, version, name, superuser, replication, creates, memberships, writable = result.rows[0]
    too_much = [
        text
        for applies, text in (
            (superuser, "is a superuser"),
            (replication, "may replicate"),
            (creates, "may create roles or databases"),
            (memberships and not superuser, f"is a member of {memberships}"),
            (writable and not superuser, f"may change {writable} tables"),
        )
        if applies
    ]
    connected = Finding("ok", f"Connected to database {name} (PostgreSQL {version}) as {role}.")
    if not too_much:
        return [connected, Finding("ok", "The role has no privilege beyond reading.")]
    return [connected, Finding("warning", f"The role {role} {', '.join(too_much)}.", _ADVICE)]
