"""How pages are named in calls, and what every answer about one looks like."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.callers import caller_has
from mcp_server_shared.errors import ExpectedError
from mcp_server_shared.output import Document
from pydantic import Field

from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.documents import require_target
from mcp_server_web_browser.lines import Line, interactive, outline
from mcp_server_web_browser.pages import Change, Page
from mcp_server_web_browser.settings import SECRET

PageName = Annotated[
    str,
    Field(description="Handle from open_page, or a URL to open for this call alone.", min_length=1, max_length=4_096),
]
Target = Annotated[
    str, Field(description="Reference, such as 3e12; or css=…, text=…, label=….", min_length=1, max_length=1_000)
]

_CHANGE_CHARACTERS = 800  # of an action's answer: what changed, not the page
_PAGE_CHARACTERS = 3_000  # of the beginning of a page that was opened
_LINE_CHARACTERS = 300


@asynccontextmanager
async def opened(call: Call[Contexts], page: str, *targets: str | None) -> AsyncGenerator[Page]:
    """Have a page for this call; what it is to find there is looked over first, since opening takes its time."""
    for target in filter(None, targets):
        require_target(target)
    if ":" not in page:
        async with call.state.page(call.caller, page).turn() as found, _redacting(found):
            yield found
        return
    async with call.state.passing_page(call.caller, page, logs_in=caller_has(SECRET)) as passing:
        mark = passing.mark()
        async with _redacting(passing):
            await passing.go(page)
            await passing.settled([], mark)
            yield passing


@asynccontextmanager
async def _redacting(page: Page) -> AsyncGenerator[None]:
    """Take secrets out of what an error quotes."""
    try:
        yield
    except ExpectedError as error:
        error.untrusted = shown(page, [error.untrusted])
        raise


def changed(page: Page, change: Change, note: str = "", **facts: Any) -> Document:
    """Answer an action: what changed, in few characters."""
    head = [note] if note else []
    if change.navigated:
        head.append(_where(page))
    head += [f"! {event}" for event in change.events]
    body, left = _fitting(change.lines, _CHANGE_CHARACTERS - sum(map(len, head)))
    if left:
        facts |= {"more_lines": left, "see": "snapshot"}
    if not (head or body):
        facts |= {"changed": False}
    return Document(text=shown(page, [*head, *body]), facts=facts)


def beginning(there: Page, change: Change, lines: Sequence[Line], **facts: Any) -> Document:
    """Answer that a page was opened: where one is, and what one can do there."""
    if there.context.passing:  # references would be worth nothing in the next call
        lines = [line._replace(reference="") for line in lines]
    head = [_where(there), *(f"! {event}" for event in change.events)]
    room = _PAGE_CHARACTERS - sum(map(len, head))
    body, left = _fitting(outline(lines).split("\n"), room)
    if left:
        body, left = _fitting(outline(interactive(lines)).split("\n"), room)
        facts |= {"shown": "interactive elements and headings", "see": "snapshot"} | (
            {"more_lines": left} if left else {}
        )
    return Document(text=shown(there, [*head, *body]), facts=facts)


def shown(page: Page, lines: Sequence[str]) -> str:
    """Return text about a page without secrets."""
    page.context.redact.add(page.documents.secrets)
    return page.context.redact("\n".join(lines))


def _where(page: Page) -> str:
    status = f" ({page.status})" if page.status not in {None, 200} else ""
    return f"now at {page.driven.url[:500]}{status}"


def _fitting(lines: Sequence[str], room: int) -> tuple[list[str], int]:
    """Return the lines that fit and how many do not."""
    kept: list[str] = []
    for number, line in enumerate(lines):
        part = line if len(line) <= _LINE_CHARACTERS else f"{line[:_LINE_CHARACTERS]}…"
        room -= len(part) + 1
        if room < 0:
            return kept, len(lines) - number
        kept.append(part)
    return kept, 0
