"""What people ask for again and again, with the files in question attached."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

from mcp_server_shared.call import Call
from mcp_server_shared.output import Attached, Said
from mcp_server_shared.untrusted import read_notation, show_invisible
from pydantic import Field

from mcp_server_filesystem.files import Files
from mcp_server_filesystem.resources import complete_path
from mcp_server_filesystem.text import Lines
from mcp_server_filesystem.tools.listing import directory_tree
from mcp_server_filesystem.tools.reading import read_part

_LEVELS = 3


async def explore_directory(
    call: Call[Files], path: Annotated[str, Field(description="The directory.", max_length=4_096)]
) -> list[Said | Attached]:
    """Find out what a directory is for and how it is organised."""
    tree = await directory_tree(call, path, depth=_LEVELS)
    return [
        Said(
            "Find out what this directory is for and how it is organised. Its upper levels are attached. Read what "
            "explains it best (README, manifests, entry points), search for the rest, and do not read everything."
        ),
        Attached(_uri(tree.facts["path"]), tree),
        Said(
            "Then tell me, shortly: its purpose, its main parts with their paths, where to start for the commonest "
            "tasks, and what is unclear. Say of each statement which file it comes from."
        ),
    ]


async def review_file(
    call: Call[Files], path: Annotated[str, Field(description="The file.", max_length=4_096)]
) -> list[Said | Attached]:
    """Review one text file for errors and possible improvements."""
    document = await read_part(call, read_notation(path), Lines(), call.budget)
    rest = " It is long: read the rest by read_text_file first." if document.next is not None else ""
    return [
        Said(f"Review the attached file.{rest} Where it depends on other files, look at them before you judge."),
        Attached(_uri(document.facts["path"]), document),
        Said(
            "List what you found, worst first: line numbers, what is wrong, how it shows, and the smallest change that "
            "mends it. Keep errors apart from matters of taste, and say so if there is nothing wrong."
        ),
    ]


async def complete_file(call: Call[Files], value: str, others: Mapping[str, str]) -> list[str]:
    """Return absolute paths that begin so."""
    return [f"/{path}" for path in await complete_path(call, value.removeprefix("/"), others)]


async def complete_directory(call: Call[Files], value: str, others: Mapping[str, str]) -> list[str]:
    """Return absolute paths of directories that begin so."""
    roots = {"/" + root.path.lstrip("/") for root in await call.in_thread(call.state.roots)}
    return [path for path in await complete_file(call, value, others) if path.endswith("/") or path in roots]


def _uri(path: str) -> str:
    return "file:///" + quote(show_invisible(path.lstrip("/")))
