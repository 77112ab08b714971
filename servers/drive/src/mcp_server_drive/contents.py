"""What is in files: each kind read by what fits it, kept for a while by revision."""

import codecs
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from mcp_server_shared.errors import Conflict, ExpectedError, InvalidArgument, NotFound, TooLarge, Unsupported

from mcp_server_drive import documents, presentations, spreadsheets
from mcp_server_drive.content import MOST_CHARACTERS, Content, Section, without_images
from mcp_server_drive.extractor import extract, smaller_image
from mcp_server_drive.files import ALL_DRIVES, DriveFile, Files
from mcp_server_drive.google_api import ApiDisabled
from mcp_server_drive.kinds import DOC, EXCEL, GOOGLE, POWERPOINT, SHEET, SLIDES

_MOST_READINGS = 3
_KEPT_CHARACTERS = 4 * MOST_CHARACTERS
_SHOWN_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
_EXTRACTED = {"pdf", "word", "excel", "powerpoint"}
_EXPORTED_TEXT = {GOOGLE + "script": "application/vnd.google-apps.script+json"}
_EXPORTED_IMAGES = {GOOGLE + "drawing", GOOGLE + "jam"}
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

Key = tuple[str, str, str, str]


class _ChangedMeanwhile(Conflict):
    """Somebody changed the file while it was read."""


@dataclass(frozen=True)
class Image:
    """A picture in a form that models take."""

    data: bytes
    media_type: str
    resized: bool


@dataclass
class Contents:
    """Reads files and keeps the texts of the last ones.

    Attributes:
        max_file_bytes: larger ones are refused.
    """

    max_file_bytes: int
    _kept: OrderedDict[Key, Content] = field(default_factory=OrderedDict[Key, Content])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def latest(self, files: Files, file: DriveFile, *, part: str | None) -> tuple[DriveFile, Content]:
        """Return the text of a file as it is now, and the description that belongs to it.

        What changes while it is read is read again: people write in documents, and Google counts changes nobody made.

        Raises:
            Conflict: it changes faster than it can be read.
        """
        for _ in range(_MOST_READINGS - 1):
            try:
                return file, self.read(files, file, part=part)
            except _ChangedMeanwhile:
                file = files.get(file.id)
        return file, self.read(files, file, part=part)

    def read(self, files: Files, file: DriveFile, *, part: str | None, revision: str | None = None) -> Content:
        """Return the text of a file, of a part, or of a former revision.

        Args:
            files: the call's view of Drive.
            file: what to read, as it is now.
            part: a title or number, for a spreadsheet also a range; all without it.
            revision: the one that is wanted; the latest without it.

        Raises:
            Conflict: the revision is no longer there.
        """
        wanted = revision or file.revision
        ranged = part if file.media_type == SHEET else None  # a range is read by itself
        key = (files.api.authorizer.name, file.id, wanted, ranged or "")
        content = self._kept_for(key)
        if content is None:
            content = self._fresh(files, file, ranged, None if wanted == file.revision else wanted)
            self._keep(key, content)
        return content.part(part) if part and not ranged else content

    def image(self, files: Files, file: DriveFile, most_bytes: int) -> Image:
        """Return a picture, made smaller where it has more bytes than that."""
        data = self._exported(files, file, "image/png") if file.is_google else self._bytes(files, file, None)
        media_type = "image/png" if file.is_google else file.media_type
        if len(data) <= most_bytes and media_type in _SHOWN_IMAGES:
            return Image(data, media_type, resized=False)
        data = smaller_image(data, most_bytes, files.pace)
        return Image(data, "image/png" if data.startswith(b"\x89PNG") else "image/jpeg", resized=True)

    def _fresh(self, files: Files, file: DriveFile, part: str | None, former: str | None) -> Content:
        if former is None and file.is_google:
            return _unchanged_meanwhile(files, file, lambda: self._google(files, file, part))
        if file.is_google:
            raise Conflict(
                "It has changed since, and former revisions of Google's own kinds cannot be read.",
                hint="Start again without cursor.",
            )
        if file.kind in _EXTRACTED:
            return extract(file.kind, self._bytes(files, file, former), files.pace)
        if file.kind == "text":
            return _text(self._bytes(files, file, former))
        raise Unsupported(
            f"Files of type '{file.kind}' have no text to read.", hint="Save it with download_drive_file, if listed."
        )

    def _google(self, files: Files, file: DriveFile, part: str | None) -> Content:
        readers: dict[str, Callable[[], Content]] = {
            DOC: lambda: _document(files, file),
            SHEET: lambda: spreadsheets.read(files, file, part),
            SLIDES: lambda: _presentation(files, file),
        }
        if file.media_type in readers:
            try:
                return readers[file.media_type]()
            except ApiDisabled as disabled:
                return self._instead(files, file, part, disabled)
        if file.media_type in _EXPORTED_TEXT:
            return _text(self._exported(files, file, _EXPORTED_TEXT[file.media_type]))
        raise Unsupported(f"Files of type '{file.kind}' have no text to read.")

    def _instead(self, files: Files, file: DriveFile, part: str | None, disabled: ExpectedError) -> Content:
        """Read an export of the file, which is less exact, where the API of its kind is not enabled."""
        note = f"{disabled.message} This is an export."
        if file.media_type == DOC:
            markdown = self._exported(files, file, "text/markdown").decode(errors="replace")
            return Content([Section("", without_images(markdown))], note=note)
        kind, media_type = ("excel", EXCEL) if file.media_type == SHEET else ("powerpoint", POWERPOINT)
        content = extract(kind, self._exported(files, file, media_type), files.pace)
        return replace(content.part(part) if part else content, note=note)

    def _exported(self, files: Files, file: DriveFile, media_type: str) -> bytes:
        request = files.api.requests.files.export(fileId=file.id, mimeType=media_type)
        return files.api.read(request, files.pace, most_bytes=self.max_file_bytes)

    def _bytes(self, files: Files, file: DriveFile, former: str | None) -> bytes:
        if (file.bytes or 0) > self.max_file_bytes:
            raise TooLarge(
                f"It has {file.bytes:,} bytes; at most {self.max_file_bytes:,} are read.",
                hint="The operator sets --max-file-bytes.",
            )
        requests = files.api.requests
        if former is None:
            request = requests.files.get_media(fileId=file.id, **ALL_DRIVES)
        else:
            request = requests.revisions.get_media(fileId=file.id, revisionId=former)
        try:
            data: bytes = files.api.read(request, files.pace, most_bytes=self.max_file_bytes)
        except NotFound:
            if former is None:
                raise
            raise Conflict("It has no such revision, or no longer.", hint="list_drive_revisions names them.") from None
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if former is None and file.told.get("md5Checksum", digest) != digest:
            raise _changed()
        return data

    def _kept_for(self, key: Key) -> Content | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Key, content: Content) -> None:
        with self._lock:
            self._kept[key] = content
            while len(self._kept) > 1 and sum(len(kept.text) for kept in self._kept.values()) > _KEPT_CHARACTERS:
                self._kept.popitem(last=False)


