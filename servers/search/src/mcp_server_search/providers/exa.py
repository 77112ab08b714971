"""Exa's hosted search for agents (exa.ai/docs/reference/exa-mcp), free and without a key: under its terms."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from mcp_server_search.hosted_search import HostedSearch
from mcp_server_search.plain_text import plain
from mcp_server_search.providers.provider import Query, Result

_RESULTS = 20
# An entry a result; a line is "N/A" where Exa knows nothing.
_BETWEEN = re.compile(r"\n\n---\n\n(?=Title: )")
_ENTRY = re.compile(
    r"Title: (?P<title>[^\n]*)\nURL: (?P<url>\S+)\nPublished: (?P<date>[^\n]*)\nAuthor: [^\n]*"
    r"(?:\n(?:Highlights:\n|Text: )(?P<text>.*))?",
    re.DOTALL,
)


class Configuration(Protocol):
    """What the operator decides of it."""

    exa_url: str


def configured(settings: Configuration, user_agent: str) -> "Exa":
    """Return the provider that the settings want."""
    return Exa(settings.exa_url, user_agent)


class Exa(HostedSearch):
    """An index for programs: a query describes the page that is looked for."""

    name = "Exa"
    note = "Free search without a key, under the terms at https://exa.ai/assets/Exa_Labs_Terms_of_Service.pdf."
    tool = "web_search_exa"

    def arguments(self, query: Query) -> Mapping[str, Any]:
        """Return what the tool is called with."""
        return {"query": query.with_sites(), "numResults": _RESULTS}

    def results(self, text: str, query: Query) -> Sequence[Result]:
        """Read the entries; never more than were asked for, whatever a page says that looks like one."""
        entries = [_ENTRY.match(entry) for entry in _BETWEEN.split(text)]
        return [_result(entry, query) for entry in entries[:_RESULTS] if entry]


def _result(entry: re.Match[str], query: Query) -> Result:
    title, date, text = entry["title"].strip(), entry["date"].strip(), (entry["text"] or "").strip()
    return Result(
        title="" if title == "N/A" else plain(title),
        url=entry["url"],
        snippet=text if query.kind == "passages" else plain(text),
        date=date[:10] if date[:4].isdigit() else "",
        source=urlsplit(entry["url"]).hostname or "",
    )
