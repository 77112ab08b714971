"""What a client of the PostgreSQL server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.to_thread import run_sync
from mcp_server_shared.catalog import About
from mcp_server_shared.registry import DESTROYS, READ_ONLY
from mcp_server_shared.server import Server

from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.privileges import RoleAudit
from mcp_server_postgres.prompts import explore_database, explore_table, generate_migration, speed_up_query
from mcp_server_postgres.resources import complete_schema, complete_table, schema, table, watch_schema, watch_table
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
    purpose="One PostgreSQL database, read-only until told otherwise.",
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


def build_server(settings: Settings) -> Server[Database]:
    """Build the server; it connects on the first call."""
    audit = RoleAudit(writes=settings.allow_write, override=settings.allow_privileged_role, masks=settings.mask)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Database]:
        # What it starts, it stops; without `--embedded` it does neither.
        own = EmbeddedPostgres(Path(settings.embedded) if settings.embedded else None)
        launch = own.start if settings.embedded is not None else None
        database = Database(settings.address(), launch=launch, audit=audit, pool_size=settings.pool_size)
        try:
            yield database
        finally:
            await database.close()
            await run_sync(own.stop)

    server = Server(ABOUT, settings, opened, findings=audit.findings)
    server.add_tool(query, title="Query", annotations=READ_ONLY)
    server.add_tool(explain_query, title="Explain query", annotations=READ_ONLY)
    server.add_tool(list_schemas, title="List schemas", annotations=READ_ONLY)
    server.add_tool(search_objects, title="Search objects", annotations=READ_ONLY)
    server.add_tool(describe_table, title="Describe table", annotations=READ_ONLY)
    server.add_tool(check_health, title="Check health", annotations=READ_ONLY)
    server.add_tool(top_queries, title="Top queries", annotations=READ_ONLY)
    server.add_tool(recommend_indexes, title="Recommend indexes", annotations=READ_ONLY)
    server.add_tool(execute, title="Execute", annotations=DESTROYS, grant=WRITE)
    server.add_tool(apply_migration, title="Apply migration", annotations=DESTROYS, grant=WRITE)
    names = {"schema": complete_schema, "table": complete_table}
    only_schema = {"schema": complete_schema}
    server.add_resource("postgres:///{schema}", schema, title="A schema", complete=only_schema, watch=watch_schema)
    server.add_resource("postgres:///{schema}/{table}", table, title="A table", complete=names, watch=watch_table)
    server.add_prompt(explore_database, title="Explore the database", complete=only_schema)
    server.add_prompt(explore_table, title="Explore a table", complete=names)
    server.add_prompt(speed_up_query, title="Speed up a query")
    server.add_prompt(generate_migration, title="Generate a migration", complete=names)
    return server
