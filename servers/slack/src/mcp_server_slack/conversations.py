"""Finding conversations, never the whole workspace at once, and never one that the policy hides."""

import math
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from mcp_server_shared.errors import NotFound, PermissionDenied, did_you_mean

from mcp_server_slack.answers import Answer
from mcp_server_slack.channel_policy import KINDS, ChannelPolicy, Right
from mcp_server_slack.channels import LISTING_SCOPES, USER_ID, Channel, Kind, Reference, channel_of, types_for
from mcp_server_slack.listings import pages, sift
from mcp_server_slack.slack_api import Read

_NAMES_KEPT_S = 600.0
_MOST_NAMES = 10_000
_DESCRIBED_S = 30.0  # for reading; before each write Slack is asked whether strangers have come in
_MOST_DESCRIBED = 500


class Conversations:
    """The conversations of a workspace, as far as an operator opened them.

    Attributes:
        readable: what may be read.
        writable: where may be written.
    """

    def __init__(
        self,
        readable: ChannelPolicy,
        writable: ChannelPolicy,
        scopes: Callable[[], Awaitable[frozenset[str] | None]],
    ) -> None:
        self.readable = readable
        self.writable = writable
        self._scopes = scopes  # of the token that reads; None where Slack does not say
        self._ids: dict[str, tuple[float, str]] = {}
        self._described: dict[str, tuple[float, Channel]] = {}

    async def types(self, policy: ChannelPolicy, *, of: Sequence[Kind] = KINDS) -> str:
        """Return the kinds to ask Slack for, in its words: those of some that the policy allows and the token may list.

        Slack refuses the whole list for one kind too many.
        """
        scopes = await self._scopes()
        allowed: list[Kind] = [kind for kind in policy.kinds() if kind in of] or ["public"]
        listable: list[Kind] = [kind for kind in allowed if scopes is None or LISTING_SCOPES[kind] in scopes]
        return types_for(listable or allowed)

    async def to_read(self, read: Read, reference: Reference) -> Channel:
        """Return a conversation that may be read.

        Raises:
            NotFound: there is none, as far as the token can see.
            PermissionDenied: the operator keeps it closed.
        """
        asked, channel = self._described.get(reference.id or self._known(reference.name), (-math.inf, None))
        if channel is None or monotonic() - asked > _DESCRIBED_S:
            channel = await self._found(read, reference, self.readable)
        self.require_readable(channel)
        return channel

    def require_readable(self, channel: Channel) -> None:
        """Raise `PermissionDenied` unless a conversation may be read."""
        if not self.readable.allows(channel):
            raise _closed(channel, "read", "--read")

    async def to_write(self, read: Read, reference: Reference, *, reply: bool) -> Channel:
        """Return a conversation that may be written to, in a thread or at all.

        Raises:
            NotFound: there is none, as far as the token can see.
            PermissionDenied: the operator keeps it closed.
        """
        channel = await self._found(read, reference, self.writable)
        self.require_writable(channel, reply=reply)
        return channel

    def require_writable(self, channel: Channel, *, reply: bool = False) -> None:
        """Raise `PermissionDenied` unless a conversation may be written to, in a thread or at all."""
        right = self.writable.right(channel)
        if right is Right.REPLY and not reply:
            raise PermissionDenied("This server may only reply there, in threads.", hint="Give a thread to reply to.")
        if right is Right.NONE:
            raise _closed(channel, "write to", "--write")

    async def _found(self, read: Read, reference: Reference, policy: ChannelPolicy) -> Channel:
        if USER_ID.fullmatch(reference.id):
            return await self._direct(read, reference.id, policy)
        known = reference.id or self._known(reference.name) or await self._named(read, reference.name, policy)
        channel = channel_of((await read("conversations.info", channel=known, include_num_members=True))["channel"])
        self._described.pop(known, None)
        self._described[known] = (monotonic(), channel)
        if len(self._described) > _MOST_DESCRIBED:
            del self._described[next(iter(self._described))]
        return channel

    async def _direct(self, read: Read, user: str, policy: ChannelPolicy) -> Channel:
        if not policy.allows(Channel(id="", name="", kind="dm", user=user)):
            raise PermissionDenied(
                "This server keeps direct messages closed.",
                hint="The operator can open them: --read dm, --write dm.",
            )
        async for page, _ in pages(read, "users.conversations", "channels", types="im"):
            for raw in page:
                if raw.get("user") == user:
                    return channel_of(raw)
        raise NotFound("There is no conversation with this user yet.", hint="Somebody has to begin it in Slack.")

    async def _named(self, read: Read, name: str, policy: ChannelPolicy) -> str:
        """Return the id of a name: first among the token's own channels, then among all public ones."""
        near: list[str] = []
        lists = {
            "users.conversations": await self.types(policy, of=("public", "private")),
            "conversations.list": types_for(["public"]),
        }
        for method, types in lists.items():
            async for page, _ in pages(read, method, "channels", types=types):
                for channel in map(channel_of, page):
                    self._remember(channel)
                    if policy.allows(channel):
                        near.append(channel.name)
                if found := self._known(name):
                    return found
        raise NotFound(
            f"The token sees no channel #{name}.",
            untrusted=did_you_mean(name, near),
            hint="Look with list_channels, or give the id. A private channel is seen by its members alone.",
        )

    async def beginning(self, read: Read, name: str, most: int) -> list[Channel]:
        """Return readable channels of the token's owner whose names begin so."""
        types = await self.types(self.readable, of=("public", "private"))

        def wanted(raw: Answer) -> Channel | None:
            channel = channel_of(raw)
            self._remember(channel)
            return channel if self.readable.allows(channel) and channel.name.startswith(name) else None

        found = await sift(read, "users.conversations", "channels", wanted, most=most, types=types)
        return found.things

    def _remember(self, channel: Channel) -> None:
        if channel.has_name:
            self._ids.pop(channel.name, None)
            self._ids[channel.name] = (monotonic(), channel.id)
            if len(self._ids) > _MOST_NAMES:
                del self._ids[next(iter(self._ids))]

    def _known(self, name: str) -> str:
        learnt, known = self._ids.get(name, (0.0, ""))
        return known if learnt and monotonic() - learnt < _NAMES_KEPT_S else ""


def _closed(channel: Channel, verb: str, flag: str) -> PermissionDenied:
    kinds = {"dm": "a direct message", "group-dm": "a group message"}
    what = kinds.get(channel.kind, f"a {channel.kind} channel")
    flags = f"{flag} {channel.kind}{f' {flag} shared' if channel.shared else ''}"
    return PermissionDenied(
        f"The operator does not let this server {verb} {channel.id or channel.label}: {what}"
        f"{', shared with another company' if channel.shared else ''}.",
        hint=f"The operator can, with {flags} or {flag} {channel.id or channel.name}.",
    )
