"""Which conversations there are. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Records
from mcp_server_shared.untrusted import read_notation
from pydantic import Field

from mcp_server_slack import drafts, links
from mcp_server_slack.answers import Answer
from mcp_server_slack.channels import Channel, channel_of
from mcp_server_slack.listings import sift
from mcp_server_slack.rich_text import escape
from mcp_server_slack.tools.access import ChannelName, Cursor, note_read, reader
from mcp_server_slack.tools.writing import agreed, to_write
from mcp_server_slack.workspace import Workspace

_ABOUT_CHARACTERS = 200


async def list_channels(
    call: Call[Workspace],
    query: Annotated[str, Field(description="Part of name, topic or purpose.", max_length=100)] = "",
    scope: Annotated[Literal["joined", "all"], Field(description="all: also public channels not joined.")] = "joined",
    limit: Annotated[int, Field(ge=1, le=500, description="Most channels.")] = 100,
    cursor: Cursor = None,
) -> Records:
    """List the conversations that may be read."""
    conversations = call.state.conversations
    part = query.removeprefix("#").casefold()

    def wanted(raw: Answer) -> Channel | None:
        channel = channel_of(raw)
        said = f"{channel.name}\n{channel.topic}\n{channel.purpose}".casefold()
        return channel if part in said and conversations.readable.allows(channel) else None

    found = await sift(
        reader(call),
        "users.conversations" if scope == "joined" else "conversations.list",
        "channels",
        wanted,
        most=limit,
        start=call.position(cursor),
        types=await conversations.types(conversations.readable),
        exclude_archived=True,
    )
    await note_read(call, *[channel for channel in found.things if channel.topic or channel.purpose])
    names = await call.state.people.names(reader(call), [channel.user for channel in found.things])
    return Records(
        columns=["id", "name", "type", "members", "topic", "purpose"],
        rows=[_row(channel, names.get(channel.user, channel.user)) for channel in found.things],
        more=found.rest is not None,
        resume=found.resume,
    )


def _row(channel: Channel, other: str) -> list[Any]:
    kind = f"{channel.kind}, shared" if channel.shared else channel.kind
    about = [text[:_ABOUT_CHARACTERS] for text in (channel.topic, channel.purpose)]
    return [channel.id, channel.name or other, kind, channel.members, *about]


async def create_channel(
    call: Call[Workspace],
    name: Annotated[str, Field(description="Lower-case letters, digits, hyphens.", pattern=r"^#?[\w-]{1,80}$")],
    *,
    private: Annotated[bool, Field(description="Seen by its members alone.")] = False,
) -> Records:
    """Create a channel."""
    wanted = Channel(id="", name=name.removeprefix("#").lower(), kind="private" if private else "public")
    call.state.conversations.require_writable(wanted)
    await agreed(call, wanted, wanted.label, {})
    made = channel_of(
        (await call.state.api.write("conversations.create", name=wanted.name, is_private=private))["channel"]
    )
    return Records(columns=["id", "name"], rows=[[made.id, made.name]], untrusted=False)


async def set_topic(
    call: Call[Workspace],
    channel: ChannelName,
    topic: Annotated[str | None, Field(description="Plain text.", max_length=250)] = None,
    purpose: Annotated[str | None, Field(description="Plain text.", max_length=250)] = None,
) -> Records:
    """Set the topic or the purpose of a channel."""
    if topic is None and purpose is None:
        raise InvalidArgument("There is neither a topic nor a purpose.", hint="Give one; an empty one takes it away.")
    found, _ = await to_write(call, channel)
    said = "\n".join(filter(None, [topic, purpose]))
    home = (await call.state.api.identity(call.state.api.writer)).url
    await agreed(call, found, said, drafts.suspicions(links.addresses(said), home=home))
    if topic is not None:
        await call.state.api.write("conversations.setTopic", channel=found.id, topic=escape(read_notation(topic)))
    if purpose is not None:
        await call.state.api.write("conversations.setPurpose", channel=found.id, purpose=escape(read_notation(purpose)))
    changed = [name for name, text in (("topic", topic), ("purpose", purpose)) if text is not None]
    return Records(columns=["channel", "changed"], rows=[[found.id, changed]], untrusted=False)
