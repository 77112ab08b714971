"""The same server as `empty_sdk.py`, over the stdio transport of `mcp_server_shared`."""

from mcp_server_shared.standard_streams import claim_stdout

claim_stdout()

import anyio  # noqa: E402
from mcp.server import MCPServer  # noqa: E402
from mcp_server_shared.stdio import serve_stdio  # noqa: E402


async def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    server = MCPServer("empty")
    server.add_tool(nothing)
    anyio.run(serve_stdio, server._lowlevel_server)  # pyright: ignore[reportPrivateUsage]
