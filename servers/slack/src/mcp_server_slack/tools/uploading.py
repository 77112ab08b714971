"""Files and canvases that are written. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied
from mcp_server_shared.output import Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_slack import drafts, files, links
from mcp_server_slack.channel_policy import Right
from mcp_server_slack.channels import Channel
from mcp_server_slack.drafts import MOST_CHARACTERS
from mcp_server_slack.markdown import images
from mcp_server_slack.tools.access import ChannelName, reader
from mcp_server_slack.tools.posting import Thread, root_of
from mcp_server_slack.tools.writing import Key, agreed, composed, settings, to_write
from mcp_server_slack.uploads import read_file
from mcp_server_slack.workspace import Workspace

_CHANGES = {"append": "insert_at_end", "prepend": "insert_at_start", "replace": "replace"}


async def upload_file(
    call: Call[Workspace],
    channel: ChannelName,
    path: Annotated[str, Field(description="Below the folder for uploads.", min_length=1, max_length=1_000)],
    comment: Annotated[str, Field(description="Markdown without links.", max_length=MOST_CHARACTERS)] = "",
    thread: Thread = None,
    idempotency_key: Key = None,
) -> Records:
    """Share a file of the operator's folder."""
    folder = settings(call).upload_folder
    if folder is None:
        raise NotFound("There is no folder for uploads.", hint="The operator names one with --upload-folder.")
    found, _ = await to_write(call, channel, reply=thread is not None)
    words = await composed(call, comment) if comment.strip() else None
    if words and words.addresses:
        raise PermissionDenied("A file's comment may hold no links: Slack would fetch them.", hint="Post them apart.")
    root = await root_of(call, found, thread)
    name, data = await call.in_thread(read_file, folder, path)
    await agreed(call, found, f"{name} ({len(data):,} bytes)\n{words.text if words else ''}", {})

    async def upload() -> str:
        api = call.state.api
        place = await api.write("files.getUploadURLExternal", filename=name, length=len(data))
        await api.upload(str(place["upload_url"]), data)
        await api.write(
            "files.completeUploadExternal",
            files=[{"id": place["file_id"], "title": name}],
            channel_id=found.id,
            thread_ts=root,
            blocks=words.blocks if words else None,
        )
        return str(place["file_id"])

    file = await call.once(idempotency_key, upload)
    return Records(columns=["channel", "file", "bytes"], rows=[[found.id, file, len(data)]], untrusted=False)


async def write_canvas(
    call: Call[Workspace],
    text: Annotated[str, Field(description="Markdown.", min_length=1, max_length=100_000)],
    canvas: Annotated[str | None, Field(description="Id or permalink; none makes a new one.", max_length=500)] = None,
    channel: Annotated[str | None, Field(description="Where a new one is shared.", max_length=300)] = None,
    title: Annotated[str | None, Field(description="Of a new one.", max_length=200)] = None,
    mode: Annotated[Literal["append", "prepend", "replace"], Field(description="Of an existing one.")] = "append",
    idempotency_key: Key = None,
) -> Records:
    """Make a canvas in a channel, or change one."""
    markdown = read_notation(text)
    if links.IMAGE.search(markdown) or await call.in_thread(images, markdown):
        raise PermissionDenied("A canvas may not hold images: Slack would fetch them.", hint="Link to them instead.")
    if (canvas is None) == (channel is None):
        raise InvalidArgument("Name either the canvas to change or the channel to make one in.")
    file, places = (None, [(await to_write(call, str(channel)))[0]]) if canvas is None else await _canvas(call, canvas)
    home = (await call.state.api.identity(call.state.api.writer)).url
    odd = drafts.suspicions(links.addresses(markdown), home=home)
    widest = min(places, key=lambda place: (not place.shared, place.kind != "public"))
    await agreed(call, widest, markdown, odd)
    if file is not None and mode == "replace":
        await call.confirm("replace", f"Replace everything in the canvas {file}?")
    content = {"type": "markdown", "markdown": markdown}

    async def write() -> str:
        if file is None:
            made = await call.state.api.write(
                "canvases.create", title=title, channel_id=widest.id, document_content=content
            )
            return str(made.get("canvas_id"))
        changes: list[dict[str, Any]] = [{"operation": _CHANGES[mode], "document_content": content}]
        await call.state.api.write("canvases.edit", canvas_id=file, changes=changes)
        return file

    return Records(columns=["canvas"], rows=[[await call.once(idempotency_key, write)]], untrusted=False)


async def _canvas(call: Call[Workspace], canvas: str) -> tuple[str, list[Channel]]:
    """Return a canvas' id and where it is shared: everywhere there one must be allowed to write."""
    file = files.file_id(canvas)
    places = await files.shared_in(reader(call), file)
    if not places or any(call.state.conversations.writable.right(place) is not Right.FULL for place in places):
        raise PermissionDenied(
            "This server may not write in every channel that this canvas is shared in.",
            hint="The operator can allow it with --write.",
        )
    return file, places
