"""Files of Drive as one call sees them: nothing outside the operator's folders comes back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp_server_shared.errors import NotFound, PermissionDenied
from mcp_server_shared.untrusted import show_invisible

from mcp_server_drive.google_api import GoogleApi, Pace
from mcp_server_drive.kinds import FOLDER, GOOGLE, SHORTCUT, Kind, condition, kind_of

ALL_DRIVES = {"supportsAllDrives": True}
EVERYWHERE = {"includeItemsFromAllDrives": True, "supportsAllDrives": True}
FIELDS = (
    "id,name,mimeType,parents,driveId,trashed,createdTime,modifiedTime,version,headRevisionId,size,md5Checksum,"
    "description,webViewLink,owners(emailAddress),ownedByMe,shared,lastModifyingUser(emailAddress,displayName),"
    "permissionIds,permissions(id,type,role,emailAddress,domain,displayName,deleted,expirationTime),"
    "capabilities(canEdit,canDownload,canShare,canTrash,canComment,canAddChildren),"
    "shortcutDetails(targetId,targetMimeType)"
)

_DEEPEST = 100  # folders in folders
_MOST_NAMED = 100  # folders in one query
_LISTED_AT_ONCE = 1_000
_MOST_PAGES_OF_DRIVES = 10
_LONGEST_SHOWN = 150
_PUBLIC_MAIL = {"gmail.com", "googlemail.com"}


@dataclass(frozen=True)
class DriveFile:
    """One file or folder, as Drive describes it."""

    id: str
    name: str
    media_type: str
    parents: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "DriveFile":
        """Read a description."""
        return cls(told["id"], told.get("name", ""), told.get("mimeType", ""), tuple(told.get("parents", ())), told)

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return kind_of(self.media_type)

    @property
    def is_google(self) -> bool:
        """Whether it is one of Google's own kinds, which have no bytes of their own."""
        return self.media_type.startswith(GOOGLE)

    @property
    def revision(self) -> str:
        """What changes with the content."""
        return str(self.told.get("headRevisionId") or self.told.get("version") or "")

    @property
    def modified(self) -> str | None:
        """When it was changed last."""
        return self.told.get("modifiedTime")

    @property
    def bytes(self) -> int | None:
        """How large it is."""
        size = self.told.get("size")
        return None if size is None else int(size)

    @property
    def owner(self) -> str | None:
        """Who owns it; nobody owns what is in a shared drive."""
        return next((owner.get("emailAddress") for owner in self.told.get("owners", ())), None)

    def labels(self, own_address: str) -> list[str]:
        """Say what there is to be careful about."""
        link = {entry.get("type") for entry in self.told.get("permissions", ())} & {"anyone", "domain"}
        anyone = "anyone" in link or any(str(i).startswith("anyone") for i in self.told.get("permissionIds", ()))
        hidden = self.told.get("shared") and not (self.told.get("permissions") or self.told.get("permissionIds"))
        known = {
            "external_owner": _is_external(self, own_address),
            "anyone_with_link": anyone,
            "whole_domain": "domain" in link,
            "sharing_unknown": bool(hidden),
            "shared_drive": "driveId" in self.told,
            "trashed": bool(self.told.get("trashed")),
        }
        return [label for label, holds in known.items() if holds]


def _is_external(file: DriveFile, own_address: str) -> bool:
    if file.owner is None or file.told.get("ownedByMe"):
        return False
    own, other = own_address.rpartition("@")[2].lower(), file.owner.rpartition("@")[2].lower()
    return own != other or own in _PUBLIC_MAIL


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What to look for; each narrows the search."""

    name: str | None = None
    exact_name: str | None = None
    text: str | None = None
    kind: Kind | None = None
    owner: str | None = None
    folder_id: str | None = None
    modified_after: str | None = None
    modified_before: str | None = None
    trashed: bool = False

    def query(self) -> str:
        """Return the query in Drive's language; whatever the values are, they stay values."""
        conditions = {
            "name contains {}": self.name,
            "name = {}": self.exact_name,
            "fullText contains {}": self.text,
            "{} in owners": self.owner,
            "{} in parents": self.folder_id,
            "modifiedTime > {}": self.modified_after,
            "modifiedTime < {}": self.modified_before,
        }
        parts = [condition.format(_quoted(value)) for condition, value in conditions.items() if value is not None]
        kinds = [condition(self.kind)] if self.kind else []
        return " and ".join([*parts, *kinds, f"trashed = {str(self.trashed).lower()}"])


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _in_any(folders: Sequence[str]) -> str:
    return " or ".join(f"{_quoted(folder)} in parents" for folder in folders)


