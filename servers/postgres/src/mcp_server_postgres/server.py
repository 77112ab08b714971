"""What a client of the PostgreSQL server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio.to_thread import run_sync
from mcp_server_shared.catalog import About
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server

from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.privileges import findings
from mcp_server_postgres.prompts import explore_table
from mcp_server_postgres.resources import complete_schema, complete_table, table
from mcp_server_postgres.settings import Settings
from mcp_server_postgres.tools import query, search_objects

ABOUT = About(
    package="mcp-server-postgres",
    title="PostgreSQL",
    purpose="One PostgreSQL database, read-only until told otherwise.",
    reading_needs="A login role that may SELECT what is to be read, and nothing else: "
    "GRANT pg_read_all_data, or SELECT on single tables.",
    state="none",
    never=(
        "changes data: every statement runs in a READ ONLY transaction that is rolled back",
        "runs several statements in one call",
        "shows or logs the connection's password",
    ),
    example=("postgresql://reader@localhost/mydb",),
)


def build_server(settings: Settings) -> Server[Database]:
    """Build the server; it connects on the first call."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Database]:
        url = settings.database_url.get_secret_value() if settings.database_url else None
        # What it starts, it stops; without `--embedded` it does neither.
        own = EmbeddedPostgres(Path(settings.embedded) if settings.embedded else None)
        launch = own.start if settings.embedded is not None else None
        database = Database(url, launch=launch, pool_size=settings.pool_size)
        try:
            yield database
        finally:
            await database.close()
            await run_sync(own.stop)

    server = Server(ABOUT, settings, opened, findings=findings)
    server.add_tool(query, title="Query", annotations=READ_ONLY)
    server.add_tool(search_objects, title="Search objects", annotations=READ_ONLY)
    server.add_resource(
        "postgres:///{schema}/{table}",
        table,
        title="A table",
        complete={"schema": complete_schema, "table": complete_table},
    )
    server.add_prompt(
        explore_table, title="Explore a table", complete={"schema": complete_schema, "table": complete_table}
    )
    return server
