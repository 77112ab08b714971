"""Conversations written down as text, for those who attach one to their own."""

from collections.abc import Iterable

from mcp_server_slack import messages
from mcp_server_slack.answers import Answer
from mcp_server_slack.messages import is_said, message_of
from mcp_server_slack.people import People
from mcp_server_slack.slack_api import Read

_MOST = 100


async def of_channel(read: Read, people: People, channel: str, *, oldest: str | None = None) -> tuple[str, bool]:
    """Return the newest messages of a channel in the order they were said, and whether there are older ones."""
    page = await messages.history(read, channel, limit=_MOST, oldest=oldest)
    return await _written(read, people, reversed(page.messages)), page.more


async def of_thread(read: Read, people: People, channel: str, thread: str) -> tuple[str, bool]:
    """Return the first messages of a thread, and whether there are more."""
    page = await messages.replies(read, channel, thread, limit=_MOST)
    return await _written(read, people, page.messages), page.more


async def _written(read: Read, people: People, said: Iterable[Answer]) -> str:
    shown = [message_of(raw) for raw in said if is_said(raw)]
    names = await people.names(read, messages.people_in(shown))
    return "\n".join(messages.line(message, names) for message in shown)
