"""What `check` finds out, by trying everything once."""

from mcp_server_shared.catalog import Finding
from mcp_server_shared.errors import ExpectedError

from mcp_server_search.providers.provider import Query
from mcp_server_search.search import Position, Search
from mcp_server_search.state import State

_PAGE = b"<html><body><p>A page to try the reader with.</p></body></html>"


async def findings(state: State) -> list[Finding]:
    """Search once, take a page apart, and look at the folders."""
    searching = await _searching(state.search) if state.search else Finding("ok", "No provider is asked.")
    return [searching, await _reading(state), *_folders(state)]


async def _searching(search: Search) -> Finding:
    provider = search.provider
    try:
        found = await search.find(Query("wikipedia"), Position(), 1)
    except ExpectedError as error:
        return Finding("problem", error.message, error.hint)
    cost = f" It counted as one of the {search.usage.budget:,} requests of this month." if provider.costs else ""
    left = provider.quota_left()
    quota = f" {left:,} requests are left there." if left is not None else ""
    level = "ok" if found.results else "warning"
    return Finding(level, f"{provider.name} ({provider.host}) answers.{cost}{quota}", provider.note)


async def _reading(state: State) -> Finding:
    try:
        await state.pages.extractor.extract("html", _PAGE)
    except ExpectedError as error:
        return Finding("problem", f"Pages cannot be taken apart. {error.message}", error.hint)
    return Finding("ok", "Pages can be taken apart.")


def _folders(state: State) -> list[Finding]:
    folders = state.folders.index.folders if state.folders else []
    return [
        Finding("ok", f"The documents in {folder} are searched.")
        if folder.is_dir()
        else Finding("problem", f"{folder} is no folder.", "Create it, or correct the path.")
        for folder in folders
    ]