@dataclass(frozen=True)
class Found:
    """One page of files.

    Attributes:
        files: those of the page that lie within the folders.
        positions: where each stood in Drive's own page.
        next: Drive's token for the next page.
        incomplete: whether Drive did not search everywhere.
    """

    files: list[DriveFile]
    positions: list[int]
    next: str | None
    incomplete: bool


class Files:
    """One call's view of Drive, as one account.

    Args:
        api: the account.
        pace: of the call.
        folders: ids of the only folders and shared drives there are; all without any.
    """

    def __init__(self, api: GoogleApi, pace: Pace, folders: Sequence[str] = ()) -> None:
        self.api = api
        self.pace = pace
        self.folders = tuple(folders)
        self._ancestors: dict[str, DriveFile | None] = {}

    def get(self, file_id: str) -> DriveFile:
        """Return one file.

        Raises:
            NotFound: there is none, or it lies outside the folders.
        """
        request = self.api.requests.files.get(fileId=file_id, fields=FIELDS, **ALL_DRIVES)
        file = DriveFile.of(self.api.read(request, self.pace))
        self.require_inside(file)
        return file

    def resolve(self, file_id: str) -> DriveFile:
        """Return one file, or what it is a shortcut to."""
        file = self.get(file_id)
        if file.media_type != SHORTCUT:
            return file
        return self.get(file.told.get("shortcutDetails", {}).get("targetId", ""))

    def page(
        self, query: str, *, token: str | None, size: int, order: str | None, drive_id: str | None = None
    ) -> Found:
        """Return one page of the files that a query selects."""
        where = {"corpora": "drive", "driveId": drive_id} if drive_id else {"corpora": "allDrives"}
        request = self.api.requests.files.list(
            q=query,
            pageSize=size,
            pageToken=token,
            orderBy=order,
            fields=f"nextPageToken,incompleteSearch,files({FIELDS})",
            **where,
            **EVERYWHERE,
        )
        told = self.api.read(request, self.pace)
        files = [DriveFile.of(one) for one in told.get("files", ())]
        kept = [position for position, file in enumerate(files) if self.is_inside(file)]
        return Found(
            [files[position] for position in kept],
            kept,
            told.get("nextPageToken"),
            bool(told.get("incompleteSearch")),
        )

    def narrowed(self, query: str) -> str:
        """Return a query that selects the same within the folders, and nothing elsewhere where they can all be named.

        That spares asking for the parents of each file, and does not let it show how much there is elsewhere. What
        comes back is judged by its parents all the same.
        """
        inside = self._folders_below() if self.folders else None
        return query if inside is None else f"{query} and ({_in_any(inside)})"

    def _folders_below(self) -> list[str] | None:
        """Return the ids of the folders and of all folders in them; None where there are too many, or not all found."""
        known = level = list(self.folders)
        while level:
            query = f"mimeType = '{FOLDER}' and ({_in_any(level)})"
            request = self.api.requests.files.list(
                q=query,
                pageSize=_LISTED_AT_ONCE,
                fields="nextPageToken,incompleteSearch,files(id,name,mimeType,parents)",
                corpora="allDrives",
                **EVERYWHERE,
            )
            told = self.api.read(request, self.pace)
            found = [DriveFile.of(one) for one in told.get("files", ())]
            self._ancestors |= {folder.id: folder for folder in found}
            level = [folder.id for folder in found if folder.id not in known]
            known = known + level
            if len(known) > _MOST_NAMED or "nextPageToken" in told or told.get("incompleteSearch"):
                return None
        return known

    def revisions(self, file: DriveFile, *, token: str | None, size: int) -> tuple[list[Any], str | None]:
        """Return one page of a file's revisions, oldest first, and the token of the next."""
        request = self.api.requests.revisions.list(
            fileId=file.id,
            pageSize=size,
            pageToken=token,
            fields="nextPageToken,revisions(id,modifiedTime,size,keepForever,lastModifyingUser(emailAddress,displayName))",
        )
        told = self.api.read(request, self.pace)
        return told.get("revisions", []), told.get("nextPageToken")

    def comments(self, file: DriveFile, *, token: str | None, size: int) -> tuple[list[Any], str | None]:
        """Return one page of a file's comments with their replies, and the token of the next."""
        request = self.api.requests.comments.list(
            fileId=file.id,
            pageSize=size,
            pageToken=token,
            fields="nextPageToken,comments(id,createdTime,resolved,author(displayName),quotedFileContent(value),content,"
            "replies(createdTime,author(displayName),content,action))",
        )
        told = self.api.read(request, self.pace)
        return told.get("comments", []), told.get("nextPageToken")

    def permissions(self, file: DriveFile) -> list[Any]:
        """Return who may do what with a file, as far as the account may know."""
        if "permissions" in file.told:
            return list(file.told["permissions"])
        request = self.api.requests.permissions.list(
            fileId=file.id,
            pageSize=100,
            fields="permissions(id,type,role,emailAddress,domain,displayName,deleted,expirationTime)",
            **ALL_DRIVES,
        )
        try:
            return self.api.read(request, self.pace).get("permissions", [])
        except PermissionDenied:  # only those who may share a file see with whom it is shared
            return []

    def drives_named(self, name: str) -> list[str]:
        """Return the ids of the shared drives of a name."""
        named: list[str] = []
        token: str | None = None
        for _ in range(_MOST_PAGES_OF_DRIVES):
            request = self.api.requests.drives.list(
                pageSize=100, pageToken=token, fields="nextPageToken,drives(id,name)"
            )
            told = self.api.read(request, self.pace)
            named += [drive["id"] for drive in told.get("drives", ()) if drive["name"] == name]
            token = told.get("nextPageToken")
            if token is None:
                break
        return named

    def path(self, file: DriveFile) -> list[str]:
        """Return the names of the folders that it is in, from the outermost that may be seen."""
        return [folder.name for folder in reversed(list(self._folders_above(file)))]

    def is_inside(self, file: DriveFile) -> bool:
        """Whether it lies within the folders, by the parents that Drive reports now."""
        if not self.folders or file.id in self.folders or file.told.get("driveId") in self.folders:
            return True
        return any(parent in self.folders for parent in self._parents_above(file))

    def require_inside(self, file: DriveFile) -> None:
        """Refuse what lies outside the folders."""
        if not self.is_inside(file):
            raise NotFound(
                "There is no such thing in the folders that this server is limited to.",
                hint="The operator named them by --folders.",
            )

    def own_address(self) -> str:
        """Return the address of the account."""
        request = self.api.requests.about.get(fields="user(emailAddress)")
        return self.api.read(request, self.pace)["user"].get("emailAddress", "")

    def _parents_above(self, file: DriveFile) -> Iterator[str]:
        """Yield the ids of the folders above, each before it is asked for."""
        yield from file.parents[:1]
        for folder in self._folders_above(file):
            yield from folder.parents[:1]

    def _folders_above(self, file: DriveFile) -> Iterator[DriveFile]:
        seen: set[str] = set()
        above = file
        while above.parents and len(seen) < _DEEPEST:
            folder = self._folder(above.parents[0])
            if folder is None or folder.id in seen:
                return
            seen.add(folder.id)
            yield folder
            above = folder

    def _folder(self, folder_id: str) -> DriveFile | None:
        if folder_id not in self._ancestors:
            request = self.api.requests.files.get(fileId=folder_id, fields="id,name,mimeType,parents", **ALL_DRIVES)
            try:
                self._ancestors[folder_id] = DriveFile.of(self.api.read(request, self.pace))
            except NotFound:  # a folder that is not shared with this account
                self._ancestors[folder_id] = None
        return self._ancestors[folder_id]


def shown(file: DriveFile) -> str:
    """Return a file's name as a person who is asked may see it: short, in one line, nothing invisible in it."""
    return f"'{' '.join(show_invisible(file.name[:_LONGEST_SHOWN]).split())}' ({file.id})"


def is_folder(file: DriveFile) -> bool:
    """Whether other files can be in it."""
    return file.media_type == FOLDER
