"""A search that is a tool of somebody's MCP server on the web: one request in JSON-RPC, without a session."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

from mcp_server_shared.errors import RateLimited, Unavailable

from mcp_server_search.providers.provider import Answer, Kind, Query, Result, unheeded
from mcp_server_search.web_api import WebApi

_TOO_MANY = re.compile(r"rate.?limit|too many requests|quota|429", re.IGNORECASE)
_MOST_DETAIL = 300
_LIMITED_S = 60.0  # they do not say how long; asking again at once would be no better


class HostedSearch(ABC):
    """What providers of this kind have in common; each has one page of results, and takes nothing but words.

    Args:
        url: where the server is.
        user_agent: how this one introduces itself.

    Attributes:
        tool: the name of the tool.
    """

    name: ClassVar[str]
    note: ClassVar[str]
    tool: ClassVar[str]
    costs = False
    kinds: ClassVar[frozenset[Kind]] = frozenset({"web", "passages"})

    def __init__(self, url: str, user_agent: str) -> None:
        self.host = urlsplit(url).netloc
        self._api = WebApi(self.name, url, user_agent=user_agent)

    async def search(self, query: Query) -> Answer:
        """Call the tool."""
        found = self.results(await self._text(self.arguments(query)), query)
        return Answer(results=found, ignored=unheeded(query, "freshness", "country", "language", "safe_search"))

    @abstractmethod
    def arguments(self, query: Query) -> Mapping[str, Any]:
        """Return what the tool is called with."""

    @abstractmethod
    def results(self, text: str, query: Query) -> Sequence[Result]:
        """Read the text that the tool answers."""

    def quota_left(self) -> int | None:
        """Return nothing: none of them says."""
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _text(self, arguments: Mapping[str, Any]) -> str:
        call = {"name": self.tool, "arguments": dict(arguments)}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        result = (await self._api.post("/mcp", message))["result"]
        parts = cast("list[dict[str, Any]]", result["content"])
        text = "\n".join(part["text"] for part in parts if part.get("type") == "text")
        if not result.get("isError"):
            return text
        if _TOO_MANY.search(text):
            raise RateLimited(
                f"{self.name} ({self.host}) answers no more searches without a key for now.",
                hint="Wait, or ask the operator for another --provider.",
                untrusted=text[:_MOST_DETAIL],
                retry_after_s=_LIMITED_S,
            )
        raise Unavailable(
            f"{self.name} ({self.host}) could not search.", hint="Try again later.", untrusted=text[:_MOST_DETAIL]
        )
