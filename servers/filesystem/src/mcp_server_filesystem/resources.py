"""Files as resources: what a person attaches to a conversation, and a client may watch."""

import sys
from collections.abc import AsyncGenerator, Mapping

import anyio
from anyio.to_thread import run_sync
from mcp_server_shared.call import Call
from mcp_server_shared.errors import ExpectedError, Unsupported
from mcp_server_shared.output import Blob, Document
from mcp_server_shared.untrusted import read_notation, show_invisible

from mcp_server_filesystem.files import Files, Key
from mcp_server_filesystem.text import Lines
from mcp_server_filesystem.tools.reading import read_part

MAX_BLOB_BYTES = 1_000_000
LOOK_EVERY_S = 0.5

_MOST_COMPLETIONS = 100


async def file(call: Call[Files], path: str) -> Document | Blob:
    """One file of the allowed directories, as text where it is text."""
    try:
        return await read_part(call, _absolute(path), Lines(), call.budget)
    except Unsupported:
        read = await call.in_thread(call.state.read_bytes, _absolute(path), max_bytes=MAX_BLOB_BYTES)
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
        return await run_sync(files.fingerprint, _absolute(path), abandon_on_cancel=True)
    except ExpectedError:  # gone, or no longer inside
        return None


async def complete_path(call: Call[Files], value: str, others: Mapping[str, str]) -> list[str]:
    """Return paths that begin so, in the notation for invisible characters: the allowed directories, what is in them.

    A name that is not UTF-8 has no other form in an address: "%E9" would be read as a character that it is not.
    """
    return [show_invisible(path) for path in await _paths_that_begin(call, read_notation(value))]


async def _paths_that_begin(call: Call[Files], value: str) -> list[str]:
    directory, _, beginning = value.rpartition("/")
    roots = [root.path.lstrip("/") for root in await call.in_thread(call.state.roots)]
    inside = [root for root in roots if root.startswith(value)]
    try:
        listing = await call.in_thread(
            call.state.list_directory, f"/{directory}", limit=_MOST_COMPLETIONS, after=_before_all(beginning)
        )
    except ExpectedError:  # what cannot be listed completes to nothing
        return inside
    names = [f"{entry.name}/" if entry.type == "directory" else entry.name for entry in listing.entries]
    found = [f"{directory}/{name}" for name in names if name.startswith(beginning)]
    return [*inside, *found][:_MOST_COMPLETIONS]


def _before_all(beginning: str) -> tuple[str] | None:
    """Return the key after which come, in a listing, the names that begin so."""
    last = ord(beginning[-1]) if beginning else 0
    return (f"{beginning[:-1]}{chr(last - 1)}{chr(sys.maxunicode)}",) if last else None


def _absolute(path: str) -> str:
    """Return the path that the variable part of an address names."""
    return f"/{read_notation(path)}"
