"""Issues, and the conversations under issues and pull requests."""

from collections.abc import Iterator
from typing import Any

from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import WHOLE, Items, Json, Repository, Session
from mcp_server_github.text import day, labels, login

COLUMNS = ("number", "state", "title", "author", "labels", "comments", "updated")


def list_issues(session: Session, repository: Repository, filters: Json, start: int) -> Items:
    """Return issues, and pull requests among them: GitHub lists both."""
    given = {name: value for name, value in filters.items() if value}
    return session.items(repository.path("issues"), given, start=start, what=f"issues in {repository.name}")


def is_issue(item: Json) -> bool:
    """Whether it is an issue and no pull request."""
    return "pull_request" not in item


def row(issue: Json) -> list[Any]:
    """Return an issue as a row of `COLUMNS`."""
    who = login(issue["user"])
    comments = issue.get("comments", 0)
    return [issue["number"], issue["state"], issue["title"], who, labels(issue), comments, day(issue["updated_at"])]


def read_issue(session: Session, repository: Repository, number: int) -> Json:
    """Return one issue, or what is the same of a pull request."""
    return session.get(repository.path("issues", number), what=f"issue {number} in {repository.name}")


def pieces(session: Session, repository: Repository, issue: Json, position: Any) -> Iterator[Piece]:
    """Yield an issue and its comments, from where an earlier page ended."""
    if position is None or position[0] == -1:
        yield from_position(_opening(session, repository, issue), -1, position)
    first = max(0, position[0]) if position else 0
    if issue.get("comments"):
        yield from comments(session, repository, issue["number"], position, first)


def comments(session: Session, repository: Repository, number: int, position: Any, first: int) -> Iterator[Piece]:
    """Yield the comments on an issue or pull request."""
    path = repository.path("issues", number, "comments")
    for place, comment in session.items(path, WHOLE, start=first, what=f"issue {number} in {repository.name}"):
        yield from_position(said(session, repository, comment, f"comment {comment['id']}"), place, position)


def said(session: Session, repository: Repository, item: Json, kind: str, *details: object) -> str:
    """Return one contribution: who wrote it, how they belong to the repository, what they wrote."""
    if session.withholds(repository, item):
        return heading(kind, *details, day(item.get("created_at")), "withheld")
    who = f"by {login(item['user'])} ({str(item.get('author_association', 'unknown')).lower()})"
    when = day(item.get("created_at") or item.get("submitted_at"))
    return heading(kind, *details, who, when) + body(item.get("body"))


def _opening(session: Session, repository: Repository, issue: Json) -> str:
    kind = f"issue {issue['number']}"
    people = ", ".join(login(user) for user in issue.get("assignees") or ())
    state = " ".join(filter(None, [issue["state"], issue.get("state_reason")]))
    marked = [labels(issue) and f"labels {labels(issue)}", people and f"assigned to {people}"]
    milestone = issue.get("milestone")
    details = [state, *marked, milestone and f"milestone {milestone['title']}"]
    titled = {**issue, "body": f"{issue['title']}\n\n{issue.get('body') or '(no text)'}"}
    return said(session, repository, titled, kind, *filter(None, details))
