"""Changes of issues, pull requests, runs and repositories. Each is sent once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcp_server_shared.errors import Conflict, InvalidArgument, NotFound

from mcp_server_github import refs, review_threads, workflows
from mcp_server_github.github_api import Json, Repository, Session, api_path


def write_issue(session: Session, repository: Repository, number: int | None, fields: Json) -> Json:
    """Open an issue, or change one."""
    if number is None:
        return session.send("POST", repository.path("issues"), fields, what=f"new issue in {repository.name}")
    what = f"issue {number} in {repository.name}"
    return session.send("PATCH", repository.path("issues", number), fields, what=what)


def comment(session: Session, repository: Repository, number: int, body: str) -> Json:
    """Comment on an issue or pull request."""
    what = f"comment on {number} in {repository.name}"
    return session.send("POST", repository.path("issues", number, "comments"), {"body": body}, what=what)


def create_branch(
    session: Session, repository: Repository, branch: str, start: str, workflow_files: Sequence[str]
) -> Json:
    """Make a branch that begins at another, or at some commit whose workflows may run here.

    Raises:
        PermissionDenied: its workflows are not those of the default branch, nor did the operator name them.
    """
    sha = refs.head_of(session, repository, f"heads/{start}")
    if not sha:
        commit = session.get(repository.path("commits", start), what=f"commit {start} in {repository.name}")
        sha = str(commit["sha"])
        workflows.require_known(session, repository, sha, workflow_files)
    body = {"ref": f"refs/heads/{branch}", "sha": sha}
    what = f"new branch {branch} in {repository.name}"
    return session.send("POST", repository.path("git", "refs"), body, what=what)


def create_pull_request(session: Session, repository: Repository, fields: Json, reviewers: Sequence[str]) -> Json:
    """Open a pull request and ask for reviews."""
    pull = session.send("POST", repository.path("pulls"), fields, what=f"new pull request in {repository.name}")
    if reviewers:
        ask_for_reviews(session, repository, pull["number"], reviewers)
    return pull


def update_pull_request(
    session: Session, repository: Repository, pull: Json, fields: Json, *, draft: bool | None
) -> None:
    """Change what a pull request says, its state or base, or whether it is a draft."""
    number = pull["number"]
    what = f"pull request {number} in {repository.name}"
    if fields:
        session.send("PATCH", repository.path("pulls", number), fields, what=what)
    if draft is not None and draft != pull.get("draft", False):
        mutation = "convertPullRequestToDraft" if draft else "markPullRequestReadyForReview"
        mutate(session, mutation, {"pullRequestId": pull["node_id"]}, "pullRequest { id }", what)


def ask_for_reviews(session: Session, repository: Repository, number: int, reviewers: Sequence[str]) -> None:
    """Ask people to review."""
    path = repository.path("pulls", number, "requested_reviewers")
    what = f"request for reviews of {number} in {repository.name}"
    session.send("POST", path, {"reviewers": list(reviewers)}, what=what)


@dataclass(frozen=True)
class ThreadAnswer:
    """What is to be said in a review thread, and whether it is settled."""

    thread: str
    reply: str = ""
    resolved: bool | None = None


def review(session: Session, repository: Repository, pull: Json, fields: Json) -> Json:
    """Review a pull request, with comments on lines."""
    what = f"review of {pull['number']} in {repository.name}"
    return session.send("POST", repository.path("pulls", pull["number"], "reviews"), fields, what=what)


def answer_threads(session: Session, repository: Repository, number: int, answers: Sequence[ThreadAnswer]) -> None:
    """Reply in review threads, settle them or open them again; all of them are this pull request's.

    Raises:
        NotFound: one is not: an id alone would lead to any repository.
    """
    known = {thread["id"]: thread for thread in review_threads.read(session, repository, number)}
    for answer in answers:
        if answer.thread not in known:
            raise NotFound(
                f"Pull request {number} has no thread {answer.thread[:100]}.",
                hint="read_pull_request, part threads, has their ids.",
            )
    for answer in answers:
        what = f"thread {answer.thread} of {repository.name}"
        if answer.reply:
            given = {"pullRequestReviewThreadId": answer.thread, "body": answer.reply}
            mutate(session, "addPullRequestReviewThreadReply", given, "comment { id }", what)
        if answer.resolved is not None and answer.resolved != known[answer.thread]["isResolved"]:
            mutation = "resolveReviewThread" if answer.resolved else "unresolveReviewThread"
            mutate(session, mutation, {"threadId": answer.thread}, "thread { id }", what)


def merge(session: Session, repository: Repository, number: int, fields: Json) -> Json:
    """Merge a pull request whose head is still the one that was judged."""
    what = f"merge of {number} in {repository.name}"
    return session.send("PUT", repository.path("pulls", number, "merge"), fields, what=what)


def require_head(pull: Json, head_sha: str) -> None:
    """Return if a pull request is still what was judged.

    Raises:
        Conflict: somebody has pushed since.
    """
    if pull["head"]["sha"] != head_sha:
        raise Conflict(
            f"The head of pull request {pull['number']} is {pull['head']['sha']} now, not {head_sha}.",
            hint="Read what was pushed (compare_refs), and judge it before going on.",
        )


def start_workflow(session: Session, repository: Repository, workflow: str, ref: str, inputs: Json) -> None:
    """Start a workflow that can be started by hand."""
    path = repository.path("actions", "workflows", workflow, "dispatches")
    what = f"workflow {workflow} at {ref} in {repository.name}"
    session.send("POST", path, {"ref": ref, "inputs": inputs}, what=what)


def control_run(session: Session, repository: Repository, run: int, action: str) -> None:
    """Run again what was run, or cancel it."""
    path = repository.path("actions", "runs", run, action)
    session.send("POST", path, {} if action != "cancel" else None, what=f"run {run} in {repository.name}")


def create_repository(session: Session, owner: str, fields: Json) -> Json:
    """Make a repository, of the credential's owner or of an organisation."""
    own = owner.lower() == session.viewer().lower()
    path = "/user/repos" if own else api_path("orgs", owner, "repos")
    return session.send("POST", path, fields, what=f"new repository of {owner}")


def fork(session: Session, repository: Repository, owner: str) -> Json:
    """Fork a repository to the credential's owner or to an organisation."""
    own = owner.lower() == session.viewer().lower()
    fields = {} if own else {"organization": owner}
    return session.send("POST", repository.path("forks"), fields, what=f"fork of {repository.name} for {owner}")


def mutate(session: Session, mutation: str, given: Json, output: str, what: str) -> Any:
    """Make a change that only GraphQL knows."""
    kind = mutation[0].upper() + mutation[1:]
    query = f"mutation($input: {kind}Input!) {{ done: {mutation}(input: $input) {{ {output} }} }}"
    return session.graphql(query, {"input": given}, what=what, writes=True)["done"]


def only_given(**fields: Any) -> Json:
    """Return those fields that were given.

    Raises:
        InvalidArgument: there are none.
    """
    given = {name: value for name, value in fields.items() if value not in (None, "")}
    if not given:
        raise InvalidArgument("There is nothing to change.", hint="Give what is to be different.")
    return given
