"""Files and canvases. Names, docstrings, descriptions and error texts are prompts."""

from functools import partial
from typing import Annotated

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Unsupported
from mcp_server_shared.output import BYTES_A_CHARACTER, Document, Media
from pydantic import Field

from mcp_server_slack import files
from mcp_server_slack.files import SlackFile
from mcp_server_slack.tools.access import Cursor, note_private, reader
from mcp_server_slack.workspace import Workspace

FileName = Annotated[str, Field(description="Id or permalink.", min_length=1, max_length=500)]


async def read_slack_file(call: Call[Workspace], file: FileName, cursor: Cursor = None) -> Document | Media:
    """Read a text file, or look at an image, that was shared in a message."""
    found = await _open(call, file)
    if found.is_image:
        data = await files.bytes_of(call.state.api, found, call.budget * BYTES_A_CHARACTER)
        return Media(data=data, mime_type=found.mime_type, facts={"file": found.id, "bytes": len(data)})
    if not found.is_text:
        raise Unsupported(
            f"This file is no text and no image: {found.size:,} bytes.", untrusted=found.mime_type, hint="Ask a person."
        )

    async def piece(start: int, most: int) -> Document:
        text, more = await files.text_of(call.state.api, found, start, most)
        facts = {"file": found.id, "bytes": found.size, "from_character": start}
        return Document(text=text, facts=facts, next=start + len(text) if more else None, shorter=partial(piece, start))

    return await piece(call.position(cursor) or 0, call.budget)


async def read_canvas(
    call: Call[Workspace],
    canvas: FileName,
    cursor: Cursor = None,
) -> Document:
    """Read a canvas as Markdown."""
    found = await _open(call, canvas)
    content = str((await reader(call)("canvases.getContent", canvas_id=found.id)).get("content") or "")

    async def piece(start: int, most: int) -> Document:
        end = start + most
        facts = {"canvas": found.id, "characters": len(content)}
        return Document(
            text=content[start:end],
            facts=facts,
            next=end if end < len(content) else None,
            shorter=partial(piece, start),
        )

    return await piece(call.position(cursor) or 0, call.budget)


async def _open(call: Call[Workspace], file: str) -> SlackFile:
    own = (await call.state.api.identity(call.state.api.reader)).user
    found = await files.find(reader(call), call.state.conversations, files.file_id(file), own=own)
    if found.place is None or found.place.kind != "public":
        await note_private(call)
    return found
