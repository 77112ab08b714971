"""The yardstick over HTTP: an SDK server with a tool that does nothing and one that reads a file, under uvloop."""

import socket
import sys

import anyio
import uvicorn
from mcp.server import MCPServer


async def nothing() -> None:
    """Do nothing."""


async def read_text_file(path: str) -> str:
    """Read a file."""
    return await anyio.Path(path).read_text(encoding="utf-8")


if __name__ == "__main__":
    server = MCPServer("empty", log_level="WARNING")
    server.add_tool(nothing)
    server.add_tool(read_text_file, structured_output=False)
    app = server.streamable_http_app(stateless_http=True, json_response=True)
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stderr.write(f"serves at http://127.0.0.1:{listening.getsockname()[1]}/mcp;\n")
    config = uvicorn.Config(app, loop="uvloop", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])
