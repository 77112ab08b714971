"""What a client of the GitHub server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp_server_shared.catalog import About, Finding
from mcp_server_shared.registry import ADDS, DESTROYS, READ_ONLY_WORLD
from mcp_server_shared.server import Server

from mcp_server_github.credentials import App, Credential, NoCredential, Token
from mcp_server_github.github_api import GitHub
from mcp_server_github.policy import Policy
from mcp_server_github.privileges import findings, unusable
from mcp_server_github.prompts import explain_ci_failure, review_changes, triage_issues
from mcp_server_github.resources import (
    COMPLETE,
    file,
    file_of_branch,
    file_of_commit,
    file_of_pull_request,
    file_of_tag,
    issue,
    pull_request,
)
from mcp_server_github.settings import COMMENT, CREATE, GRANTS, MERGE, RUN, WRITE, Settings
from mcp_server_github.tools.contents import (
    compare_refs,
    get_commit,
    list_branches,
    list_commits,
    list_releases,
    list_repo_tree,
    read_release,
    read_repo_file,
)
from mcp_server_github.tools.issues import (
    list_discussions,
    list_issues,
    list_notifications,
    read_discussion,
    read_issue,
)
from mcp_server_github.tools.pull_requests import (
    list_pull_requests,
    list_workflow_runs,
    read_job_log,
    read_pull_request,
)
from mcp_server_github.tools.searching import get_github_context, search_github
from mcp_server_github.tools.writing import (
    comment_on_issue,
    create_branch,
    create_pull_request,
    create_repository,
    edit_repo_files,
    fork_repository,
    merge_pull_request,
    review_pull_request,
    run_workflow,
    update_pull_request,
    write_issue,
)

CHANGES = DESTROYS.model_copy(update={"open_world_hint": True})
ADDS_TO_WORLD = ADDS.model_copy(update={"open_world_hint": True})

ABOUT = About(
    package="mcp-server-github",
    title="GitHub",
    purpose="Repositories, issues, pull requests and runs on GitHub, read-only until told otherwise.",
    reading_needs="Nothing for public repositories. For private ones a fine-grained token with Contents, Issues, "
    "Pull requests, Actions, Checks, Commit statuses and Discussions: read; of a classic token, the scope repo.",
    grants=GRANTS,
    state="caller",
    never=(
        "asks GitHub about a repository that --repos does not allow",
        "sends the credential to another host than the API's",
        "repeats a write",
        "changes a workflow file that --workflow-files does not name",
        "deletes anything but files in a commit",
    ),
    example=(),
)


def build_server(settings: Settings) -> Server[GitHub]:
    """Build the server; it asks GitHub for something on the first call."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[GitHub]:
        policy = Policy.of(settings.repos)
        yield GitHub(settings.base_url(), credential(settings), policy, lockdown=settings.lockdown)

    async def found(github: GitHub) -> list[Finding]:
        given = [grant for grant in ABOUT.grants if settings.gives(grant)]
        tools = {name for name, entry in server.registry.tools.items() if server.is_granted(entry.grant)}
        return await findings(github, given, tools)

    usable = unusable if settings.match_credential else None
    server = Server(ABOUT, settings, opened, findings=found, unusable=usable)
    server.add_tool(get_github_context, title="Who am I on GitHub", annotations=READ_ONLY_WORLD)
    server.add_tool(search_github, title="Search GitHub", annotations=READ_ONLY_WORLD)
    server.add_tool(read_repo_file, title="Read a file", annotations=READ_ONLY_WORLD)
    server.add_tool(list_repo_tree, title="List files", annotations=READ_ONLY_WORLD)
    server.add_tool(list_commits, title="List commits", annotations=READ_ONLY_WORLD)
    server.add_tool(get_commit, title="Read a commit", annotations=READ_ONLY_WORLD)
    server.add_tool(compare_refs, title="Compare commits", annotations=READ_ONLY_WORLD)
    server.add_tool(list_issues, title="List issues", annotations=READ_ONLY_WORLD)
    server.add_tool(read_issue, title="Read an issue", annotations=READ_ONLY_WORLD)
    server.add_tool(list_pull_requests, title="List pull requests", annotations=READ_ONLY_WORLD)
    server.add_tool(read_pull_request, title="Read a pull request", annotations=READ_ONLY_WORLD)
    server.add_tool(list_workflow_runs, title="List runs", annotations=READ_ONLY_WORLD)
    server.add_tool(read_job_log, title="Read a job's log", annotations=READ_ONLY_WORLD)
    server.add_tool(list_branches, title="List branches", annotations=READ_ONLY_WORLD)
    server.add_tool(list_releases, title="List releases", annotations=READ_ONLY_WORLD)
    server.add_tool(read_release, title="Read a release", annotations=READ_ONLY_WORLD)
    server.add_tool(list_discussions, title="List discussions", annotations=READ_ONLY_WORLD)
    server.add_tool(read_discussion, title="Read a discussion", annotations=READ_ONLY_WORLD)
    server.add_tool(list_notifications, title="List notifications", annotations=READ_ONLY_WORLD)
    server.add_tool(write_issue, title="Write an issue", annotations=CHANGES, grant=COMMENT)
    server.add_tool(comment_on_issue, title="Comment", annotations=ADDS_TO_WORLD, grant=COMMENT)
    server.add_tool(review_pull_request, title="Review a pull request", annotations=ADDS_TO_WORLD, grant=COMMENT)
    server.add_tool(create_branch, title="Create a branch", annotations=ADDS_TO_WORLD, grant=WRITE)
    server.add_tool(edit_repo_files, title="Commit files", annotations=CHANGES, grant=WRITE)
    server.add_tool(create_pull_request, title="Open a pull request", annotations=ADDS_TO_WORLD, grant=WRITE)
    server.add_tool(update_pull_request, title="Change a pull request", annotations=CHANGES, grant=WRITE)
    server.add_tool(merge_pull_request, title="Merge a pull request", annotations=CHANGES, grant=MERGE)
    server.add_tool(run_workflow, title="Run a workflow", annotations=CHANGES, grant=RUN)
    server.add_tool(create_repository, title="Create a repository", annotations=ADDS_TO_WORLD, grant=CREATE)
    server.add_tool(fork_repository, title="Fork a repository", annotations=ADDS_TO_WORLD, grant=CREATE)
    add_resources(server)
    server.add_prompt(review_changes, title="Review a pull request", complete=COMPLETE)
    server.add_prompt(triage_issues, title="Triage issues", complete=COMPLETE)
    server.add_prompt(explain_ci_failure, title="Explain a failed run", complete=COMPLETE)
    return server


