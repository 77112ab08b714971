"""What has an address: files that pages made, and what a page shows."""

from collections.abc import Mapping

from mcp_server_shared.call import Call
from mcp_server_shared.output import Blob, Document

from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.tools.looking import screenshot, snapshot


async def artifact(call: Call[Contexts], name: str) -> Blob:
    """A download, picture, PDF, trace or saved state, as the tool that made it named it."""
    found = call.state.artifacts.get(call.caller, name)
    return Blob(data=await call.in_thread(found.shown), mime_type=found.mime_type)


async def page_screenshot(call: Call[Contexts], page: str) -> Blob:
    """A picture of an open page, or of a URL."""
    media = await screenshot(call, page)
    return Blob(data=media.data, mime_type=media.mime_type)


async def page_snapshot(call: Call[Contexts], page: str) -> Document:
    """What an open page shows, as lines with references; instead of a handle, a URL may be given."""
    return await snapshot(call, page)


async def complete_artifact(call: Call[Contexts], value: str, others: Mapping[str, str]) -> list[str]:
    """Return names of files that begin so."""
    return [name for name in call.state.artifacts.names(call.caller) if name.startswith(value)]


async def complete_page(call: Call[Contexts], value: str, others: Mapping[str, str]) -> list[str]:
    """Return handles of open pages that begin so."""
    handles = [handle for context in call.state.of_caller(call.caller) for handle in context.pages]
    return [handle for handle in handles if handle.startswith(value)]
