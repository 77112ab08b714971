"""What `check` says of login roles, on a real PostgreSQL."""

import pytest
from mcp_server_postgres.database import Database
from mcp_server_postgres.embedded import EmbeddedPostgres
from mcp_server_postgres.privileges import findings

pytestmark = pytest.mark.anyio


async def test_a_role_that_may_only_read_has_nothing_too_much(reader_url: str) -> None:
    database = Database(reader_url)
    try:
        found = await findings(database)
    finally:
        await database.close()
    assert [finding.level for finding in found] == ["ok", "ok"]


async def test_a_superuser_is_a_warning_with_the_role_to_use_instead(postgres: EmbeddedPostgres) -> None:
    database = Database(postgres.admin_dsn)
    try:
        connected, warning = await findings(database)
    finally:
        await database.close()
    assert (connected.level, warning.level) == ("ok", "warning")
    assert "is a superuser" in warning.text
    assert "CREATE ROLE reader" in warning.advice
