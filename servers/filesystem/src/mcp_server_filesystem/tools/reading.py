"""Tools that return what is in files."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import ExpectedError, InvalidArgument, TooLarge
from mcp_server_shared.output import BYTES_A_CHARACTER, Document, Media
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_filesystem.files import Files, TextRead
from mcp_server_filesystem.text import Lines, Position, Tail
from mcp_server_filesystem.tools.arguments import Cursor, Path

MOST_LINES = 2**31 - 1
_PIXELS_A_CHARACTER = 1_000  # of the output budget: 25 million by default


async def read_text_file(
    call: Call[Files],
    path: Path,
    start_line: Annotated[int, Field(ge=1, le=MOST_LINES, description="First line to read.")] = 1,
    head: Annotated[int | None, Field(ge=0, le=MOST_LINES, description="At most this many lines from there.")] = None,
    tail: Annotated[int | None, Field(ge=0, le=MOST_LINES, description="Only the last lines, this many.")] = None,
    line_numbers: Annotated[bool, Field(description="Begin each line with its number and a tab.")] = False,  # noqa: FBT002
    cursor: Cursor = None,
) -> Document:
    """Read a text file, exactly, whole or in part. Long files come in pages."""
    if tail is not None and (head is not None or start_line != 1):
        raise InvalidArgument("'tail' cannot be combined with 'head' or 'start_line'.", hint="Pass one of them.")
    position = call.position(cursor)
    part = Position(*position) if position else Tail(tail) if tail is not None else Lines(start_line, head)
    read = _read_numbered if line_numbers else read_part
    return await read(call, read_notation(path), part, call.budget)


async def read_part(call: Call[Files], path: str, part: Lines | Tail | Position, most: int) -> Document:
    """Read at most so many characters of a file, with where to go on after them."""
    read = await call.in_thread(
        call.state.read_text, path, part, max_characters=max(most, 2), checkpoint=call.checkpoint
    )
    page = read.page
    return Document(
        text=page.text,
        facts=_facts(read),
        next=[page.next.byte, page.next.line, page.next.count] if page.next and page.truncated else None,
        shorter=partial(read_part, call, path, part),
    )


async def _read_numbered(call: Call[Files], path: str, part: Lines | Tail | Position, most: int) -> Document:
    """Read at most so many characters, the numbers before the lines included."""
    document = await read_part(call, path, part, most)
    if document.text and "first_line" not in document.facts:
        raise InvalidArgument(
            "The end of this file is too far from its start to know the line numbers.", hint="Leave line_numbers out."
        )
    width = len(str(document.facts.get("last_line"))) + 1
    room = max(most - width * (document.text.count("\n") + document.text.count("\r") + 1), most // (width + 1))
    if len(document.text) > room:
        document = await read_part(call, path, part, room)
    first: int = document.facts.get("first_line", 1)
    lines = re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", document.text)
    numbered = "".join(f"{number}\t{line}" for number, line in enumerate(lines, first))
    return replace(document, text=numbered, shorter=partial(_read_numbered, call, path, part))


def _facts(read: TextRead) -> dict[str, Any]:
    page = read.page
    facts = {
        "path": read.path,
        "size": read.size,
        "modified": read.modified,
        "encoding": page.encoding,
        "line_ending": page.line_ending,
        "first_line": page.first_line,
        "last_line": page.last_line,
        "total_lines": page.total_lines,
    }
    return {name: value for name, value in facts.items() if value is not None}


async def read_multiple_files(
    call: Call[Files],
    paths: Annotated[list[Path], Field(min_length=1, max_length=50, description="Text files.")],
) -> Document:
    """Read several text files, each from its start and as far as its share of the result goes. A row of "=" and the
    path stand before each; one that fails has its error in the first line.
    """
    return await _read_together(call, [read_notation(path) for path in paths], call.budget)


async def _read_together(call: Call[Files], paths: Sequence[str], most: int) -> Document:
    """Read the beginnings of files, together at most so many characters."""
    read = [await _read_or_error(call, path, most) for path in paths]
    texts = {path: one for path, one in zip(paths, read, strict=True) if isinstance(one, TextRead)}
    if not texts:
        raise next(one for one in read if isinstance(one, ExpectedError))
    fence = "=" * (1 + max([4, *(len(row) for one in texts.values() for row in re.findall("(?m)^=+", one.page.text))]))
    titles = {path: f"{fence} {json.dumps(one.path, ensure_ascii=False)}\n" for path, one in texts.items()}
    room = most - sum(len(title) + 1 for title in titles.values())
    if room < 2 * len(titles):
        raise TooLarge("So many files do not fit one result.", hint="Read fewer at a time.")
    share = _fair_share([len(one.page.text) for one in texts.values()], room)
    for path, one in texts.items():
        if len(one.page.text) > share:
            again = await _read_or_error(call, path, share)
            texts[path] = again if isinstance(again, TextRead) else one
    facts = [_facts_or_error(path, texts.get(path, one)) for path, one in zip(paths, read, strict=True)]
    return Document(
        text="\n".join(titles[path] + one.page.text[:share] for path, one in texts.items()),
        facts={"files": facts} | ({"truncated": True} if any("truncated" in file for file in facts) else {}),
        shorter=partial(_read_together, call, paths),
    )


async def _read_or_error(call: Call[Files], path: str, most: int) -> TextRead | ExpectedError:
    try:
        return await call.in_thread(
            call.state.read_text, path, Lines(), max_characters=max(most, 2), checkpoint=call.checkpoint
        )
    except ExpectedError as error:
        return error


def _facts_or_error(path: str, read: TextRead | ExpectedError) -> Mapping[str, Any]:
    if isinstance(read, ExpectedError):
        return {"path": path, "error": read.code, "message": read.text()}
    cut = {"truncated": True, "next_line": read.page.next_line} if read.page.truncated else {}
    return _facts(read) | cut


def _fair_share(lengths: Sequence[int], room: int) -> int:
    """Return how much each may have so that all fit: what short ones leave goes to the long ones."""
    left = len(lengths)
    for length in sorted(lengths):
        if length * left > room:
            return room // left
        room -= length
        left -= 1
    return max(lengths, default=0)


async def read_media_file(call: Call[Files], path: Path) -> Media:
    """Look at an image or listen to a sound."""
    read = await call.in_thread(
        call.state.read_media,
        read_notation(path),
        max_bytes=call.budget * BYTES_A_CHARACTER,
        max_pixels=call.budget * _PIXELS_A_CHARACTER,
    )
    facts = {
        "path": read.path,
        "mime_type": read.type.name,
        "size": len(read.data),
        "width": read.type.width,
        "height": read.type.height,
        "modified": read.modified,
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return Media(data=read.data, mime_type=read.type.name, facts=known)
