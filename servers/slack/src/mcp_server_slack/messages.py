"""Messages as a reader wants them: who said what when, links with their addresses, threads with their last replies."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio
from mcp_server_shared.errors import RateLimited

from mcp_server_slack import times
from mcp_server_slack.answers import Answer, an_object, objects
from mcp_server_slack.people import People
from mcp_server_slack.rich_text import text_of_blocks, unescaped
from mcp_server_slack.slack_api import Read

MESSAGE_CHARACTERS = 4_000
COLUMNS = ("ts", "time", "from", "text", "about")
_ATTACHMENTS = 5
_AT_ONCE = 4
_WHOLE_THREAD = 200
_COMINGS_AND_GOINGS = {"channel_join", "channel_leave", "group_join", "group_leave"}
_TOKEN = re.compile(r"<((?:[@#!]|[a-z][a-z0-9+.-]*:)[^<>\n]{1,4000})>")
_PEOPLE = re.compile(r"<@([UW][A-Z0-9]+)>")


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        author: the id of a user, or of a bot that is none.
        author_name: what the message itself says of its author, as those of bots do.
        text: in Slack's own notation.
        about: what else there is to it: replies, reactions, files.
        thread: the ts of its thread, where it is in one.
    """

    ts: str
    author: str
    author_name: str
    text: str
    about: Mapping[str, Any]
    thread: str = ""


def message_of(raw: Answer) -> Message:
    """Return a message as Slack describes it."""
    profile = an_object(raw.get("bot_profile"))
    text = "\n".join(filter(None, [_own_text(raw), *_attached(raw)]))
    about: dict[str, Any] = {
        "replies": raw.get("reply_count"),
        "reactions": {r.get("name"): r.get("count") for r in objects(raw.get("reactions"))},
        "files": [_file(file) for file in objects(raw.get("files"))],
        "edited": bool(raw.get("edited")),
        "broadcast": raw.get("subtype") == "thread_broadcast",
        "characters": len(text) if len(text) > MESSAGE_CHARACTERS else 0,
    }
    return Message(
        ts=str(raw.get("ts", "")),
        author=str(raw.get("user") or raw.get("bot_id") or ""),
        author_name=str(raw.get("username") or profile.get("name") or ""),
        text=text,
        about={name: value for name, value in about.items() if value},
        thread=str(raw.get("thread_ts") or ""),
    )


def as_reply(message: Message) -> Message:
    """Return a message that is shown apart from its thread, saying which it is in."""
    return replace(message, about={"thread": message.thread, **message.about})


def is_said(raw: Answer) -> bool:
    """Whether somebody said something: not that they came or left."""
    return raw.get("subtype") not in _COMINGS_AND_GOINGS


def _own_text(raw: Answer) -> str:
    return str(raw.get("text") or "") or text_of_blocks(raw.get("blocks"))


def _attached(raw: Answer) -> list[str]:
    parts: list[str] = []
    for attachment in objects(raw.get("attachments"))[:_ATTACHMENTS]:
        link = attachment.get("title_link") or attachment.get("from_url")
        title = str(attachment.get("title") or attachment.get("author_name") or "")
        head = f"<{link}|{title}>" if link and title else title or (f"<{link}>" if link else "")
        body = str(attachment.get("text") or "") or text_of_blocks(attachment.get("blocks"))
        parts.append("\n".join(filter(None, [head, body])) or str(attachment.get("fallback") or ""))
    return parts


def _file(file: Answer) -> list[Any]:
    return [file.get("id"), file.get("name") or file.get("title"), file.get("mimetype"), file.get("size")]


def readable(text: str, names: Mapping[str, str]) -> str:
    """Return Slack's notation for a reader: names beside ids, and addresses beside the words that hide them."""
    return unescaped(_TOKEN.sub(lambda match: _token(match[1], names), text))


