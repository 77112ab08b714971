"""Reading pages, within the fence."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.egress import Destination, destination_of
from mcp_server_shared.errors import ConfirmationRequired, Conflict, NotFound, did_you_mean, sentence
from mcp_server_shared.output import Confidentiality, Document, compact
from pydantic import Field

from mcp_server_search.fetching import MOST_URL_CHARACTERS
from mcp_server_search.pages import Page, Section, end_of_piece
from mcp_server_search.state import State
from mcp_server_search.tools.arguments import Cursor
from mcp_server_search.tools.local import index_for_a_while


async def read_page(
    call: Call[State],
    url: Annotated[str, Field(description="From a search result.", min_length=1, max_length=MOST_URL_CHARACTERS)],
    ref: Annotated[str | None, Field(description="The ref beside it.", max_length=100)] = None,
    section: Annotated[
        str | None, Field(description="Only this section: its number or heading.", min_length=1, max_length=200)
    ] = None,
    find: Annotated[
        str | None, Field(description="Only the paragraphs with all these words.", min_length=1, max_length=200)
    ] = None,
    view: Annotated[
        Literal["text", "headings", "links"], Field(description="The text, its numbered sections, or where links lead.")
    ] = "text",
    max_characters: Annotated[int, Field(ge=500, le=1_000_000, description="Most characters of a page.")] = 10_000,
    cursor: Cursor = None,
) -> Document:
    """Read a web page, PDF or local result as Markdown. For long ones, look at the headings or find words first."""
    page = await admitted_page(call, url, ref)
    if view == "links":
        await call.state.references.load()
        text = await call.in_thread(_links, call, page, find)
    else:
        text = await call.in_thread(_selected, page, section, find, view)
    start, digest = call.position(cursor) or (0, page.digest)
    if digest != page.digest:
        raise Conflict("The page has changed since it was read so far.", hint="Leave 'cursor' out to start again.")
    facts = {"kind": page.kind, "sections": len(page.sections), "links": len(page.links), "characters": len(text)}
    whole = Document(text=text, facts=facts, confidentiality=confidentiality(call, page))
    return await piece(whole, page.digest, max_characters, start, call.budget)


async def admitted_page(call: Call[State], url: str, ref: str | None) -> Page:
    """Return a page that this caller may read: again, by a reference, by configuration, or because a person agrees.

    Raises:
        ConfirmationRequired: nobody showed this address to the caller, and nobody agreed.
    """
    folders = call.state.folders
    if folders is not None and url.startswith("file:"):
        await index_for_a_while(call, folders)
        return await folders.page(call.in_thread, url)
    destination = call.state.pages.fetcher.egress.check_url(url)
    kept = call.state.pages.kept(url, call.caller)
    if kept is not None:
        return kept
    if ref is not None:
        await call.state.references.load()
        call.state.references.check(ref, url, call.caller)
    elif not _is_open(call.state, destination):
        try:
            await call.confirm("open", f"Open {url}? It comes from no search result.")
        except ConfirmationRequired as refusal:
            raise ConfirmationRequired(
                f"This address comes without the ref of a search result. {refusal.message}",
                hint=f"Search for it, and pass url and ref of the result. {refusal.hint} "
                f"Or name the host by --allow-host {destination.host}.",
            ) from None
    return await call.retry(lambda: call.state.pages.read(url, call.caller))


def _is_open(state: State, destination: Destination) -> bool:
    """Whether the operator named this host."""
    host, port = destination.host, destination.port
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return any(rule.names(host, port) for rule in state.open_hosts)
    return any(rule.names(host, port) or rule.covers(address, port) for rule in state.open_hosts)


def confidentiality(call: Call[State], page: Page) -> Confidentiality:
    """Return who may see a page: what lies in the operator's folders and on hosts they name may be theirs alone."""
    if page.url.startswith("file:") or _is_open(call.state, destination_of(page.url)):
        return "private"
    return "public"


async def piece(whole: Document, digest: str, most: int, start: int, room: int) -> Document:
    """Return a document from an offset on, as much as there is room for, cut between paragraphs."""
    end = end_of_piece(whole.text, start, len(whole.text), min(most, room))
    return replace(
        whole,
        text=whole.text[start:end],
        next=[end, digest] if end < len(whole.text) else None,
        shorter=partial(piece, whole, digest, most, start),
    )


def _selected(page: Page, section: str | None, find: str | None, view: str) -> str:
    """Return what is asked for of a page."""
    if view == "headings":
        return "\n".join(map(_heading, page.sections))
    part = Section(0, 0, "", 0, len(page.text)) if section is None else _section(page, section)
    if find is None:
        return page.text[part.start : part.end]
    inside = [each for each in page.sections if part.start <= each.start < part.end]
    return "\n\n".join(_paragraphs_with(page.text, inside, find.casefold().split()))


def _links(call: Call[State], page: Page, find: str | None) -> str:
    """Return a line for each link; with a ref to open it by, where the operator lets links be followed."""
    words = (find or "").casefold().split()
    rows = [[on, to] for on, to in page.links if all(word in f"{on} {to}".casefold() for word in words)]
    if call.state.follows_links:
        mint = call.state.references.mint
        rows = [[on, to, mint(to, call.caller)] for on, to in rows]
    return "\n".join(map(compact, rows))


def _section(page: Page, wanted: str) -> Section:
    sections = page.sections
    if wanted.isdecimal() and int(wanted) < len(sections):
        return _with_parts_of(sections, int(wanted))
    titles = [part.title for part in sections]
    for number, title in enumerate(titles):
        if title.casefold().startswith(wanted.casefold()):
            return _with_parts_of(sections, number)
    raise NotFound(
        f"There is no section '{wanted}'.",
        hint=f"Sections are numbered 0 to {len(sections) - 1}; view='headings' lists them.",
        untrusted=sentence(did_you_mean(wanted, titles)),
    )


def _with_parts_of(sections: Sequence[Section], number: int) -> Section:
    """Return a section that goes on to the next heading of its level or above."""
    first = sections[number]
    end = first.end
    for part in sections[number + 1 :]:
        if not first.level or part.level <= first.level:
            break
        end = part.end
    return Section(first.number, first.level, first.title, first.start, end)


def _heading(part: Section) -> str:
    return f"{part.number} {'#' * part.level} {part.title or '(beginning)'} ({part.end - part.start:,} characters)"


def _paragraphs_with(text: str, sections: Sequence[Section], words: Sequence[str]) -> Iterator[str]:
    """Yield the paragraphs that have every word, each after the number of its section."""
    for part in sections:
        for paragraph in text[part.start : part.end].split("\n\n"):
            folded = paragraph.casefold()
            if all(word in folded for word in words):
                yield f"[section {part.number}] {paragraph.strip()}"
