"""What somebody missed: mentions, unread messages and replies in their threads, channel by channel."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import anyio
from mcp_server_shared.errors import NotFound, PermissionDenied, RateLimited

from mcp_server_slack import messages, times
from mcp_server_slack.answers import Answer
from mcp_server_slack.channels import Channel, channel_of
from mcp_server_slack.conversations import Conversations
from mcp_server_slack.listings import Place, sift
from mcp_server_slack.messages import Message, is_said, message_of
from mcp_server_slack.searches import search
from mcp_server_slack.slack_api import Read

_LOOKED_AT = 50  # messages of a channel, the newest
_MENTIONS = 20
_AT_ONCE = 4
_EVERYBODY = ("<!here", "<!channel", "<!everyone")


@dataclass(frozen=True)
class News:
    """One message that somebody missed.

    Attributes:
        kind: "mention", "thread" or "unread".
    """

    kind: str
    channel: Channel
    message: Message


@dataclass(frozen=True)
class Look:
    """What a look into some channels brought.

    Attributes:
        channels: how many were looked into.
        closed: how many of them the token may not read.
        rest: where the list goes on.
    """

    news: list[News]
    channels: int
    closed: int
    rest: Place | None


async def look(
    read: Read, conversations: Conversations, me: str, *, since: float, most: int, start: Sequence[Any] | None
) -> Look:
    """Look into some of one's own channels, from a place in their list on."""

    def wanted(raw: Answer) -> Channel | None:
        channel = channel_of(raw)
        return channel if conversations.readable.allows(channel) else None

    types = await conversations.types(conversations.readable)
    joined = await sift(
        read, "users.conversations", "channels", wanted, most=most, start=start, types=types, exclude_archived=True
    )
    found = await _in_channels(read, joined.things, me, since)
    news = [item for items in found for item in items or ()]
    return Look(news, len(found), found.count(None), joined.resume(len(found)))


async def _in_channels(read: Read, channels: Sequence[Channel], me: str, since: float) -> list[list[News] | None]:
    """Return the news of each channel, None for a closed one, up to the first for which Slack had enough.

    Raises:
        RateLimited: that is the first of all.
    """
    found: dict[int, list[News] | None] = {}
    refused: list[RateLimited] = []
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    async with anyio.create_task_group() as tasks:

        async def look_into(number: int) -> None:
            async with limiter:
                try:
                    found[number] = await in_channel(read, channels[number], me, since)
                except RateLimited as error:
                    refused.append(error)
                    tasks.cancel_scope.cancel()
                except (NotFound, PermissionDenied):
                    found[number] = None

        for number in range(len(channels)):
            tasks.start_soon(look_into, number)
    looked_into = [found[number] for number in takewhile(found.__contains__, range(len(channels)))]
    if refused and not looked_into:
        raise refused[0]
    return looked_into


async def in_channel(read: Read, channel: Channel, me: str, since: float) -> list[News]:
    """Return what somebody missed in one channel, the newest first.

    Read is what they read, where Slack says so; elsewhere everything before `since`.
    """
    raw = (await read("conversations.info", channel=channel.id))["channel"]
    marked = float(raw.get("last_read") or 0)
    seen = times.ts_at(marked or since)
    page = await messages.history(read, channel.id, limit=_LOOKED_AT)
    said = [message for message in page.messages if is_said(message) and message.get("user") != me]
    news = [
        News("mention" if _calls(message, me) else "unread", channel, message_of(message))
        for message in said
        if str(message["ts"]) > seen
    ]
    threads = [root for root in page.messages if _takes_part(root, me) and str(root.get("latest_reply") or "") > seen]
    last = await messages.last_replies(read, channel.id, threads, 1)
    news += [
        News("thread", channel, messages.as_reply(message_of(reply)))
        for replies in last.values()
        for reply in replies
        if reply.get("user") != me and str(reply["ts"]) > seen
    ]
    return sorted(news, key=lambda item: item.message.ts, reverse=True)


def _calls(message: Answer, me: str) -> bool:
    text = str(message.get("text") or "")
    return f"<@{me}" in text or any(word in text for word in _EVERYBODY)


def _takes_part(root: Answer, me: str) -> bool:
    return bool(root.get("reply_count")) and (
        me in (root.get("reply_users") or []) or root.get("user") == me or bool(root.get("subscribed"))
    )


async def mentions(read: Read, conversations: Conversations, me: str, since: float) -> list[News] | None:
    """Return the latest mentions anywhere, also in channels one never joined; None where one may not search."""
    # Slack counts days in the user's time zone, and leaves out the day itself.
    query = f"<@{me}> after:{times.day(since - 2 * 86_400)}"
    try:
        found = await search(read, conversations, query, sort="newest", page=1)
    except (PermissionDenied, RateLimited):
        return None
    latest = [hit for hit in found.hits if float(hit.message.ts or 0) > since][:_MENTIONS]
    return [News("mention", hit.channel, hit.message) for hit in latest]
