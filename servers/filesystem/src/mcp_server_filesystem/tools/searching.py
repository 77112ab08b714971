"""Tools that find files by name or by what is in them."""

import asyncio
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_filesystem.entries import Wanted
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.tools.arguments import Cursor, Exclude, Gitignore, Glob, Limit, Path

_PROGRESS_EVERY_S = 0.5

IgnoreCase = Annotated[bool, Field(description="Upper and lower case are the same.")]


async def search_files(  # noqa: PLR0913, PLR0917 - what a search takes
    call: Call[Files],
    path: Path,
    glob: Annotated[Glob, Field(description="Such as *.py (at any depth), src/**/*.{js,ts}.")],
    ignore_case: IgnoreCase = False,  # noqa: FBT002 - named on the wire
    type: Annotated[Literal["file", "directory", "symlink"] | None, Field(description="Only these.")] = None,  # noqa: A002
    min_bytes: Annotated[int | None, Field(ge=0, description="Only files of this size or more.")] = None,
    max_bytes: Annotated[int | None, Field(ge=0, description="Only files of this size or less.")] = None,
    modified_after: Annotated[
        str | None, Field(max_length=40, description="Only what was changed later: ISO 8601, UTC by default.")
    ] = None,
    exclude: Exclude = None,
    gitignore: Gitignore = False,  # noqa: FBT002
    limit: Limit = 500,
    cursor: Cursor = None,
) -> Records:
    """Find files and directories below a directory by their paths relative to it; links are not followed."""
    found = await call.in_thread(
        call.state.search,
        read_notation(path),
        read_notation(glob),
        limit=limit,
        wanted=Wanted(type, min_bytes, max_bytes, _time(modified_after) if modified_after else None),
        ignore_case=ignore_case,
        exclude=[read_notation(each) for each in exclude or ()],
        gitignore=gitignore,
        after=call.position(cursor) or (),
        checkpoint=call.checkpoint,
    )
    return Records(
        columns=["path", "type", "size", *(["modified"] if modified_after else [])],
        rows=[
            ["/".join(names), entry.type, entry.size, *([entry.modified] if modified_after else [])]
            for names, entry in found.entries
        ],
        facts={"path": found.path} | ({"unreadable_directories": found.unreadable} if found.unreadable else {}),
        more=found.more,
        resume=lambda kept: found.entries[kept - 1][0],
    )


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgument(
            f"'modified_after' is no time: {text!r}.", hint="Such as 2026-01-31 or 2026-01-31T12:00:00Z."
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


async def search_content(  # noqa: PLR0913, PLR0917 - what a search takes
    call: Call[Files],
    path: Annotated[str, Field(description="A directory, or one file.", max_length=4_096)],
    pattern: Annotated[str, Field(min_length=1, max_length=1_000, description="Regular expression for one line.")],
    literal: Annotated[bool, Field(description="The pattern is plain text.")] = False,  # noqa: FBT002
    ignore_case: IgnoreCase = False,  # noqa: FBT002
    include: Annotated[list[Glob] | None, Field(max_length=50, description="Globs of files.")] = None,
    exclude: Exclude = None,
    context: Annotated[int, Field(ge=0, le=20, description="Lines around each match.")] = 0,
    per_file: Annotated[int, Field(ge=1, le=1_000, description="Most matches of a file.")] = 100,
    gitignore: Gitignore = True,  # noqa: FBT002
    cursor: Cursor = None,
) -> Records:
    """Find lines in text files; returns paths relative to the directory, line numbers and text."""
    from mcp_server_filesystem.content_search import Query, find_ripgrep
    from mcp_server_filesystem.patterns import parse_pattern

    query = Query(
        parse_pattern(read_notation(pattern), literal=literal, ignore_case=ignore_case),
        include=[read_notation(each) for each in include or ()],
        exclude=[read_notation(each) for each in exclude or ()],
        context=context,
        per_file=per_file,
        honour_gitignore=gitignore,
    )
    names, line = call.position(cursor) or ((), 0)
    files_seen = _Counter()
    reporting = asyncio.create_task(_report(call, files_seen))
    try:
        found = await call.in_thread(
            call.state.search_content,
            read_notation(path),
            query,
            after=(tuple(names), line) if names else None,
            max_characters=call.budget,
            checkpoint=call.checkpoint,
            progress=files_seen.set,
            ripgrep=find_ripgrep(),
            seconds=ceil(call.remaining_s()) + 1,
        )
    finally:
        reporting.cancel()
    counts = {
        "files_with_more_matches": found.capped,
        "binary_files_skipped": found.binary,
        "unreadable": found.unreadable,
    }
    with_cut = any(line.is_cut for line in found.lines)
    columns = ["path", "line", "text", *(["match"] if context else []), *(["cut"] if with_cut else [])]
    rows: list[list[Any]] = [
        [
            "/".join(at.names),
            at.number,
            at.text,
            *([at.is_match] if context else []),
            *([at.is_cut] if with_cut else []),
        ]
        for at in found.lines
    ]
    return Records(
        columns=columns,
        rows=rows,
        facts={"path": found.path, **{name: count for name, count in counts.items() if count}},
        more=found.more,
        resume=lambda kept: [found.lines[kept - 1].names, found.lines[kept - 1].number],
    )


class _Counter:
    """A number that a worker thread sets and the event loop reads."""

    def __init__(self) -> None:
        self.value = 0

    def set(self, value: int) -> None:
        self.value = max(self.value, value)


async def _report(call: Call[Files], files_seen: _Counter) -> None:
    reported = 0
    while True:
        await asyncio.sleep(_PROGRESS_EVERY_S)
        if files_seen.value > reported:
            reported = files_seen.value
            await call.progress(reported, message=f"{reported:,} files")
