"""Commits, and what lies between two of them."""

from collections.abc import Iterator
from typing import Any

from mcp_server_github.changes import outline, patches
from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import Items, Json, Repository, Session
from mcp_server_github.text import day, first_line, login, short

COLUMNS = ("sha", "date", "author", "subject")
_MOST_COMMITS_SHOWN = 100


def list_commits(session: Session, repository: Repository, filters: Json, start: int) -> Items:
    """Return the commits of a branch, newest first."""
    given = {name: value for name, value in filters.items() if value}
    return session.items(repository.path("commits"), given, start=start, what=f"commits in {repository.name}")


def row(commit: Json) -> list[Any]:
    """Return a commit as a row of `COLUMNS`."""
    author: Json = commit["commit"]["author"] or {}
    who = login(commit["author"]) if commit.get("author") else str(author.get("name", ""))
    return [short(commit["sha"]), day(author.get("date")), who, first_line(commit["commit"]["message"])]


def read_commit(session: Session, repository: Repository, ref: str) -> Json:
    """Return a commit with the files that it changes."""
    return session.get(repository.path("commits", ref), what=f"commit {ref} in {repository.name}")


def commit_pieces(commit: Json, position: Any, *, patch: bool, only: str) -> Iterator[Piece]:
    """Yield message and files, then what changed in them."""
    files: list[Json] = commit.get("files") or []
    if position is None or position[0] == -1:
        sha, date, author, _ = row(commit)
        parents = ", ".join(short(parent["sha"]) for parent in commit["parents"])
        title = heading("commit", sha, date, f"by {author}", f"parents {parents}" if parents else "")
        text = title + body(commit["commit"]["message"]) + heading(f"{len(files)} files") + outline(files)
        yield from_position(text, -1, position)
    first = position[0] if position and position[0] >= 0 else 0
    if patch or only:
        yield from patches(list(enumerate(files))[first:], position, only)


def compare(session: Session, repository: Repository, base: str, head: str) -> Json:
    """Return what `head` has that `base` has not."""
    what = f"comparison of {base} with {head} in {repository.name}"
    return session.get(repository.path("compare", f"{base}...{head}"), what=what)


def comparison_pieces(comparison: Json, position: Any, *, patch: bool, only: str) -> Iterator[Piece]:
    """Yield the commits and files, then what changed in them."""
    files: list[Json] = comparison.get("files") or []
    commits: list[Json] = comparison["commits"]
    if position is None or position[0] == -1:
        shown = commits[-_MOST_COMMITS_SHOWN:]
        lines = "".join(" ".join(map(str, row(commit))) + "\n" for commit in shown)
        title = heading("commits", f"{len(shown)} of {comparison['total_commits']}, oldest first")
        text = title + body(lines) + heading(f"{len(files)} files") + outline(files)
        yield from_position(text, -1, position)
    first = position[0] if position and position[0] >= 0 else 0
    if patch or only:
        yield from patches(list(enumerate(files))[first:], position, only)
