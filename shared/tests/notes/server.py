"""What a client of the notes server can see and do."""

import logging
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

import anyio
from mcp_server_shared.call import Call
from mcp_server_shared.catalog import About, Finding, Grant
from mcp_server_shared.errors import NotFound, did_you_mean, sentence
from mcp_server_shared.output import Attached, Document, Records, Said
from mcp_server_shared.registry import DESTROYS, READ_ONLY
from mcp_server_shared.server import Server
from mcp_server_shared.settings import ServerSettings
from pydantic import Field, SecretStr

logger = logging.getLogger(__name__)

WRITE = Grant(setting="allow_write", allows="change notes", needs="nothing: the notes are in memory")

ABOUT = About(
    package="mcp-server-shared",
    title="Notes",
    purpose="Notes in memory, for tests.",
    reading_needs="nothing",
    grants=(WRITE,),
    never=("leave this process",),
)


class Settings(ServerSettings):
    """What the tests decide."""

    env_prefix = "NOTES"
    confirmations = ("delete",)

    allow_write: Annotated[bool, Field(description="Let it change notes.")] = False
    more_notes: Annotated[int, Field(ge=0, description="Notes to begin with, beside the two.")] = 0
    api_token: Annotated[SecretStr | None, Field(description="Not used for anything.")] = None


@dataclass
class Notes:
    """The notes, and what the tests look at."""

    texts: dict[str, str] = field(default_factory=lambda: {"first": "one\ntwo\n", "second": "\u202ehidden"})
    changed: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])
    started: list[str] = field(default_factory=list[str])
    stopped: list[str] = field(default_factory=list[str])
    watched: list[str] = field(default_factory=list[str])

    def read(self, name: str) -> str:
        if name not in self.texts:
            raise NotFound(f"There is no note '{name}'.", hint=sentence(did_you_mean(name, self.texts)))
        return self.texts[name]

    def write(self, name: str, text: str) -> None:
        self.texts[name] = text
        self.changed.pop(name, anyio.Event()).set()


Name = Annotated[str, Field(description="The note's name.", min_length=1, max_length=100)]


async def read_note(call: Call[Notes], name: Name, cursor: str | None = None) -> Document:
    """Read one note."""
    text = await call.in_thread(call.state.read, name)

    async def piece(start: int, most: int) -> Document:
        end = min(len(text), start + most)
        return Document(
            text=text[start:end],
            facts={"name": name, "length": len(text)},
            next=end if end < len(text) else None,
            shorter=partial(piece, start),
        )

    return await piece(call.position(cursor) or 0, call.budget)


async def list_notes(
    call: Call[Notes],
    limit: Annotated[int, Field(ge=1, le=10_000, description="Most notes.")] = 1_000,
    order: Annotated[Literal["name", "length"], Field(description="What to sort by.")] = "name",
    cursor: str | None = None,
) -> Records:
    """List the notes with their lengths."""
    by: Callable[[str], Any] = len if order == "length" else str
    names = sorted(call.state.texts, key=by)
    start: int = call.position(cursor) or 0
    page = names[start : start + limit]
    return Records(
        columns=["name", "length"],
        rows=[[name, len(call.state.texts[name])] for name in page],
        facts={"total": len(names)},
        more=start + limit < len(names),
        resume=lambda kept: start + kept,
    )


async def write_note(call: Call[Notes], name: Name, text: Annotated[str, Field(description="All of it.")]) -> Records:
    """Create or replace one note."""
    call.state.write(name, text)
    return Records(columns=["name", "length"], rows=[[name, len(text)]], untrusted=False)


async def delete_note(call: Call[Notes], name: Name) -> Records:
    """Delete one note, after a person has agreed."""
    text = call.state.read(name)
    await call.confirm("delete", f"Delete the note {name}?")
    del call.state.texts[name]
    return Records(columns=["name", "length"], rows=[[name, len(text)]], untrusted=False)


async def wait(call: Call[Notes], seconds: Annotated[float, Field(description="How long.")] = 3_600.0) -> Records:
    """Wait, noting when it is stopped."""
    call.state.started.append("wait")
    try:
        await anyio.sleep(seconds)
    finally:
        call.state.stopped.append("wait")
    return Records(columns=[], rows=[])


