"""Releases of a repository."""

from collections.abc import Iterator
from typing import Any

from mcp_server_github.documents import Piece, body, from_position, heading
from mcp_server_github.github_api import Items, Json, Repository, Session
from mcp_server_github.text import day, login

COLUMNS = ("tag", "name", "published", "author", "kind", "assets", "notes")

_MOST_NOTES = 400


def list_releases(session: Session, repository: Repository, filters: Json, start: int) -> Items:
    """Return the releases, newest first."""
    return session.items(repository.path("releases"), filters, start=start, what=f"releases in {repository.name}")


def row(release: Json) -> list[Any]:
    """Return a release as a row of `COLUMNS`; of long notes the beginning."""
    notes: str = release.get("body") or ""
    shown = notes if len(notes) <= _MOST_NOTES else f"{notes[:_MOST_NOTES]}… ({len(notes):,} characters)"
    assets = ", ".join(asset["name"] for asset in release["assets"])
    who, kind = login(release["author"]), _kind(release)
    return [release["tag_name"], release["name"], _when(release), who, kind, assets, shown]


def read_release(session: Session, repository: Repository, tag: str) -> Json:
    """Return the release of a tag; the latest that is neither draft nor prerelease for ""."""
    parts = ("tags", tag) if tag else ("latest",)
    what = f"release {tag or '(the latest)'} in {repository.name}"
    return session.get(repository.path("releases", *parts), what=what)


def pieces(release: Json, position: Any) -> Iterator[Piece]:
    """Yield the notes of a release and what can be downloaded."""
    who = f"by {login(release['author'])}"
    title = heading(f"release {release['tag_name']}", release["name"], _kind(release), _when(release), who)
    assets = [f"{asset['name']} {asset['size']:,} bytes" for asset in release["assets"]]
    text = title + body(release.get("body")) + heading(f"{len(assets)} assets") + "".join(map(body, assets))
    yield from_position(text, 0, position)


def _kind(release: Json) -> str:
    return "draft" if release["draft"] else "prerelease" if release["prerelease"] else "release"


def _when(release: Json) -> str:
    return day(release["published_at"] or release["created_at"])