def add_resources(server: Server[GitHub]) -> None:
    """Register what has an address."""
    at = "repo://{owner}/{repo}"
    for address, fn, title in (
        ("/contents/{+path}", file, "A file"),
        ("/refs/heads/{branch}/contents/{+path}", file_of_branch, "A file of a branch"),
        ("/refs/tags/{tag}/contents/{+path}", file_of_tag, "A file of a tag"),
        ("/sha/{sha}/contents/{+path}", file_of_commit, "A file of a commit"),
        ("/refs/pull/{number}/head/contents/{+path}", file_of_pull_request, "A file of a pull request"),
        ("/issues/{number}", issue, "An issue"),
        ("/pulls/{number}", pull_request, "A pull request"),
    ):
        server.add_resource(at + address, fn, title=title, complete=COMPLETE)


def credential(settings: Settings) -> Credential:
    """Return who the server is to GitHub."""
    if settings.token is not None:
        return Token(settings.token.get_secret_value())
    if settings.app_id is not None and settings.app_private_key is not None:
        key = settings.app_private_key.get_secret_value()
        return App(settings.app_id, key, settings.app_installation_id, permissions(settings))
    return NoCredential()


def permissions(settings: Settings) -> dict[str, str]:
    """Return what an installation token is asked for: what reading takes, and the grants."""
    writes = {
        "issues": settings.gives(COMMENT),
        "pull_requests": settings.gives(COMMENT),
        "contents": settings.gives(WRITE),
        "actions": settings.gives(RUN),
        "administration": settings.gives(CREATE),
        "workflows": bool(settings.workflow_files) or settings.gives(MERGE),
    }
    reads = dict.fromkeys(("metadata", "contents", "issues", "pull_requests", "actions", "checks", "statuses"), "read")
    return reads | {"discussions": "read"} | {name: "write" for name, granted in writes.items() if granted}
