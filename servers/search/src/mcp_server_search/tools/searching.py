"""Asking the provider. Names, docstrings, descriptions and error texts are prompts."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Records, compact
from pydantic import Field

from mcp_server_search.plain_text import shortened
from mcp_server_search.providers.provider import Provider, Query, Result
from mcp_server_search.search import Found, Position
from mcp_server_search.settings import Settings
from mcp_server_search.state import State
from mcp_server_search.tools.arguments import (
    Country,
    Cursor,
    Domains,
    Freshness,
    Language,
    Limit,
    QueryText,
    SafeSearch,
)

COLUMNS = ("title", "url", "snippet", "date", "source", "ref")


async def search_web(
    call: Call[State],
    query: QueryText,
    limit: Limit = 10,
    freshness: Freshness = None,
    country: Country = None,
    language: Language = None,
    domains: Domains = None,
    safe_search: SafeSearch = "moderate",
    cursor: Cursor = None,
) -> Records:
    """Search the web. Read what looks right with read_page, by its url and ref."""
    include, exclude = _sides(domains)
    asked = Query(
        query,
        freshness=freshness,
        country=country,
        language=language,
        include=include,
        exclude=exclude,
        safe_search=safe_search,
    )
    return await _records(call, asked, limit, cursor)


async def search_wikipedia(
    call: Call[State], query: QueryText, limit: Limit = 10, language: Language = None, cursor: Cursor = None
) -> Records:
    """Search Wikipedia's articles, not the web. Read one with read_page, by its url and ref."""
    return await _records(call, Query(query, language=language), limit, cursor)


async def search_news(
    call: Call[State],
    query: QueryText,
    limit: Limit = 10,
    freshness: Freshness = None,
    country: Country = None,
    language: Language = None,
    cursor: Cursor = None,
) -> Records:
    """Search news articles."""
    asked = Query(query, "news", freshness=freshness, country=country, language=language)
    return await _records(call, asked, limit, cursor)


async def search_images(
    call: Call[State], query: QueryText, limit: Limit = 10, safe_search: SafeSearch = "strict", cursor: Cursor = None
) -> Records:
    """Search images: the page of each, its own address, its size."""
    return await _records(call, Query(query, "images", safe_search=safe_search), limit, cursor, "image", "size")


async def search_videos(
    call: Call[State], query: QueryText, limit: Limit = 10, freshness: Freshness = None, cursor: Cursor = None
) -> Records:
    """Search videos."""
    return await _records(call, Query(query, "videos", freshness=freshness), limit, cursor, "duration", "creator")


async def search_places(
    call: Call[State],
    query: QueryText,
    near: Annotated[str, Field(description="Town and country: lyon france.", min_length=1, max_length=200)],
    limit: Limit = 10,
    cursor: Cursor = None,
) -> Records:
    """Search shops, sights and other places near a town."""
    columns = ("address", "phone", "rating", "coordinates")
    return await _records(call, Query(query, "places", near=near), limit, cursor, *columns)


async def search_passages(
    call: Call[State], query: QueryText, limit: Limit = 5, freshness: Freshness = None, cursor: Cursor = None
) -> Records:
    """Search the web for longer passages of fewer pages: when snippets would not do and pages are too much."""
    return await _records(call, Query(query, "passages", freshness=freshness), limit, cursor)


def _sides(domains: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    given = [domain.lower().strip(".") for domain in domains or ()]
    include = tuple(domain for domain in given if not domain.startswith("-"))
    return include, tuple(domain[1:] for domain in given if domain.startswith("-"))


async def _records(call: Call[State], query: Query, limit: int, cursor: str | None, *extra: str) -> Records:
    """Ask, from where the cursor says, and return a row a result."""
    check_sendable(query.text)
    start = Position(*(call.position(cursor) or ()))
    search = call.state.search
    if search is None:
        raise InvalidArgument("No provider is configured.")
    await call.state.references.load()
    found = await call.retry(lambda: search.find(query, start, limit, caller=call.caller))
    most = None if query.kind == "passages" else row_limit(call)
    rows = [_row(call, result, most) for result in found.results]
    return Records(
        columns=[*COLUMNS[:-1], *extra, COLUMNS[-1]],
        rows=rows,
        facts=_facts(search.provider, found),
        more=found.more,
        resume=lambda kept: [found.after[kept].page, found.after[kept].shown],
    )


def check_sendable(text: str) -> None:
    """Refuse what cannot be written as UTF-8: half of a surrogate pair.

    Raises:
        InvalidArgument: it is that.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("'query' has half of a character in it.", hint="Leave it out.") from None


def row_limit(call: Call[State]) -> int:
    """Return how long a result may be."""
    return cast("Settings", call.settings).result_characters


def _row(call: Call[State], result: Result, most: int | None) -> list[str]:
    """Return a result as a row of at most `most` characters, for which the snippet and then the title are cut."""
    reference = call.state.references.mint(result.url, call.caller) if result.url else ""
    rest = [result.date, result.source, *result.extra, reference]
    title, snippet = result.title, result.snippet
    if most is not None:
        room = most - len(compact(["", result.url, "", *rest])) - 1  # and the line break
        title = shortened(title, max(room // 2, 40))
        snippet = shortened(snippet, room - len(compact(title)))
    return [title, result.url, snippet, *rest]


def _facts(provider: Provider, found: Found) -> dict[str, Any]:
    answer = found.answer
    facts: dict[str, Any] = {
        "provider": provider.name,
        "note": provider.note,
        "searched_for_instead": answer.altered,
        "ignored_arguments": list(answer.ignored),
        "engines_without_answer": list(answer.silent),
    }
    said = {name: value for name, value in facts.items() if value}
    return said if answer.total is None else said | {"total": answer.total}
