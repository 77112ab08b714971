"""Who the credential is, what it may do, and how much of it is left."""

from collections.abc import Iterable
from typing import Any

from mcp_server_shared.catalog import Grant

from mcp_server_github.github_api import Session


def rows(session: Session, grants: Iterable[Grant]) -> list[list[Any]]:
    """Return what is known, as pairs; the grants are those of the operator and the caller."""
    github = session.github
    limits = session.get("/rate_limit", what="rate limit")["resources"]
    scopes = github.scopes
    return [
        ["github", github.base_url],
        ["credential", github.credential.kind],
        ["login", session.viewer() or "nobody"],
        *([["scopes", scopes or "none"]] if scopes is not None else []),
        ["repositories", github.policy.described()],
        ["allowed", "; ".join(["read", *(grant.allows for grant in grants)])],
        *([["lockdown", "what people without push access wrote is withheld"]] if github.lockdown else []),
        *[[f"requests left: {name}", f"{limits[name]['remaining']} of {limits[name]['limit']}"] for name in _LIMITS],
    ]


_LIMITS = ("core", "search", "graphql")
