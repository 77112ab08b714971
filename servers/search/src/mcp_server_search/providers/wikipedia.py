"""Wikipedia, or another MediaWiki site, by its public API (www.mediawiki.org/wiki/API:Search). Needs no key."""

from typing import Any, Protocol
from urllib.parse import quote

from mcp_server_search.plain_text import plain
from mcp_server_search.providers.provider import Answer, Kind, Query, Result, unheeded
from mcp_server_search.web_api import WebApi

PAGE_SIZE = 20
_MOST_OFFSET = 10_000  # what the API refuses to go beyond


class Configuration(Protocol):
    """What the operator decides of it."""

    wikipedia_url: str


def configured(settings: Configuration, user_agent: str) -> "Wikipedia":
    """Return the provider that the settings want."""
    return Wikipedia(settings.wikipedia_url, user_agent)


class Wikipedia:
    """Articles of one language edition, each dated by its last change."""

    name = "Wikipedia"
    note = "These are Wikipedia articles. Web search needs BRAVE_API_KEY or SEARXNG_URL, set by the operator."
    costs = False
    kinds: frozenset[Kind] = frozenset({"web"})

    def __init__(self, url: str, user_agent: str) -> None:
        self._url = url
        self._user_agent = user_agent
        self._editions: dict[str, WebApi] = {}
        self.host = url.partition("://")[2].replace("{language}", "en")

    async def search(self, query: Query) -> Answer:
        """Ask for articles."""
        edition = self._edition((query.language or "en").partition("-")[0])
        found = await edition.get(
            "/w/api.php",
            {
                "action": "query",
                "list": "search",
                "srsearch": query.text,
                "srlimit": PAGE_SIZE,
                "sroffset": query.page * PAGE_SIZE,
                "srprop": "snippet|timestamp",
                "srinfo": "totalhits|suggestion|rewrittenquery",
                "format": "json",
                "formatversion": 2,
                "maxlag": 5,
            },
        )
        answer: dict[str, Any] = found.get("query", {})
        info: dict[str, Any] = answer.get("searchinfo", {})
        beyond: int = found.get("continue", {}).get("sroffset", _MOST_OFFSET)
        return Answer(
            results=[self._result(edition, hit) for hit in answer.get("search", ())],
            more=beyond < _MOST_OFFSET,
            altered=info.get("rewrittenquery", ""),
            ignored=unheeded(query, "freshness", "country"),
            total=info.get("totalhits"),
        )

    def quota_left(self) -> None:
        """There is no quota."""

    async def close(self) -> None:
        """Close the connections to every edition."""
        for edition in self._editions.values():
            await edition.close()

    def _edition(self, language: str) -> WebApi:
        if language not in self._editions:
            url = self._url.replace("{language}", language)
            self._editions[language] = WebApi(self.name, url, user_agent=self._user_agent)
        return self._editions[language]

    def _result(self, edition: WebApi, hit: dict[str, Any]) -> Result:
        title: str = hit["title"]
        return Result(
            title=title,
            url=f"{edition.url}/wiki/{quote(title.replace(' ', '_'), safe='/:,()')}",
            snippet=plain(hit.get("snippet", "")),
            date=hit.get("timestamp", "")[:10],
            source=edition.host,
        )
