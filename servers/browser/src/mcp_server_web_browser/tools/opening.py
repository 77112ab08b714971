"""Opening pages and moving between them. Names, docstrings, descriptions and error texts are prompts."""

import asyncio
from typing import Annotated, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.callers import caller_has
from mcp_server_shared.errors import InvalidArgument, NotFound
from mcp_server_shared.output import Document, Records
from pydantic import Field

from mcp_server_web_browser.contexts import Context, Contexts
from mcp_server_web_browser.settings import SECRET
from mcp_server_web_browser.tools.answers import PageName, beginning, opened

Url = Annotated[str, Field(description="http:// or https://…", min_length=1, max_length=4_096)]


async def open_page(
    call: Call[Contexts],
    url: Url = "about:blank",
    context: Annotated[
        str | None, Field(description="Handle, to share its cookies and storage. Default: a fresh one.", max_length=100)
    ] = None,
) -> Document:
    """Open a page and get its handle for the other tools, and how it begins. Handles are yours alone and end after 15
    minutes unused or 4 hours, unless the operator says otherwise.
    """
    await call.state.judge(url)
    where = await call.state.open(call.caller, context, url=url, logs_in=caller_has(SECRET))
    page = await call.state.open_page(where)
    try:
        async with page.turn():
            mark = page.mark()
            if url != "about:blank":
                await page.go(url)
            change = await page.settled([], mark)
            return beginning(page, change, page.shown or [], page=page.handle, context=where.handle)
    except BaseException:
        await asyncio.shield(call.state.closing(call.state.close_page(page, "it could not be opened")))
        raise


async def navigate(
    call: Call[Contexts],
    page: PageName,
    url: Annotated[str | None, Field(description="Where to.", max_length=4_096)] = None,
    move: Annotated[Literal["back", "forward", "reload"] | None, Field(description="Instead of a URL.")] = None,
) -> Document:
    """Go to a URL in an open page, or back, forward, reload."""
    if (url is None) == (move is None):
        raise InvalidArgument("Either a URL or a move is needed, and not both.")
    if url is not None:
        await call.state.judge(url)
    async with opened(call, page) as there:
        before, mark = there.shown or await there.look(), there.mark()
        if url is not None:
            await there.go(url)
        else:
            moves = {"back": there.driven.go_back, "forward": there.driven.go_forward, "reload": there.driven.reload}
            start = moves[move or "reload"]
            await there.navigating(lambda: start(wait_until="commit", timeout=30_000))
        change = await there.settled(before, mark)
        return beginning(there, change, there.shown or [])


async def list_pages(
    call: Call[Contexts],
    page: Annotated[str | None, Field(description="Only those of its context.", max_length=4_096)] = None,
) -> Records:
    """List your open pages, popups too."""
    if page is None:
        return _pages(call.state.of_caller(call.caller))
    async with opened(call, page) as there:
        return _pages([there.context])


def _pages(contexts: list[Context]) -> Records:
    rows = [
        [
            None if context.passing else page.handle,
            None if context.passing else context.handle,
            context.redact(page.driven.url[:300]),
            page.dialog is not None,
        ]
        for context in contexts
        for page in context.pages.values()
    ]
    return Records(columns=["page", "context", "url", "dialog"], rows=rows)


async def close_page(
    call: Call[Contexts], page: Annotated[str, Field(description="Handle of a page or a context.", max_length=100)]
) -> Records:
    """Close a page, or a context with all its pages and cookies."""
    try:
        context = call.state.context(call.caller, page)
    except NotFound:
        return Records(columns=["page", "was_open"], rows=[[page, False]])
    if context.handle == page:
        await call.state.close_context(context, "it was closed")
    else:
        await call.state.close_page(context.pages[page], "it was closed")
    return Records(columns=["page", "was_open"], rows=[[page, True]])
