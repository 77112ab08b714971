"""Looking at one file. Names, docstrings, descriptions and error texts are prompts."""

from functools import partial
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import BYTES_A_CHARACTER, Document, Media, Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_drive import paths
from mcp_server_drive.content import Content, Match
from mcp_server_drive.contents import Image, check_offset, facts_of, is_image
from mcp_server_drive.drive import Drive
from mcp_server_drive.files import DriveFile
from mcp_server_drive.tools.arguments import Account, Cursor, FileId, Limit

_MOST_MATCHES = 200
_DETAILS = {
    "createdTime": "created",
    "version": "version",
    "md5Checksum": "md5",
    "description": "description",
    "webViewLink": "link",
    "driveId": "shared_drive_id",
}


async def get_drive_file(
    call: Call[Drive],
    file_id: Annotated[str | None, Field(description="Its id,", pattern="^[A-Za-z0-9_-]{1,200}$")] = None,
    path: Annotated[
        str | None, Field(description="or /Folder/Name in My Drive or a shared drive.", min_length=1, max_length=2_000)
    ] = None,
    cursor: Cursor = None,
    account: Account = None,
) -> Records:
    """Describe a file: id, path, revision, owner, who may do what, what this account may do."""
    if (file_id is None) == (path is None):
        raise InvalidArgument("Pass one of file_id and path.")

    def work() -> list[list[Any]]:
        files = call.state.files(call, account)
        file = files.get(file_id) if file_id is not None else paths.find(files, read_notation(path or ""))
        person = file.told.get("lastModifyingUser", {})
        known = {
            "id": file.id,
            "name": file.name,
            "type": file.kind,
            "media_type": file.media_type,
            "path": "/".join([*files.path(file), file.name]),
            "modified": file.modified,
            "modified_by": person.get("emailAddress") or person.get("displayName"),
            "revision": file.revision,
            "bytes": file.bytes,
            "owner": file.owner,
            "labels": file.labels(call.state.own_address(files)),
            "may": [name for name, may in file.told.get("capabilities", {}).items() if may],
            "shortcut_to": file.told.get("shortcutDetails", {}).get("targetId"),
            **{ours: file.told.get(theirs) for theirs, ours in _DETAILS.items()},
        }
        rows = [[name, value] for name, value in known.items() if value not in (None, [])]
        return rows + [["permission", _permission(one)] for one in files.permissions(file)]

    skipped: int = call.position(cursor) or 0
    rows = (await call.in_thread(work))[skipped:]
    return Records(columns=("field", "value"), rows=rows, resume=lambda kept: skipped + kept)


def _permission(told: Any) -> list[Any]:
    whom = told.get("emailAddress") or told.get("domain") or told.get("displayName") or told.get("type")
    return [told.get("role"), told.get("type"), whom]


async def read_drive_file(
    call: Call[Drive],
    file_id: FileId,
    part: Annotated[
        str | None,
        Field(
            description="Tab, slide or page by title or number (2, 3-5); in sheets a range (Tab!A1:D20).",
            max_length=300,
        ),
    ] = None,
    find: Annotated[
        str | None, Field(description="Only where these words stand, with offsets.", min_length=1, max_length=500)
    ] = None,
    offset: Annotated[int, Field(ge=0, le=10_000_000, description="First character.")] = 0,
    revision: Annotated[
        str | None, Field(description="A former one, not of Google's own types.", pattern="^[A-Za-z0-9_-]{1,200}$")
    ] = None,
    cursor: Cursor = None,
    account: Account = None,
) -> Document | Media:
    """Read a file: Docs as Markdown, Sheets as CSV, Slides with notes, PDF, Word, Excel, PowerPoint, text, images."""
    at, start = call.position(cursor) or (revision, offset)

    def work() -> tuple[DriveFile, Content | Image, list[str], list[Match]]:
        files = call.state.files(call, account)
        file = files.resolve(file_id)
        labels = file.labels(call.state.own_address(files))
        if is_image(file):
            return file, call.state.contents.image(files, file, call.budget * BYTES_A_CHARACTER), labels, []
        if at is None:
            file, content = call.state.contents.latest(files, file, part=part)
        else:
            content = call.state.contents.read(files, file, part=part, revision=at)
        return file, content, labels, content.find(find) if find else []

    file, content, labels, matches = await call.in_thread(work)
    facts = {"id": file.id, "type": file.kind, "modified": file.modified, "labels": labels}
    if isinstance(content, Image):
        resized = {"resized": True} if content.resized else {}
        return Media(data=content.data, mime_type=content.media_type, facts=facts | resized)
    facts |= {"revision": at or file.revision, **facts_of(content)}
    if find is not None:
        return _found(matches, facts, start)
    check_offset(content, start)
    return await _page(content, facts, start, call.budget)


