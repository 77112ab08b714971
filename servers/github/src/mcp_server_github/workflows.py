"""Workflow files run with the secrets of a repository, and do so for whoever puts one on a branch."""

from collections.abc import Iterable, Sequence

from mcp_server_shared.errors import PermissionDenied

from mcp_server_github.github_api import Json, Repository, Session

_FOLDER = ".github/workflows/"
_MOST_COMPARED = 300  # files, by GitHub


def require_named(paths: Iterable[str], named: Sequence[str]) -> None:
    """Return if none of these files is a workflow, or the operator named it.

    Raises:
        PermissionDenied: one is.
    """
    for path in unnamed(paths, named)[:1]:
        raise PermissionDenied(
            f"{path} is a workflow: it would run with the repository's secrets.",
            hint="The operator can allow it by --workflow-files and its file name.",
        )


def unnamed(paths: Iterable[str], named: Sequence[str]) -> list[str]:
    """Return those paths that are workflows which the operator did not name."""
    return [path for path in paths if path.lower().startswith(_FOLDER) and path.removeprefix(_FOLDER) not in named]


def require_known(session: Session, repository: Repository, commit: str, named: Sequence[str]) -> None:
    """Return if a commit brings no other workflows than the default branch has: it may be a stranger's, of any fork.

    Raises:
        PermissionDenied: it does, or changes so much that nobody can tell.
    """
    where = repository.path("compare", f"{repository.default_branch}...{commit}")
    compared: Json = session.get(where, what=f"commit {commit} in {repository.name}")
    files: list[Json] = compared.get("files") or []
    if len(files) >= _MOST_COMPARED:
        raise PermissionDenied(
            f"{commit} changes {_MOST_COMPARED} files or more, and workflows may be among them.",
            hint="Start at a branch, or at a commit of the default branch.",
        )
    require_named([file[name] for file in files for name in ("filename", "previous_filename") if file.get(name)], named)
