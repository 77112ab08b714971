"""The yardstick: an SDK server with one tool that does nothing, over the SDK's own stdio transport."""

from mcp.server import MCPServer


async def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    server = MCPServer("empty")
    server.add_tool(nothing)
    server.run()
