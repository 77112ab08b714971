"""What every provider of search results looks like from inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["web", "news", "images", "videos", "places", "passages"]
SafeSearch = Literal["off", "moderate", "strict"]


@dataclass(frozen=True)
class Query:
    """One question to a provider.

    Attributes:
        text: the words.
        kind: what is searched for.
        page: which page of the provider's results, from 0.
        freshness: "day", "week", "month", "year", or two dates as "2026-01-01..2026-06-30".
        country: two letters.
        language: "de", "pt-br".
        include: domains to find in; empty for all.
        exclude: domains to leave out.
        near: a place in words, for places.
    """

    text: str
    kind: Kind = "web"
    page: int = 0
    freshness: str | None = None
    country: str | None = None
    language: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    safe_search: SafeSearch = "moderate"
    near: str | None = None

    def with_sites(self) -> str:
        """Return the words with the domains as the `site:` operators that most engines know."""
        only = " OR ".join(f"site:{domain}" for domain in self.include)
        without = " ".join(f"-site:{domain}" for domain in self.exclude)
        return " ".join(part for part in (self.text, f"({only})" if len(self.include) > 1 else only, without) if part)


@dataclass(frozen=True)
class Result:
    """One thing found.

    Attributes:
        title: as plain text.
        url: where it is.
        snippet: the text beside it, plain.
        date: when it was published or last changed, as "2026-11-20"; empty if the provider does not say.
        source: the site or engine it comes from.
        extra: what only this kind of result has, in the order of the tool's extra columns.
    """

    title: str
    url: str
    snippet: str = ""
    date: str = ""
    source: str = ""
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """One page of results.

    Attributes:
        results: in the provider's order.
        more: whether there is a next page.
        altered: the query that was searched for instead, if the provider changed it.
        ignored: the names of arguments that the provider does not know what to do with.
        silent: engines behind the provider that did not answer.
        total: how many there are in all, if the provider says.
    """

    results: Sequence[Result]
    more: bool = False
    altered: str = ""
    ignored: Sequence[str] = ()
    silent: Sequence[str] = ()
    total: int | None = None


def unheeded(query: Query, *names: str) -> list[str]:
    """Return which of these fields of a query ask for something, of a provider that heeds none of them."""
    return [name for name in names if getattr(query, name) != getattr(_UNASKED, name)]


_UNASKED = Query("")


class Provider(Protocol):
    """Somebody who answers queries.

    Attributes:
        name: as results name it.
        host: where queries go.
        note: what a reader of its results should know; empty if nothing.
        costs: whether its requests count against the monthly budget.
        kinds: what it can search for.
    """

    name: str
    host: str
    note: str
    costs: bool
    kinds: frozenset[Kind]

    async def search(self, query: Query) -> Answer:
        """Ask for one page of results."""
        ...

    def quota_left(self) -> int | None:
        """Return how many requests its own quota still allows, if it has said so."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...
