"""Parallel's hosted search for agents (docs.parallel.ai/integrations/mcp), free and without a key: under its terms."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from mcp_server_search.hosted_search import HostedSearch
from mcp_server_search.plain_text import plain
from mcp_server_search.providers.provider import Query, Result

_MOST_KEYWORDS = 200  # characters of one query; what is meant by it may be longer


class Configuration(Protocol):
    """What the operator decides of it."""

    parallel_url: str


def configured(settings: Configuration, user_agent: str) -> "Parallel":
    """Return the provider that the settings want."""
    return Parallel(settings.parallel_url, user_agent)


class Parallel(HostedSearch):
    """An index for programs, with excerpts of each page."""

    name = "Parallel"
    note = "Free search without a key, under the terms at https://parallel.ai/customer-terms."
    tool = "web_search"

    def arguments(self, query: Query) -> Mapping[str, Any]:
        """Return what the tool is called with."""
        words = query.with_sites()
        return {"objective": words, "search_queries": [words[:_MOST_KEYWORDS]]}

    def results(self, text: str, query: Query) -> Sequence[Result]:
        """Read the list of results."""
        found: dict[str, Any] = json.loads(text)
        return [_result(hit, query) for hit in found["results"]]


def _result(hit: dict[str, Any], query: Query) -> Result:
    excerpts: list[str] = hit.get("excerpts") or []
    url: str = hit["url"]
    return Result(
        title=plain(hit.get("title") or ""),
        url=url,
        snippet="\n".join(excerpts) if query.kind == "passages" else plain(" … ".join(excerpts)),
        date=(hit.get("publish_date") or "")[:10],
        source=urlsplit(url).hostname or "",
    )
