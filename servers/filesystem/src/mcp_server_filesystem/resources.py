"""Files as resources: what a person attaches to a conversation, and a client may watch."""

from collections.abc import AsyncGenerator, Mapping

import anyio
from anyio.to_thread import run_sync
from mcp_server_shared.call import Call
from mcp_server_shared.errors import ExpectedError, Unsupported
from mcp_server_shared.output import Blob, Document

from mcp_server_filesystem.files import Files, Key
from mcp_server_filesystem.text import Lines
from mcp_server_filesystem.tools.reading import read_part

MAX_BLOB_BYTES = 1_000_000
LOOK_EVERY_S = 0.5

_MOST_COMPLETIONS = 100


async def file(call: Call[Files], path: str) -> Document | Blob:
    """One file of the allowed directories, as text where it is text."""
    try:
        return await read_part(call, f"/{path}", Lines(), call.budget)
    except Unsupported:
        read = await call.in_thread(call.state.read_bytes, f"/{path}", max_bytes=MAX_BLOB_BYTES)
        return Blob(data=read.data, mime_type=read.mime_type)


async def watch_file(files: Files, path: str) -> AsyncGenerator[None]:
    """Yield whenever the file at a path has changed, has gone, or another took its place.

    Looked at twice a second, through the confinement each time: a notice of the operating system would be about
    whatever the path led to when the watch began, and on some file systems there is none.
    """
    seen = await _fingerprint(files, path)
    while True:
        await anyio.sleep(LOOK_EVERY_S)
        now = await _fingerprint(files, path)
        if now != seen:
            yield
        seen = now


async def _fingerprint(files: Files, path: str) -> Key | None:
    try:
        return await run_sync(files.fingerprint, f"/{path}", abandon_on_cancel=True)
    except ExpectedError:  # gone, or no longer inside
        return None


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