def _token(inside: str, names: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    if target.startswith("@"):
        name = label or names.get(target[1:], "")
        return f"<{target}|{name}>" if name else f"<{target}>"
    if target.startswith("#"):
        return f"#{label}" if label else f"<{target}>"
    if target.startswith("!"):
        return label or (f"<{target}>" if "^" in target else "@" + target[1:])
    address = target.removeprefix("mailto:")
    plain = {address, address.rstrip("/"), address.partition("://")[2], address.partition("://")[2].rstrip("/")}
    return address if not label or label in plain else f"{label} ({address})"


def mentioned(text: str) -> list[str]:
    """Return the ids of the people a text mentions without a name."""
    return _PEOPLE.findall(text)


def people_in(shown: Iterable[Message]) -> list[str]:
    """Return the ids of the people who wrote messages or are mentioned in them."""
    ids = [who for message in shown for who in (message.author, *mentioned(message.text))]
    return [who for who in ids if who.startswith(("U", "W"))]


async def rows(read: Read, people: People, messages: Iterable[Message]) -> list[list[Any]]:
    """Return a row of `COLUMNS` for each message, names found out."""
    shown = list(messages)
    names = await people.names(read, people_in(shown))
    return [
        [m.ts, times.shown(m.ts), author(m, names), cut(readable(m.text, names)), dict(m.about) or None] for m in shown
    ]


def line(message: Message, names: Mapping[str, str]) -> str:
    """Return a message as a line of a transcript, whole."""
    replies = f" [{message.about['replies']} replies]" if message.about.get("replies") else ""
    text = readable(message.text, names)
    return f"{message.ts} {times.shown(message.ts)} {author(message, names)}:{replies} {text}"


def author(message: Message, names: Mapping[str, str]) -> str:
    """Return who said it: the name that others see, and the id that nobody can borrow."""
    name = message.author_name or names.get(message.author, "")
    return f"{name} ({message.author})" if name else message.author


def cut(text: str) -> str:
    """Return the beginning of a long text."""
    return text if len(text) <= MESSAGE_CHARACTERS else text[:MESSAGE_CHARACTERS] + "…"


@dataclass(frozen=True)
class Page:
    """Some messages of a channel, the newest first.

    Attributes:
        more: whether there are older ones.
    """

    messages: list[Answer]
    more: bool


async def history(
    read: Read,
    channel: str,
    *,
    limit: int,
    oldest: str | None = None,
    latest: str | None = None,
    inclusive: bool = False,
) -> Page:
    """Return the newest messages between two moments, `latest` included or not."""
    # Without an end, Slack begins at `oldest`; with one, at the newest.
    latest = latest or (times.ts_at(times.now() + 60) if oldest else None)
    answer = await read(
        "conversations.history", channel=channel, limit=limit, oldest=oldest, latest=latest, inclusive=inclusive
    )
    found = sorted(objects(answer.get("messages")), key=lambda raw: str(raw.get("ts")), reverse=True)
    return Page(found, bool(answer.get("has_more")))


async def one(read: Read, channel: str, ts: str) -> Answer | None:
    """Return a message by its ts, in a thread or not; None if there is none."""
    answer = await read("conversations.replies", channel=channel, ts=ts, oldest=ts, latest=ts, inclusive=True, limit=1)
    return next((raw for raw in objects(answer.get("messages")) if raw.get("ts") == ts), None)


async def replies(
    read: Read, channel: str, thread: str, *, limit: int, after: str | None = None, inclusive: bool = False
) -> Page:
    """Return messages of a thread, the oldest first, its root first of all unless only those behind one are wanted."""
    answer = await read(
        "conversations.replies", channel=channel, ts=thread, limit=limit, oldest=after, inclusive=inclusive
    )
    found = sorted(objects(answer.get("messages")), key=lambda raw: str(raw.get("ts")))
    if after is not None:  # Slack puts the root in front of every page
        found = [raw for raw in found if str(raw["ts"]) > after or (inclusive and raw["ts"] == after)]
    return Page(found, bool(answer.get("has_more")))


def begun_by(page: Page, named: str) -> str:
    """Return the ts of the root of a thread: of a reply that names it, Slack answers with that reply alone."""
    thread = str(page.messages[0].get("thread_ts") or named) if len(page.messages) == 1 else named
    return thread if page.messages and page.messages[0].get("ts") == named else named


async def last_replies(read: Read, channel: str, roots: Iterable[Answer], most: int) -> dict[str, list[Answer]]:
    """Return the last replies of each thread, by its ts; the newest threads first, until Slack has had enough."""
    found: dict[str, list[Answer]] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)
    async with anyio.create_task_group() as tasks:

        async def ask(root: Answer) -> None:
            thread, count = str(root["ts"]), int(root["reply_count"])
            # Slack lists a thread from its beginning; of a long one only the last reply is known by its ts.
            short = count < _WHOLE_THREAD
            async with limiter:
                try:
                    page = await replies(
                        read,
                        channel,
                        thread,
                        limit=min(count + 1, _WHOLE_THREAD),
                        after=None if short else str(root.get("latest_reply") or thread),
                        inclusive=not short,
                    )
                except RateLimited:
                    tasks.cancel_scope.cancel()
                else:
                    found[thread] = [raw for raw in page.messages if raw["ts"] != thread][-most:]

        for root in roots:
            if most and root.get("reply_count"):
                tasks.start_soon(ask, root)
    return found
