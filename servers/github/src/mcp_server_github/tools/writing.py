"""Changing GitHub, where the operator allows it. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, Literal, cast

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Document, Records
from pydantic import BaseModel, ConfigDict, Field

from mcp_server_github import edits, names, pull_requests, workflows, writing
from mcp_server_github.github_api import GitHub, Json, Session
from mcp_server_github.settings import Settings
from mcp_server_github.tools.answers import READ_PRIVATE, READ_PUBLIC
from mcp_server_github.tools.arguments import Number, Repo
from mcp_server_github.tools.publishing import change, may_change, may_publish, shown, written

Key = Annotated[str | None, Field(max_length=100, description="Any text; with the same again it is done once.")]
HeadSha = Annotated[str, Field(description="The head_sha that was read; refused if it has moved.")]
State = Literal["", "open", "completed", "not_planned", "duplicate"]
Body = Annotated[str, Field(max_length=65_536, description="Markdown.")]


def _without_description(schema: dict[str, Any]) -> None:
    """Leave out of a part's schema what is said beside the argument."""
    del schema["description"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_without_description)


class Edit(_Part):
    """One exact replacement."""

    old: str
    new: str


class File(_Part):
    """What becomes of one file."""

    path: str
    content: Annotated[str | None, Field(description="All of it, or:")] = None
    edits: Annotated[list[Edit], Field(description="Each old text is there once.")] = []
    delete: bool = False
    sha: Annotated[str, Field(description="As read.")] = ""


class LineComment(_Part):
    """A comment on lines of a diff."""

    path: str
    line: Annotated[int, Field(ge=1)]
    start_line: Annotated[int | None, Field(ge=1)] = None
    side: Literal["RIGHT", "LEFT"] = "RIGHT"
    body: str


class Thread(_Part):
    """What becomes of a review thread."""

    id: str
    reply: str = ""
    resolved: bool | None = None


async def write_issue(
    call: Call[GitHub],
    repo: Repo,
    number: Annotated[int | None, Field(ge=1, description="To change; without it, a new one.")] = None,
    title: Annotated[str, Field(max_length=256, description="Its title.")] = "",
    body: Body = "",
    labels: Annotated[list[str] | None, Field(max_length=100, description="All it is to have.")] = None,
    assignees: Annotated[list[str] | None, Field(max_length=10, description="All it is to have.")] = None,
    state: Annotated[
        Literal["", "open", "completed", "not_planned", "duplicate"], Field(description="Or closed as.")
    ] = "",
    key: Key = None,
) -> Records:
    """Open an issue, or change one: what is not given stays."""
    if number is None and not title:
        raise InvalidArgument("A new issue needs a title.", hint="Give one, or the number of an issue to change.")
    closed = {"state": "closed", "state_reason": state} if state not in {"", "open"} else {}
    fields = writing.only_given(
        title=written(title),
        body=written(body),
        labels=labels and [names.label(label) for label in labels],
        assignees=assignees and [names.login(person, "assignees") for person in assignees],
        **(closed or {"state": state if number else ""}),
    )
    what = f"{'Change issue ' + str(number) if number else 'Open an issue'} in {repo}"
    repository = await may_change(call, repo, "comment", what, f"{title}\n\n{body}".strip())

    async def work() -> Json:
        made = await change(call, lambda session: writing.write_issue(session, repository, number, fields))
        return {"number": made["number"], "state": made["state"], "url": made["html_url"]}

    return _done(await call.once(key, work))


async def comment_on_issue(call: Call[GitHub], repo: Repo, number: Number, body: Body, key: Key = None) -> Records:
    """Comment on an issue or a pull request. On lines of a diff: review_pull_request."""
    text = _said(written(body))
    repository = await may_change(call, repo, "comment", f"Comment on {number} in {repo}", text)

    async def work() -> Json:
        made = await change(call, lambda session: writing.comment(session, repository, number, text))
        return {"comment": made["id"], "url": made["html_url"]}

    return _done(await call.once(key, work))


