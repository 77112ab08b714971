"""Searching. Names, docstrings, descriptions and error texts are prompts."""

import re
from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.errors import NotFound
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_slack import messages, searches
from mcp_server_slack.answers import Answer
from mcp_server_slack.channels import USER_ID, Channel
from mcp_server_slack.listings import START, Sifted, sift
from mcp_server_slack.people import Person, person_of
from mcp_server_slack.searches import Sort
from mcp_server_slack.slack_api import Read
from mcp_server_slack.tools.access import Cursor, note_read, reader
from mcp_server_slack.workspace import Workspace

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


async def search_messages(
    call: Call[Workspace],
    query: Annotated[
        str,
        Field(description="Words, and in:#eng from:@ann after:2026-11-16 has:link…", min_length=1, max_length=500),
    ],
    sort: Annotated[Sort, Field(description="Which first.")] = "relevance",
    limit: Annotated[int, Field(ge=1, le=100, description="Most messages.")] = 20,
    cursor: Cursor = None,
) -> Records:
    """Search messages across channels, as the user whose token this server has."""
    call.state.api.require_user("search")
    page, skip = call.position(cursor) or (1, 0)
    found = await searches.search(reader(call), call.state.conversations, query, sort=sort, page=page, skip=skip)
    hits = found.hits[:limit]
    await note_read(call, *[hit.channel for hit in hits])
    rows = await messages.rows(reader(call), call.state.people, [hit.message for hit in hits])
    link = await call.state.permalinks("{channel id}")

    def resume(kept: int) -> list[int]:
        return [found.page, found.hits[kept].number] if kept < len(found.hits) else [found.page + 1, 0]

    return Records(
        columns=["channel", *messages.COLUMNS],
        rows=[[named(hit.channel), *row] for hit, row in zip(hits, rows, strict=True)],
        facts={"permalink": f"{link}{{ts without its dot}}"},
        more=found.more or len(found.hits) > len(hits),
        resume=resume,
    )


def named(channel: Channel) -> str:
    """Return a channel's name for people, and its id for tools."""
    return f"#{channel.name} ({channel.id})" if channel.has_name else f"{channel.kind} ({channel.id})"


async def find_slack_users(
    call: Call[Workspace],
    query: Annotated[
        str, Field(description="Part of a name or title, an e-mail address or an id.", min_length=1, max_length=100)
    ],
    limit: Annotated[int, Field(ge=1, le=200, description="Most users.")] = 20,
    cursor: Cursor = None,
) -> Records:
    """Find people and bots; mention one as <@ID>."""
    found = await _people(reader(call), query.strip(), limit, call.position(cursor))
    for person in found.things:
        call.state.people.remember(person)
    return Records(
        columns=["id", "handle", "name", "real_name", "title", "timezone", "note"],
        rows=[_row(person) for person in found.things],
        more=found.rest is not None,
        resume=found.resume,
    )


async def _people(read: Read, query: str, limit: int, start: list[Any] | None) -> Sifted[Person]:
    if _EMAIL.fullmatch(query):
        try:
            return _only(await read("users.lookupByEmail", email=query))
        except NotFound:
            return Sifted([], [], START, None)
    if USER_ID.fullmatch(query):
        return _only(await read("users.info", user=query))
    words = query.removeprefix("@").casefold().split()

    def wanted(raw: Answer) -> Person | None:
        person = person_of(raw)
        said = f"{person.handle}\n{person.name}\n{person.real_name}\n{person.title}".casefold()
        return person if all(word in said for word in words) else None

    return await sift(read, "users.list", "members", wanted, most=limit, start=start)


def _only(answer: Answer) -> Sifted[Person]:
    return Sifted([person_of(answer["user"])], [START], START, None)


def _row(person: Person) -> list[Any]:
    note = "deactivated" if person.deactivated else "bot" if person.bot else None
    return [person.id, person.handle, person.name, person.real_name, person.title, person.timezone, note]
