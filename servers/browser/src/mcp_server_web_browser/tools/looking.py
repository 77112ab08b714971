"""Seeing what is on a page. Names, docstrings, descriptions and error texts are prompts."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Conflict, DeadlineExceeded, InvalidArgument, TooLarge, Unavailable
from mcp_server_shared.output import BYTES_A_CHARACTER, Document, Media, Records
from pydantic import Field

from mcp_server_web_browser import lines as page_lines
from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.pages import DialogOpened, Page
from mcp_server_web_browser.pictures import Format, pdf, picture
from mcp_server_web_browser.tools.answers import PageName, changed, opened, shown

_POLL_S = 0.1


async def snapshot(
    call: Call[Contexts],
    page: PageName,
    within: Annotated[str | None, Field(description="Only inside this element (reference).", max_length=1_000)] = None,
    find: Annotated[
        str | None, Field(description="Only lines with this text, and what they are in.", max_length=500)
    ] = None,
    depth: Annotated[int | None, Field(ge=1, le=100, description="Levels.")] = None,
    *,
    interactive: Annotated[bool, Field(description="Only what can be acted on, and headings.")] = False,
    cursor: Annotated[str | None, Field(description="From a truncated result.")] = None,
) -> Document:
    """Show a page as lines: role, name, value, states, [reference]. Actions answer with changes, so take one rarely."""
    position = call.position(cursor)
    async with opened(call, page, within) as there:
        found = await there.look()
        if within is not None:
            found = page_lines.within(found, (await there.find(within)).reference)
        if find is not None:
            found = page_lines.containing(found, find)
        if interactive:
            found = page_lines.interactive(found)
        if depth is not None:
            found = page_lines.shallow(found, depth)
        if there.context.passing:  # its references would be worth nothing in the next call
            found = [line._replace(reference="") for line in found]
        text = shown(there, [page_lines.outline(found)])
    return await _paged(call, text, position, {"lines": len(found)})


async def read_page_text(
    call: Call[Contexts],
    page: PageName,
    cursor: Annotated[str | None, Field(description="From a truncated result.")] = None,
) -> Document:
    """Read the main content of a page as Markdown, with links."""
    position = call.position(cursor)
    async with opened(call, page) as there:
        there.require_no_dialog()
        answer = await there.guarded(there.documents.ask(there.driven.main_frame, do="markdown"))
        text = shown(there, [answer["text"]])
    return await _paged(call, text, position, {"characters": len(text)})


async def _paged(call: Call[Contexts], text: str, position: Any, facts: dict[str, Any]) -> Document:
    """Return what fits of a text from where the last page of it ended, if it still is the same text."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
    start, expected = position or (0, digest)
    if expected != digest:
        raise Conflict("The page has changed since the first part was read.", hint="Start anew, without cursor.")

    async def part(most: int) -> Document:
        end = min(len(text), start + most)
        rest = [end, digest] if end < len(text) else None
        return Document(text=text[start:end], facts=facts, next=rest, shorter=part)

    return await part(call.budget)


async def screenshot(
    call: Call[Contexts],
    page: PageName,
    target: Annotated[str | None, Field(description="Only this element.", max_length=1_000)] = None,
    *,
    full_page: Annotated[bool, Field(description="Beyond the window.")] = False,
    format: Annotated[Format, Field(description="jpeg is smaller.")] = "jpeg",  # noqa: A002
    scale: Annotated[float, Field(gt=0, le=1, description="Size of the result.")] = 1.0,
) -> Media:
    """See a page as a picture; snapshot tells more for less. Secret fields are covered."""
    async with opened(call, page, target) as there:
        element = await there.find(target) if target is not None else None
        data = await _drawn(there, lambda: picture(there, element, full_page=full_page, kind=format, scale=scale))
    if len(data) > call.budget * BYTES_A_CHARACTER:
        raise TooLarge(f"The picture has {len(data):,} bytes.", hint="Take jpeg, a smaller scale, or one element.")
    return Media(data=data, mime_type=f"image/{format}", facts={"bytes": len(data)})


async def _drawn(page: Page, draw: Callable[[], Awaitable[bytes]]) -> bytes:
    from playwright.async_api import Error

    try:
        page.require_no_dialog()
        return await page.guarded(draw())
    except DialogOpened:
        page.require_no_dialog()
        raise
    except Error as error:
        raise Unavailable("The browser could not draw it.", untrusted=error.message[:300]) from error


async def save_pdf(call: Call[Contexts], page: PageName) -> Records:
    """Print a page to a PDF, kept as a resource."""
    async with opened(call, page) as there:
        data = await _drawn(there, lambda: pdf(there))
        artifact = call.state.artifacts.write(call.caller, data, "page.pdf", there.context.redact)
    return Records(columns=["uri", "bytes"], rows=[[artifact.uri, artifact.size]], untrusted=False)


async def wait_for(
    call: Call[Contexts],
    page: PageName,
    text: Annotated[str | None, Field(description="Until it is shown.", max_length=1_000)] = None,
    gone: Annotated[str | None, Field(description="Until this text is not shown.", max_length=1_000)] = None,
    url: Annotated[str | None, Field(description="Until the address contains it.", max_length=1_000)] = None,
    *,
    network_quiet: Annotated[bool, Field(description="Until no request is under way.")] = False,
    timeout_s: Annotated[float, Field(gt=0, le=600, description="Longest wait.")] = 30.0,
) -> Document:
    """Wait until all that is given holds, then tell what changed. Actions wait by themselves for what they start."""
    if text is None and gone is None and url is None and not network_quiet:
        raise InvalidArgument("Nothing to wait for.", hint="Give text, gone, url or network_quiet.")
    async with opened(call, page) as there:
        before = there.shown or await there.look()
        mark, until = there.mark(), time.monotonic() + timeout_s
        while lacking := await _lacking(there, text, gone, url, network_quiet=network_quiet):
            if time.monotonic() > until:
                raise DeadlineExceeded(
                    f"After {timeout_s:g} seconds, {lacking}.", hint="A snapshot shows what is there."
                )
            await asyncio.sleep(_POLL_S)
        return changed(there, await there.settled(before, mark))


async def _lacking(page: Page, text: str | None, gone: str | None, url: str | None, *, network_quiet: bool) -> str:
    """Return what does not hold yet; empty when all does."""
    page.require_no_dialog()
    if url is not None and url not in page.driven.url:
        return "the address is another"
    if network_quiet and any(not exchange.done for exchange in page.traffic.exchanges):
        return "requests are under way"
    for wanted, there in ((text, True), (gone, False)):
        if wanted is not None and await _is_shown(page, wanted) != there:
            return "the text is not shown" if there else "the text is still shown"
    return ""


async def _is_shown(page: Page, text: str) -> bool:
    from playwright.async_api import Error

    for frame in page.driven.frames:
        try:
            if (await page.guarded(page.documents.ask(frame, 1_000, do="text", text=text)))["there"]:
                return True
        except Error:
            continue
        except DialogOpened:
            page.require_no_dialog()
    return False
