"""What a client of the PostgreSQL server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from anyio.to_thread import run_sync
from mcp_server_shared.catalog import About, Finding
from mcp_server_shared.registry import DESTROYS, READ_ONLY
from mcp_server_shared.server import Server

from mcp_server_postgres.database import Database
from mcp_server_postgres.databases import Databases
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.privileges import RoleAudit
from mcp_server_postgres.prompts import explore_database, explore_table, generate_migration, speed_up_query
from mcp_server_postgres.resources import (
    complete_database,
    complete_schema,
    complete_table,
    schema,
    table,
    watch_schema,
    watch_table,
)
from mcp_server_postgres.settings import WRITE, Settings
from mcp_server_postgres.tools.health import check_health
from mcp_server_postgres.tools.plans import explain_query
from mcp_server_postgres.tools.querying import query
from mcp_server_postgres.tools.schema import describe_table, list_schemas, search_objects
from mcp_server_postgres.tools.workload import recommend_indexes, top_queries
from mcp_server_postgres.tools.writing import apply_migration, execute

ABOUT = About(
    package="mcp-server-postgres",
    title="PostgreSQL",
    purpose="A PostgreSQL database, or several by name, read-only until told otherwise.",
    reading_needs="A login role that may SELECT what is to be read, and nothing else: "
    "GRANT pg_read_all_data, or SELECT on single tables.",
    grants=(WRITE,),
    state="process",
    never=(
        "changes data unless --allow-write: what reads runs in a READ ONLY transaction that is rolled back",
        "reads with a login role that may do more than read, unless --allow-privileged-role or --allow-write",
        "runs anything outside a transaction",
        "shows or logs the connection's password",
    ),
    example=("postgresql://reader@localhost/mydb",),
)


def build_server(settings: Settings) -> Server[Databases]:
    """Build the server; it connects to a database on the first call that needs it."""
    urls = settings.urls()
    several = len(urls) > 1
    override = settings.allow_privileged_role
    audits = {
        name: RoleAudit(writes=settings.allow_write, override=override, masks=settings.masks_of(name)) for name in urls
    }

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Databases]:
        # What it starts, it stops; without `--embedded` it does neither.
        own = EmbeddedPostgres(Path(settings.embedded) if settings.embedded else None)
        launch = own.start if settings.embedded is not None else None
        databases = Databases(
            {
                name: Database(
                    url, name=name if several else "", launch=launch, audit=audits[name], pool_size=settings.pool_size
                )
                for name, url in urls.items()
            }
        )
        try:
            yield databases
        finally:
            await databases.close()
            await run_sync(own.stop)

    async def findings(databases: Databases) -> list[Finding]:
        found: list[Finding] = []
        for name, database in databases.items():
            about = f"{name}: " if several else ""
            found += [replace(one, text=about + one.text) for one in await audits[name].findings(database)]
        return found

    server = Server(ABOUT, settings, opened, findings=findings)
    named = {"database": tuple(urls)}
    server.add_tool(query, title="Query", annotations=READ_ONLY, choices=named)
    server.add_tool(explain_query, title="Explain query", annotations=READ_ONLY, choices=named)
    server.add_tool(list_schemas, title="List schemas", annotations=READ_ONLY, choices=named)
    server.add_tool(search_objects, title="Search objects", annotations=READ_ONLY, choices=named)
    server.add_tool(describe_table, title="Describe table", annotations=READ_ONLY, choices=named)
    server.add_tool(check_health, title="Check health", annotations=READ_ONLY, choices=named)
    server.add_tool(top_queries, title="Top queries", annotations=READ_ONLY, choices=named)
    server.add_tool(recommend_indexes, title="Recommend indexes", annotations=READ_ONLY, choices=named)
    server.add_tool(execute, title="Execute", annotations=DESTROYS, grant=WRITE, choices=named)
    server.add_tool(apply_migration, title="Apply migration", annotations=DESTROYS, grant=WRITE, choices=named)
    only_database = {"database": complete_database}
    to_schema = only_database | {"schema": complete_schema}
    to_table = to_schema | {"table": complete_table}
    root = "postgres://{database}" if several else "postgres://"
    server.add_resource(f"{root}/{{schema}}", schema, title="A schema", complete=to_schema, watch=watch_schema)
    server.add_resource(f"{root}/{{schema}}/{{table}}", table, title="A table", complete=to_table, watch=watch_table)
    server.add_prompt(explore_database, title="Explore the database", complete=to_schema, choices=named)
    server.add_prompt(explore_table, title="Explore a table", complete=to_table, choices=named)
    server.add_prompt(speed_up_query, title="Speed up a query", complete=only_database, choices=named)
    server.add_prompt(generate_migration, title="Generate a migration", complete=to_table, choices=named)
    return server
