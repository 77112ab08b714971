"""A directory and what is below it as an indented list that fits a budget, upper levels first."""

import json
import re
from collections import deque
from dataclasses import dataclass

from mcp_server_filesystem.entries import EntryType
from mcp_server_filesystem.walking import Walk

_SUFFIXES: dict[EntryType, str] = {"directory": "/", "symlink": "@", "fifo": "|", "socket": "="}
_LEAST_OF_A_DIRECTORY = 20
_ODD = re.compile(r'[\r\n]|^["… ]|[@|=]$')


@dataclass(frozen=True)
class Outline:
    """A tree as text.

    Attributes:
        path: the absolute path of the directory, links resolved.
        text: a line for each entry, indented by its depth, marked as by `ls -F`; "…" where something is left out.
        shown: how many entries it has.
        unlisted: entries that were found and left out for want of room.
        unopened: directories that were not looked into for want of room.
        unreadable: directories that the operating system does not let be read.
    """

    path: str
    text: str
    shown: int
    unlisted: int
    unopened: int
    unreadable: int


@dataclass
class _Node:
    names: tuple[str, ...]
    type: EntryType = "directory"
    children: "list[_Node] | None" = None
    unlisted: int = 0


def outline(path: str, walk: Walk, depth: int, limit: int) -> Outline:
    """Return the outline of the tree that a walk begins in.

    Args:
        path: what the outline says it is of.
        walk: finds what there is.
        depth: levels below the directory.
        limit: most entries; one directory gets a quarter of what is left, so that others have room too.
    """
    root = _Node(())
    to_open = deque([root])
    shown = 0
    while to_open and shown < limit:
        node = to_open.popleft()
        room = min(limit - shown, max(_LEAST_OF_A_DIRECTORY, (limit - shown) // 4))
        first, total = walk.first(node.names, room)
        node.children = [_Node(entry.names, entry.type) for entry in first]
        node.unlisted = total - len(first)
        shown += len(first)
        if len(node.names) + 1 < depth:
            to_open.extend(child for child in node.children if child.type == "directory")
    lines: list[str] = []
    unlisted = _write(root, lines)
    return Outline(path, "".join(lines), shown, unlisted, len(to_open), walk.unreadable)


def _write(node: _Node, lines: list[str]) -> int:
    """Append the lines below a node; return how many entries they leave out."""
    indent = "  " * len(node.names)
    unlisted = node.unlisted
    for child in node.children or ():
        unopened = " …" if child.type == "directory" and child.children is None else ""
        lines.append(f"{indent}{_shown(child.names[-1])}{_SUFFIXES.get(child.type, '')}{unopened}\n")
        unlisted += _write(child, lines)
    if node.unlisted:
        lines.append(f"{indent}… {node.unlisted:,} more\n")
    return unlisted


def _shown(name: str) -> str:
    """Return a name that cannot be taken for several lines, for one of ours, or for a name with our mark."""
    return json.dumps(name, ensure_ascii=False) if _ODD.search(name) else name
