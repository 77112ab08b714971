"""Messages: posting, editing, deleting, scheduling, reacting. Names, docstrings and error texts are prompts."""

from typing import Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Conflict, InvalidArgument, NotFound, PermissionDenied
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_slack import links, messages, times
from mcp_server_slack.answers import Answer
from mcp_server_slack.channels import Channel, reference, timestamp
from mcp_server_slack.drafts import NO_UNFURLING, Draft
from mcp_server_slack.listings import sift
from mcp_server_slack.rich_text import unescaped
from mcp_server_slack.tools.access import ChannelName, Cursor, note_read, reader
from mcp_server_slack.tools.writing import (
    DryRun,
    Key,
    Markdown,
    MessageName,
    agreed,
    composed,
    existing,
    goes_public,
    own_message,
    shown,
    to_write,
)
from mcp_server_slack.workspace import Workspace

_MOST_SCHEDULED = 100

Thread = Annotated[str | None, Field(description="Reply to this message: ts or permalink.", max_length=300)]


async def post_message(
    call: Call[Workspace],
    channel: ChannelName,
    text: Markdown,
    thread: Thread = None,
    *,
    broadcast: Annotated[bool, Field(description="Show a reply in the channel too.")] = False,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
) -> Records:
    """Post a message or a reply."""
    if broadcast and not thread:
        raise InvalidArgument("Only a reply can be shown in the channel too.", hint="Give 'thread', or no 'broadcast'.")
    found, _ = await to_write(call, channel, reply=thread is not None and not broadcast)
    draft = await composed(call, text)
    root = await root_of(call, found, thread)
    if dry_run:
        return await _preview(call, found, draft, root)
    await agreed(call, found, messages.readable(draft.text, {}), draft.suspicions)

    async def post() -> str:
        answer = await call.state.api.write(
            "chat.postMessage",
            channel=found.id,
            thread_ts=root,
            reply_broadcast=broadcast or None,
            **draft.fields(),
            **NO_UNFURLING,
        )
        return str(answer.get("ts"))

    return await _done(call, found, await call.once(idempotency_key, post))


async def root_of(call: Call[Workspace], channel: Channel, thread: str | None) -> str | None:
    """Return the ts of the thread that a message is in, or would begin."""
    if thread is None:
        return None
    message = await existing(call, channel, timestamp(thread))
    return str(message.get("thread_ts") or message["ts"])


async def _preview(call: Call[Workspace], channel: Channel, draft: Draft, root: str | None) -> Records:
    asks = [f"{what}: {address}" for address, what in draft.suspicions.items()]
    asks += ["private conversations were read before"] if await goes_public(call, channel) else []
    names = await call.state.people.names(reader(call), messages.mentioned(draft.text))
    rows: list[list[Any]] = [
        ["channel", f"{channel.label} ({channel.id})"],
        ["audience", f"{channel.kind}, {channel.members if channel.members is not None else '?'} members"],
        ["shared_with_other_companies", channel.shared],
        ["thread", root],
        ["mentions", draft.mentions],
        ["a_person_will_be_asked", asks],
        ["text", messages.readable(draft.text, names)],
    ]
    return Records(columns=["what", "value"], rows=rows, facts={"posted": False})


async def _done(call: Call[Workspace], channel: Channel, ts: str) -> Records:
    link = await call.state.permalinks(channel.id)
    row = [channel.id, ts, f"{link}{ts.replace('.', '')}"]
    return Records(columns=["channel", "ts", "permalink"], rows=[row], untrusted=False)


async def edit_message(
    call: Call[Workspace], channel: ChannelName, message: MessageName, text: Markdown, *, dry_run: DryRun = False
) -> Records:
    """Replace the text of a message of this server's own."""
    found, _ = await to_write(call, channel, reply=True)
    before = await own_message(call, found, message)
    call.state.conversations.require_writable(found, reply=_is_reply(before))
    draft = await composed(call, text)
    old = set(links.addresses(unescaped(str(before.get("text")))))
    if new := [address for address in draft.addresses if address not in old]:
        raise PermissionDenied(
            f"An edit may not add links: Slack could fetch them ({len(new)} new).", hint="Post a new message instead."
        )
    if dry_run:
        return await _preview(call, found, draft, str(before.get("thread_ts") or "") or None)
    await agreed(call, found, messages.readable(draft.text, {}), draft.suspicions)
    await call.state.api.write("chat.update", channel=found.id, ts=before["ts"], **draft.fields())
    return await _done(call, found, str(before["ts"]))


async def delete_message(call: Call[Workspace], channel: ChannelName, message: MessageName) -> Records:
    """Delete a message of this server's own, after a person agreed."""
    found, _ = await to_write(call, channel, reply=True)
    before = await own_message(call, found, message)
    call.state.conversations.require_writable(found, reply=_is_reply(before))
    await call.confirm("delete", f"Delete this message in {found.label}?\n\n{shown(str(before.get('text')))}")
    await call.state.api.write("chat.delete", channel=found.id, ts=before["ts"])
    return Records(columns=["channel", "deleted"], rows=[[found.id, before["ts"]]], untrusted=False)


