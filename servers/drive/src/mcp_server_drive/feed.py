"""The changes feed of Drive."""

from dataclasses import dataclass

from mcp_server_drive.files import EVERYWHERE, FIELDS, DriveFile, Files


@dataclass(frozen=True)
class Change:
    """One change of one file.

    Attributes:
        file: as it is now; None when it is gone, or no longer shared with the account.
    """

    file_id: str
    time: str | None
    file: DriveFile | None


@dataclass(frozen=True)
class Changes:
    """One page of the feed.

    Attributes:
        found: those within the folders.
        following: the token of the next page.
        since: the token for what will change from here on; on the last page.
    """

    found: list[Change]
    following: str | None
    since: str | None


def beginning(files: Files) -> str:
    """Return the token for what will change from now on."""
    request = files.api.requests.changes.getStartPageToken(supportsAllDrives=True)
    return files.api.read(request, files.pace)["startPageToken"]


def changes(files: Files, token: str, size: int) -> Changes:
    """Return one page of changes; where there are folders, what is gone is in none of them and is left out."""
    request = files.api.requests.changes.list(
        pageToken=token,
        pageSize=size,
        fields=f"nextPageToken,newStartPageToken,changes(fileId,time,removed,file({FIELDS}))",
        **EVERYWHERE,
    )
    told = files.api.read(request, files.pace)
    found: list[Change] = []
    for one in told.get("changes", ()):
        if "fileId" not in one:  # of a shared drive itself
            continue
        file = DriveFile.of(one["file"]) if "file" in one and not one.get("removed") else None
        if files.is_inside(file) if file else not files.folders:
            found.append(Change(one["fileId"], one.get("time"), file))
    return Changes(found, told.get("nextPageToken"), told.get("newStartPageToken"))
