"""The Brave Search API (api-dashboard.search.brave.com/app/documentation). Every successful request is billed."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlsplit

from mcp_server_shared.errors import Unauthenticated
from pydantic import SecretStr

from mcp_server_search.pace import Pace
from mcp_server_search.plain_text import plain
from mcp_server_search.providers.provider import Answer, Kind, Query, Result
from mcp_server_search.web_api import WebApi

Plan = Literal["search", "free", "base", "pro"]
Json = dict[str, Any]

# "search" is the plan sold since February 2026; the others are what older keys have.
KINDS: Mapping[Plan, frozenset[Kind]] = {
    "search": frozenset({"web", "news", "images", "videos", "places", "passages"}),
    "free": frozenset({"web", "news", "images", "videos"}),
    "base": frozenset({"web", "news", "images", "videos"}),
    "pro": frozenset({"web", "news", "images", "videos", "places"}),
}
_REQUESTS_A_SECOND: Mapping[Plan, float] = {"search": 50, "free": 1, "base": 20, "pro": 50}

_KEY_HINT = "The operator sets BRAVE_API_KEY to a valid key, and --brave-plan to its plan."
_PAGE_SIZE = 20
_LAST_PAGE = 9
_MOST_IMAGES = 100
_COUNTRIES = frozenset(
    """
    AR AU AT BE BR CA CL DK FI FR DE GR HK IN ID IT JP KR MY MX NL NZ NO CN PL PT PH RU SA ZA ES SE CH TW TR GB US
    """.split()  # noqa: SIM905
)
_LANGUAGES = frozenset(
    """
    ar eu bn bg ca zh-hans zh-hant hr cs da nl en en-gb et fi fr gl de el gu he hi hu is it jp kn ko lv lt ms ml mr nb
    pl pt-br pt-pt pa ro ru sr sk sl es sv ta te th tr uk vi
    """.split()  # noqa: SIM905
)
_LANGUAGE_NAMES = {"ja": "jp", "zh": "zh-hans", "zh-cn": "zh-hans", "zh-tw": "zh-hant", "no": "nb", "pt": "pt-pt"}
_FRESHNESS = {"day": "pd", "week": "pw", "month": "pm", "year": "py"}


class Configuration(Protocol):
    """What the operator decides of it."""

    brave_url: str
    brave_api_key: SecretStr | None
    brave_plan: Plan


def configured(settings: Configuration, user_agent: str) -> "Brave":
    """Return the provider that the settings want."""
    key = settings.brave_api_key.get_secret_value() if settings.brave_api_key else ""
    return Brave(settings.brave_url, key, settings.brave_plan, user_agent)


class Brave:
    """Brave's own index of the web."""

    name = "Brave Search"
    note = ""
    costs = True

    def __init__(self, url: str, key: str, plan: Plan, user_agent: str) -> None:
        self.kinds = KINDS[plan]
        self.host = urlsplit(url).netloc
        self._has_key = bool(key)
        self._pace = Pace(interval_s=1 / _REQUESTS_A_SECOND[plan])
        self._api = WebApi(
            self.name,
            url,
            user_agent=user_agent,
            headers={"x-subscription-token": key},
            pace=self._pace,
            credential_hint=_KEY_HINT,
        )

    async def search(self, query: Query) -> Answer:
        """Ask the endpoint for this kind of result."""
        if not self._has_key:
            raise Unauthenticated("There is no key for the Brave Search API.", hint=_KEY_HINT)
        match query.kind:
            case "web":
                return await self._web(query)
            case "places":
                return await self._places(query)
            case "passages":
                return await self._passages(query)
            case _:
                return await self._listed(query)

    def quota_left(self) -> int | None:
        """Return what is left of the plan's month, once an answer has said so."""
        return self._pace.remaining

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _web(self, query: Query) -> Answer:
        asked, ignored = _parameters(query)
        answer = await self._api.get("/res/v1/web/search", asked | {"result_filter": "web,query"})
        hits: list[Json] = _object(answer, "web").get("results", [])
        info = _object(answer, "query")
        return Answer(
            results=_results(hits),
            more=bool(info.get("more_results_available")) and query.page < _LAST_PAGE,
            altered=_altered(answer),
            ignored=ignored,
        )

    async def _listed(self, query: Query) -> Answer:
        """News, images and videos: their own endpoints, of one shape."""
        asked, ignored = _parameters(query)
        if query.kind == "images":  # one page, and no middle way of filtering
            asked |= {"count": _MOST_IMAGES, "safesearch": "off" if query.safe_search == "off" else "strict"}
            del asked["offset"]
        answer = await self._api.get(f"/res/v1/{query.kind}/search", asked)
        hits: list[Json] = answer.get("results", [])
        more = query.kind != "images" and len(hits) >= _PAGE_SIZE and query.page < _LAST_PAGE
        return Answer(results=_results(hits), more=more, altered=_altered(answer), ignored=ignored)

    async def _places(self, query: Query) -> Answer:
        asked, ignored = _parameters(query)
        for name in ("offset", "freshness", "text_decorations"):
            asked.pop(name, None)
        answer = await self._api.get("/res/v1/local/place_search", asked | {"count": 50, "location": query.near})
        return Answer(
            results=[_place(hit) for hit in answer.get("results") or ()], altered=_altered(answer), ignored=ignored
        )

    async def _passages(self, query: Query) -> Answer:
        asked, ignored = _parameters(query)
        for name in ("offset", "safesearch", "text_decorations"):
            asked.pop(name, None)
        answer = await self._api.get("/res/v1/llm/context", asked)
        sources = _object(answer, "sources")
        hits: list[Json] = _object(answer, "grounding").get("generic", [])
        return Answer(results=[_passage(hit, sources.get(hit["url"]) or {}) for hit in hits], ignored=ignored)


