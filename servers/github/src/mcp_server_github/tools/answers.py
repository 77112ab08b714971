"""How a tool asks GitHub, what is noted of it, and how what comes back becomes a result."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from mcp_server_shared.call import Call
from mcp_server_shared.output import Confidentiality, Document, Records

from mcp_server_github.documents import Piece
from mcp_server_github.github_api import PER_PAGE, GitHub, Items, Json, Session

T = TypeVar("T")
Row = Callable[[Json], Sequence[Any] | None]

# What this caller has read within the hour, for the rule about flows in `publishing`.
READ_PRIVATE = "private content of GitHub"
READ_PUBLIC = "public content of GitHub"

_MOST_LOOKED_BACK = 400
_MOST_PASSED_OVER = 300


async def ask(call: Call[GitHub], work: Callable[[Session], T]) -> T:
    """Return what the work on a thread gives, and note what kind of content it saw."""
    session = call.state.session(call)
    try:
        return await call.in_thread(work, session)
    finally:
        if session.saw_private:
            await call.note(READ_PRIVATE)
        if session.saw_public:
            await call.note(READ_PUBLIC)


def page_of(limit: int) -> Json:
    """Return how many items to ask for at a time: some are passed over, and pages larger than that cost as much."""
    return {"per_page": max(PER_PAGE, limit)}


def records(
    columns: Sequence[str], found: Items, row: Row, limit: int, *, session: Session, facts: Json | None = None
) -> Records:
    """Return the first items as rows.

    Args:
        columns: of the rows.
        found: items of a list, with their places in it.
        row: makes a row of an item; None for one that is not shown.
        limit: most rows.
        session: knows what lockdown withheld.
        facts: what else is to be said.
    """
    rows: list[Sequence[Any]] = []
    places: list[int] = []
    place = -1
    for passed, (place, item) in enumerate(found):
        if (shown := row(item)) is not None:
            rows.append(shown)
            places.append(place)
        if len(rows) == limit or passed == _MOST_PASSED_OVER:
            break
    return Records(
        columns=columns,
        rows=rows,
        facts=withheld(session) | (facts or {}),
        more=place >= 0 and found.more,
        confidentiality=confidentiality(session),
        resume=lambda kept: places[kept] if kept < len(places) else place + 1,
    )


def document(pieces: Iterable[Piece], most: int, facts: Json, session: Session) -> Document:
    """Return as much of the pieces as there is room for, and where they go on."""
    taken: list[Piece] = []
    after: Any = None
    room = most
    for piece in pieces:
        if room <= 0:
            after = piece.at(0)
            break
        taken.append(piece)
        room -= len(piece.text)
    return _cut(taken, most, facts | withheld(session), after, confidentiality(session))


def confidentiality(session: Session) -> Confidentiality:
    """Return who may see what a session has read."""
    return "private" if session.saw_private else "public"


def withheld(session: Session) -> Json:
    """Return how much lockdown kept back, as a fact of a result."""
    return {"withheld": len(session.withheld)} if session.withheld else {}


def _cut(pieces: list[Piece], most: int, facts: Json, after: Any, label: Confidentiality) -> Document:
    """Return the first characters of the pieces, up to the end of a line where one is near."""

    async def shorter(fewer: int) -> Document:
        return _cut(pieces, fewer, facts, after, label)

    def page(text: str, resume: Any) -> Document:
        return Document(text=text, facts=facts, next=resume, shorter=shorter, confidentiality=label)

    shown: list[str] = []
    room = most
    for piece in pieces:
        text = piece.text
        if len(text) > room:
            end = (text.rfind("\n", max(0, room - _MOST_LOOKED_BACK), room) + 1) or room
            return page("".join([*shown, text[:end]]), piece.at(end))
        shown.append(text)
        room -= len(text)
    return page("".join(shown), after)
