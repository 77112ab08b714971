"""A client of the search server in the same process."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from mcp import Client
from mcp_server_search.server import build_server
from mcp_server_search.settings import Settings
from mcp_server_shared.contract.forms import Failure, Reading, failure, reading, rows_of
from notes.client import connected


class Session:
    """Calls tools and reads what comes back as a model would."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the result as it is on the wire."""
        result = await self.client.call_tool(tool, arguments)
        return result.model_dump(by_alias=True, exclude_none=True, mode="json")

    async def read(self, tool: str, **arguments: Any) -> Reading:
        """Return a successful result."""
        return reading(await self.call(tool, **arguments))

    async def refusal(self, tool: str, **arguments: Any) -> Failure:
        """Return the error of a call that fails."""
        return failure(await self.call(tool, **arguments))

    async def rows(self, tool: str, **arguments: Any) -> list[dict[str, Any]]:
        """Return the rows of a result of records, by column."""
        body = (await self.read(tool, **arguments)).structured or {}
        columns = body.get("untrusted", body)["columns"]
        return [dict(zip(columns, row, strict=True)) for row in rows_of(body)]

    async def whole(self, tool: str, **arguments: Any) -> str:
        """Return the text of a document, all pages of it."""
        page = await self.read(tool, **arguments)
        text = page.body
        while page.cursor:
            page = await self.read(tool, **arguments, cursor=page.cursor)
            text += page.body
        return text


@asynccontextmanager
async def session(*flags: str, environment: dict[str, str] | None = None, **options: Any) -> AsyncGenerator[Session]:
    """Start a server with these flags and connect to it."""
    server = build_server(Settings.load(flags, environment or {}))
    async with connected(server, options.pop("era", "2026-07-28"), **options) as client:
        yield Session(client)
