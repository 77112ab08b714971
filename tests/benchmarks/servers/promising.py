"""The tools of `bare.py`, served by `mcp_server_shared` with all that it promises."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp_server_shared.call import Call
from mcp_server_shared.catalog import About, Finding
from mcp_server_shared.output import Records
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server
from mcp_server_shared.settings import ServerSettings
from mcp_server_shared.start import Program, start

ABOUT = About(
    package="mcp-server-shared",
    title="Empty",
    purpose="Nothing, to be measured.",
    reading_needs="nothing",
    grants=(),
    never=("do anything",),
)


class Settings(ServerSettings):
    """Nothing of its own."""

    env_prefix = "EMPTY"


async def nothing(call: Call[None]) -> Records:
    """Do nothing."""
    return Records(columns=[], rows=[])


async def rows(call: Call[None], count: int) -> Records:
    """Return rows."""
    return Records(columns=["number", "text"], rows=[[number, "what somebody wrote"] for number in range(count)])


def build_server(settings: Settings) -> Server[None]:
    """Build the server."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[None]:
        yield

    async def findings(state: None) -> list[Finding]:
        return []

    server = Server(ABOUT, settings, opened, findings=findings)
    server.add_tool(nothing, title="Nothing", annotations=READ_ONLY)
    server.add_tool(rows, title="Rows", annotations=READ_ONLY)
    return server


def program() -> Program[Settings]:
    """Return the server."""
    return Program(ABOUT, Settings, build_server)


if __name__ == "__main__":
    start(program)
