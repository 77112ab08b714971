"""A bare server on the SDK: one tool that runs a statement by asyncpg and returns its rows, without any care."""

# asyncpg ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import sys
from typing import Any

import asyncpg
from mcp.server import MCPServer

server = MCPServer("sdk-postgres")
pools: list[Any] = []


@server.tool()
async def query(sql: str) -> list[dict[str, Any]]:
    """Run a statement."""
    if not pools:
        pools.append(await asyncpg.create_pool(sys.argv[1], min_size=1, max_size=10))
    return [dict(row) for row in await pools[0].fetch(sql)]


if __name__ == "__main__":
    server.run("stdio")
