"""What commits and pull requests change, file by file."""

from collections.abc import Iterable, Iterator
from typing import Any

from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import Json

_LETTERS = {"added": "A", "removed": "D", "modified": "M", "renamed": "R", "copied": "C", "changed": "T"}


def outline(files: Iterable[Json]) -> str:
    """Return a line for each file: how it was changed, by how many lines."""
    return "".join(f"{_LETTERS.get(file['status'], '?')} {_name(file)} {_counts(file)}\n" for file in files)


def patches(files: Iterable[tuple[int, Json]], position: Any, only: str = "") -> Iterator[Piece]:
    """Yield each file's changes, from where an earlier page ended.

    Args:
        files: with their places in the whole list.
        position: where to begin.
        only: the path of the one file that is wanted.
    """
    for place, file in files:
        if not only or only in {file["filename"], file.get("previous_filename")}:
            shown = file.get("patch")
            told = body(shown) if shown else f"({_why_not(file)})\n"
            yield from_position(heading(file["status"], _name(file), _counts(file)) + told, place, position)


def _name(file: Json) -> str:
    before = file.get("previous_filename")
    return f"{before} -> {file['filename']}" if before else str(file["filename"])


def _counts(file: Json) -> str:
    return f"+{file['additions']} -{file['deletions']}"


def _why_not(file: Json) -> str:
    if not file["changes"]:
        return "no changed lines: renamed, a binary file or a changed mode"
    return "too large for GitHub to show: read the file at both commits"
