"""Changing Drive: nobody's edit is lost, and nothing is made twice because an answer was."""

# The library ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from mcp_server_shared.errors import (
    Conflict,
    DeadlineExceeded,
    ExpectedError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
    Unsupported,
)

from mcp_server_drive.documents import paragraphs
from mcp_server_drive.files import ALL_DRIVES, FIELDS, DriveFile, Files, is_folder
from mcp_server_drive.google_api import Doubtful
from mcp_server_drive.kinds import DOC, FOLDER, GOOGLE, SHEET
from mcp_server_drive.spreadsheets import address, tabs

T = TypeVar("T")

_MARK = "mcpServerDrive"  # in appProperties, of what cannot be given an id beforehand
_IN_ONE_PIECE = 5_242_880
_PIECE = 8_388_608
_MOST_FAILURES = 5  # of an upload, one after another
_MOST_REVISIONS = 1_000
_IN_A_DOC = "In a doc, quote plain words of one paragraph, without marks of Markdown, and enough of them to be unique."


@dataclass(frozen=True)
class Edit:
    """One replacement; the old text has to be there exactly once."""

    old: str
    new: str


@dataclass(frozen=True)
class Media:
    """What a file is to hold.

    Attributes:
        data: opened for reading, at any position.
        media_type: of the data.
    """

    data: IO[bytes]
    media_type: str

    @classmethod
    def of(cls, text: str, media_type: str) -> "Media":
        """Return text as it is uploaded."""
        return cls(io.BytesIO(text.encode()), media_type)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.data.seek(0, io.SEEK_END)

    def upload(self) -> Any:
        """Return it as the library takes it; what is large goes in pieces, which can be resumed."""
        from googleapiclient.http import MediaIoBaseUpload

        resumable = self.size > _IN_ONE_PIECE
        return MediaIoBaseUpload(self.data, mimetype=self.media_type, chunksize=_PIECE, resumable=resumable)


def create(files: Files, name: str, media_type: str, folder_id: str | None, media: Media | None = None) -> DriveFile:
    """Make a file or folder, once.

    Args:
        files: the call's view of Drive.
        name: of the file.
        media_type: what it becomes; Google converts what is uploaded as one of its own kinds.
        folder_id: where; without it, in the first of the operator's folders, or My Drive.
        media: what it holds.
    """
    body = {"name": name, "mimeType": media_type, "parents": [_destination(files, folder_id).id]}

    def request(body: Mapping[str, Any]) -> Any:
        given = {"media_body": media.upload()} if media else {}
        return files.api.requests.files.create(body=body, fields=FIELDS, **given, **ALL_DRIVES)

    return _made_once(files, body, request)


def copy(files: Files, file: DriveFile, name: str | None, folder_id: str | None) -> DriveFile:
    """Copy a file, once; it lands beside the original unless a folder is named."""
    if is_folder(file):
        raise Unsupported("Google does not copy folders.", hint="Copy the files in it.")
    body: dict[str, Any] = {"mimeType": file.media_type} | ({"name": name} if name else {})
    if folder_id is not None or files.folders:
        beside = file.parents[0] if file.parents else None
        body["parents"] = [_destination(files, folder_id or beside).id]

    def request(body: Mapping[str, Any]) -> Any:
        sent = {key: value for key, value in body.items() if key != "mimeType"}
        return files.api.requests.files.copy(fileId=file.id, body=sent, fields=FIELDS, **ALL_DRIVES)

    return _made_once(files, body, request)


def _made_once(files: Files, body: dict[str, Any], request: Callable[[Mapping[str, Any]], Any]) -> DriveFile:
    """Make something whose answer may be lost: by an id chosen beforehand, or a mark to find it by."""
    if body["mimeType"].startswith(GOOGLE) and body["mimeType"] != FOLDER:  # Google does not take an id for these
        mark = secrets.token_hex(16)
        sent = request(body | {"appProperties": {_MARK: mark}})
        return _settled(lambda: _of(_send(files, sent)), lambda: _marked(files, mark), "search_drive for its name")
    file_id = _new_id(files)

    def attempt() -> DriveFile:  # again with the same id makes the same file, or none
        try:
            return _of(_send(files, request(body | {"id": file_id})))
        except Conflict:  # it was carried out before, and the answer was lost
            return files.get(file_id)

    return files.pace.retry_in_thread(attempt)


def _new_id(files: Files) -> str:
    request = files.api.requests.files.generateIds(count=1, space="drive", type="files")
    return files.api.read(request, files.pace)["ids"][0]


def _marked(files: Files, mark: str) -> DriveFile | None:
    query = f"appProperties has {{ key='{_MARK}' and value='{mark}' }} and trashed = false"
    return next(iter(files.page(query, token=None, size=1, order=None).files), None)


