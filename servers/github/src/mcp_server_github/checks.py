"""Whether a commit passes: check runs, of Actions and other apps, and the older statuses."""

from collections.abc import Iterator
from typing import Any

from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import WHOLE, Json, Repository, Session
from mcp_server_github.text import first_line

_FINE = {"success", "neutral", "skipped"}
_MOST_NAMED = 30
_MOST_OUTPUT = 2_000


def summary(session: Session, repository: Repository, sha: str) -> str:
    """Return how many passed, and the names of those that did not."""
    outcomes = [(_outcome(run), _line(run)) for run in _runs(session, repository, sha)]
    outcomes += [(status["state"], _status_line(status)) for status in _statuses(session, repository, sha)]
    wanting = [line for outcome, line in outcomes if outcome not in _FINE]
    left = [f"… and {len(wanting) - _MOST_NAMED} more"] if len(wanting) > _MOST_NAMED else []
    passed = f"{len(outcomes) - len(wanting)} of {len(outcomes)} passed"
    return heading("checks", passed) + ("".join(map(body, [*wanting[:_MOST_NAMED], *left])))


def pieces(session: Session, repository: Repository, sha: str, position: Any) -> Iterator[Piece]:
    """Yield each check, those that failed with what they said."""
    ordered = sorted(_runs(session, repository, sha), key=lambda run: _outcome(run) in _FINE)
    lines = [_line(run) + "\n" + ("" if _outcome(run) in _FINE else _output(run)) for run in ordered]
    lines += [_status_line(status) + "\n" for status in _statuses(session, repository, sha)]
    for place, line in enumerate(lines or ["none\n"]):
        if position is None or place >= position[0]:
            yield from_position(body(line), place, position)


def _runs(session: Session, repository: Repository, sha: str) -> list[Json]:
    path = repository.path("commits", sha, "check-runs")
    what = f"checks of {sha} in {repository.name}"
    return [run for _, run in session.items(path, WHOLE, what=what, under="check_runs")]


def _statuses(session: Session, repository: Repository, sha: str) -> list[Json]:
    what = f"statuses of {sha} in {repository.name}"
    return session.get(repository.path("commits", sha, "status"), what=what)["statuses"]


def _outcome(run: Json) -> str:
    return str(run["conclusion"] or run["status"])


def _line(run: Json) -> str:
    app: Json = run.get("app") or {}
    slug = str(app.get("slug", ""))
    output: Json = run.get("output") or {}
    # The number of a check run of Actions is that of its job.
    job = f"job {run['id']}" if slug == "github-actions" else slug
    return " · ".join(filter(None, [_outcome(run), run["name"], job, first_line(output.get("title"))]))


def _status_line(status: Json) -> str:
    return " · ".join(filter(None, [status["state"], status["context"], status.get("description")]))


def _output(run: Json) -> str:
    output: Json = run.get("output") or {}
    told = "\n".join(filter(None, [output.get("summary"), output.get("text")]))
    return f"{told[:_MOST_OUTPUT]}\n" if told else ""
