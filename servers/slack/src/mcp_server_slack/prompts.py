"""Workflows that people repeat."""

from typing import Annotated

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Attached, Said
from pydantic import Field

from mcp_server_slack import times
from mcp_server_slack.channels import reference
from mcp_server_slack.resources import address, newest, slack_thread
from mcp_server_slack.workspace import Workspace


async def summarise_channel(
    call: Call[Workspace],
    channel: Annotated[str, Field(description="Its name or id.")],
    since: Annotated[str, Field(description="2026-11-16, or 3d for 3 days ago.")] = "7d",
) -> list[Said | Attached]:
    """Summarise what happened in a channel since a date."""
    moment = times.moment(since)
    document = await newest(call, channel, oldest=times.ts_at(moment))
    return [
        Said(f"Summarise what happened in this channel since {times.shown(moment)} UTC."),
        Attached(address(channel.removeprefix("#")), document),
        Said(
            "Begin with what was decided and what is asked of me. Then one line for each topic: who wants what, where "
            "it stands, what is open. Read the threads with many replies (read_thread), and what is older if the text "
            "above says that it is truncated (read_channel). Give the permalink of the message that each line rests "
            "on. Leave out greetings; say so if nothing happened."
        ),
    ]


async def draft_reply(
    call: Call[Workspace],
    message: Annotated[str, Field(description="Permalink of the message to answer.")],
    points: Annotated[str, Field(description="What to say.")] = "",
) -> list[Said | Attached]:
    """Draft a reply to a message, in the tone of its thread."""
    named = reference(message)
    if not named.ts:
        raise InvalidArgument("'message' is no permalink.", hint="Copy it from Slack: Copy link to message.")
    thread = named.thread or named.ts
    document = await slack_thread(call, named.id, thread)
    points = f"\n\nIt has to say: {points}" if points else ""
    return [
        Said(f"Draft a reply to the message {named.ts} in this thread.{points}"),
        Attached(address(named.id, thread), document),
        Said(
            "Write as short and in the same tone and language as the others there. Answer what was asked; where you "
            "lack a fact, look it up (search_messages) or leave a gap in [brackets], never invent it. Show me the "
            "draft first. Post nothing before I agree; then use post_message with the thread, dry_run first."
        ),
    ]
