"""Files by their path, as people name them: Drive itself knows ids alone, and allows a name twice in one folder."""

from collections.abc import Sequence

from mcp_server_shared.errors import Conflict, NotFound, did_you_mean

from mcp_server_drive.files import DriveFile, Files, Filters, is_folder, shown

_MOST_OF_A_NAME = 20
_MOST_SUGGESTED_FROM = 200


def find(files: Files, path: str) -> DriveFile:
    """Return the file at a path as "/Folder/Name", from My Drive, a shared drive or one of the operator's folders on.

    Raises:
        NotFound: there is none; with what comes near.
        Conflict: there are several; with their ids.
    """
    names = [name for name in path.split("/") if name]
    if not names:
        return files.get(next(iter(files.folders), "root"))
    at = _one(_beginnings(files, names[0]), names[0], "at the top")
    for name in names[1:]:
        within = f"in {shown(at)}"
        found = _named(files, at, name) if is_folder(at) else []
        at = _one(found, name, within, () if found else _names_in(files, at))
    return at


def _beginnings(files: Files, name: str) -> list[DriveFile]:
    if files.folders:
        return [folder for folder in map(files.get, files.folders) if folder.name == name]
    return _named(files, files.get("root"), name) or [files.get(drive_id) for drive_id in files.drives_named(name)]


def _named(files: Files, folder: DriveFile, name: str) -> list[DriveFile]:
    query = Filters(exact_name=name, folder_id=folder.id).query()
    found = files.page(query, token=None, size=_MOST_OF_A_NAME, order=None).files
    return [file for file in found if file.name == name] or found  # Drive may not mind capitals


def _names_in(files: Files, folder: DriveFile) -> list[str]:
    query = Filters(folder_id=folder.id).query()
    return [file.name for file in files.page(query, token=None, size=_MOST_SUGGESTED_FROM, order=None).files]


def _one(found: Sequence[DriveFile], name: str, where: str, others: Sequence[str] = ()) -> DriveFile:
    if not found:
        raise NotFound(
            f"Nothing {where} has the next name of the path.",
            hint="search_drive finds names anywhere.",
            untrusted=f"{name} {did_you_mean(name, others)}".strip(),
        )
    if len(found) > 1:
        raise Conflict(
            f"{len(found)} files {where} have that name.",
            hint=f"Pass one's id: {', '.join(file.id for file in found)}.",
            untrusted=name,
        )
    return found[0]
