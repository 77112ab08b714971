"""Channels and threads as resources: what a person attaches to a conversation."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound
from mcp_server_shared.output import Document

from mcp_server_slack import transcripts
from mcp_server_slack.channels import timestamp
from mcp_server_slack.tools.access import reader, to_read
from mcp_server_slack.workspace import Workspace

_MOST_COMPLETIONS = 101  # one more than a client is shown, so that it learns there are more


def address(*names: str) -> str:
    """Return the address of a channel, or of a thread in one."""
    return "slack:///" + "/".join(quote(name, safe="") for name in names)


async def slack_channel(call: Call[Workspace], channel: str) -> Document:
    """The newest messages of a channel, by its id or name."""
    return await newest(call, channel)


async def newest(call: Call[Workspace], channel: str, oldest: str | None = None) -> Document:
    """Write down the newest messages of a channel."""
    found, _ = await to_read(call, channel)
    text, more = await transcripts.of_channel(reader(call), call.state.people, found.id, oldest=oldest)
    facts: dict[str, Any] = {"channel": found.id, "type": found.kind, **({"truncated": True} if more else {})}
    return Document(text=text, facts=facts)


async def slack_thread(call: Call[Workspace], channel: str, thread: str) -> Document:
    """A thread, by the ts of its first message."""
    found, _ = await to_read(call, channel)
    root = timestamp(thread)
    text, more = await transcripts.of_thread(reader(call), call.state.people, found.id, root)
    if not text:
        raise NotFound("There is no such thread in this channel.")
    return Document(text=text, facts={"channel": found.id, "thread": root, **({"truncated": True} if more else {})})


async def complete_channel(call: Call[Workspace], value: str, others: Mapping[str, str]) -> list[str]:
    """Return names of channels that begin so."""
    beginning = value.removeprefix("#").lower()
    found = await call.state.conversations.beginning(reader(call), beginning, _MOST_COMPLETIONS)
    return [channel.name for channel in found]
