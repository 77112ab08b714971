"""A client of the server under test, and the person behind it."""

from typing import Any, Literal

from github_sample import Emulated
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from mcp_server_github.server import build_server
from mcp_server_github.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY
from pydantic import SecretStr

EVERYTHING: dict[str, Any] = {"allow_merge": True, "allow_run": True, "allow_create": True}


class Person:
    """Answers every question in the same way, and remembers them."""

    def __init__(self, *, agrees: bool) -> None:
        self.asked: list[str] = []
        self._answer = ElicitResult(action="accept" if agrees else "decline", content={"confirm": agrees})

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer one question."""
        self.asked.append(params.message)
        return self._answer


def connected(
    github: Emulated,
    person: Person | None = None,
    *,
    mode: Literal["legacy", "2026-07-28"] = "2026-07-28",
    by: str = "alice",
    **settings: Any,
) -> Client:
    """Return a client of a server for this GitHub; without `by`, one that has no token."""
    given = {"api_url": github.url, "token": SecretStr(f"ghp_{by}") if by else None, **settings}
    server = build_server(Settings.model_validate(given))
    return Client(server, mode=mode, elicitation_callback=person)


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


async def read(client: Client, tool: str, **arguments: Any) -> str:
    """Return the text of a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return text_of(result)


async def rows(client: Client, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows of a call that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    body: Any = result.structured_content.get("untrusted", result.structured_content)
    return [dict(zip(body["columns"], row, strict=True)) for row in body["rows"]]


async def failure(client: Client, tool: str, **arguments: Any) -> tuple[str, str]:
    """Return code and text of a call that fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, text_of(result)
    return (result.meta or {})[ERROR_META_KEY]["code"], text_of(result)
