"""Saving files on this machine, where the operator allows it. Names, docstrings and descriptions are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument, Unsupported
from mcp_server_shared.output import Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_drive.drive import Drive
from mcp_server_drive.files import ALL_DRIVES, DriveFile, Files
from mcp_server_drive.kinds import DOC, EXCEL, PDF, POWERPOINT, SHEET, SLIDES, WORD
from mcp_server_drive.local_folder import safe_name
from mcp_server_drive.tools.arguments import Account, FileId

Format = Literal["pdf", "docx", "xlsx", "pptx", "md", "csv", "txt", "png"]
_MEDIA_TYPES: dict[Format, str] = {
    "pdf": PDF,
    "docx": WORD,
    "xlsx": EXCEL,
    "pptx": POWERPOINT,
    "md": "text/markdown",
    "csv": "text/csv",
    "txt": "text/plain",
    "png": "image/png",
}
_DEFAULTS: dict[str, Format] = {DOC: "docx", SHEET: "xlsx", SLIDES: "pptx"}


async def download_drive_file(
    call: Call[Drive],
    file_id: FileId,
    local_name: Annotated[str | None, Field(description="Default: its own.", min_length=1, max_length=255)] = None,
    format: Annotated[Format | None, Field(description="For Google's own types.")] = None,  # noqa: A002
    account: Account = None,
) -> Records:
    """Save a file in the operator's local folder; never over another."""

    def work() -> list[Any]:
        files = call.state.files(call, account)
        file = files.resolve(file_id)
        wanted = _format(file, format)
        name = read_notation(local_name) if local_name else safe_name(file.name, f".{wanted}" if wanted else "")
        with call.state.local_folder.writing(name) as sink:
            limit = call.state.contents.max_file_bytes
            files.api.send(_request(files, file, wanted), call, most_bytes=limit, sink=sink)
            return [file.id, name, sink.tell()]

    return Records(columns=("id", "local_name", "bytes"), rows=[await call.in_thread(work)])


def _format(file: DriveFile, wanted: Format | None) -> Format | None:
    if not file.is_google:
        if wanted is not None:
            raise InvalidArgument("'format' is for Google's own types; this file is saved as it is.")
        return None
    if wanted is None and file.media_type not in _DEFAULTS:
        raise Unsupported(f"Files of type '{file.kind}' cannot be saved.", hint="With a format, perhaps: pdf or png.")
    return wanted or _DEFAULTS[file.media_type]


def _request(files: Files, file: DriveFile, wanted: Format | None) -> Any:
    requests = files.api.requests.files
    if wanted is None:
        return requests.get_media(fileId=file.id, **ALL_DRIVES)
    return requests.export_media(fileId=file.id, mimeType=_MEDIA_TYPES[wanted])
