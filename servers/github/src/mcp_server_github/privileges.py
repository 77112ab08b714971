"""What the credential may do beyond what is needed, for `check`."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from anyio.to_thread import run_sync
from mcp_server_shared.catalog import Finding, Grant
from mcp_server_shared.errors import ExpectedError

from mcp_server_github.credentials import HOW_TO_AUTHENTICATE, App, NoCredential
from mcp_server_github.github_api import GitHub, Session
from mcp_server_github.wire import Until

_CHECK_S = 20.0
_READS = frozenset({"", "repo:status", "public_repo", "repo", "read:org", "read:user", "user:email", "notifications"})


async def unusable(github: GitHub) -> dict[str, str]:
    """Return the tools that the credential cannot use, and what each lacks; what nobody can tell is left out."""

    def work() -> dict[str, str]:
        session = github.session(Until(time.monotonic() + _CHECK_S))
        session.get("/rate_limit", what="rate limit")
        return _lacking(github)

    return await run_sync(work, abandon_on_cancel=True)  # the lists wait for it no longer than two seconds


def _lacking(github: GitHub) -> dict[str, str]:
    credential, scopes = github.credential, github.scopes
    if isinstance(credential, NoCredential):
        return dict.fromkeys(_NEEDS, HOW_TO_AUTHENTICATE)
    if isinstance(credential, App):
        lacking = {tool: need for tool, need in _NEEDS.items() if not _holds(credential.held, need.permissions)}
        return {tool: f"The App needs {_told(need.permissions)}." for tool, need in lacking.items()}
    if scopes is None:  # of a fine-grained token GitHub tells only when it refuses something
        return {}
    held = {scope.strip() for scope in scopes.split(",")}
    lacking = {tool: need for tool, need in _NEEDS.items() if not held & {*need.scopes, "repo"}}
    return {tool: f"The token needs the scope {' or '.join(need.scopes)}." for tool, need in lacking.items()}


def _holds(held: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(held.get(name) in {level, "write"} for name, level in wanted.items())


def _told(permissions: dict[str, str]) -> str:
    return " and ".join(f"{name}: {level}" for name, level in permissions.items())


@dataclass(frozen=True)
class Need:
    """What a tool takes.

    Attributes:
        scopes: of a classic token, any of these, or repo.
        permissions: of an App or a fine-grained token.
    """

    scopes: tuple[str, ...]
    permissions: dict[str, str]


_PUBLIC = ("public_repo", "repo")
# All other tools read what is public, for everybody.
_NEEDS = {
    "list_notifications": Need(("notifications",), {"notifications": "read"}),  # which no App has
    "list_discussions": Need(_PUBLIC, {"discussions": "read"}),
    "read_discussion": Need(_PUBLIC, {"discussions": "read"}),
    "write_issue": Need(_PUBLIC, {"issues": "write"}),
    "comment_on_issue": Need(_PUBLIC, {"issues": "write"}),
    "review_pull_request": Need(_PUBLIC, {"pull_requests": "write"}),
    "create_branch": Need(_PUBLIC, {"contents": "write"}),
    "edit_repo_files": Need(_PUBLIC, {"contents": "write"}),
    "create_pull_request": Need(_PUBLIC, {"pull_requests": "write"}),
    "update_pull_request": Need(_PUBLIC, {"pull_requests": "write"}),
    "merge_pull_request": Need(_PUBLIC, {"contents": "write"}),
    "run_workflow": Need(_PUBLIC, {"actions": "write"}),
    "create_repository": Need(_PUBLIC, {"administration": "write"}),
    "fork_repository": Need(_PUBLIC, {"administration": "write"}),
}


async def findings(github: GitHub, given: Sequence[Grant], tools: Collection[str]) -> list[Finding]:
    """Try the credential, for `check`.

    Args:
        github: with the credential.
        given: the grants beyond reading that the operator gave.
        tools: those that will be listed.
    """

    def work() -> list[Finding]:
        found = _tried(github.session(Until(time.monotonic() + _CHECK_S)), given)
        lacking = {} if github.credential.kind == "none" else _lacking(github)
        return found + [
            Finding("warning", f"{tool} will not work.", lack) for tool, lack in lacking.items() if tool in tools
        ]

    return await run_sync(work)


def _tried(session: Session, given: Sequence[Grant]) -> list[Finding]:
    github = session.github
    try:
        limits = session.get("/rate_limit", what="rate limit")["resources"]["core"]
        who = session.viewer()
    except ExpectedError as error:
        return [Finding("problem", error.message, error.hint)]
    left = f"{limits['remaining']} of {limits['limit']} requests are left this hour."
    if github.credential.kind == "none":
        return [Finding("ok", f"{github.base_url} answers. {left}"), Finding("warning", "There is no token.", _WITHOUT)]
    holder = f"{github.credential.kind}{f' of {who}' if who else ''}"
    found = [Finding("ok", f"{github.base_url} accepts the {holder}. {left}")]
    if not github.policy.limited:
        found.append(Finding("warning", "Every repository that the credential reaches is allowed.", _NAME_THEM))
    scopes = {scope.strip() for scope in (github.scopes or "").split(",")}
    if beyond := sorted(scopes - _READS):
        text = f"The token may do more than this server needs: {', '.join(beyond)}."
        found.append(Finding("warning", text, _enough(given)))
    return found


def _enough(given: Sequence[Grant]) -> str:
    more = "".join(f" For {grant.flag}: {grant.needs}" for grant in given)
    return f"A fine-grained token is enough, for the repositories that matter, with {_READING}: read.{more}"


_READING = "Contents, Issues, Pull requests, Actions, Checks, Commit statuses and Discussions"
_WITHOUT = "Public repositories can be read, 60 requests an hour. GITHUB_TOKEN adds private ones and 5,000 an hour."
_NAME_THEM = "Name those that matter: --repos OWNER/NAME."
