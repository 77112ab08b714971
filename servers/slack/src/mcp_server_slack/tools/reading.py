"""Reading conversations. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument, NotFound
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_slack import messages, times
from mcp_server_slack.answers import Answer
from mcp_server_slack.channels import Channel, timestamp
from mcp_server_slack.messages import COLUMNS, Message, is_said, message_of
from mcp_server_slack.tools.access import ChannelName, Cursor, reader, to_read
from mcp_server_slack.workspace import Workspace


async def read_channel(
    call: Call[Workspace],
    channel: ChannelName,
    since: Annotated[str | None, Field(description="2026-11-16, 2026-11-16T09:00Z or 3d (ago).", max_length=40)] = None,
    until: Annotated[str | None, Field(description="As since.", max_length=40)] = None,
    replies: Annotated[int, Field(ge=0, le=20, description="Last replies of each thread.")] = 2,
    limit: Annotated[int, Field(ge=1, le=100, description="Most messages, replies aside.")] = 30,
    cursor: Cursor = None,
) -> Records:
    """Read a channel, the newest first, with the last replies of its threads. Whole threads: read_thread."""
    found, named = await to_read(call, channel)
    position: list[Any] | None = call.position(cursor)
    latest, inclusive, skip = position or (_latest(until, named.ts), named.ts != "", 0)
    oldest = times.ts_at(times.moment(since)) if since else None
    page = await messages.history(
        reader(call), found.id, limit=limit, oldest=oldest, latest=latest, inclusive=inclusive
    )
    roots = [raw for raw in page.messages if is_said(raw)]
    last = await messages.last_replies(reader(call), found.id, roots, replies)
    shown = [(raw, number) for raw in roots for number in range(1 + len(last.get(str(raw["ts"]), [])))][skip:]

    def resume(kept: int) -> list[Any]:
        if kept == len(shown):
            return [page.messages[-1]["ts"], False, 0]
        raw, number = shown[kept]
        return [raw["ts"], True, number]

    return Records(
        columns=COLUMNS,
        rows=await messages.rows(reader(call), call.state.people, [_shown(raw, number, last) for raw, number in shown]),
        facts=await _facts(call, found)
        | ({"left_out": "some last replies: Slack is being asked too often"} if _missing(roots, last, replies) else {}),
        more=page.more and bool(page.messages),
        resume=resume,
    )


def _latest(until: str | None, ts: str) -> str | None:
    return ts or (times.ts_at(times.moment(until)) if until else None)


def _shown(raw: Answer, number: int, last: dict[str, list[Answer]]) -> Message:
    return message_of(raw) if number == 0 else messages.as_reply(message_of(last[str(raw["ts"])][number - 1]))


def _missing(roots: list[Answer], last: dict[str, list[Answer]], replies: int) -> bool:
    return bool(replies) and any(raw.get("reply_count") and str(raw["ts"]) not in last for raw in roots)


async def read_thread(
    call: Call[Workspace],
    channel: ChannelName,
    thread: Annotated[
        str | None, Field(description="ts of its first message; not needed beside a permalink.", max_length=300)
    ] = None,
    limit: Annotated[int, Field(ge=1, le=200, description="Most messages.")] = 50,
    cursor: Cursor = None,
) -> Records:
    """Read a thread, the oldest first."""
    found, named = await to_read(call, channel)
    root = timestamp(thread) if thread else named.thread or named.ts
    if not root:
        raise InvalidArgument("Which thread?", hint="Give the ts of its first message, or its permalink.")
    after: str | None = call.position(cursor)
    page = await messages.replies(reader(call), found.id, root, limit=limit, after=after)
    if (begun := messages.begun_by(page, root)) != root:  # it was the ts of a reply
        root, page = begun, await messages.replies(reader(call), found.id, begun, limit=limit, after=after)
    if not page.messages and after is None:
        raise NotFound("There is no such thread in this channel.", hint="Take its ts from read_channel.")
    shown = [raw for raw in page.messages if is_said(raw)]

    def resume(kept: int) -> str | None:
        if kept == len(shown):
            return page.messages[-1]["ts"]
        return shown[kept - 1]["ts"] if kept else after

    return Records(
        columns=COLUMNS,
        rows=await messages.rows(reader(call), call.state.people, map(message_of, shown)),
        facts=await _facts(call, found) | {"thread": root},
        more=page.more and bool(page.messages),
        resume=resume,
    )


async def _facts(call: Call[Workspace], channel: Channel) -> dict[str, Any]:
    shared = {"shared": True} if channel.shared else {}
    link = await call.state.permalinks(channel.id)
    return {"channel": channel.id, "type": channel.kind, **shared, "permalink": f"{link}{{ts without its dot}}"}
