"""Files as resources: what a person attaches to a conversation."""

from collections.abc import Mapping

from mcp_server_shared.call import Call
from mcp_server_shared.errors import ExpectedError, Unsupported
from mcp_server_shared.output import Blob, Document

from mcp_server_filesystem.files import Files
from mcp_server_filesystem.text import Lines
from mcp_server_filesystem.tools import read_part

MAX_BLOB_BYTES = 1_000_000
_MOST_COMPLETIONS = 100


async def file(call: Call[Files], path: str) -> Document | Blob:
    """One file of the allowed directories, as text where it is text."""
    try:
        return await read_part(call, f"/{path}", Lines(), call.budget)
    except Unsupported:
        read = await call.in_thread(call.state.read_bytes, f"/{path}", max_bytes=MAX_BLOB_BYTES)
        return Blob(data=read.data, mime_type=read.mime_type)


async def complete_path(call: Call[Files], value: str, others: Mapping[str, str]) -> list[str]:
    """Return paths that begin so: the allowed directories, then what is in them."""
    directory, _, beginning = value.rpartition("/")
    roots = [root.path.lstrip("/") for root in await call.in_thread(call.state.roots)]
    inside = [root for root in roots if root.startswith(value)]
    try:
        listing = await call.in_thread(call.state.list_directory, f"/{directory}", limit=10_000)
    except ExpectedError:  # what cannot be listed completes to nothing
        return inside
    names = [f"{entry.name}/" if entry.type == "directory" else entry.name for entry in listing.entries]
    found = [f"{directory}/{name}" for name in names if name.startswith(beginning)]
    return [*inside, *found][:_MOST_COMPLETIONS]
