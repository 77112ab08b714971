"""Branches and tags of a repository."""

from typing import Any

from mcp_server_github.github_api import Items, Json, Repository, Session

COLUMNS = ("name", "sha", "note")


def list_refs(session: Session, repository: Repository, kind: str, filters: Json, start: int) -> Items:
    """Return the "branches" or the "tags" of a repository, in GitHub's order."""
    return session.items(repository.path(kind), filters, start=start, what=f"{kind} of {repository.name}")


def row(repository: Repository, ref: Json) -> list[Any]:
    """Return a branch or tag as a row of `COLUMNS`."""
    is_default = "protected" in ref and ref["name"] == repository.default_branch
    notes = ["default" if is_default else "", "protected" if ref.get("protected") else ""]
    return [ref["name"], ref["commit"]["sha"], ", ".join(filter(None, notes))]
