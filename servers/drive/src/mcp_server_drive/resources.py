"""Files as resources: what a person attaches to a conversation, and a client may watch."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound
from mcp_server_shared.output import Blob, Document

from mcp_server_drive.content import Content
from mcp_server_drive.contents import Image, facts_of, is_image
from mcp_server_drive.drive import Drive
from mcp_server_drive.files import DriveFile, Files, Filters
from mcp_server_drive.google_api import Pace
from mcp_server_drive.tools.arguments import FileId

MOST_IMAGE_BYTES = 1_000_000

_MOST_COMPLETIONS = 101  # one more than a client is shown, so that it learns there are more


async def file(call: Call[Drive], file_id: FileId) -> Document | Blob:
    """One file: as text where it has some, as a picture where it is one."""
    read = await call.in_thread(look_at, call.state, call, file_id)
    if isinstance(read, Image):
        return Blob(data=read.data, mime_type=read.media_type)
    return read


def look_at(drive: Drive, pace: Pace, file_id: str) -> Document | Image:
    """Return what is in a file, as the first account that may see it."""
    files, found = locate(drive, pace, file_id)
    if is_image(found):
        return drive.contents.image(files, found, MOST_IMAGE_BYTES)
    return document(*drive.contents.latest(files, found, part=None))


def document(found: DriveFile, content: Content) -> Document:
    """Return a text with what is to be known of it; what does not fit is cut at the end of a paragraph."""

    async def shorter(most: int) -> Document:
        return Document(text=content.page(0, most), facts=facts | {"truncated": True}, shorter=shorter)

    facts = {"id": found.id, "type": found.kind, "modified": found.modified, "revision": found.revision}
    return Document(text=content.text, facts=facts | facts_of(content), shorter=shorter)


def locate(drive: Drive, pace: Pace, file_id: str) -> tuple[Files, DriveFile]:
    """Return a file as the first account that may see it."""
    missing: NotFound | None = None
    for name in drive.accounts or [None]:
        files = drive.files(pace, name)
        try:
            return files, files.resolve(file_id)
        except NotFound as error:
            missing = error
    raise missing or NotFound("There is no such file.")


async def watch_file(drive: Drive, file_id: str) -> AsyncGenerator[None]:
    """Yield when a file has changed, by the changes feed of the accounts."""
    async for _ in drive.watch.changes_of(file_id):
        yield


async def complete_file_id(call: Call[Drive], value: str, others: Mapping[str, str]) -> list[str]:
    """Return ids of files whose name or id begins so, the latest first."""
    return await call.in_thread(partial(_ids, call, value))


def _ids(call: Call[Drive], value: str) -> list[str]:
    files = call.state.files(call, next(iter(call.state.accounts), None))
    filters = Filters(name=value or None)
    named = files.page(
        files.narrowed(filters.query()), token=None, size=_MOST_COMPLETIONS, order="modifiedTime desc"
    ).files
    if named or not value:
        return [found.id for found in named]
    latest = files.page(
        files.narrowed(Filters().query()), token=None, size=_MOST_COMPLETIONS, order="modifiedTime desc"
    ).files
    return [found.id for found in latest if found.id.startswith(value)]
