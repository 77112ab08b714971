"""Which conversations may be read or written. Pure: it decides over what Slack said of a channel, never asks."""

import re
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from functools import cached_property
from unicodedata import normalize

from mcp_server_slack.channels import ID, USER_ID, Channel, Kind

KINDS: tuple[Kind, ...] = ("public", "private", "dm", "group-dm")
SHARED = "shared"
_ENTRY = re.compile(r"(?P<denied>!)?(?P<reply>reply:)?#?(?P<selector>(?!reply:)[^\s!#]\S*)")


class Right(IntEnum):
    """How far one may go in a channel."""

    NONE = 0
    REPLY = 1
    FULL = 2


@dataclass(frozen=True)
class Entry:
    """One word of a policy: a kind, "shared", an id, or a pattern for names."""

    selector: str
    right: Right
    denies: bool

    def matches(self, channel: Channel) -> bool:
        """Whether it speaks of a channel. A pattern never speaks of direct messages: their names are made up."""
        if self.selector == SHARED:
            return channel.shared
        if self.selector in KINDS:
            return channel.kind == self.selector
        if ID.fullmatch(self.selector) or USER_ID.fullmatch(self.selector):
            return self.selector in {channel.id, channel.user}
        return channel.has_name and fnmatchcase(_folded(channel.name), _folded(self.selector))


@dataclass(frozen=True)
class ChannelPolicy:
    """What an operator allows: the widest right of the entries that speak of a channel, unless one denies it.

    A channel shared with other companies needs the word "shared" besides, however it is named otherwise: whoever
    chose a name or an id may not know that strangers have come in since.

    Args:
        entries: the operator's words.
        default: stands in where no entry allows anything, so that "!hr-*" alone means all but these.

    Raises:
        ValueError: an entry says nothing.
    """

    entries: tuple[str, ...]
    default: tuple[str, ...]

    def __post_init__(self) -> None:
        _ = self._parsed

    @cached_property
    def _parsed(self) -> tuple[Entry, ...]:
        own = tuple(_entry(text) for text in self.entries)
        if any(not entry.denies for entry in own):
            return own
        return (*own, *(_entry(text) for text in self.default))

    def right(self, channel: Channel) -> Right:
        """Return how far one may go in a channel."""
        speaking = [entry for entry in self._parsed if entry.matches(channel)]
        if any(entry.denies for entry in speaking):
            return Right.NONE
        among_strangers = max((e.right for e in speaking if e.selector == SHARED), default=Right.NONE)
        right = max((e.right for e in speaking if e.selector != SHARED), default=Right.NONE)
        return min(right, among_strangers) if channel.shared else right

    def allows(self, channel: Channel) -> bool:
        """Whether one may do anything at all in a channel."""
        return self.right(channel) is not Right.NONE

    def kinds(self) -> list[Kind]:
        """Return the kinds of which anything may be allowed, so that the others need not be asked for."""
        allowed = {entry.selector for entry in self._parsed if not entry.denies}
        named = {"public", "private"} if allowed - {*KINDS, SHARED} else set[str]()
        by_id = any(ID.fullmatch(word) or USER_ID.fullmatch(word) for word in allowed)
        return [kind for kind in KINDS if kind in allowed | named or (by_id and kind in {"dm", "group-dm"})]


def _entry(text: str) -> Entry:
    found = _ENTRY.fullmatch(text.strip())
    if found is None or (found["denied"] and found["reply"]):
        raise ValueError("must be public, private, dm, group-dm, shared, an id or a name pattern, each with ! to deny")
    right = Right.REPLY if found["reply"] else Right.FULL
    return Entry(found["selector"], right, bool(found["denied"]))


def _folded(name: str) -> str:
    return normalize("NFKC", name).casefold()
