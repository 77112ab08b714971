"""Reading files, folders and commits. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated

from mcp_server_shared.call import Call
from mcp_server_shared.output import Document, Media, Records
from pydantic import Field

from mcp_server_github import branches, contents, history, names, refs, releases
from mcp_server_github.documents import Piece
from mcp_server_github.github_api import GitHub, Json, Session
from mcp_server_github.tools.answers import ask, confidentiality, document, page_of, records
from mcp_server_github.tools.arguments import Cursor, Limit, OnlyFile, Ref, Repo


async def read_repo_file(
    call: Call[GitHub],
    repo: Repo,
    path: Annotated[str, Field(description="In the repository.")],
    ref: Ref = "",
    first_line: Annotated[int, Field(ge=1, description="Where to begin.")] = 1,
    last_line: Annotated[int | None, Field(ge=1, description="Where to end.")] = None,
    cursor: Cursor = None,
) -> Document | Media:
    """Read a text file, whole or some lines, or look at an image; names the sha that edit_repo_files can insist on."""
    position = call.position(cursor)

    def work(session: Session) -> Document | Media:
        repository = session.repository(repo)
        at = refs.named(session, repository, ref)
        file = contents.read_file(session, repository, names.path(path), at)
        facts: Json = {"sha": file.sha, "bytes": len(file.data), "ref": at}
        if image := file.image_type():
            return Media(data=file.data, mime_type=image, facts=facts, confidentiality=confidentiality(session))
        wanted, facts["lines"] = contents.some_lines(file, first_line, last_line)
        start: int = position[1] if position else 0
        return document([Piece(wanted[start:], 0, start)], call.budget, facts, session)

    return await ask(call, work)


async def list_repo_tree(
    call: Call[GitHub],
    repo: Repo,
    path: Annotated[str, Field(description="The folder; the root without it.")] = "",
    ref: Ref = "",
    depth: Annotated[int, Field(ge=1, le=20, description="How many levels.")] = 1,
    cursor: Cursor = None,
) -> Records:
    """List the files and folders in a folder of a repository."""
    first: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        at = refs.named(session, repository, ref)
        tree = contents.list_tree(session, repository, names.path(path), at, depth)
        facts: Json = {"total": len(tree.entries)} | ({} if tree.complete else {"incomplete": True})
        rows = [list(entry) for entry in tree.entries[first:]]
        columns = ["path", "kind", "bytes"]
        label = confidentiality(session)
        return Records(columns=columns, rows=rows, facts=facts, resume=lambda kept: first + kept, confidentiality=label)

    return await ask(call, work)


async def list_commits(
    call: Call[GitHub],
    repo: Repo,
    ref: Ref = "",
    path: Annotated[str, Field(description="Only those that change it.")] = "",
    author: Annotated[str, Field(description="Only those of this login.")] = "",
    since: Annotated[str, Field(description="As 2026-11-20 or 2026-11-20T16:00:00Z.")] = "",
    until: Annotated[str, Field(description="As since.")] = "",
    limit: Limit = 30,
    cursor: Cursor = None,
) -> Records:
    """List commits, newest first. Then get_commit."""
    filters = {
        "path": names.path(path),
        "author": names.login(author, "author") if author else "",
        "since": names.moment(since, "since"),
        "until": names.moment(until, "until"),
        **page_of(limit),
    }
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        at = {"sha": refs.named(session, repository, ref)}
        found = history.list_commits(session, repository, filters | at, start)
        return records(history.COLUMNS, found, history.row, limit, session=session)

    return await ask(call, work)


async def get_commit(
    call: Call[GitHub],
    repo: Repo,
    ref: Annotated[str, Field(description="Branch, tag or commit.")],
    patch: Annotated[bool, Field(description="Show changed lines, too.")] = False,  # noqa: FBT002
    file: OnlyFile = "",
    cursor: Cursor = None,
) -> Document:
    """Read one commit: message, changed files, on request the changes."""
    position = call.position(cursor)

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        commit = history.read_commit(session, repository, refs.named(session, repository, ref))
        pieces = history.commit_pieces(commit, position, patch=patch, only=names.path(file))
        return document(pieces, call.budget, {"sha": commit["sha"], **commit["stats"]}, session)

    return await ask(call, work)


async def compare_refs(
    call: Call[GitHub],
    repo: Repo,
    base: Annotated[str, Field(description="Branch, tag or commit.")],
    head: Annotated[str, Field(description="Branch, tag or commit.")],
    patch: Annotated[bool, Field(description="Show changed lines, too.")] = False,  # noqa: FBT002
    file: OnlyFile = "",
    cursor: Cursor = None,
) -> Document:
    """Show what head has that base has not: commits, files, on request the changes."""
    position = call.position(cursor)

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        ends = refs.named(session, repository, base, "base"), refs.named(session, repository, head, "head")
        found = history.compare(session, repository, *ends)
        pieces = history.comparison_pieces(found, position, patch=patch, only=names.path(file))
        facts: Json = {"ahead": found["ahead_by"], "behind": found["behind_by"], "files": len(found.get("files") or [])}
        return document(pieces, call.budget, facts, session)

    return await ask(call, work)


async def list_releases(call: Call[GitHub], repo: Repo, limit: Limit = 10, cursor: Cursor = None) -> Records:
    """List releases with the beginning of their notes, newest first."""
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        found = releases.list_releases(session, session.repository(repo), page_of(limit), start)
        return records(releases.COLUMNS, found, releases.row, limit, session=session)

    return await ask(call, work)


async def read_release(
    call: Call[GitHub],
    repo: Repo,
    tag: Annotated[str, Field(description="The latest without it.")] = "",
    cursor: Cursor = None,
) -> Document:
    """Read a release: all its notes, and its files by name."""
    wanted = names.ref(tag, "tag") if tag else ""
    position = call.position(cursor)

    def work(session: Session) -> Document:
        release = releases.read_release(session, session.repository(repo), wanted)
        pieces = releases.pieces(release, position)
        return document(pieces, call.budget, {"assets": len(release["assets"])}, session)

    return await ask(call, work)


async def list_branches(
    call: Call[GitHub],
    repo: Repo,
    tags: Annotated[bool, Field(description="List tags instead.")] = False,  # noqa: FBT002
    limit: Limit = 30,
    cursor: Cursor = None,
) -> Records:
    """List branches, or tags, with the commits they are at."""
    start: int = call.position(cursor) or 0

    def work(session: Session) -> Records:
        repository = session.repository(repo)
        found = branches.list_refs(session, repository, "tags" if tags else "branches", page_of(limit), start)
        return records(branches.COLUMNS, found, lambda ref: branches.row(repository, ref), limit, session=session)

    return await ask(call, work)
