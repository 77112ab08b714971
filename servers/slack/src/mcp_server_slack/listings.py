"""Slack's long lists, walked a page at a time and left where enough was found."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mcp_server_slack.answers import Answer, an_object, objects
from mcp_server_slack.slack_api import Read

ThingT = TypeVar("ThingT")
Place = tuple[str, int]  # Slack's cursor of a page, and how many of its things to skip
START: Place = ("", 0)
MOST_PAGES = 25
_PAGE = 200


@dataclass(frozen=True)
class Sifted(Generic[ThingT]):
    """What was looked for in a list.

    Attributes:
        places: for each thing, where the list goes on behind it.
        start: where it was begun.
        rest: where it goes on behind everything that was looked at; None at its end.
    """

    things: list[ThingT]
    places: list[Place]
    start: Place
    rest: Place | None

    def resume(self, kept: int) -> Place | None:
        """Return where to go on after the first so many things."""
        if kept == len(self.things):
            return self.rest
        return self.places[kept - 1] if kept else self.start


async def sift(
    read: Read,
    method: str,
    key: str,
    wanted: Callable[[Answer], ThingT | None],
    *,
    most: int,
    start: Sequence[Any] | None = None,
    **arguments: Any,
) -> Sifted[ThingT]:
    """Return the first things of a list that are wanted, from a place on, looking at so many pages at most."""
    begun: Place = (start[0], start[1]) if start else START
    found = Sifted[ThingT]([], [], begun, None)
    cursor, skip = begun
    async for page, following in pages(read, method, key, cursor=cursor, **arguments):
        for index, raw in enumerate(page[skip:], skip):
            thing = wanted(raw)
            if thing is not None and len(found.things) == most:
                return Sifted(found.things, found.places, begun, (cursor, index))
            if thing is not None:
                found.things.append(thing)
                found.places.append((cursor, index + 1))
        cursor, skip = following, 0
    return Sifted(found.things, found.places, begun, (cursor, 0) if cursor else None)


async def pages(
    read: Read, method: str, key: str, *, cursor: str = "", most: int = MOST_PAGES, **arguments: Any
) -> AsyncGenerator[tuple[list[Answer], str]]:
    """Yield pages of a list, each with the cursor of the next: empty at the end."""
    for _ in range(most):
        answer = await read(method, cursor=cursor or None, limit=_PAGE, **arguments)
        following = str(an_object(answer.get("response_metadata")).get("next_cursor") or "")
        following = "" if following == cursor else following
        yield objects(answer.get(key)), following
        if not following:
            return
        cursor = following
