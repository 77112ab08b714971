"""Catching up. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_slack import messages, news, times
from mcp_server_slack.tools.access import Cursor, note_read, reader
from mcp_server_slack.tools.searching import named
from mcp_server_slack.workspace import Workspace

_SHOWN_CHARACTERS = 300


async def catch_up(
    call: Call[Workspace],
    since: Annotated[
        str, Field(description="Where Slack does not know what was read; 3d is 3 days ago.", max_length=40)
    ] = "1d",
    max_channels: Annotated[int, Field(ge=1, le=100, description="Channels to look into.")] = 20,
    cursor: Cursor = None,
) -> Records:
    """Show what was missed in joined channels: mentions, unread messages, replies in own threads. Texts are cut."""
    start, skip = call.position(cursor) or (None, 0)
    me = (await call.state.api.identity(call.state.api.reader)).user
    conversations, moment = call.state.conversations, times.moment(since)
    looked = await news.look(reader(call), conversations, me, since=moment, most=max_channels, start=start)
    found, facts = looked.news, {"me": me, "channels": looked.channels, "since": times.shown(moment)}
    if start is None:
        may_search = call.state.api.reader == "user"
        elsewhere = await news.mentions(reader(call), conversations, me, moment) if may_search else None
        known = {(item.channel.id, item.message.ts) for item in found}
        found = [item for item in elsewhere or () if (item.channel.id, item.message.ts) not in known] + found
        facts |= {"mentions": "of joined channels alone"} if elsewhere is None else {}
    facts |= {"closed_channels": looked.closed} if looked.closed else {}
    shown = found[skip:]
    await note_read(call, *[item.channel for item in shown])
    rows = await messages.rows(reader(call), call.state.people, [item.message for item in shown])

    def resume(kept: int) -> list[Any]:
        return [looked.rest, 0] if kept == len(shown) else [start, skip + kept]

    return Records(
        columns=["kind", "channel", *messages.COLUMNS],
        rows=[[item.kind, named(item.channel), *_short(row)] for item, row in zip(shown, rows, strict=True)],
        facts=facts,
        more=looked.rest is not None,
        resume=resume,
    )


def _short(row: list[Any]) -> list[Any]:
    ts, time, author, text, about = row
    return [ts, time, author, text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…", about]
