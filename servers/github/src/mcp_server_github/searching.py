"""Searches: rewritten into what the operator allows, and what comes back is checked again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp_server_shared.errors import InvalidArgument

from mcp_server_github.github_api import Items, Json, Repository, Session
from mcp_server_github.names import RepoName
from mcp_server_github.text import day, first_line, labels, login, short

_MOST_FRAGMENT = 300


@dataclass(frozen=True)
class Kind:
    """One thing to search for.

    Attributes:
        path: of the search.
        columns: of the rows.
        row: makes a row of a hit; None for one that is not to be shown.
        qualifier: what is added to the query.
        sorts: by what GitHub sorts them, besides by how well they fit.
    """

    path: str
    columns: tuple[str, ...]
    row: Callable[[Session, Json], list[Any] | None]
    qualifier: str = ""
    sorts: tuple[str, ...] = ()


def search(session: Session, kind: Kind, query: str, repo: str, filters: Json, start: int) -> Items:
    """Return what is found among what may be read.

    Raises:
        InvalidArgument, PermissionDenied: GitHub has no such search, or the operator does not allow it.
    """
    name = RepoName.of(repo) if repo else None
    if name is not None and kind is KINDS["users"]:
        raise InvalidArgument("Users are of no repository.", hint="Leave out 'repo'.")
    if (sort := filters.get("sort")) and sort not in kind.sorts:
        known = f"by {' or '.join(kind.sorts)} alone" if kind.sorts else "in no way but by how well they fit"
        raise InvalidArgument(f"GitHub sorts these {known}.", hint="Leave out 'sort', or choose another.")
    if name is not None:
        session.repository(repo)
    scoped = query if kind is KINDS["users"] else session.github.policy.scoped(query, name)
    parameters = {"q": f"{scoped} {kind.qualifier}".strip()} | {key: value for key, value in filters.items() if value}
    return session.items(kind.path, parameters, start=start, what="result of this search", under="items")


def _repository(session: Session, hit: Json) -> list[Any] | None:
    if not session.saw(hit):
        return None
    counts = [hit["stargazers_count"], hit["open_issues_count"]]
    about = [hit["description"], hit["language"], *counts, "private" if hit["private"] else "public"]
    return [hit["full_name"], *about, day(hit["pushed_at"])]


def _code(session: Session, hit: Json) -> list[Any] | None:
    if not session.saw(hit["repository"]):
        return None
    matches: list[Json] = hit.get("text_matches") or []
    fragment = " … ".join(str(match.get("fragment", "")) for match in matches)[:_MOST_FRAGMENT]
    return [hit["repository"]["full_name"], hit["path"], fragment]


def _issue(session: Session, hit: Json) -> list[Any] | None:
    name = RepoName.of("/".join(str(hit["repository_url"]).split("/")[-2:]))
    if not session.github.policy.allows(name):
        return None
    known = session.seen.get(name.key) or session.github.repositories.get(name.key)
    session.unknown_seen |= known is None  # a hit does not say, and asking for each would cost a request
    if session.withholds(known or Repository(name, private=False, default_branch=""), hit):
        return None
    who, updated = login(hit["user"]), day(hit["updated_at"])
    return [str(name), hit["number"], hit["state"], hit["title"], who, labels(hit), hit["comments"], updated]


def _commit(session: Session, hit: Json) -> list[Any] | None:
    if not session.saw(hit["repository"]):
        return None
    commit: Json = hit["commit"]
    who = login(hit["author"]) if hit.get("author") else commit["author"]["name"]
    name = hit["repository"]["full_name"]
    return [name, short(hit["sha"]), day(commit["author"]["date"]), who, first_line(commit["message"])]


def _user(session: Session, hit: Json) -> list[Any]:
    return [hit["login"], hit["type"]]


_ISSUE_COLUMNS = ("repo", "number", "state", "title", "author", "labels", "comments", "updated")
_ISSUE_SORTS = ("created", "updated", "comments")

KINDS: dict[str, Kind] = {
    "code": Kind("/search/code", ("repo", "path", "fragment"), _code),
    "issues": Kind("/search/issues", _ISSUE_COLUMNS, _issue, "is:issue", _ISSUE_SORTS),
    "pull_requests": Kind("/search/issues", _ISSUE_COLUMNS, _issue, "is:pr", _ISSUE_SORTS),
    "repositories": Kind(
        "/search/repositories",
        ("repo", "description", "language", "stars", "open_issues", "visibility", "pushed"),
        _repository,
        sorts=("stars", "updated"),
    ),
    "commits": Kind("/search/commits", ("repo", "sha", "date", "author", "subject"), _commit),
    "users": Kind("/search/users", ("login", "kind"), _user),
}