def _send(files: Files, request: Any) -> Any:
    return _send_pieces(files, request) if request.resumable is not None else files.api.send(request, files.pace)


def _send_pieces(files: Files, request: Any) -> Any:
    """Upload piece by piece; after a failure, go on from what Google has."""
    failures = 0
    while True:
        files.pace.checkpoint()
        try:
            answer = files.api.send_chunk(request, files.pace)
        except Unavailable:
            failures += 1
            if failures > _MOST_FAILURES:
                raise
        else:
            failures = 0
            if answer is not None:
                return answer


def _settled(send: Callable[[], T], look: Callable[[], T | None], where: str) -> T:
    """Send what must not be sent twice; when the answer is lost, look whether it was carried out."""
    try:
        return send()
    except (Doubtful, DeadlineExceeded) as lost:
        try:
            done = look()
        except ExpectedError:
            done = None
        if done is not None:
            return done
        raise Conflict(
            "Google's answer was lost; it may have been carried out.",
            hint=f"Look before you do it again: {where}.",
        ) from lost


def change(files: Files, file: DriveFile, body: Mapping[str, Any], **parameters: Any) -> DriveFile:
    """Change what is said of a file: its name, its folder, whether it is in the trash."""
    if file.id in files.folders:
        raise PermissionDenied("This folder is one that the server is limited to; it stays as it is.")
    request = files.api.requests.files.update(fileId=file.id, body=body, fields=FIELDS, **parameters, **ALL_DRIVES)

    def look() -> DriveFile | None:
        now = files.get(file.id)
        moved = parameters.get("addParents", now.parents[:1][0] if now.parents else "") in now.parents or not parameters
        return now if moved and all(now.told.get(name) == value for name, value in body.items()) else None

    return _settled(lambda: _of(files.api.send(request, files.pace)), look, "get_drive_file says how it is now")


def move(files: Files, file: DriveFile, folder_id: str) -> DriveFile:
    """Move a file into another folder."""
    folder = _destination(files, folder_id)
    if folder.id == file.id:
        raise InvalidArgument("A folder cannot be in itself.")
    return change(files, file, {}, addParents=folder.id, removeParents=",".join(file.parents))


def replace_content(files: Files, file: DriveFile, expected: str, content: str) -> DriveFile:
    """Replace all that a text file holds."""
    _require_text(file)
    _require_revision(file, expected)
    return _written(files, file, content)


def edit(files: Files, file: DriveFile, expected: str, edits: Sequence[Edit], text: Callable[[], str]) -> DriveFile:
    """Replace pieces of a Doc or of a text file, all or none.

    Args:
        files: the call's view of Drive.
        file: as it is now.
        expected: the revision that the edits are made for.
        edits: in order.
        text: reads a text file.
    """
    _require_revision(file, expected)
    if file.media_type == DOC:
        return _edited_document(files, file, edits)
    _require_text(file)
    edited = text()
    for one in edits:
        _require_once(one.old, edited.count(one.old), "Quote enough around it to be unique.")
        edited = edited.replace(one.old, one.new)
    return _written(files, file, edited)


def _written(files: Files, file: DriveFile, content: str) -> DriveFile:
    media = Media.of(content, file.media_type)
    request = files.api.requests.files.update(fileId=file.id, media_body=media.upload(), fields=FIELDS, **ALL_DRIVES)
    written = _settled(
        lambda: _of(_send(files, request)), lambda: _holds(files, file, content), "read_drive_file says what it holds"
    )
    _require_nobody_between(files, file, written)
    return written


def _holds(files: Files, file: DriveFile, content: str) -> DriveFile | None:
    import hashlib

    now = files.get(file.id)
    digest = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    return now if now.revision != file.revision and now.told.get("md5Checksum") == digest else None


def _require_nobody_between(files: Files, before: DriveFile, after: DriveFile) -> None:
    """Drive replaces a file without asking for its revision: see afterwards whether another one came between."""
    told, token = files.revisions(before, token=None, size=_MOST_REVISIONS)
    while token:
        told, token = files.revisions(before, token=token, size=_MOST_REVISIONS)
    ids = [one["id"] for one in told]
    if {before.revision, after.revision} <= set(ids):
        between = ids[ids.index(before.revision) + 1 : ids.index(after.revision)]
        if between:
            raise Conflict(
                f"Somebody saved revision {between[-1]} at the same moment; yours, {after.revision}, came after it.",
                hint="Both are kept: read the other with read_drive_file and its revision, and merge them in.",
            )


