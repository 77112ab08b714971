"""Runs of workflows, their jobs and the logs of those."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mcp_server_shared.errors import NotFound, PermissionDenied

from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import WHOLE, Items, Json, Repository, Session
from mcp_server_github.text import day, first_line, login, short
from mcp_server_github.wire import download

RUN_COLUMNS = ("run", "workflow", "outcome", "branch", "event", "by", "commit", "title", "created")
JOB_COLUMNS = ("job", "name", "outcome", "failed_steps", "started", "completed")

_MOST_LOG_BYTES = 200_000_000
_MOST_LINE_CHARACTERS = 1_000
_MOST_LINE_BYTES = 8 * _MOST_LINE_CHARACTERS  # with colours, and characters of several bytes
_MOST_KEPT_LINES = 20_000
_FAILED = frozenset({"failure", "timed_out", "cancelled", "startup_failure", "action_required"})

_TIMESTAMP = re.compile(r"^\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ERROR = "##[error]"
_BEFORE_AN_ERROR = 12
_AFTER_AN_ERROR = 3
_WITHOUT_AN_ERROR = 60


def list_runs(session: Session, repository: Repository, workflow: str, filters: Json, start: int) -> Items:
    """Return runs, of one workflow or of all, newest first."""
    given = {name: value for name, value in filters.items() if value}
    parts = ("actions", "workflows", workflow, "runs") if workflow else ("actions", "runs")
    what = f"runs of {workflow or 'workflows'} in {repository.name}"
    return session.items(repository.path(*parts), given, start=start, what=what, under="workflow_runs")


def run_row(session: Session, repository: Repository, run: Json) -> list[Any]:
    """Return a run as a row of `RUN_COLUMNS`; its title is that of a commit or pull request."""
    said = run["name"], run["head_branch"], first_line(run.get("display_title"))
    name, branch, title = ["(withheld)"] * 3 if _is_withheld(session, repository, run) else said
    where = [branch, run["event"], login(run.get("actor")), short(run["head_sha"])]
    return [run["id"], name, outcome(run), *where, title, day(run["created_at"])]


def _is_withheld(session: Session, repository: Repository, run: Json) -> bool:
    """Whether lockdown keeps back a run: what a fork's code prints, and its workflows say, is its author's words."""
    head: Json = run.get("head_repository") or {}
    foreign = str(head.get("full_name", "")).lower() != repository.name.key
    withheld = session.github.lockdown and not repository.private and foreign
    if withheld:
        session.withhold(run)
    return withheld


def require_heard(session: Session, repository: Repository, run: int) -> None:
    """Return unless lockdown keeps back a run.

    Raises:
        PermissionDenied: it does.
    """
    if session.github.lockdown and not repository.private:
        whole = session.get(repository.path("actions", "runs", run), what=f"run {run} in {repository.name}")
        if _is_withheld(session, repository, whole):
            raise PermissionDenied(f"In lockdown, run {run} is not shown: the code of a fork ran there.")


def list_jobs(session: Session, repository: Repository, run: int, start: int) -> Items:
    """Return the jobs of a run."""
    path = repository.path("actions", "runs", run, "jobs")
    return session.items(path, WHOLE, start=start, what=f"run {run} in {repository.name}", under="jobs")


def job_row(job: Json) -> list[Any]:
    """Return a job as a row of `JOB_COLUMNS`."""
    failed = ", ".join(step["name"] for step in failed_steps(job))
    return [job["id"], job["name"], outcome(job), failed, day(job["started_at"]), day(job["completed_at"])]


def outcome(thing: Json) -> str:
    """Return how a run, job or step ended, or how far it is."""
    return str(thing["conclusion"] or thing["status"])


def failed_steps(job: Json) -> list[Json]:
    """Return the steps of a job that went wrong."""
    return [step for step in job.get("steps") or () if outcome(step) in _FAILED]


@dataclass(frozen=True)
class Selection:
    """Which lines of a log are wanted.

    Attributes:
        words: those with any of these, in whatever case; with none, the errors.
        context: lines before and after.
        tail: the last lines, instead.
    """

    words: tuple[str, ...] = ()
    context: int = 0
    tail: int = 0


def jobs_wanted(session: Session, repository: Repository, *, job: int | None, run: int | None) -> list[Json]:
    """Return the job, or those of the run that failed.

    Raises:
        NotFound: none of them failed.
        PermissionDenied: in lockdown, that a fork's code ran there.
    """
    if job is not None:
        what = f"job {job} in {repository.name}"
        jobs = [session.get(repository.path("actions", "jobs", job), what=what)]
        run = int(jobs[0]["run_id"])
    else:
        found = (one for _, one in list_jobs(session, repository, run or 0, 0))
        jobs = [one for one in found if outcome(one) in _FAILED]
    require_heard(session, repository, run or 0)
    if not jobs:
        raise NotFound(f"No job of run {run} has failed.", hint="Name one as 'job': list_workflow_runs has them.")
    return jobs


def log_pieces(
    session: Session, repository: Repository, jobs: Iterable[Json], selection: Selection, position: Any
) -> Iterator[Piece]:
    """Yield the wanted lines of each job's log, under a line that says how the job ended."""
    for place, job in enumerate(jobs):
        if position is None or place >= position[0]:
            yield from_position(_job_text(session, repository, job, selection), place, position)


