"""How tools come to a conversation: by what an argument names, through the operator's policy, leaving a note."""

from typing import Annotated

from mcp_server_shared.call import Call
from pydantic import Field

from mcp_server_slack.channels import Channel, Reference, reference
from mcp_server_slack.slack_api import Read, reader_of
from mcp_server_slack.workspace import Workspace

PRIVATE_READ = "read what is not public"

ChannelName = Annotated[str, Field(description="Id, #name or permalink.", min_length=1, max_length=300)]
Cursor = Annotated[str | None, Field(description="From a truncated result.")]


def reader(call: Call[Workspace]) -> Read:
    """Return what asks Slack on behalf of this call."""
    return reader_of(call.state.api, call.retry)


async def to_read(call: Call[Workspace], channel: str) -> tuple[Channel, Reference]:
    """Return the conversation that an argument names, open to reading, and what else the argument says."""
    named = reference(channel)
    found = await call.state.conversations.to_read(reader(call), named)
    await note_read(call, found)
    return found, named


async def note_read(call: Call[Workspace], *channels: Channel) -> None:
    """Remember that this caller has read something that not everybody in the workspace can."""
    if any(channel.kind != "public" for channel in channels):
        await note_private(call)


async def note_private(call: Call[Workspace]) -> None:
    """Remember that this caller has read something private."""
    await call.note(PRIVATE_READ)