def _edited_document(files: Files, file: DriveFile, edits: Sequence[Edit]) -> DriveFile:
    requests = files.api.requests
    document = files.api.read(requests.documents.get(documentId=file.id, includeTabsContent=True), files.pace)
    _require_revision(files.get(file.id), file.revision)  # so what was read just now is that revision
    lines = list(paragraphs(document))
    for one in edits:
        _require_once(one.old, sum(line.count(one.old) for line in lines), _IN_A_DOC)
        lines = [line.replace(one.old, one.new) for line in lines]
    replacements = [
        {"replaceAllText": {"containsText": {"text": one.old, "matchCase": True}, "replaceText": one.new}}
        for one in edits
    ]
    body = {"requests": replacements, "writeControl": {"requiredRevisionId": document.get("revisionId", "")}}
    request = requests.documents.batchUpdate(documentId=file.id, body=body)

    def send() -> DriveFile:
        try:
            files.api.send(request, files.pace)
        except InvalidArgument as refused:  # how Google says that the revision is no longer the last
            if files.get(file.id).revision != file.revision:
                raise _changed(files.get(file.id)) from refused
            raise
        return files.get(file.id)

    return _settled(send, lambda: None, "read_drive_file says what it holds")


def write_range(files: Files, file: DriveFile, expected: str, cells: str, rows: Sequence[Sequence[str]]) -> DriveFile:
    """Write values into a range of a spreadsheet, as they are: nothing in them becomes a formula."""
    if file.media_type != SHEET:
        raise Unsupported("Only a Google Sheet has ranges.")
    _require_revision(file, expected)
    wanted = address(cells, tabs(files, file))
    request = files.api.requests.values.update(
        spreadsheetId=file.id, range=wanted, valueInputOption="RAW", body={"values": [list(row) for row in rows]}
    )

    def send() -> DriveFile:
        files.api.send(request, files.pace)
        return files.get(file.id)

    return _settled(send, lambda: None, "read_drive_file says what it holds")


def comment(files: Files, file: DriveFile, text: str) -> str:
    """Comment on a file, once; return the comment's id."""
    known = {one["id"] for one in _own_comments(files, file, text)}
    request = files.api.requests.comments.create(fileId=file.id, body={"content": text}, fields="id")

    def look() -> str | None:
        return next((one["id"] for one in _own_comments(files, file, text) if one["id"] not in known), None)

    return _settled(lambda: files.api.send(request, files.pace)["id"], look, "list_drive_comments")


def reply(files: Files, file: DriveFile, comment_id: str, text: str, *, resolve: bool) -> str:
    """Reply to a comment, once, and resolve it or not; return the reply's id."""
    known = {one["id"] for one in _replies(files, file, comment_id)}
    body = {"content": text} | ({"action": "resolve"} if resolve else {})
    request = files.api.requests.replies.create(fileId=file.id, commentId=comment_id, body=body, fields="id")

    def look() -> str | None:
        now = _replies(files, file, comment_id)
        return next((one["id"] for one in now if one["id"] not in known and one.get("content") == text), None)

    return _settled(lambda: files.api.send(request, files.pace)["id"], look, "list_drive_comments")


def _replies(files: Files, file: DriveFile, comment_id: str) -> list[Any]:
    request = files.api.requests.comments.get(
        fileId=file.id, commentId=comment_id, fields="id,replies(id,content)", includeDeleted=False
    )
    try:
        return files.api.read(request, files.pace).get("replies", [])
    except NotFound:
        raise NotFound("It has no such comment.", hint="list_drive_comments has their ids.") from None


def _own_comments(files: Files, file: DriveFile, text: str) -> list[Any]:
    told, _ = files.comments(file, token=None, size=100)
    return [one for one in told if one.get("content") == text]


def _destination(files: Files, folder_id: str | None) -> DriveFile:
    folder = files.get(folder_id or next(iter(files.folders), "root"))
    if not is_folder(folder):
        raise InvalidArgument("'folder_id' names a file, not a folder.")
    return folder


def _require_text(file: DriveFile) -> None:
    if file.kind != "text":
        raise Unsupported(
            f"The content of files of type '{file.kind}' cannot be replaced here.",
            hint="Text files take content or edits, Docs take edits, Sheets take content for a range.",
        )


def _require_revision(file: DriveFile, expected: str) -> None:
    if file.revision != expected:
        raise _changed(file)


def _changed(file: DriveFile) -> Conflict:
    return Conflict(
        f"It has changed since: its revision is {file.revision} now. Nothing was written.",
        hint="Read it again, and make the change for what it holds now.",
    )


def _require_once(text: str, count: int, hint: str) -> None:
    if count != 1:
        told = "is not in it" if not count else f"is in it {count} times"
        raise NotFound(
            f"One old_text {told}. Nothing was written.",
            hint=hint,
            untrusted=text[:200],
        )


def _of(told: Any) -> DriveFile:
    return DriveFile.of(told)