async def review_pull_request(
    call: Call[GitHub],
    repo: Repo,
    number: Number,
    head_sha: HeadSha,
    verdict: Annotated[Literal["", "comment", "approve", "request_changes"], Field(description="Empty for none.")] = "",
    body: Body = "",
    comments: Annotated[list[LineComment] | None, Field(max_length=50, description="On lines of the diff.")] = None,
    threads: Annotated[list[Thread] | None, Field(max_length=50, description="Answer or settle these.")] = None,
    key: Key = None,
) -> Records:
    """Review a pull request, with comments on lines; answer and resolve review threads."""
    if not (verdict or threads) or (not verdict and (body or comments)):
        raise InvalidArgument("There is no verdict.", hint="A body and comments on lines take one; threads do not.")
    if idle := [thread.id for thread in threads or () if not thread.reply and thread.resolved is None]:
        raise InvalidArgument(f"Nothing is to become of the thread {idle[0][:100]}.", hint="Reply, or set 'resolved'.")
    expected = names.whole_sha(head_sha, "head_sha")
    fields = _review_fields(verdict, body, comments or [], expected)
    answers = [writing.ThreadAnswer(thread.id, written(thread.reply), thread.resolved) for thread in threads or ()]
    told = "\n\n".join(filter(None, [body, *(c.body for c in comments or ()), *(a.reply for a in answers)]))
    repository = await may_change(call, repo, "comment", f"Review {number} in {repo}", told)
    if verdict == "approve":
        await call.confirm("approve", f"Approve pull request {number} of {repo} at {expected}?{shown(told)}")

    def send(session: Session) -> Json:
        pull = pull_requests.read_pull_request(session, repository, number)
        writing.require_head(pull, expected)
        if answers:
            writing.answer_threads(session, repository, number, answers)
        made = writing.review(session, repository, pull, fields) if verdict else {}
        return {"review": made.get("id"), "threads": len(answers)}

    async def work() -> Json:
        return await change(call, send)

    return _done(await call.once(key, work))


def _review_fields(verdict: str, body: str, comments: list[LineComment], head_sha: str) -> Json:
    lines: list[Json] = []
    for comment in comments:
        start = comment.start_line
        span = {"start_line": start, "start_side": comment.side} if start and start < comment.line else {}
        place = {"path": names.path(comment.path), "line": comment.line, "side": comment.side}
        lines.append({**place, **span, "body": _said(written(comment.body))})
    text = {"body": written(body)} if body else {}
    return {"event": verdict.upper(), "commit_id": head_sha, "comments": lines, **text}


async def create_branch(
    call: Call[GitHub],
    repo: Repo,
    branch: Annotated[str, Field(description="Its name.")],
    start: Annotated[str, Field(description="Where it begins; the default branch without it.")] = "",
) -> Records:
    """Create a branch."""
    name, begins = names.ref(branch, "branch"), names.ref(start, "start") if start else ""
    repository = await may_change(call, repo, "write", f"Create the branch {name} in {repo}")
    at = begins or repository.default_branch
    allowed = cast(Settings, call.settings).workflow_files
    made = await change(call, lambda session: writing.create_branch(session, repository, name, at, allowed))
    return _done({"branch": name, "sha": made["object"]["sha"]})


async def edit_repo_files(
    call: Call[GitHub],
    repo: Repo,
    branch: Annotated[str, Field(description="To commit to.")],
    message: Annotated[str, Field(min_length=1, max_length=10_000, description="Of the commit.")],
    files: Annotated[list[File], Field(min_length=1, max_length=100, description="Whole, by edits, or deleted.")],
    expected_head: Annotated[str, Field(description="The branch's commit, to be sure it has not moved.")] = "",
    dry_run: Annotated[bool, Field(description="Only show the diff.")] = False,  # noqa: FBT002
) -> Document:
    """Create, change and delete files in one commit, and show its diff."""
    name = names.ref(branch, "branch")
    head = names.whole_sha(expected_head, "expected_head") if expected_head else ""
    changes = [_change(file) for file in files]
    edits.require_editable(changes, cast(Settings, call.settings).workflow_files)
    text = "\n".join(f"{c.path}: {c.content or ''.join(r.new for r in c.replacements)}" for c in changes)
    if dry_run:
        repository = await change(call, lambda session: session.repository(repo, "write", anew=True))
    else:
        told = f"{message}\n\n{text}"
        repository = await may_change(call, repo, "write", f"Commit to {name} in {repo}", told)
        if name == repository.default_branch:
            await call.confirm("default-branch", f"Commit to {name}, the default branch of {repo}?{shown(told)}")

    def work(session: Session) -> Document:
        planned = edits.plan(session, repository, name, changes, head)
        done = {} if dry_run else {"sha": edits.commit(session, repository, name, planned, written(message))}
        facts = {"committed": not dry_run, "head_before": planned.head, **done}
        confidentiality = "private" if repository.private else "public"
        return Document(text=planned.diff, facts=facts, confidentiality=confidentiality)

    done = await change(call, work)
    await call.note(READ_PRIVATE if repository.private else READ_PUBLIC)  # the diff has what was there before
    return done


