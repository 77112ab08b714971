"""Asking a provider: answers kept for a while, duplicates merged, spending counted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from mcp_server_shared.errors import Unavailable

from mcp_server_search.cache import Cache
from mcp_server_search.providers.provider import Answer, Provider, Query, Result
from mcp_server_search.usage import Usage

_MOST_CACHED_CHARACTERS = 20_000_000
_MOST_ASKED_CHARACTERS = 100_000
_MOST_PAGES = 3  # of the provider, for one call
_TRACKING = ("utm_", "gclid", "fbclid", "msclkid", "mc_cid", "mc_eid")


@dataclass(frozen=True)
class Position:
    """Where results go on: a page of the provider, and how many of its results were shown."""

    page: int = 0
    shown: int = 0


@dataclass(frozen=True)
class Found:
    """Results from a position on.

    Attributes:
        results: at most as many as were asked for.
        after: where to go on after none of them, after the first, and so on.
        answer: the provider's last page, for what else it says.
        more: whether there are more after the last.
    """

    results: Sequence[Result]
    after: Sequence[Position]
    answer: Answer
    more: bool


class Search:
    """One provider, its answers of the last minutes, and what they cost."""

    def __init__(self, provider: Provider, usage: Usage, *, cache_s: float) -> None:
        self.provider = provider
        self.usage = usage
        self._asked: Cache[tuple[str, str], str] = Cache(ttl_s=cache_s, most_characters=_MOST_ASKED_CHARACTERS)
        self._answers: Cache[Query, Answer] = Cache(ttl_s=cache_s, most_characters=_MOST_CACHED_CHARACTERS)

    async def find(self, query: Query, start: Position, limit: int, *, caller: str = "") -> Found:
        """Return at most `limit` results from a position on, asking for as many of the provider's pages as it takes."""
        self._asked.put((caller, query.text), query.text, len(query.text))
        found: dict[str, Result] = {}  # an engine may repeat on its second page what it had on the first
        after = [start]
        page, last = start.page, start.page + _MOST_PAGES - 1
        while True:
            answer = await self._answer(replace(query, page=page))
            known = len(found)
            for number, result in enumerate(answer.results[after[-1].shown :], after[-1].shown + 1):
                if len(found) == limit:
                    return Found(list(found.values()), after, answer, more=True)
                if found.setdefault(_identity(result), result) is result:
                    after.append(Position(page, number))
            if answer.more:
                after[-1] = Position(page + 1)
            if not answer.more or len(found) in {known, limit} or page == last:
                return Found(list(found.values()), after, answer, more=answer.more)
            page += 1

    def asked_by(self, caller: str) -> list[str]:
        """Return what a caller has searched for in the last minutes, the latest first."""
        return [text for asker, text in self._asked.kept() if asker == caller]

    async def close(self) -> None:
        """Close the provider's connections."""
        await self.provider.close()

    async def _answer(self, query: Query) -> Answer:
        kept = self._answers.get(query)
        if kept is None:
            answer = await self._ask(query)
            try:
                kept = _tidied(query, answer)
            except (AttributeError, TypeError) as error:
                raise self._not_as_documented() from error
            self._answers.put(query, kept, sum(map(_size, kept.results)))
        return kept

    async def _ask(self, query: Query) -> Answer:
        try:
            if not self.provider.costs:
                return await self.provider.search(query)
            async with self.usage.spent(self.provider.name):
                return await self.provider.search(query)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._not_as_documented() from error

    def _not_as_documented(self) -> Unavailable:
        return Unavailable(
            f"{self.provider.name} ({self.provider.host}) answers in another form than it documents.",
            hint="Try another query; tell the operator if it stays so.",
        )


def _tidied(query: Query, answer: Answer) -> Answer:
    """Return the answer without what was excluded (not every engine heeds `site:`), and each address once."""
    merged: dict[str, Result] = {}
    for told in answer.results:
        if not _is_wanted(query, told.url):
            continue
        result = told if told.title else replace(told, title=urlsplit(told.url).netloc)
        key = _identity(result)
        first = merged.setdefault(key, result)
        if first is not result:
            better = {name: getattr(first, name) or getattr(result, name) for name in ("snippet", "date", "source")}
            merged[key] = replace(first, **better)
    return replace(answer, results=list(merged.values()))


def _identity(result: Result) -> str:
    return same_page(result.url) if result.url else f"{result.title} {result.extra}"


def same_page(url: str) -> str:
    """Return what addresses of the same page have in common: without scheme, www, fragment and tracking."""
    parts = urlsplit(url)
    tracked = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not pair[0].startswith(_TRACKING)]
    host = parts.netloc.lower().removeprefix("www.")
    return f"{host}{parts.path.rstrip('/')}?{urlencode(tracked)}"


def _is_wanted(query: Query, url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if url and not (host and parts.scheme in {"http", "https"}):  # nothing that could be opened
        return False

    def is_in(domains: Sequence[str]) -> bool:
        return any(host == domain or host.endswith(f".{domain}") for domain in domains)

    return not is_in(query.exclude) and (not query.include or is_in(query.include))


def _size(result: Result) -> int:
    return sum(map(len, (result.title, result.url, result.snippet, result.source, *result.extra)))
