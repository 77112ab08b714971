"""Conversations: what Slack says of them, and the ways in which people name one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mcp_server_shared.errors import InvalidArgument

from mcp_server_slack.answers import Answer, an_object

Kind = Literal["public", "private", "dm", "group-dm"]

ID = re.compile(r"[CDG][A-Z0-9]{7,20}")
USER_ID = re.compile(r"[UW][A-Z0-9]{7,20}")
TS = re.compile(r"\d{9,11}\.\d{6}")
_NAME = re.compile(r"[^\s\x00-\x1F<>&/?,.!\"'`@:]{1,80}")
_PERMALINK = re.compile(
    r"https://[a-z0-9.-]+/archives/(?P<channel>[CDG][A-Z0-9]+)/p(?P<seconds>\d{9,11})(?P<micros>\d{6})"
    r"(?:\?(?:\S*&)?thread_ts=(?P<thread>\d{9,11}\.\d{6})(?:&\S*)?|\?\S*)?"
)
LISTING_SCOPES: dict[Kind, str] = {
    "public": "channels:read",
    "private": "groups:read",
    "dm": "im:read",
    "group-dm": "mpim:read",
}
_SLACK_TYPES = {"public": "public_channel", "private": "private_channel", "dm": "im", "group-dm": "mpim"}


@dataclass(frozen=True)
class Channel:
    """One conversation.

    Attributes:
        name: without "#"; empty for a direct message.
        shared: whether people of other organisations are, or are invited to be, in it.
        members: how many, where Slack says so.
        user: whom a direct message is with.
    """

    id: str
    name: str
    kind: Kind
    shared: bool = False
    archived: bool = False
    member: bool = False
    members: int | None = None
    topic: str = ""
    purpose: str = ""
    user: str = ""

    @property
    def has_name(self) -> bool:
        """Whether people gave it a name; those of group messages are made of their members'."""
        return self.kind in {"public", "private"}

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"#{self.name}" if self.has_name else self.id


@dataclass(frozen=True)
class Reference:
    """What an argument names: a conversation by id or name, and with a permalink a message in it.

    Attributes:
        thread: where the message is a reply, its thread.
    """

    id: str = ""
    name: str = ""
    ts: str = ""
    thread: str = ""


def channel_of(raw: Answer) -> Channel:
    """Return a conversation as Slack describes it, in whichever of its many ways."""
    kind: Kind = "public"
    if raw.get("is_im"):
        kind = "dm"
    elif raw.get("is_mpim"):
        kind = "group-dm"
    elif raw.get("is_private") or raw.get("is_group"):
        kind = "private"
    shared = any(raw.get(key) for key in ("is_ext_shared", "is_pending_ext_shared", "pending_connected_team_ids"))
    return Channel(
        id=str(raw.get("id", "")),
        name=str(raw.get("name") or "") if kind != "dm" else "",
        kind=kind,
        shared=shared,
        archived=bool(raw.get("is_archived")),
        member=bool(raw.get("is_member")) or kind in {"dm", "group-dm"},
        members=raw.get("num_members"),
        topic=str(an_object(raw.get("topic")).get("value") or ""),
        purpose=str(an_object(raw.get("purpose")).get("value") or ""),
        user=str(raw.get("user") or "") if kind == "dm" else "",
    )


def types_for(kinds: Sequence[Kind]) -> str:
    """Return kinds in the words of Slack's lists."""
    return ",".join(_SLACK_TYPES[kind] for kind in kinds)


def reference(text: str) -> Reference:
    """Read what names a conversation or a message.

    Raises:
        InvalidArgument: it is none of an id, a name and a permalink.
    """
    text = text.strip()
    if found := _PERMALINK.fullmatch(text):
        ts = f"{found['seconds']}.{found['micros']}"
        return Reference(id=found["channel"], ts=ts, thread=found["thread"] or "")
    if ID.fullmatch(text) or USER_ID.fullmatch(text):
        return Reference(id=text)
    name = text.removeprefix("#").lower()
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            "This names no channel.", hint="Give its id (C0123ABCD), its name (#general) or a permalink of a message."
        )
    return Reference(name=name)


def timestamp(text: str) -> str:
    """Return the ts of a message that an argument names, by ts or permalink.

    Raises:
        InvalidArgument: it is neither.
    """
    text = text.strip()
    if TS.fullmatch(text):
        return text
    if found := _PERMALINK.fullmatch(text):
        return f"{found['seconds']}.{found['micros']}"
    raise InvalidArgument("This names no message.", hint="Give its ts (1732094040.123456) or its permalink.")