def _change(file: File) -> edits.FileChange:
    if sum([file.content is not None, bool(file.edits), file.delete]) != 1:
        raise InvalidArgument(
            f"'{file.path[:100]}': give its content, edits, or delete it.", hint="Exactly one of them."
        )
    content = None if file.content is None else written(file.content)
    replacements = [edits.Replacement(written(edit.old), written(edit.new)) for edit in file.edits]
    sha = names.whole_sha(file.sha, "sha") if file.sha else ""
    return edits.FileChange(names.path(file.path), content, replacements, file.delete, sha)


async def create_pull_request(
    call: Call[GitHub],
    repo: Repo,
    title: Annotated[str, Field(min_length=1, max_length=256, description="Its title.")],
    head: Annotated[str, Field(description="The branch, or owner:branch of a fork.")],
    base: Annotated[str, Field(description="Into; the default branch without it.")] = "",
    body: Body = "",
    draft: Annotated[bool, Field(description="Not ready yet.")] = False,  # noqa: FBT002
    reviewers: Annotated[list[str] | None, Field(max_length=15, description="Logins to ask.")] = None,
    key: Key = None,
) -> Records:
    """Open a pull request."""
    source = names.head(head) if ":" in head else names.ref(head, "head")
    target = names.ref(base, "base") if base else ""
    people = [names.login(person, "reviewers") for person in reviewers or ()]
    what = f"Open a pull request from {source} in {repo}"
    repository = await may_change(call, repo, "write", what, f"{title}\n\n{body}".strip())
    fields: Json = {"title": written(title), "head": source, "base": target or repository.default_branch}
    fields |= {"body": written(body), "draft": draft}

    async def work() -> Json:
        made = await change(call, lambda session: writing.create_pull_request(session, repository, fields, people))
        return {"number": made["number"], "head_sha": made["head"]["sha"], "url": made["html_url"]}

    return _done(await call.once(key, work))


async def update_pull_request(
    call: Call[GitHub],
    repo: Repo,
    number: Number,
    title: Annotated[str, Field(max_length=256, description="A new one.")] = "",
    body: Body = "",
    base: Annotated[str, Field(description="Another branch to merge into.")] = "",
    state: Annotated[Literal["", "open", "closed"], Field(description="Close or reopen.")] = "",
    draft: Annotated[bool | None, Field(description="Draft, or ready.")] = None,
    reviewers: Annotated[list[str] | None, Field(max_length=15, description="More to ask.")] = None,
) -> Records:
    """Change a pull request: what is not given stays."""
    people = [names.login(person, "reviewers") for person in reviewers or ()]
    target = names.ref(base, "base") if base else ""
    fields = {"title": written(title), "body": written(body), "base": target, "state": state}
    given = {name: value for name, value in fields.items() if value}
    if not given and draft is None and not people:
        raise InvalidArgument("There is nothing to change.", hint="Give what is to be different.")
    repository = await may_change(call, repo, "write", f"Change {number} in {repo}", f"{title}\n\n{body}".strip())

    def work(session: Session) -> Json:
        pull = pull_requests.read_pull_request(session, repository, number)
        writing.update_pull_request(session, repository, pull, given, draft=draft)
        if people:
            writing.ask_for_reviews(session, repository, number, people)
        return {"number": number, "changed": [*given, *(["draft"] if draft is not None else []), *people]}

    return _done(await change(call, work))


async def merge_pull_request(
    call: Call[GitHub],
    repo: Repo,
    number: Number,
    head_sha: HeadSha,
    method: Annotated[Literal["merge", "squash", "rebase"], Field(description="How.")] = "merge",
    message: Annotated[str, Field(max_length=10_000, description="Of the commit; GitHub's without it.")] = "",
) -> Records:
    """Merge a pull request that was read at head_sha."""
    expected = names.whole_sha(head_sha, "head_sha")
    repository = await may_change(call, repo, "merge", f"Merge {number} in {repo}", message)

    allowed = cast(Settings, call.settings).workflow_files

    def look(session: Session) -> tuple[Json, list[str]]:
        pull = pull_requests.read_pull_request(session, repository, number)
        writing.require_head(pull, expected)
        paths = pull_requests.changed_paths(session, repository, pull)
        return pull, workflows.unnamed(paths, allowed)

    pull, running = await change(call, look)
    question = f"Merge pull request {number} of {repo} at {expected} into {pull['base']['ref']} ({method})?"
    await call.confirm("merge", question + shown(pull["title"]))
    if running:
        told = "They would run with the repository's secrets:" + shown("\n".join(running))
        await call.confirm("merge-workflow", f"Let pull request {number} of {repo} change its workflows? {told}")
    title, _, rest = written(message).partition("\n")
    told = {"commit_title": title, "commit_message": rest.strip()} if message else {}
    fields: Json = {"sha": expected, "merge_method": method, **told}
    merged = await change(call, lambda session: writing.merge(session, repository, number, fields))
    return _done({"merged": merged["merged"], "sha": merged["sha"]})