def _parameters(query: Query) -> tuple[dict[str, Any], list[str]]:
    """Return the parameters that most endpoints take, and the names of arguments that Brave has no value for."""
    country = (query.country or "").upper()
    language = (query.language or "").lower()
    language = _LANGUAGE_NAMES.get(language, language)
    if language not in _LANGUAGES:
        language = language.partition("-")[0]
    ignored = [
        name
        for name, value, known in (("country", country, _COUNTRIES), ("language", language, _LANGUAGES))
        if value and value not in known
    ]
    freshness = query.freshness and _FRESHNESS.get(query.freshness, query.freshness.replace("..", "to"))
    asked = {
        "q": query.with_sites(),
        "count": _PAGE_SIZE,
        "offset": query.page,
        "country": country if country in _COUNTRIES else None,
        "search_lang": language if language in _LANGUAGES else None,
        "freshness": freshness,
        "safesearch": query.safe_search,
        "text_decorations": "false" if query.kind == "web" else None,
    }
    return asked, ignored


def _results(hits: Iterable[Json]) -> list[Result]:
    return [
        Result(
            title=plain(hit.get("title") or ""),
            url=hit["url"],
            snippet=plain(hit.get("description") or ""),
            date=(hit.get("page_age") or "")[:10],
            source=_source(hit),
            extra=_extra(hit),
        )
        for hit in hits
    ]


def _source(hit: Json) -> str:
    profile = _object(hit, "profile")
    return profile.get("name") or hit.get("source") or _object(hit, "meta_url").get("hostname") or ""


def _extra(hit: Json) -> tuple[str, ...]:
    """Return what images and videos have beside the rest."""
    if hit.get("type") == "image_result":
        image = _object(hit, "properties")
        size = f"{image['width']}x{image['height']}" if image.get("width") and image.get("height") else ""
        return (image.get("url") or "", size)
    if hit.get("type") == "video_result":
        video = _object(hit, "video")
        return (video.get("duration") or "", video.get("creator") or "")
    return ()


def _place(hit: Json) -> Result:
    rating = _object(hit, "rating")
    rated = f"{rating['ratingValue']:g} of {rating.get('bestRating', 5):g}" if "ratingValue" in rating else ""
    point = ", ".join(f"{number:.5f}" for number in hit.get("coordinates") or ())
    return Result(
        title=plain(hit.get("title") or ""),
        url=hit.get("url") or hit.get("provider_url") or "",
        snippet=plain(hit.get("description") or ", ".join(hit.get("categories") or ())),
        source=_source(hit),
        extra=(
            _object(hit, "postal_address").get("displayAddress") or "",
            _object(hit, "contact").get("telephone") or "",
            rated,
            point,
        ),
    )


def _passage(hit: Json, source: Json) -> Result:
    return Result(
        title=plain(hit.get("title") or ""),
        url=hit["url"],
        snippet="\n".join(hit.get("snippets") or ()),
        date=next((age for age in source.get("age") or () if age[:4].isdigit()), "")[:10],
        source=source.get("site_name") or source.get("hostname") or "",
    )


def _altered(answer: Json) -> str:
    info = _object(answer, "query")
    altered: str = info.get("altered") or ""
    return altered if altered != info.get("original") else ""


def _object(parent: Json, name: str) -> Json:
    value = parent.get(name)
    return cast(Json, value) if isinstance(value, dict) else {}
