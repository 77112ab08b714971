"""Tools that tell what there is."""

from dataclasses import asdict
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.output import Document, Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_filesystem.entries import Entry
from mcp_server_filesystem.files import Files, Sort
from mcp_server_filesystem.tools.arguments import Cursor, Exclude, Gitignore, Limit, Path

_CHARACTERS_OF_A_LINE = 20  # in a tree, at least


async def list_directory(
    call: Call[Files],
    path: Path,
    sort: Annotated[Sort, Field(description="Sort by this.")] = "name",
    descending: Annotated[bool, Field(description="Largest or latest first.")] = False,  # noqa: FBT002 - named on the wire
    limit: Limit = 500,
    cursor: Cursor = None,
) -> Records:
    """List what one directory holds; links are not followed."""
    listing = await call.in_thread(
        call.state.list_directory,
        read_notation(path),
        limit=limit,
        sort=sort,
        descending=descending,
        after=call.position(cursor),
        checkpoint=call.checkpoint,
    )
    linked = any(entry.target is not None for entry in listing.entries)
    facts = {"path": listing.path, "total": listing.total} | ({"denied": listing.denied} if listing.denied else {})
    return Records(
        columns=["name", "type", "size", "modified", *(["target"] if linked else [])],
        rows=[_row(entry, linked=linked) for entry in listing.entries],
        facts=facts,
        more=listing.more,
        resume=lambda kept: listing.keys[kept - 1],
    )


def _row(entry: Entry, *, linked: bool) -> list[Any]:
    return [entry.name, entry.type, entry.size, entry.modified, *([entry.target] if linked else [])]


async def directory_tree(
    call: Call[Files],
    path: Path,
    depth: Annotated[int, Field(ge=1, le=100, description="Levels.")] = 3,
    limit: Annotated[int, Field(ge=1, le=10_000, description="Most entries, upper levels first.")] = 500,
    exclude: Exclude = None,
    gitignore: Gitignore = True,  # noqa: FBT002
) -> Document:
    """Show a directory and what is below it as an indented list, marked as by ls -F; "…" means more."""
    tree = await call.in_thread(
        call.state.outline,
        read_notation(path),
        depth=depth,
        limit=min(limit, call.budget // _CHARACTERS_OF_A_LINE),
        exclude=[read_notation(each) for each in exclude or ()],
        gitignore=gitignore,
        checkpoint=call.checkpoint,
    )
    cut = {"unlisted": tree.unlisted, "unopened": tree.unopened}
    facts: dict[str, Any] = {"path": tree.path, "shown": tree.shown, **{k: n for k, n in cut.items() if n}}
    if any(cut.values()):
        facts |= {"truncated": True}
    if tree.unreadable:
        facts |= {"unreadable_directories": tree.unreadable}
    return _first_lines(tree.text, facts, len(tree.text))


def _first_lines(text: str, facts: dict[str, Any], most: int) -> Document:
    if len(text) > most:
        text = text[: text.rfind("\n", 0, most) + 1]
        facts = facts | {"shown": text.count("\n"), "truncated": True}

    async def shorter(characters: int) -> Document:
        return _first_lines(text, facts, characters)

    return Document(text=text, facts=facts, shorter=shorter)


async def get_file_info(
    call: Call[Files],
    path: Path,
    total: Annotated[bool, Field(description="Of a directory, also count what is below it and sum the sizes.")] = False,  # noqa: FBT002
) -> Records:
    """Tell type, size, time, mode, owner, link target, media type, encoding and SHA-256; a link is not followed."""
    info = await call.in_thread(call.state.info, read_notation(path), checkpoint=call.checkpoint)
    known = {name: value for name, value in asdict(info).items() if value is not None}
    if total and info.type == "directory":
        summed = await call.in_thread(call.state.total, info.path, checkpoint=call.checkpoint)
        known |= {"entries": summed.entries, "total_size": summed.bytes}
        known |= {"unreadable_directories": summed.unreadable} if summed.unreadable else {}
    return Records(columns=list(known), rows=[list(known.values())])


async def list_allowed_directories(call: Call[Files]) -> Records:
    """List the directories that may be read or written; everything else is closed."""
    return Records(columns=["path", "access"], rows=[list(root) for root in call.state.access()], untrusted=False)
