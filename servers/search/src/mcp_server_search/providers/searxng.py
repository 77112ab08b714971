"""A SearXNG instance of the operator's choice (docs.searxng.org/dev/search_api.html)."""

from typing import Any, Protocol
from urllib.parse import urlsplit

from mcp_server_shared.errors import InvalidArgument

from mcp_server_search.plain_text import plain
from mcp_server_search.providers.provider import Answer, Kind, Query, Result, unheeded
from mcp_server_search.web_api import WebApi

_CATEGORIES: dict[Kind, str] = {"web": "general", "news": "news", "images": "images", "videos": "videos"}
_SAFE_SEARCH = {"off": 0, "moderate": 1, "strict": 2}
_PERIODS = ("day", "week", "month", "year")


class Configuration(Protocol):
    """What the operator decides of it."""

    searxng_url: str | None


def configured(settings: Configuration, user_agent: str) -> "Searxng":
    """Return the provider that the settings want."""
    return Searxng(settings.searxng_url, user_agent)


class Searxng:
    """Many engines at once; which ones, the instance decides."""

    name = "SearXNG"
    note = ""
    costs = False
    kinds = frozenset(_CATEGORIES)

    def __init__(self, url: str | None, user_agent: str) -> None:
        self.host = urlsplit(url or "").netloc
        self._url = url
        self._api = WebApi(
            self.name,
            url or "",
            user_agent=user_agent,
            credential_hint="The instance has to allow JSON (search.formats in its settings.yml) and this client.",
        )

    async def search(self, query: Query) -> Answer:
        """Ask for one page of results."""
        if not self._url:
            raise InvalidArgument("No SearXNG instance is named.", hint="The operator sets SEARXNG_URL.")
        if query.freshness and query.freshness not in _PERIODS:
            raise InvalidArgument("SearXNG takes no two dates as 'freshness'.", hint=f"Use {', '.join(_PERIODS)}.")
        answer = await self._api.get(
            "/search",
            {
                "q": query.with_sites(),
                "format": "json",
                "categories": _CATEGORIES[query.kind],
                "pageno": query.page + 1,
                "language": query.language,
                "time_range": query.freshness,
                "safesearch": _SAFE_SEARCH[query.safe_search],
            },
        )
        hits: list[dict[str, Any]] = answer.get("results", [])
        silent: list[list[str]] = answer.get("unresponsive_engines") or []
        return Answer(
            results=[_result(hit, query.kind) for hit in hits if hit.get("url")],
            more=bool(hits),  # it does not say; an empty page is the end
            ignored=unheeded(query, "country"),
            silent=[engine[0] for engine in silent],
        )

    def quota_left(self) -> None:
        """There is no quota."""

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()


def _result(hit: dict[str, Any], kind: Kind) -> Result:
    extra = {
        "images": (hit.get("img_src") or "", hit.get("resolution") or ""),
        "videos": (str(hit.get("length") or ""), hit.get("author") or ""),
    }
    return Result(
        title=plain(hit.get("title") or ""),
        url=hit["url"],
        snippet=plain(hit.get("content") or ""),
        date=(hit.get("publishedDate") or "")[:10],
        source=", ".join(hit.get("engines") or [hit.get("engine") or ""]),
        extra=extra.get(kind, ()),
    )