def _is_reply(message: Any) -> bool:
    return bool(message.get("thread_ts")) and message["thread_ts"] != message["ts"]


async def schedule_message(
    call: Call[Workspace],
    channel: ChannelName,
    text: Markdown,
    post_at: Annotated[str, Field(description="2026-11-21T09:00Z; UTC unless it says otherwise.", max_length=40)],
    thread: Thread = None,
    *,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
) -> Records:
    """Post a message later, within 120 days."""
    found, _ = await to_write(call, channel, reply=thread is not None)
    draft = await composed(call, text)
    root, moment = await root_of(call, found, thread), int(times.moment(post_at))
    if moment <= times.now():
        raise InvalidArgument("'post_at' is past.", hint="Times are in UTC unless they say otherwise.")
    if dry_run:
        return await _preview(call, found, draft, root)
    await agreed(call, found, messages.readable(draft.text, {}), draft.suspicions)

    async def schedule() -> str:
        answer = await call.state.api.write(
            "chat.scheduleMessage",
            channel=found.id,
            post_at=moment,
            thread_ts=root,
            **draft.fields(),
            **NO_UNFURLING,
        )
        return str(answer.get("scheduled_message_id"))

    row = [found.id, await call.once(idempotency_key, schedule), times.shown(moment)]
    return Records(columns=["channel", "id", "post_at"], rows=[row], untrusted=False)


async def scheduled_messages(
    call: Call[Workspace],
    cancel: Annotated[str | None, Field(description="Id of one to cancel.", max_length=40)] = None,
    cursor: Cursor = None,
) -> Records:
    """List what this server has scheduled, or cancel one of them."""
    found = await sift(
        reader(call),
        "chat.scheduledMessages.list",
        "scheduled_messages",
        lambda raw: raw if cancel in {None, raw.get("id")} else None,
        most=_MOST_SCHEDULED if cancel is None else 1,
        start=call.position(cursor),
        owner=call.state.api.writer,
    )
    if cancel is not None:
        await _cancel(call, cancel, found.things)
    places = {str(one.get("channel_id")) for one in found.things}
    opened = {place for place in places if await _is_open(call, place)}
    shown = [n for n, one in enumerate(found.things) if one.get("channel_id") in opened]
    return Records(
        columns=["id", "channel", "post_at", "text"],
        rows=[_scheduled(found.things[n]) for n in shown],
        facts={"cancelled": True} if cancel is not None else {},
        more=cancel is None and found.rest is not None,
        resume=lambda kept: found.resume(shown[kept] if kept < len(shown) else len(found.things)),
    )


async def _cancel(call: Call[Workspace], wanted: str, scheduled: list[Answer]) -> None:
    if not scheduled:
        raise Conflict("No such message is scheduled; it may be sent by now.", hint="Leave out 'cancel' to list.")
    place, _ = await to_write(call, str(scheduled[0].get("channel_id")), reply=True)
    await call.state.api.write("chat.deleteScheduledMessage", channel=place.id, scheduled_message_id=wanted)


async def _is_open(call: Call[Workspace], channel: str) -> bool:
    """Whether what is scheduled for a channel may be seen: it was perhaps before the operator closed it."""
    try:
        place, _ = await to_write(call, channel, reply=True)
        call.state.conversations.require_readable(place)
    except (NotFound, PermissionDenied):
        return False
    await note_read(call, place)
    return True


def _scheduled(raw: Answer) -> list[Any]:
    when, text = times.shown(raw.get("post_at") or 0), messages.cut(str(raw.get("text")))
    return [raw.get("id"), raw.get("channel_id"), when, text]


async def react(
    call: Call[Workspace],
    channel: ChannelName,
    message: MessageName,
    emoji: Annotated[str, Field(description="Name, as thumbsup.", pattern=r"^:?[\w+'-]{1,100}:?$")],
    *,
    remove: Annotated[bool, Field(description="Take the reaction away.")] = False,
) -> Records:
    """React to a message with an emoji."""
    found, _ = await to_write(call, channel, reply=True)
    method: Literal["reactions.remove", "reactions.add"] = "reactions.remove" if remove else "reactions.add"
    try:
        await call.state.api.write(method, channel=found.id, timestamp=timestamp(message), name=emoji.strip(":"))
        changed = True
    except Conflict:  # it was so before
        changed = False
    return Records(columns=["channel", "changed"], rows=[[found.id, changed]], untrusted=False)


async def mark_read(call: Call[Workspace], channel: ChannelName, message: MessageName) -> Records:
    """Mark a channel as read up to a message, for the owner of the token that reads."""
    found = await call.state.conversations.to_read(reader(call), reference(channel))
    ts = timestamp(message)
    await call.state.api.write("conversations.mark", owner=call.state.api.reader, channel=found.id, ts=ts)
    return Records(columns=["channel", "read_up_to"], rows=[[found.id, ts]], untrusted=False)