async def _page(content: Content, facts: dict[str, Any], start: int, most: int) -> Document:
    text = content.page(start, most)
    end = start + len(text)
    return Document(
        text=text,
        facts=facts | {"offset": start},
        next=[facts["revision"], end] if end < len(content.text) else None,
        shorter=partial(_page, content, facts, start),
    )


def _found(matches: list[Match], facts: dict[str, Any], start: int) -> Document:
    shown = matches[start : start + _MOST_MATCHES]
    lines = [f"[offset {match.offset}] …{' '.join(match.excerpt.split())}…\n" for match in shown]
    return _lines(facts | {"matches": len(matches)}, lines, start, len(matches))


def _lines(facts: dict[str, Any], lines: list[str], start: int, total: int) -> Document:
    async def shorter(most: int) -> Document:
        kept, room = 0, most
        for line in lines:
            room -= len(line)
            if room < 0:
                break
            kept += 1
        return _lines(facts, lines[: max(1, kept)], start, total)

    end = start + len(lines)
    return Document(
        text="".join(lines),
        facts=facts,
        next=[facts["revision"], end] if end < total else None,
        shorter=shorter if len(lines) > 1 else None,
    )


async def list_drive_revisions(
    call: Call[Drive], file_id: FileId, limit: Limit = 50, cursor: Cursor = None, account: Account = None
) -> Records:
    """List a file's revisions, oldest first."""
    token, size, skip = call.position(cursor) or (None, limit, 0)

    def work() -> tuple[list[Any], str | None]:
        files = call.state.files(call, account)
        return files.revisions(files.get(file_id), token=token, size=size)

    told, following = await call.in_thread(work)
    rows = [[one["id"], one.get("modifiedTime"), _by(one), _number(one.get("size"))] for one in told[skip:]]
    return Records(
        columns=("id", "modified", "by", "bytes"),
        rows=rows,
        more=following is not None,
        resume=lambda kept: [token, size, skip + kept] if kept < len(rows) else [following, size, 0],
    )


def _by(told: Any) -> str | None:
    person = told.get("lastModifyingUser", {})
    return person.get("emailAddress") or person.get("displayName")


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


async def list_drive_comments(
    call: Call[Drive], file_id: FileId, limit: Limit = 50, cursor: Cursor = None, account: Account = None
) -> Records:
    """List the comments on a file, with what they are about and their replies."""
    token, size, skip = call.position(cursor) or (None, min(limit, 100), 0)

    def work() -> tuple[list[Any], str | None]:
        files = call.state.files(call, account)
        return files.comments(files.get(file_id), token=token, size=size)

    told, following = await call.in_thread(work)
    rows = [_comment(one) for one in told[skip:]]
    return Records(
        columns=("id", "created", "by", "resolved", "about", "text", "replies"),
        rows=rows,
        more=following is not None,
        resume=lambda kept: [token, size, skip + kept] if kept < len(rows) else [following, size, 0],
    )


def _comment(told: Any) -> list[Any]:
    replies = [
        [reply.get("createdTime"), _author(reply), reply.get("content") or reply.get("action")]
        for reply in told.get("replies", ())
    ]
    about = told.get("quotedFileContent", {}).get("value")
    head = [told["id"], told.get("createdTime"), _author(told), bool(told.get("resolved"))]
    return [*head, about, told.get("content"), replies]


def _author(told: Any) -> str | None:
    return told.get("author", {}).get("displayName")