async def run_workflow(
    call: Call[GitHub],
    repo: Repo,
    action: Annotated[Literal["start", "rerun", "rerun_failed", "cancel"], Field(description="What to do.")],
    workflow: Annotated[str, Field(description="To start, as ci.yml.")] = "",
    ref: Annotated[str, Field(description="Branch or tag to start it on; the default branch without it.")] = "",
    inputs: Annotated[dict[str, str] | None, Field(max_length=25, description="What it asks for.")] = None,
    run: Annotated[int | None, Field(ge=1, description="To run again or cancel.")] = None,
) -> Records:
    """Start a workflow of GitHub Actions, or run one again, or cancel a run."""
    if (action == "start") != bool(workflow) or (action == "start") == (run is not None):
        raise InvalidArgument("To start takes a workflow, all else takes a run.", hint="list_workflow_runs has both.")
    file = names.workflow_file(workflow) if workflow else ""
    told = "\n".join(f"{name}: {value}" for name, value in (inputs or {}).items())
    what = f"{action.replace('_', ' ').capitalize()} {file or f'run {run}'} in {repo}"
    repository = await may_change(call, repo, "write", what, told)
    at = names.ref(ref) if ref else repository.default_branch
    await call.confirm("run", f"{what}{f' on {at}' if file else ''}?{shown(told)}")

    def work(session: Session) -> None:
        if run is None:
            writing.start_workflow(session, repository, file, at, cast(Json, inputs or {}))
        else:
            writing.control_run(session, repository, run, _ENDPOINTS[action])

    await change(call, work)
    return _done({"action": action, "workflow": file, "run": run})


_ENDPOINTS = {"rerun": "rerun", "rerun_failed": "rerun-failed-jobs", "cancel": "cancel"}


async def create_repository(
    call: Call[GitHub],
    name: Annotated[str, Field(description="owner/name.")],
    description: Annotated[str, Field(max_length=350, description="One line.")] = "",
    public: Annotated[bool, Field(description="Everybody may read it.")] = False,  # noqa: FBT002
) -> Records:
    """Create a repository with a README; private unless public."""
    repo = names.RepoName.of(name)
    call.state.policy.require_owner(repo.owner)
    kind = "public" if public else "private"
    if public:
        await may_publish(call, f"{repo} would be public", "Create it", description)
    await call.confirm("create", f"Create the {kind} repository {repo}?{shown(description)}")
    fields: Json = {"name": repo.name, "description": written(description), "private": not public, "auto_init": True}
    made = await change(call, lambda session: writing.create_repository(session, repo.owner, fields))
    return _done({"repo": made["full_name"], "default_branch": made["default_branch"], "url": made["html_url"]})


async def fork_repository(
    call: Call[GitHub],
    repo: Repo,
    owner: Annotated[str, Field(description="Whose the fork is; the token's owner without it.")] = "",
) -> Records:
    """Fork a repository."""
    repository = await change(call, lambda session: session.repository(repo, anew=True))
    whose = names.owner(owner) if owner else await change(call, lambda session: session.viewer())
    call.state.policy.require_owner(whose)
    await call.confirm("create", f"Fork {repository.name} to {whose}?")
    made = await change(call, lambda session: writing.fork(session, repository, whose))
    return _done({"repo": made["full_name"], "default_branch": made["default_branch"], "url": made["html_url"]})


def _said(text: str) -> str:
    if not text.strip():
        raise InvalidArgument("'body' is empty.", hint="Say something.")
    return text


def _done(outcome: Json) -> Records:
    """Return what was done, as one row."""
    told: dict[str, Any] = {name: value for name, value in outcome.items() if value is not None}
    return Records(columns=list(told), rows=[list(told.values())])