async def running(call: Call[Notes]) -> Records:
    """Say how many calls of 'wait' have begun and not ended."""
    waiting = call.state.started.count("wait") - call.state.stopped.count("wait")
    return Records(columns=["waiting"], rows=[[waiting]], untrusted=False)


async def count(call: Call[Notes], to: Annotated[int, Field(ge=0, le=100, description="The last number.")]) -> Records:
    """Count, telling each number."""
    for number in range(1, to + 1):
        await call.progress(number, to)
    return Records(columns=[], rows=[])


async def work(call: Call[Notes]) -> Records:
    """Work on a thread until stopped."""
    await call.in_thread(_work_until_stopped, call)
    return Records(columns=[], rows=[])


def _work_until_stopped(call: Call[Notes]) -> None:
    call.state.started.append("work")
    try:
        for _ in range(10_000):
            call.checkpoint()
            time.sleep(0.001)
    finally:
        call.state.stopped.append("work")


async def crash(call: Call[Notes], secret: Annotated[str, Field(description="What not to tell.")] = "") -> Records:
    """Fail over a secret, in a way nobody expected."""
    if secret:
        raise RuntimeError(f"unexpected {secret}")
    return Records(columns=[], rows=[])


async def chatter(call: Call[Notes]) -> Records:
    """Print to stdout in every way there is."""
    print("printed")  # noqa: T201
    os.write(1, b"written\n")
    await anyio.run_process(["echo", "spawned"], stdout=None)
    return Records(columns=[], rows=[])


async def note(call: Call[Notes], name: str) -> Document:
    """One note."""
    return Document(text=call.state.read(name), facts={"name": name})


async def watch_note(state: Notes, name: str) -> AsyncGenerator[None]:
    """Yield after each change of one note."""
    state.watched.append(name)
    try:
        changed = state.changed.setdefault(name, anyio.Event())
        while True:
            await changed.wait()
            changed = state.changed.setdefault(name, anyio.Event())
            yield
    finally:
        state.watched.remove(name)


async def complete_name(call: Call[Notes], value: str, others: Mapping[str, str]) -> list[str]:
    """Names that begin so."""
    return [name for name in call.state.texts if name.startswith(value)]


async def review_note(call: Call[Notes], name: Annotated[str, Field(description="The note's name.")]) -> list[Any]:
    """Review one note."""
    text = call.state.read(name)
    return [Said(f"Review the note {name}."), Attached(f"note:///{name}", Document(text=text))]


async def findings(state: Notes) -> list[Finding]:
    """Say that all is well."""
    return [Finding("ok", f"{len(state.texts)} notes.")]


def build_server(
    settings: Settings,
    state: Notes | None = None,
    unusable: Callable[[Notes], Awaitable[Mapping[str, str]]] | None = None,
) -> Server[Notes]:
    """Build the server around these notes."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Notes]:
        notes = state or Notes()
        notes.texts |= {f"note-{n}": "\u2066and\tso on\r\n" * 10 * n for n in range(settings.more_notes)}
        try:
            yield notes
        finally:
            logger.info("the notes are closed")

    server = Server(ABOUT, settings, opened, findings=findings, unusable=unusable, instructions="Notes for tests.")
    server.add_tool(read_note, title="Read a note", annotations=READ_ONLY)
    server.add_tool(list_notes, title="List the notes", annotations=READ_ONLY)
    server.add_tool(wait, title="Wait", annotations=READ_ONLY)
    server.add_tool(running, title="Running", annotations=READ_ONLY)
    server.add_tool(count, title="Count", annotations=READ_ONLY)
    server.add_tool(work, title="Work", annotations=READ_ONLY)
    server.add_tool(crash, title="Crash", annotations=READ_ONLY)
    server.add_tool(chatter, title="Chatter", annotations=READ_ONLY)
    server.add_tool(write_note, title="Write a note", annotations=DESTROYS, grant=WRITE)
    server.add_tool(delete_note, title="Delete a note", annotations=DESTROYS, grant=WRITE)
    server.add_resource("note:///{name}", note, title="A note", complete={"name": complete_name}, watch=watch_note)
    server.add_prompt(review_note, title="Review a note", complete={"name": complete_name})
    return server
