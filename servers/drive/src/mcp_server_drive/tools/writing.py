"""Changing Drive, where the operator allows it. Names, docstrings, descriptions and error texts are prompts."""

import csv
import io
import mimetypes
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument, TooLarge
from mcp_server_shared.output import Records
from mcp_server_shared.untrusted import read_notation
from pydantic import BaseModel, ConfigDict, Field

from mcp_server_drive import writing
from mcp_server_drive.drive import Drive
from mcp_server_drive.files import DriveFile, Files, is_folder, shown
from mcp_server_drive.kinds import DOC, FOLDER, SHEET
from mcp_server_drive.tools.arguments import Account, FileId, FolderId
from mcp_server_drive.writing import Edit, Media

Name = Annotated[str, Field(description="Its name.", min_length=1, max_length=500)]
Key = Annotated[
    str | None, Field(description="Any; a repeat with it makes nothing twice.", min_length=1, max_length=100)
]
Destination = Annotated[str | None, Field(description="Where.", pattern="^[A-Za-z0-9_-]{1,200}$")]

_COLUMNS = ("id", "name", "type", "revision", "parents", "labels")


class EditArgument(BaseModel):
    """One edit as a model writes it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    old_text: Annotated[str, Field(min_length=1)]
    new_text: str


async def create_drive_file(
    call: Call[Drive],
    name: Name,
    content: Annotated[str, Field(description="Markdown for a doc, CSV for a sheet.")],
    type: Annotated[Literal["doc", "sheet", "text"], Field(description="text: as it is.")] = "doc",  # noqa: A002
    folder_id: Destination = None,
    idempotency_key: Key = None,
    account: Account = None,
) -> Records:
    """Create a file from text."""
    guessed = mimetypes.guess_type(name)[0] or "text/plain"
    target, given = {"doc": (DOC, "text/markdown"), "sheet": (SHEET, "text/csv"), "text": (guessed, guessed)}[type]
    media = Media.of(read_notation(content), given)

    def work(files: Files) -> DriveFile:
        return writing.create(files, read_notation(name), target, folder_id, media)

    return await _once(call, account, idempotency_key, work)


async def create_drive_folder(
    call: Call[Drive], name: Name, folder_id: Destination = None, idempotency_key: Key = None, account: Account = None
) -> Records:
    """Create a folder."""
    return await _once(
        call, account, idempotency_key, lambda files: writing.create(files, read_notation(name), FOLDER, folder_id)
    )


async def copy_drive_file(
    call: Call[Drive],
    file_id: FileId,
    name: Annotated[str | None, Field(description="Of the copy.", min_length=1, max_length=500)] = None,
    folder_id: Destination = None,
    idempotency_key: Key = None,
    account: Account = None,
) -> Records:
    """Copy a file."""
    wanted = read_notation(name) if name else None
    return await _once(
        call, account, idempotency_key, lambda files: writing.copy(files, files.get(file_id), wanted, folder_id)
    )


async def upload_drive_file(
    call: Call[Drive],
    local_name: Annotated[str, Field(description="In the operator's local folder.", min_length=1, max_length=255)],
    folder_id: Destination = None,
    idempotency_key: Key = None,
    account: Account = None,
) -> Records:
    """Upload a file of this machine."""
    media_type = mimetypes.guess_type(local_name)[0] or "application/octet-stream"

    def work(files: Files) -> DriveFile:
        with call.state.local_folder.reading(read_notation(local_name)) as data:
            media = Media(data, media_type)
            if media.size > call.state.contents.max_file_bytes:
                raise TooLarge("The file is larger than the operator allows.", hint="The flag is --max-file-bytes.")
            return writing.create(files, read_notation(local_name), media_type, folder_id, media)

    return await _once(call, account, idempotency_key, work)


async def update_drive_file(
    call: Call[Drive],
    file_id: FileId,
    expected_revision: Annotated[str, Field(description="The one you read; another is a conflict.", max_length=200)],
    edits: Annotated[
        list[EditArgument] | None,
        Field(description="For a doc or text file; each old_text is there once.", min_length=1, max_length=100),
    ] = None,
    content: Annotated[str | None, Field(description="All of a text file, or CSV for range.")] = None,
    range: Annotated[str | None, Field(description="In a sheet: Tab!A1.", max_length=300)] = None,  # noqa: A002
    account: Account = None,
) -> Records:
    """Change what a file holds."""
    if (edits is None) == (content is None) or (range is not None and content is None):
        raise InvalidArgument("Pass either edits or content; range goes with content, and with a sheet alone.")

    def work(files: Files) -> DriveFile:
        file = files.get(file_id)
        if range is not None:
            rows = list(csv.reader(io.StringIO(read_notation(content or ""), newline="")))
            return writing.write_range(files, file, expected_revision, read_notation(range), rows)
        if content is not None:
            return writing.replace_content(files, file, expected_revision, read_notation(content))
        wanted = [Edit(read_notation(one.old_text), read_notation(one.new_text)) for one in edits or ()]
        text = partial(_text_of, call, files, file)
        return writing.edit(files, file, expected_revision, wanted, text)

    return await _changed(call, account, work)


def _text_of(call: Call[Drive], files: Files, file: DriveFile) -> str:
    content = call.state.contents.read(files, file, part=None)
    if content.cut or content.note:
        raise InvalidArgument("This file is too long, or not in UTF-8, to be edited.", hint="Pass all of its content.")
    return content.text


async def move_drive_file(call: Call[Drive], file_id: FileId, folder_id: FolderId, account: Account = None) -> Records:
    """Move a file or folder."""
    return await _changed(call, account, lambda files: writing.move(files, files.get(file_id), folder_id))


async def rename_drive_file(call: Call[Drive], file_id: FileId, name: Name, account: Account = None) -> Records:
    """Rename a file or folder."""
    body = {"name": read_notation(name)}
    return await _changed(call, account, lambda files: writing.change(files, files.get(file_id), body))


async def trash_drive_file(call: Call[Drive], file_id: FileId, account: Account = None) -> Records:
    """Put a file, or a folder with all in it, into the trash."""
    file = await call.in_thread(lambda: call.state.files(call, account).get(file_id))
    if is_folder(file):
        await call.confirm("trash", f"Put the folder {shown(file)} and all that is in it into the trash?")
    return await _changed(call, account, lambda files: writing.change(files, files.get(file_id), {"trashed": True}))


async def untrash_drive_file(call: Call[Drive], file_id: FileId, account: Account = None) -> Records:
    """Take a file out of the trash."""
    return await _changed(call, account, lambda files: writing.change(files, files.get(file_id), {"trashed": False}))


async def comment_on_drive_file(
    call: Call[Drive],
    file_id: FileId,
    text: Annotated[str, Field(description="Plain.", min_length=1, max_length=4_000)],
    reply_to: Annotated[str | None, Field(description="Id of a comment.", pattern="^[A-Za-z0-9_-]{1,200}$")] = None,
    *,
    resolve: Annotated[bool, Field(description="That comment is settled.")] = False,
    idempotency_key: Key = None,
    account: Account = None,
) -> Records:
    """Comment on a file, or reply; everybody who sees it may read that."""
    if resolve and reply_to is None:
        raise InvalidArgument("'resolve' goes with reply_to, the comment that is settled.")

    def work() -> list[Any]:
        files = call.state.files(call, account)
        file = files.get(file_id)
        if reply_to is None:
            return [writing.comment(files, file, read_notation(text)), None]
        return [reply_to, writing.reply(files, file, reply_to, read_notation(text), resolve=resolve)]

    row = await call.once(idempotency_key, lambda: call.in_thread(work))
    return Records(columns=("comment_id", "reply_id"), rows=[row], untrusted=False)


async def _once(call: Call[Drive], account: str | None, key: str | None, work: Callable[[Files], DriveFile]) -> Records:
    row = await call.once(key, lambda: call.in_thread(_row, call, account, work))
    return Records(columns=_COLUMNS, rows=[row])


async def _changed(call: Call[Drive], account: str | None, work: Callable[[Files], DriveFile]) -> Records:
    return Records(columns=_COLUMNS, rows=[await call.in_thread(_row, call, account, work)])


def _row(call: Call[Drive], account: str | None, work: Callable[[Files], DriveFile]) -> list[Any]:
    files = call.state.files(call, account)
    own = call.state.own_address(files)
    file = work(files)
    return [file.id, file.name, file.kind, file.revision, list(file.parents), file.labels(own)]
