"""What stands before every write: where it goes, what it says, and whether a person has to agree."""

from typing import Annotated, cast

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound, PermissionDenied
from mcp_server_shared.untrusted import show_invisible
from pydantic import Field

from mcp_server_slack import messages
from mcp_server_slack.answers import Answer
from mcp_server_slack.channels import Channel, Reference, reference, timestamp
from mcp_server_slack.drafts import MOST_CHARACTERS, Draft, draft
from mcp_server_slack.settings import Settings
from mcp_server_slack.tools.access import PRIVATE_READ, reader
from mcp_server_slack.workspace import Workspace

_SHOWN_CHARACTERS = 1_500  # of a text, to the person who is asked

Markdown = Annotated[str, Field(description="Markdown; <@U0123> mentions.", min_length=1, max_length=MOST_CHARACTERS)]
MessageName = Annotated[str, Field(description="ts or permalink.", min_length=1, max_length=300)]
Key = Annotated[
    str | None, Field(description="Any new text; repeating it repeats no write.", min_length=1, max_length=100)
]
DryRun = Annotated[bool, Field(description="Show what would be posted where; post nothing.")]


def settings(call: Call[Workspace]) -> Settings:
    """Return what the operator decided."""
    return cast("Settings", call.settings)


async def to_write(call: Call[Workspace], channel: str, *, reply: bool = False) -> tuple[Channel, Reference]:
    """Return the conversation that an argument names, open to writing, and what else the argument says."""
    named = reference(channel)
    return await call.state.conversations.to_write(reader(call), named, reply=reply), named


async def composed(call: Call[Workspace], text: str) -> Draft:
    """Return a text as Slack will show it."""
    home = (await call.state.api.identity(call.state.api.writer)).url
    return await call.in_thread(draft, text, mass_mentions=settings(call).allow_mass_mentions, home=home)


async def agreed(call: Call[Workspace], channel: Channel, text: str, suspicions: dict[str, str]) -> None:
    """Return once a person agreed to whatever is risky about writing a text to a channel; mostly nothing is.

    The text is as the person is to see it; the suspicions say what is odd about which address.
    """
    for address, what in suspicions.items():
        await call.confirm("link", f"Post this link to {channel.label}, although {what}?\n\n{shown(address)}")
    if await goes_public(call, channel):
        who = "people of other companies" if channel.shared else "the whole workspace"
        await call.confirm(
            "private-to-public",
            f"Private conversations were read before. Show this to {who}, in {channel.label}?\n\n{shown(text)}",
        )


def shown(text: str) -> str:
    """Return a text for the person who is asked, its invisible characters visible."""
    cut = f"… [{len(text)} characters in all]" if len(text) > _SHOWN_CHARACTERS else ""
    return f"{show_invisible(text[:_SHOWN_CHARACTERS])}{cut}"


async def goes_public(call: Call[Workspace], channel: Channel) -> bool:
    """Whether something private was read that a write to a channel would carry to a wider circle."""
    return (channel.kind == "public" or channel.shared) and await call.noted(PRIVATE_READ)


async def own_message(call: Call[Workspace], channel: Channel, message: str) -> Answer:
    """Return a message of ours.

    Raises:
        NotFound: there is none.
        PermissionDenied: somebody else wrote it.
    """
    found = await existing(call, channel, timestamp(message))
    me = await call.state.api.identity(call.state.api.writer)
    ours = found.get("user") == me.user or bool(me.bot and found.get("bot_id") == me.bot)
    if not ours:
        raise PermissionDenied("Somebody else wrote this message.", hint="This server changes its own messages alone.")
    return found


async def existing(call: Call[Workspace], channel: Channel, ts: str) -> Answer:
    """Return a message.

    Raises:
        NotFound: there is none.
    """
    found = await messages.one(reader(call), channel.id, ts)
    if found is None:
        raise NotFound(f"There is no message {ts} in this channel.", hint="Take its ts from read_channel.")
    return found
