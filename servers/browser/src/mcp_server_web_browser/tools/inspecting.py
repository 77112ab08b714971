"""What a page printed, requested and downloaded. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound, Unavailable
from mcp_server_shared.output import Document, Records
from mcp_server_shared.redaction import is_secret_name, redact_text
from pydantic import Field

from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.tools.answers import PageName, opened, shown

Cursor = Annotated[str | None, Field(description="From a truncated result.")]
_LEVELS = {"error": {"error"}, "warning": {"error", "warning"}}


async def list_console_messages(
    call: Call[Contexts],
    page: PageName,
    level: Annotated[Literal["error", "warning", "all"], Field(description="The least severe.")] = "all",
    cursor: Cursor = None,
) -> Records:
    """List what a page printed to its console, and its uncaught errors; oldest first, the last 1,000."""
    after: int = call.position(cursor) or 0
    async with opened(call, page) as there:
        wanted = _LEVELS.get(level)
        kept = [m for m in there.traffic.messages if m.number > after and (wanted is None or m.level in wanted)]
        rows = [[m.number, m.level, shown(there, [m.text]), shown(there, [m.where])] for m in kept]
    return Records(columns=["number", "level", "text", "where"], rows=rows, resume=lambda count: rows[count - 1][0])


async def list_requests(
    call: Call[Contexts],
    page: PageName,
    *,
    static: Annotated[bool, Field(description="Also images, styles, scripts, fonts.")] = False,
    url: Annotated[str | None, Field(description="Only those whose URL contains it.", max_length=1_000)] = None,
    cursor: Cursor = None,
) -> Records:
    """List the requests of a page; oldest first, the last 1,000. read_request has one in detail."""
    after: int = call.position(cursor) or 0
    async with opened(call, page) as there:
        kept = [
            exchange
            for exchange in there.traffic.exchanges
            if exchange.number > after
            and (static or not exchange.is_static)
            and (url is None or url in exchange.request.url)
        ]
        rows: list[list[Any]] = [
            [shown(there, [cell]) if isinstance(cell, str) else cell for cell in exchange.row()] for exchange in kept
        ]
    return Records(
        columns=["number", "method", "type", "status", "url"], rows=rows, resume=lambda count: rows[count - 1][0]
    )


async def read_request(
    call: Call[Contexts],
    page: PageName,
    number: Annotated[int, Field(ge=1, description="From list_requests.")],
    part: Annotated[
        Literal["headers", "request_body", "response_body"], Field(description="What to show.")
    ] = "headers",
    cursor: Cursor = None,
) -> Document:
    """Show the headers or a body of one request. Credentials in headers are left out."""
    start: int = call.position(cursor) or 0
    async with opened(call, page) as there:
        from playwright.async_api import Error

        exchange = there.traffic.exchange(number)
        if exchange is None:
            raise NotFound(f"There is no request {number} any more.", hint="list_requests has those that are kept.")
        try:
            text = shown(there, [await there.guarded(_part(exchange.request, part))])
        except Error as error:
            raise Unavailable(
                "The browser no longer has this body.", hint="Read bodies before the page is left."
            ) from error

    async def piece(most: int) -> Document:
        end = min(len(text), start + most)
        return Document(
            text=text[start:end],
            facts={"characters": len(text), "status": exchange.status},
            next=end if end < len(text) else None,
            shorter=piece,
        )

    return await piece(call.budget)


async def _part(request: Any, part: str) -> str:
    if part == "request_body":
        return redact_text(request.post_data or "")
    response = await request.response()
    if part == "response_body":
        body: bytes = await response.body() if response else b""
        return body.decode(errors="replace")
    sent = _headers(await request.all_headers())
    received = _headers(await response.all_headers()) if response else ["(no answer)"]
    return "\n".join([f"{request.method} {request.url}", *sent, "", *received])


def _headers(headers: dict[str, str]) -> list[str]:
    return [f"{name}: {'[redacted]' if is_secret_name(name) else value}" for name, value in headers.items()]


async def list_downloads(call: Call[Contexts], page: PageName) -> Records:
    """List what the pages of this page's context downloaded, when done; each is kept as a resource."""
    async with opened(call, page) as there:
        context = there.context
        await context.finish_downloads()
        rows = [
            [
                saved.artifact.uri if saved.artifact else None,
                context.redact(saved.suggested[:200]),
                saved.artifact.size if saved.artifact else None,
                saved.artifact.mime_type if saved.artifact else None,
                saved.problem or None,
                context.redact(saved.url[:300]),
                call.state.artifacts.lasting_path(saved.artifact),
            ]
            for saved in context.downloads
        ]
    return Records(columns=["uri", "name", "bytes", "type", "problem", "url", "path"], rows=rows)
