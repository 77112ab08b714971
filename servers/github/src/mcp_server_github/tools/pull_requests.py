"""Reading pull requests, runs and logs. Names, docstrings, descriptions and error texts are prompts."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Document, Records
from pydantic import Field

from mcp_server_github import actions, checks, names, pull_requests, refs, review_threads
from mcp_server_github.documents import Piece
from mcp_server_github.github_api import GitHub, Json, Repository, Session
from mcp_server_github.tools.answers import ask, document, page_of, records
from mcp_server_github.tools.arguments import Cursor, Limit, Number, OnlyFile, Repo

Part = Literal["overview", "diff", "commits", "threads", "checks", "comments"]


async def list_pull_requests(
    call: Call[GitHub],
    repo: Repo,
    state: Annotated[Literal["open", "closed", "all"], Field(description="Which.")] = "open",
    base: Annotated[str, Field(description="Only into this branch.")] = "",
    head: Annotated[str, Field(description="Only from this, as owner:branch.")] = "",
    sort: Annotated[Literal["created", "updated", "popularity"], Field(description="Most first.")] = "created",
    limit: Limit = 30,
    cursor: Cursor = None,
) -> Records:
    """List pull requests of one repository. For words in them use search_github."""
    filters = {
        "state": state,
        "base": names.ref(base, "base") if base else "",
        "head": names.head(head) if head else "",
        "sort": sort,
        "direction": "desc",
        **page_of(limit),
    }
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        found = pull_requests.list_pull_requests(session, repository, filters, start)

        def row(pull: Json) -> list[Any] | None:
            return None if session.withholds(repository, pull) else pull_requests.row(pull)

        return records(pull_requests.COLUMNS, found, row, limit, session=session)

    return await ask(call, work)


async def read_pull_request(
    call: Call[GitHub],
    repo: Repo,
    number: Number,
    part: Annotated[Part, Field(description="overview has some of all but the diff.")] = "overview",
    file: OnlyFile = "",
    cursor: Cursor = None,
) -> Document:
    """Read a pull request: an overview first, then one part of it."""
    position = call.position(cursor)
    only = names.path(file)

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        pull = pull_requests.read_pull_request(session, repository, number)
        pieces = _part(session, repository, pull, "diff" if only else part, position, only)
        return document(pieces, call.budget, pull_requests.facts(pull), session)

    return await ask(call, work)


def _part(
    session: Session, repository: Repository, pull: Json, part: Part, position: Any, only: str
) -> Iterator[Piece]:
    match part:
        case "overview":
            return pull_requests.overview(session, repository, pull, position)
        case "diff":
            return pull_requests.diff(session, repository, pull, position, only)
        case "commits":
            refs.require_heard(session, repository, pull, f"the commits of pull request {pull['number']}")
            return pull_requests.commits(session, repository, pull, position)
        case "threads":
            return review_threads.pieces(session, repository, pull, position)
        case "checks":
            refs.require_heard(session, repository, pull, f"what checks say of pull request {pull['number']}")
            return checks.pieces(session, repository, pull["head"]["sha"], position)
        case "comments":
            return pull_requests.conversation(session, repository, pull, position)


async def list_workflow_runs(
    call: Call[GitHub],
    repo: Repo,
    run: Annotated[int | None, Field(ge=1, description="List the jobs of this run instead.")] = None,
    workflow: Annotated[str, Field(description="A file name as ci.yml.")] = "",
    branch: Annotated[str, Field(description="Only of this branch.")] = "",
    commit: Annotated[str, Field(description="Only of this whole sha.")] = "",
    status: Annotated[
        Literal["", "failure", "success", "cancelled", "in_progress", "queued", "waiting"],
        Field(description="Only these."),
    ] = "",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Records:
    """List runs of GitHub Actions, newest first, or the jobs of one with the steps that failed. Then read_job_log."""
    filters = {
        "branch": names.ref(branch, "branch") if branch else "",
        "head_sha": names.whole_sha(commit, "commit") if commit else "",
        "status": status,
        **page_of(limit),
    }
    file = names.workflow_file(workflow) if workflow else ""
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        if run is not None:
            actions.require_heard(session, repository, run)
            jobs = actions.list_jobs(session, repository, run, start)
            return records(actions.JOB_COLUMNS, jobs, actions.job_row, limit, session=session)
        found = actions.list_runs(session, repository, file, filters, start)

        def row(item: Json) -> list[Any]:
            return actions.run_row(session, repository, item)

        return records(actions.RUN_COLUMNS, found, row, limit, session=session)

    return await ask(call, work)


async def read_job_log(
    call: Call[GitHub],
    repo: Repo,
    job: Annotated[int | None, Field(ge=1, description="One job.")] = None,
    run: Annotated[int | None, Field(ge=1, description="Or all failed jobs of a run.")] = None,
    find: Annotated[list[str] | None, Field(max_length=10, description="Lines with any of these.")] = None,
    context: Annotated[int, Field(ge=0, le=50, description="Lines around those.")] = 3,
    tail: Annotated[int, Field(ge=0, le=5_000, description="The last lines instead.")] = 0,
    cursor: Cursor = None,
) -> Document:
    """Read the log of a job: by default what is around its errors."""
    if (job is None) == (run is None):
        raise InvalidArgument("Name either a job or a run.", hint="read_pull_request's part checks has jobs.")
    selection = actions.Selection(tuple(filter(None, find or ())), context, tail)
    position = call.position(cursor)

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        jobs = actions.jobs_wanted(session, repository, job=job, run=run)
        pieces = actions.log_pieces(session, repository, jobs, selection, position)
        return document(pieces, call.budget, {"jobs": len(jobs)}, session)

    return await ask(call, work)
