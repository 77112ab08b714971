"""What a model can do with files. Names, docstrings, descriptions and error texts are prompts."""

from functools import partial
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Document, Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_filesystem.files import Entry, Files
from mcp_server_filesystem.text import Lines, Position, Tail

Path = Annotated[str, Field(description="Absolute, or relative if one directory is allowed.", max_length=4_096)]
Cursor = Annotated[str | None, Field(description="From a truncated result, to go on.")]


async def read_text_file(
    call: Call[Files],
    path: Path,
    start_line: Annotated[int, Field(ge=1, description="First line to read.")] = 1,
    head: Annotated[int | None, Field(ge=0, description="At most this many lines from there.")] = None,
    tail: Annotated[int | None, Field(ge=0, description="Only the last lines, this many.")] = None,
    cursor: Cursor = None,
) -> Document:
    """Read a text file, exactly, whole or in part. Long files come in pages."""
    if tail is not None and (head is not None or start_line != 1):
        raise InvalidArgument("'tail' cannot be combined with 'head' or 'start_line'.", hint="Pass one of them.")
    position = call.position(cursor)
    part = Position(*position) if position else Tail(tail) if tail is not None else Lines(start_line, head)
    return await read_part(call, read_notation(path), part, call.budget)


async def read_part(call: Call[Files], path: str, part: Lines | Tail | Position, most: int) -> Document:
    """Read at most so many characters of a file, with where to go on after them."""
    read = await call.in_thread(
        call.state.read_text, path, part, max_characters=max(most, 2), checkpoint=call.checkpoint
    )
    page = read.page
    facts: dict[str, Any] = {
        "path": read.path,
        "size": read.size,
        "modified": read.modified,
        "encoding": page.encoding,
        "line_ending": page.line_ending,
        "first_line": page.first_line,
        "last_line": page.last_line,
        "total_lines": page.total_lines,
    }
    return Document(
        text=page.text,
        facts={name: value for name, value in facts.items() if value is not None},
        next=[page.next.byte, page.next.line, page.next.count] if page.next and page.truncated else None,
        shorter=partial(read_part, call, path, part),
    )


async def list_directory(
    call: Call[Files],
    path: Path,
    limit: Annotated[int, Field(ge=1, le=10_000, description="Most entries.")] = 500,
    cursor: Cursor = None,
) -> Records:
    """List what one directory holds, by name; links are not followed."""
    listing = await call.in_thread(
        call.state.list_directory,
        read_notation(path),
        limit=limit,
        after=call.position(cursor),
        checkpoint=call.checkpoint,
    )
    linked = any(entry.target is not None for entry in listing.entries)
    facts = {"path": listing.path, "total": listing.total} | ({"denied": listing.denied} if listing.denied else {})
    return Records(
        columns=["name", "type", "size", "modified", *(["target"] if linked else [])],
        rows=[_row(entry, linked=linked) for entry in listing.entries],
        facts=facts,
        more=listing.next_after is not None,
        resume=lambda kept: listing.entries[kept - 1].name,
    )


def _row(entry: Entry, *, linked: bool) -> list[Any]:
    return [entry.name, entry.type, entry.size, entry.modified, *([entry.target] if linked else [])]


async def list_allowed_directories(call: Call[Files]) -> Records:
    """List the directories that may be read; everything else is closed."""
    directories = await call.in_thread(call.state.roots)
    return Records(columns=["path", "exists"], rows=[[d.path, d.exists] for d in directories], untrusted=False)
