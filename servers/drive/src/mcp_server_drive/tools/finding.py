"""Finding files. Names, docstrings, descriptions and error texts are prompts."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Conflict, InvalidArgument
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_drive.drive import Drive
from mcp_server_drive.files import DriveFile, Files, Filters, Found, is_folder
from mcp_server_drive.kinds import Kind
from mcp_server_drive.tools.arguments import Account, Cursor, Limit

_MOST_EMPTY_PAGES = 5  # of Drive, for one call: what lies outside the folders is left out of each

COLUMNS = ("id", "name", "type", "modified", "bytes", "owner", "labels")

_Date = Annotated[
    str | None, Field(description="2026-01-31 or with time.", pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z?)?$")
]


async def search_drive(  # noqa: PLR0913 - each narrows the search
    call: Call[Drive],
    *,
    name: Annotated[
        str | None, Field(description="Beginnings of words in the name.", min_length=1, max_length=500)
    ] = None,
    text: Annotated[
        str | None, Field(description='Words in the content; "…" for a phrase.', min_length=1, max_length=500)
    ] = None,
    type: Annotated[Kind | None, Field(description="What it is.")] = None,  # noqa: A002 - named on the wire
    owner: Annotated[str | None, Field(description='Address, or "me".', min_length=1, max_length=320)] = None,
    folder_id: Annotated[str | None, Field(description="Directly in it.", pattern="^[A-Za-z0-9_-]{1,200}$")] = None,
    modified_after: _Date = None,
    modified_before: _Date = None,
    drive_id: Annotated[str | None, Field(description="One shared drive.", pattern="^[A-Za-z0-9_-]{1,200}$")] = None,
    trashed: Annotated[bool, Field(description="Only the trash.")] = False,
    limit: Limit = 25,
    cursor: Cursor = None,
    account: Account = None,
) -> Records:
    """Find files in Drive and all shared drives, newest first (by relevance with text). All filters must hold."""
    filters = Filters(
        name=name,
        text=text,
        kind=type,
        owner=owner,
        folder_id=folder_id,
        modified_after=modified_after,
        modified_before=modified_before,
        trashed=trashed,
    )
    order = None if text else "modifiedTime desc"
    in_folder = folder_id is not None
    return await _listed(call, filters.query(), order, limit, cursor, account, in_folder=in_folder, drive_id=drive_id)


async def list_drive_folder(
    call: Call[Drive],
    folder_id: Annotated[
        str, Field(description='"root" is My Drive; "shared_drives" lists these.', pattern="^[A-Za-z0-9_-]{1,200}$")
    ] = "root",
    limit: Limit = 100,
    cursor: Cursor = None,
    account: Account = None,
) -> Records:
    """List what is directly in a folder, folders first."""
    if folder_id == "shared_drives":
        return await _shared_drives(call, limit, cursor, account)
    if folder_id == "root" and call.state.folders:
        return await _only_folders(call, cursor, account)
    await call.in_thread(_require_folder, call, folder_id, account)
    query = Filters(folder_id=folder_id).query()
    return await _listed(call, query, "folder,name_natural", limit, cursor, account, in_folder=True)


async def _only_folders(call: Call[Drive], cursor: str | None, account: str | None) -> Records:
    skipped: int = call.position(cursor) or 0

    def work() -> list[list[Any]]:
        files = call.state.files(call, account)
        own = call.state.own_address(files)
        return [row(files.get(folder), own) for folder in call.state.folders[skipped:]]

    rows = await call.in_thread(work)
    return Records(columns=COLUMNS, rows=rows, resume=lambda kept: skipped + kept)


def _require_folder(call: Call[Drive], folder_id: str, account: str | None) -> None:
    folder = call.state.files(call, account).get(folder_id)
    if not is_folder(folder):
        raise InvalidArgument("This is not a folder.", hint="Read it with read_drive_file.")


async def _listed(
    call: Call[Drive],
    query: str,
    order: str | None,
    limit: int,
    cursor: str | None,
    account: str | None,
    *,
    in_folder: bool,
    drive_id: str | None = None,
) -> Records:
    at, size, skip, known = call.position(cursor) or (None, limit, 0, None)

    def work() -> tuple[str | None, Found, str, str]:
        files = call.state.files(call, account)
        asked = query if in_folder else files.narrowed(query)
        digest = hashlib.sha256(asked.encode()).hexdigest()[:8]
        if known is not None and digest != known:  # Drive goes on with the same query alone
            raise Conflict("There are other folders now than when this began.", hint="Leave 'cursor' out.")
        page, found = _first_with_files(files, asked, at, size, order, drive_id)
        return page, found, digest, call.state.own_address(files)

    page, found, digest, own = await call.in_thread(work)
    if page != at:
        skip = 0
    left = [(position, file) for position, file in zip(found.positions, found.files, strict=True) if position >= skip]
    return Records(
        columns=COLUMNS,
        rows=[row(file, own) for _, file in left],
        facts={"incomplete_search": True} if found.incomplete else {},
        more=found.next is not None,
        resume=lambda kept: [page, size, left[kept][0], digest] if kept < len(left) else [found.next, limit, 0, digest],
    )


def _first_with_files(
    files: Files, query: str, page: str | None, size: int, order: str | None, drive_id: str | None
) -> tuple[str | None, Found]:
    """Return the first page from one on that has files to show, or the last that was looked at."""
    found = files.page(query, token=page, size=size, order=order, drive_id=drive_id)
    for _ in range(_MOST_EMPTY_PAGES):
        if found.files or found.next is None:
            break
        page = found.next
        found = files.page(query, token=page, size=size, order=order, drive_id=drive_id)
    return page, found


def row(file: DriveFile, own_address: str) -> list[Any]:
    """Describe a file in one row of `COLUMNS`."""
    return [file.id, file.name, file.kind, file.modified, file.bytes, file.owner, file.labels(own_address)]


async def _shared_drives(call: Call[Drive], limit: int, cursor: str | None, account: str | None) -> Records:
    page, size, skip = call.position(cursor) or (None, min(limit, 100), 0)

    def work() -> dict[str, Any]:
        files = call.state.files(call, account)
        request = files.api.requests.drives.list(pageSize=size, pageToken=page, fields="nextPageToken,drives(id,name)")
        told = files.api.read(request, call)
        if files.folders:
            told["drives"] = [drive for drive in told.get("drives", ()) if drive["id"] in files.folders]
        return told

    told = await call.in_thread(work)
    rows: Sequence[list[Any]] = [[drive["id"], drive["name"]] for drive in told.get("drives", ())][skip:]
    following = told.get("nextPageToken")
    return Records(
        columns=("id", "name"),
        rows=rows,
        more=following is not None,
        resume=lambda kept: [page, size, skip + kept] if kept < len(rows) else [following, size, 0],
    )
