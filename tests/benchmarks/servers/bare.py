"""Bare tools on the SDK over the stdio transport of `mcp_server_shared`: those of `promising.py`, without promises."""

from mcp_server_shared.standard_streams import claim_stdout

claim_stdout()

import anyio  # noqa: E402
from mcp.server import MCPServer  # noqa: E402
from mcp_server_shared.stdio import serve_stdio  # noqa: E402
from pydantic import BaseModel  # noqa: E402


class Row(BaseModel):
    """One of the rows."""

    number: int
    text: str


async def nothing() -> None:
    """Do nothing."""


async def rows(count: int) -> list[Row]:
    """Return rows."""
    return [Row(number=number, text="what somebody wrote") for number in range(count)]


if __name__ == "__main__":
    server = MCPServer("empty")
    server.add_tool(nothing)
    server.add_tool(rows)
    anyio.run(serve_stdio, server._lowlevel_server)  # pyright: ignore[reportPrivateUsage]
