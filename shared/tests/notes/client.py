"""A client of the notes server in the same process, in either era."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
from mcp import Client
from mcp.types import CallToolResult, TextContent
from mcp_server_shared.server import Server

ERAS = ("legacy", "2026-07-28")


@asynccontextmanager
async def connected(server: Server[Any], era: str, **options: Any) -> AsyncGenerator[Client]:
    """Connect a client; a test that hangs fails."""
    with anyio.fail_after(60):
        async with Client(server, mode=era, **options) as client:
            yield client


async def until(condition: Callable[[], object]) -> None:
    """Let the other tasks run until something is true."""
    with anyio.fail_after(60):
        while not condition():
            await anyio.lowlevel.checkpoint()


def text_of(result: CallToolResult) -> str:
    """Return the one text of a result."""
    [part] = result.content
    assert isinstance(part, TextContent)
    return part.text


def structure_of(result: CallToolResult) -> dict[str, Any]:
    """Return the structured form of a result."""
    assert result.structured_content is not None
    return result.structured_content


def error_of(carrier: dict[str, Any] | None) -> dict[str, Any]:
    """Return the machine-readable twin of an error, from `_meta` of a result or `data` of a protocol error."""
    assert carrier is not None
    return carrier["mcp-servers/error"]
