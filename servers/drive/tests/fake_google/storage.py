"""What the fake Drive holds."""

import hashlib
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

FOLDER = "application/vnd.google-apps.folder"
GOOGLE = "application/vnd.google-apps."
OWNER = "me@example.com"
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Revision:
    """One state of a file's content."""

    id: str
    content: bytes
    modified: str
    by: str


@dataclass(kw_only=True)
class Stored:
    """One file or folder."""

    id: str
    name: str
    media_type: str
    parents: list[str] = field(default_factory=list[str])
    owner: str | None = OWNER
    mine: bool = True
    drive_id: str | None = None
    trashed: bool = False
    created: str = ""
    modified: str = ""
    version: int = 1
    revisions: list[Revision] = field(default_factory=list[Revision])
    permissions: list[Json] = field(default_factory=list[Json])
    permissions_hidden: bool = False
    can_edit: bool = True
    made_by_app: bool = False
    app_properties: dict[str, str] = field(default_factory=dict[str, str])
    comments: list[Json] = field(default_factory=list[Json])
    target: str | None = None
    native: Json = field(default_factory=dict[str, Any])  # what Docs, Sheets or Slides answers
    exports: dict[str, bytes] = field(default_factory=dict[str, bytes])
    description: str | None = None

    @property
    def content(self) -> bytes:
        return self.revisions[-1].content if self.revisions else b""

    def searchable(self) -> str:
        """Return the text that a full-text search looks at."""
        return f"{self.name} {self.content.decode(errors='ignore')} {self.native}".lower()

    def told(self) -> Json:
        """Return the file as the API describes it."""
        told: Json = {
            "kind": "drive#file",
            "id": self.id,
            "name": self.name,
            "mimeType": self.media_type,
            "trashed": self.trashed,
            "createdTime": self.created,
            "modifiedTime": self.modified,
            "version": str(self.version),
            "webViewLink": f"https://drive.google.com/file/d/{self.id}/view",
            "ownedByMe": self.mine,
            "shared": len(self.permissions) > 1,
            "permissionIds": [permission["id"] for permission in self.permissions],
            "lastModifyingUser": {"emailAddress": self.owner or OWNER, "displayName": "Somebody"},
            "appProperties": self.app_properties,
            "capabilities": {
                "canEdit": self.can_edit,
                "canDownload": not self.media_type.startswith(GOOGLE + "folder"),
                "canShare": self.can_edit,
                "canTrash": self.can_edit,
                "canComment": True,
                "canAddChildren": self.can_edit and self.media_type == FOLDER,
            },
        }
        if self.parents:
            told["parents"] = self.parents
        if self.description is not None:
            told["description"] = self.description
        if self.drive_id:
            told["driveId"] = self.drive_id
        elif self.owner:
            told["owners"] = [{"emailAddress": self.owner, "displayName": "An Owner", "me": self.mine}]
        if not (self.permissions_hidden or self.drive_id):
            told["permissions"] = self.permissions
        if not self.media_type.startswith(GOOGLE):
            told |= {"size": str(len(self.content)), "md5Checksum": hashlib.md5(self.content).hexdigest()}  # noqa: S324
            told["headRevisionId"] = self.revisions[-1].id if self.revisions else "0"
        if self.target:
            told["shortcutDetails"] = {"targetId": self.target, "targetMimeType": "text/plain"}
        return told


class Storage:
    """Every file, and what happened to them, in order."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.files: dict[str, Stored] = {}
        self.drives: dict[str, str] = {}
        self.changes: list[tuple[str, bool, str]] = []
        self._ticks = itertools.count(1)
        self.add("root-id", "My Drive", FOLDER, parents=[])

    def add(
        self, file_id: str, name: str, media_type: str = "text/plain", content: bytes | str = b"", **fields: Any
    ) -> Stored:
        """Put a file there."""
        with self.lock:
            fields.setdefault("parents", ["root-id"])
            file = Stored(id=file_id, name=name, media_type=media_type, **fields)
            file.created = file.modified = self.now()
            file.permissions = file.permissions or [_owner_permission(file.owner)]
            if not media_type.startswith(GOOGLE):
                self._add_revision(file, content, OWNER)
            self.files[file_id] = file
            self.changed(file)
            return file

    def add_drive(self, drive_id: str, name: str) -> None:
        """Put a shared drive there."""
        self.drives[drive_id] = name
        self.add(drive_id, name, FOLDER, parents=[], drive_id=drive_id, owner=None, mine=False)

    def write(self, file_id: str, content: bytes | str, by: str = "other@example.com") -> Stored:
        """Change a file's content, as somebody else would."""
        with self.lock:
            file = self.files[file_id]
            if not file.media_type.startswith(GOOGLE):
                self._add_revision(file, content, by)
            self.touch(file)
            return file

    def touch(self, file: Stored) -> None:
        """Note that a file has changed."""
        file.version += 1
        file.modified = self.now()
        self.changed(file)

    def changed(self, file: Stored, *, removed: bool = False) -> None:
        """Put a file into the changes feed."""
        self.changes.append((file.id, removed, self.now()))

    def now(self) -> str:
        """Return a time that is later than all before."""
        moment = _BEGINNING + timedelta(seconds=next(self._ticks))
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def find(self, file_id: str) -> Stored | None:
        """Return a file; "root" is My Drive."""
        return self.files.get("root-id" if file_id == "root" else file_id)

    def _add_revision(self, file: Stored, content: bytes | str, by: str) -> None:
        data = content.encode() if isinstance(content, str) else content
        file.revisions.append(Revision(f"{file.id}-r{len(file.revisions) + 1}", data, self.now(), by))

    def update(self, file: Stored, metadata: Mapping[str, Any], content: bytes | None) -> None:
        """Change a file as its writer asked."""
        names = {"name": "name", "mimeType": "media_type", "trashed": "trashed", "description": "description"}
        for key, attribute in names.items():
            if key in metadata:
                setattr(file, attribute, metadata[key])
        file.app_properties |= metadata.get("appProperties", {})
        if content is not None:
            self._add_revision(file, content, OWNER)
        self.touch(file)


def _owner_permission(owner: str | None) -> Json:
    return {"id": "owner", "type": "user", "role": "owner" if owner else "organizer", "emailAddress": owner or OWNER}
