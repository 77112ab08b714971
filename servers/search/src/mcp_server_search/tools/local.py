"""Searching the operator's own folders."""

import time
from pathlib import Path

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Unsupported
from mcp_server_shared.output import Records

from mcp_server_search.folders import Folders
from mcp_server_search.plain_text import shortened
from mcp_server_search.state import State
from mcp_server_search.tools.arguments import Cursor, Limit, QueryText
from mcp_server_search.tools.searching import check_sendable, row_limit

COLUMNS = ("title", "url", "snippet", "date", "source")
_SHARE_FOR_INDEXING = 0.6  # of the time that the call has


async def index_for_a_while(call: Call[State], folders: Folders) -> int:
    """Bring the index up to date as far as the time of this call goes; return how many documents are left."""
    until = time.monotonic() + call.remaining_s() * _SHARE_FOR_INDEXING
    return await folders.update(call.in_thread, call.checkpoint, until)


async def search_local(call: Call[State], query: QueryText, limit: Limit = 10, cursor: Cursor = None) -> Records:
    """Search the documents in the user's own folders, offline. "Quoted words" stand together. Read with read_page."""
    folders = call.state.folders
    if folders is None:
        raise Unsupported("No folders are named.", hint="The operator names them as arguments.")
    check_sendable(query)
    left = await index_for_a_while(call, folders)
    start: int = call.position(cursor) or 0
    hits = await call.in_thread(folders.index.find, query, limit + 1, start)
    most = row_limit(call)
    facts = {"documents": await call.in_thread(folders.index.count)}
    return Records(
        columns=COLUMNS,
        rows=[
            [hit.title, Path(hit.path).as_uri(), shortened(" ".join(hit.snippet.split()), most), hit.date, hit.folder]
            for hit in hits[:limit]
        ],
        facts=facts | ({"not_indexed_yet": left} if left else {}),
        more=len(hits) > limit,
        resume=lambda kept: start + kept,
        confidentiality="private",
    )
