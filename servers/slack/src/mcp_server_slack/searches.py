"""Searching messages; what the policy hides is dropped here, whatever the query says."""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from mcp_server_shared.errors import NotFound, PermissionDenied

from mcp_server_slack.answers import Answer, an_object, objects
from mcp_server_slack.channels import Channel, channel_of
from mcp_server_slack.conversations import Conversations
from mcp_server_slack.messages import Message, message_of
from mcp_server_slack.slack_api import Read

Sort = Literal["relevance", "newest"]
_PAGE = 100
_MOST_PAGES = 5
_THREAD = re.compile(r"[?&]thread_ts=(\d+\.\d+)")


@dataclass(frozen=True)
class Hit:
    """A message that was found.

    Attributes:
        number: its place in the page that Slack gave.
    """

    channel: Channel
    message: Message
    number: int


@dataclass(frozen=True)
class Hits:
    """What was found on one of Slack's pages.

    Attributes:
        more: whether there are further pages.
    """

    hits: list[Hit]
    page: int
    more: bool


async def search(read: Read, conversations: Conversations, query: str, *, sort: Sort, page: int, skip: int = 0) -> Hits:
    """Return the messages of a page that Slack finds and that may be read, after the first so many.

    How many more there are is kept back, and pages without any that may be read are passed over: to count what is
    hidden is to ask it questions.
    """
    for number in range(page, page + _MOST_PAGES):
        answer = await read(
            "search.messages",
            owner="user",
            query=query,
            sort="score" if sort == "relevance" else "timestamp",
            count=_PAGE,
            page=number,
        )
        found = an_object(answer.get("messages"))
        hits = await _readable(read, conversations, objects(found.get("matches"))[skip:], skip)
        more = number < int(an_object(found.get("paging")).get("pages") or 0)
        if hits or not more:
            return Hits(hits, number, more)
        skip = 0
    return Hits([], page + _MOST_PAGES - 1, more=True)


async def _readable(read: Read, conversations: Conversations, matches: list[Answer], first: int) -> list[Hit]:
    channels: dict[str, Channel] = {}
    for raw in matches:
        if _id(raw) not in channels:
            with suppress(NotFound, PermissionDenied):
                channels[_id(raw)] = await _channel(read, raw)
    return [
        Hit(channels[_id(raw)], _message(raw), number)
        for number, raw in enumerate(matches, first)
        if _id(raw) in channels and conversations.readable.allows(channels[_id(raw)])
    ]


async def _channel(read: Read, raw: Answer) -> Channel:
    """Return the conversation of a match; where the match does not say enough of it, Slack is asked."""
    channel = an_object(raw.get("channel"))
    if "is_ext_shared" not in channel or "is_private" not in channel:
        channel = (await read("conversations.info", owner="user", channel=_id(raw)))["channel"]
    return channel_of(channel)


def _id(raw: Answer) -> str:
    return str(an_object(raw.get("channel")).get("id") or "")


def _message(raw: Answer) -> Message:
    message = message_of({**raw, "username": None} if raw.get("user") else raw)
    thread = message.thread or next(iter(_THREAD.findall(str(raw.get("permalink")))), "")
    apart = thread and thread != message.ts
    return replace(message, about={"thread": thread, **message.about}) if apart else message