def is_image(file: DriveFile) -> bool:
    """Whether it is looked at rather than read."""
    return file.kind == "image" or file.media_type in _EXPORTED_IMAGES


def _changed() -> _ChangedMeanwhile:
    return _ChangedMeanwhile("It was changed while it was read.", hint="Read it again.")


def _unchanged_meanwhile(files: Files, file: DriveFile, read: Callable[[], Content]) -> Content:
    """Read what takes several requests, and make sure that all of them saw the same revision."""
    content = read()
    if files.get(file.id).revision != file.revision:
        raise _changed()
    return content


def _document(files: Files, file: DriveFile) -> Content:
    request = files.api.requests.documents.get(
        documentId=file.id, includeTabsContent=True, suggestionsViewMode="PREVIEW_WITHOUT_SUGGESTIONS"
    )
    return documents.markdown(files.api.read(request, files.pace))


def _presentation(files: Files, file: DriveFile) -> Content:
    request = files.api.requests.presentations.get(presentationId=file.id, fields=presentations.FIELDS)
    return presentations.text_of(files.api.read(request, files.pace))


def _text(data: bytes) -> Content:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    note = ""
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if b"\0" in data:
            raise Unsupported("It is said to be text and is not.") from None
        text, note = data.decode("cp1252", errors="replace"), "It is not UTF-8 and was read as Windows-1252."
    return Content([Section("", text[:MOST_CHARACTERS])], cut=len(text) > MOST_CHARACTERS, note=note)


def facts_of(content: Content) -> dict[str, Any]:
    """Say what is to be known of a text beside the text."""
    titled = [section for section in content.sections if section.title]
    known = {"characters": len(content.text), "parts": len(titled), "cut": content.cut, "note": content.note}
    return {name: value for name, value in known.items() if value}


def check_offset(content: Content, offset: int) -> None:
    """Refuse to begin behind the end."""
    if offset and offset >= len(content.text):
        raise InvalidArgument(f"'offset' is past the end: it has {len(content.text)} characters.")
