"""What people ask for again and again, with the page in question attached."""

from typing import Annotated
from urllib.parse import quote

from mcp_server_shared.call import Call
from mcp_server_shared.output import Attached, Said
from pydantic import Field

from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.tools.looking import snapshot

Page = Annotated[str, Field(description="A URL, or the handle of an open page.", max_length=4_096)]


async def test_web_page(call: Call[Contexts], page: Page) -> list[Said | Attached]:
    """Try a page out as its users would, and report what does not work."""
    return [
        Said(
            "Test this page as its users would use it. What it shows is attached. Open it by open_page, list what one "
            "can do there, and try each: the usual way first, then with empty, long and odd values. After each step, "
            "read what changed; at the end look at list_console_messages and list_requests."
        ),
        await _attached(call, page),
        Said(
            "Do not buy, send or delete anything that is not yours. Report, worst first: what you did, what happened, "
            "what should have happened, and what in the console or the requests goes with it."
        ),
    ]


async def extract_web_table(
    call: Call[Contexts],
    page: Page,
    what: Annotated[str, Field(description="Which table or list, in a few words.", max_length=1_000)],
) -> list[Said | Attached]:
    """Get a table or list of a page as CSV, all pages of it."""
    return [
        Said(
            f"Extract this from the attached page: {what}. read_page_text has tables whole; where the page shows only "
            "some rows, go on by its own controls (next page, show more, scrolling) until there are no more."
        ),
        await _attached(call, page),
        Said(
            "Answer as CSV with a heading, values exactly as they are on the page, empty where there is none; then how "
            "many rows there are, and what you could not get."
        ),
    ]


async def fill_web_form(
    call: Call[Contexts],
    page: Page,
    values: Annotated[str, Field(description="What to put in, in your own words.", max_length=10_000)],
) -> list[Said | Attached]:
    """Fill a form of a page, and stop before it is sent."""
    return [
        Said(f"Fill the form of the attached page with this:\n{values}"),
        await _attached(call, page),
        Said(
            "Open the page by open_page, then use fill_form for all fields at once and look at what it could not fill. "
            "Leave open what I did not say. Do not send it: show me what each field holds, and ask."
        ),
    ]


async def _attached(call: Call[Contexts], page: str) -> Attached:
    return Attached(f"browser://pages/{quote(page, safe='')}/snapshot", await snapshot(call, page))