def _job_text(session: Session, repository: Repository, job: Json, selection: Selection) -> str:
    steps = ", ".join(f"{step['number']} {step['name']}" for step in failed_steps(job))
    location = session.location(repository.path("actions", "jobs", job["id"], "logs"), what=f"log of job {job['id']}")
    with download(location, session.patience, _MOST_LOG_BYTES) as pieces:
        total, shown = selected(lines(pieces), selection)
    text = _joined(shown)
    counted = f"{len(shown)} of {total} lines"
    failed = f"failed steps: {steps}" if steps else ""
    return heading(f"job {job['id']}", job["name"], outcome(job), failed, counted) + body(text or "(no such line)")


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a log as they are; only the beginning of a long one is kept."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        rest = rest[:_MOST_LINE_BYTES]
        yield from (line[:_MOST_LINE_BYTES] for line in whole)
    if rest:
        yield rest


def clean(line: bytes) -> str:
    """Return a line without its timestamp and colours, and no more of it than anybody reads."""
    text = _COLOUR.sub("", _TIMESTAMP.sub("", line.decode(errors="replace"))).rstrip("\r")
    return text if len(text) <= _MOST_LINE_CHARACTERS else f"{text[:_MOST_LINE_CHARACTERS]}… ({len(text)} characters)"


def selected(log: Iterable[bytes], selection: Selection) -> tuple[int, list[tuple[int, str]]]:
    """Return how many lines a log has, and those that are wanted with their numbers, holding no more than those."""
    if selection.tail:
        kept = deque(enumerate(log, 1), maxlen=selection.tail)
        return (kept[-1][0] if kept else 0), _cleaned(kept)
    has_words = _search(selection.words or (_ERROR,))
    before = selection.context if selection.words else _BEFORE_AN_ERROR
    after = selection.context if selection.words else _AFTER_AN_ERROR
    recent: deque[tuple[int, bytes]] = deque(maxlen=max(before, _WITHOUT_AN_ERROR))
    found: deque[tuple[int, str]] = deque(maxlen=_MOST_KEPT_LINES)
    hits, number, following = 0, 0, 0
    for number, line in enumerate(log, 1):
        if has_words(line):
            last = found[-1][0] if found else 0
            earlier = list(recent)[-before:] if before else []
            found += _cleaned(kept for kept in earlier if kept[0] > last)
            found.append((number, clean(line)))
            hits, following = hits + 1, after
        elif following:
            found.append((number, clean(line)))
            following -= 1
        recent.append((number, line))
    return number, list(found) if hits or selection.words else _cleaned(recent)


def _cleaned(numbered: Iterable[tuple[int, bytes]]) -> list[tuple[int, str]]:
    return [(number, clean(line)) for number, line in numbered]


def _search(words: tuple[str, ...]) -> Callable[[bytes], bool]:
    """Return whether a line has any of these, in whatever case."""
    wanted = [word.lower() for word in words]
    raw = [word.encode() for word in wanted]

    def has_words(line: bytes) -> bool:
        lowered = line.lower()
        # Most lines have none, and to see that takes no text, unless letters have other forms or colours are between.
        if line.isascii() and b"\x1b" not in line and not any(word in lowered for word in raw):
            return False
        text = clean(line).lower()
        return any(word in text for word in wanted)

    return has_words


def _joined(shown: list[tuple[int, str]]) -> str:
    """Return the lines, with a mark where some are left out."""
    out: list[str] = []
    last = 0
    for number, line in shown:
        if number != last + 1:
            out.append(f"[line {number}]")
        out.append(line)
        last = number
    return "\n".join(out)
