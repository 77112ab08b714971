"""Pull requests: what they are about, what they change, what was said and whether they pass."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from mcp_server_shared.errors import ExpectedError

from mcp_server_github import checks, history, refs, review_threads
from mcp_server_github.changes import outline, patches
from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import WHOLE, Items, Json, Repository, Session
from mcp_server_github.issues import comments, said
from mcp_server_github.text import day, labels, login, short

COLUMNS = ("number", "state", "title", "author", "branch", "base", "labels", "updated")

_MOST_FILES_IN_OVERVIEW = 100
_MOST_TEXT_IN_OVERVIEW = 4_000


def list_pull_requests(session: Session, repository: Repository, filters: Json, start: int) -> Items:
    """Return the pull requests of a repository."""
    given = {name: value for name, value in filters.items() if value}
    return session.items(repository.path("pulls"), given, start=start, what=f"pull requests in {repository.name}")


def row(pull: Json) -> list[Any]:
    """Return a pull request as a row of `COLUMNS`."""
    who, updated = login(pull["user"]), day(pull["updated_at"])
    return [pull["number"], state(pull), pull["title"], who, _branch(pull), pull["base"]["ref"], labels(pull), updated]


def state(pull: Json) -> str:
    """Return the state that a person would name."""
    if pull.get("merged_at"):
        return "merged"
    return "draft" if pull.get("draft") and pull["state"] == "open" else str(pull["state"])


def read_pull_request(session: Session, repository: Repository, number: int) -> Json:
    """Return one pull request."""
    return session.get(repository.path("pulls", number), what=f"pull request {number} in {repository.name}")


def overview(session: Session, repository: Repository, pull: Json, position: Any) -> Iterator[Piece]:
    """Yield what a reviewer wants to know first; a part that the credential may not see says so."""
    parts: list[Callable[[], str]] = [
        lambda: _opening(session, repository, pull),
        lambda: _outline(session, repository, pull),
        lambda: _or_why_not("checks", lambda: _checks(session, repository, pull)),
        lambda: _or_why_not("reviews", lambda: _verdicts(session, repository, pull)),
        lambda: _or_why_not("threads", lambda: review_threads.summary(session, repository, pull)),
    ]
    for place, part in enumerate(parts):
        if position is None or place >= position[0]:
            yield from_position(part(), place, position)


def diff(session: Session, repository: Repository, pull: Json, position: Any, only: str) -> Iterator[Piece]:
    """Yield the changes of each file."""
    if session.withholds(repository, pull):
        yield Piece(heading("changes", "withheld"), 0)
        return
    yield from patches(_files(session, repository, pull, position[0] if position else 0), position, only)


def commits(session: Session, repository: Repository, pull: Json, position: Any) -> Iterator[Piece]:
    """Yield a line for each commit, the oldest first."""
    path, first = repository.path("pulls", pull["number"], "commits"), position[0] if position else 0
    what = f"commits of pull request {pull['number']} in {repository.name}"
    for place, commit in session.items(path, WHOLE, start=first, what=what):
        yield from_position(body(" ".join(map(str, history.row(commit)))), place, position)


def conversation(session: Session, repository: Repository, pull: Json, position: Any) -> Iterator[Piece]:
    """Yield the reviews with their words, then the comments on the whole."""
    if position is None or position[0] == "reviews":
        spoken = [r for r in _reviews(session, repository, pull) if r.get("body")]
        text = "".join(said(session, repository, r, f"review {r['id']}", r["state"].lower()) for r in spoken)
        yield from_position(text, "reviews", position)
    first = position[0] if position and position[0] != "reviews" else 0
    yield from comments(session, repository, pull["number"], position, first)


def _checks(session: Session, repository: Repository, pull: Json) -> str:
    refs.require_heard(session, repository, pull, "what checks say")
    return checks.summary(session, repository, pull["head"]["sha"])


def _outline(session: Session, repository: Repository, pull: Json) -> str:
    if session.withholds(repository, pull):
        return heading("files", "withheld")
    files = [file for _, file in islice(_files(session, repository, pull), _MOST_FILES_IN_OVERVIEW)]
    return heading(f"{len(files)} of {pull.get('changed_files', len(files))} files") + outline(files)


def changed_paths(session: Session, repository: Repository, pull: Json) -> list[str]:
    """Return every path that a pull request changes, those that files had before among them."""
    files = (file for _, file in _files(session, repository, pull))
    return [file[name] for file in files for name in ("filename", "previous_filename") if file.get(name)]


def _files(session: Session, repository: Repository, pull: Json, start: int = 0) -> Iterator[tuple[int, Json]]:
    what = f"pull request {pull['number']} in {repository.name}"
    return iter(session.items(repository.path("pulls", pull["number"], "files"), WHOLE, start=start, what=what))


def _reviews(session: Session, repository: Repository, pull: Json) -> Iterable[Json]:
    what = f"reviews of pull request {pull['number']} in {repository.name}"
    path = repository.path("pulls", pull["number"], "reviews")
    return (review for _, review in session.items(path, WHOLE, what=what))


def _verdicts(session: Session, repository: Repository, pull: Json) -> str:
    latest: dict[str, str] = {}
    for review in _reviews(session, repository, pull):
        if review["state"] in {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}:
            latest[login(review["user"])] = review["state"].lower().replace("_", " ")
    wanted = [login(user) for user in pull.get("requested_reviewers") or ()]
    wanted += [f"team {team['slug']}" for team in pull.get("requested_teams") or ()]
    told = [f"{who}: {verdict}" for who, verdict in latest.items()] + [f"{who}: asked" for who in wanted]
    return heading("reviews") + body("\n".join(told) or "none")


def _opening(session: Session, repository: Repository, pull: Json) -> str:
    text: str = pull.get("body") or "(no text)"
    if len(text) > _MOST_TEXT_IN_OVERVIEW:
        left = len(text) - _MOST_TEXT_IN_OVERVIEW
        text = f"{text[:_MOST_TEXT_IN_OVERVIEW]}\n(… {left:,} characters more: read_issue has them)"
    size = f"+{pull.get('additions', '?')} -{pull.get('deletions', '?')} in {pull.get('commits', '?')} commits"
    marked = labels(pull) and f"labels {labels(pull)}"
    branch = "(withheld)" if session.withholds(repository, pull) else _branch(pull)
    details = [state(pull), f"{branch} -> {pull['base']['ref']}", size, _mergeable(pull), marked]
    titled = {**pull, "body": f"{pull['title']}\n\n{text}"}
    return said(session, repository, titled, f"pull request {pull['number']}", *filter(None, details))


def _mergeable(pull: Json) -> str:
    if pull["state"] != "open" or pull.get("mergeable") is None:
        return ""
    state = f" ({pull['mergeable_state']})" if pull.get("mergeable_state") in {"blocked", "behind", "unstable"} else ""
    return f"can be merged{state}" if pull["mergeable"] else "has conflicts"


def _branch(pull: Json) -> str:
    """Return the branch that is to be merged, with its repository when that is another one."""
    head, base = pull["head"], pull["base"]
    if not head.get("repo"):
        return f"{head['ref']} (its repository is gone)"
    foreign = head["repo"]["full_name"] != base["repo"]["full_name"]
    return f"{head['repo']['full_name']}:{head['ref']}" if foreign else str(head["ref"])


def facts(pull: Json) -> Json:
    """Return what a write will have to know."""
    return {"number": pull["number"], "head_sha": pull["head"]["sha"], "base_sha": short(pull["base"]["sha"])}


def _or_why_not(part: str, read: Callable[[], str]) -> str:
    try:
        return read()
    except ExpectedError as error:
        return heading(part, f"not shown: {error.message} {error.hint}".strip())
