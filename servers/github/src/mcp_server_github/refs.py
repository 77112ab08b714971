"""Which commit is meant, and in lockdown whether somebody who may push has put it there."""

from mcp_server_shared.errors import NotFound, PermissionDenied

from mcp_server_github import names
from mcp_server_github.github_api import Json, Repository, Session


def named(session: Session, repository: Repository, text: str, argument: str = "ref") -> str:
    """Return a branch, tag or commit that may be read; the default branch for "".

    A commit of any fork can be had by its hash from the repository it was forked from, and so can a pull request's.

    Raises:
        InvalidArgument: it is no ref.
        PermissionDenied: in lockdown, that it may be a stranger's.
    """
    ref = names.ref(text, argument) if text else repository.default_branch
    if not session.github.lockdown or repository.private:
        return ref
    stranger = ref.removeprefix("refs/").startswith("pull/")
    if not stranger and names.may_be_sha(ref):
        known = _qualified(session, repository, ref)
        stranger = not known and not _is_merged(session, repository, ref)
        ref = known or ref
    if stranger:
        raise PermissionDenied(
            f"In lockdown, {ref} may be by somebody without push access, and is not shown.",
            hint="Name a branch or a tag, or a commit of the default branch.",
        )
    return ref


def require_heard(session: Session, repository: Repository, item: Json, what: str) -> None:
    """Return unless lockdown keeps back what its author has made.

    Raises:
        PermissionDenied: it does.
    """
    if session.withholds(repository, item):
        raise PermissionDenied(
            f"In lockdown, {what} is not shown: its author may not push here.",
            hint="Only the operator can change that.",
        )


def head_of(session: Session, repository: Repository, name: str) -> str:
    """Return the object that a branch ("heads/main") or a tag ("tags/v1") is at; "" where there is none."""
    try:
        where = repository.path("git", "ref", *name.split("/"))
        return str(session.get(where, what=f"{name} in {repository.name}")["object"]["sha"])
    except NotFound:
        return ""


def _qualified(session: Session, repository: Repository, ref: str) -> str:
    """Return a branch or tag by its whole name; "" where there is none, or git takes it for a hash all the same."""
    plain = ref.removeprefix("refs/")
    whole = [plain] if plain.startswith(("heads/", "tags/")) else [f"heads/{ref}", f"tags/{ref}"]
    found = () if names.is_whole_sha(ref) else (name for name in whole if head_of(session, repository, name))
    return next(iter(found), "")


def _is_merged(session: Session, repository: Repository, sha: str) -> bool:
    where = repository.path("compare", f"{repository.default_branch}...{sha}")
    compared = session.get(where, {"per_page": 1}, what=f"commit {sha} in {repository.name}")
    return compared["status"] in {"behind", "identical"}
