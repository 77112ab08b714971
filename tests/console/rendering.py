"""What console and demo print of what servers answer."""

import base64
import re
import shutil
import sys
import textwrap
import threading
import unicodedata
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, cast

from mcp.types import (
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    PromptMessage,
    ReadResourceResult,
    ResourceLink,
    TextContent,
)
from mcp_server_shared.commands.call import result_text
from mcp_server_shared.commands.console import Colour, paint, say
from mcp_server_shared.untrusted import read_notation, show_invisible

from console.host import Running

WIDTH = min(110, shutil.get_terminal_size((110, 24)).columns)
_FRAME = re.compile(r"</?untrusted-[0-9a-f]+>|\{.*\}$|… and \d+ lines more$")
NARROWEST = 12  # what a column keeps when the line is short
PROSE = {"comment", "snippet", "text", "title"}  # columns that give way last


def heading(title: str, explanation: str) -> None:
    """Begin a part."""
    say(f"\n{paint(title, 'bold')}  {paint(explanation, 'dim')}")


def show_running(running: Mapping[str, Running]) -> None:
    """Print what runs, and what each talks to."""
    rows = [[name, len(r.tools), r.tokens, r.upstream.kind, r.upstream.what] for name, r in sorted(running.items())]
    show_rows(["server", "tools", "tokens", "upstream", "which is"], rows)
    together = sum(each.tokens for each in running.values())
    say(paint(f"  Together they cost a model about {together:,} tokens. Tool names never clash.", "dim"))


def show_missing(missing: Mapping[str, str]) -> None:
    """Print which servers could not be started, and why."""
    for name, reason in missing.items():
        say(f"  {paint('!', 'yellow')} {name} is missing. {reason}")


def show_result(result: CallToolResult, *, most_lines: int | None = None, folder: Path | None = None) -> None:
    """Print what a tool answered: records as a table, all else as a model reads it; `folder` keeps pictures."""
    structured: Mapping[str, Any] = result.structured_content or {}
    records: Any = structured.get("untrusted") or structured
    if result.is_error:
        code = (result.meta or {}).get("mcp-servers/error", {}).get("code")
        show_text(result_text(result) + (f" [{code}]" if code else ""), "red", most_lines=most_lines)
    elif records.get("columns") and "rows" in records:
        columns: list[Any] = records["columns"]
        names = [column if isinstance(column, str) else column[0] for column in columns]
        show_rows(names, records["rows"], most_lines=most_lines)
        show_facts({**structured, **records})
    else:
        show_text(result_text(result), most_lines=most_lines)
    for block in result.content:
        if isinstance(block, ImageContent):
            show_picture(block, folder)


def show_facts(result: Mapping[str, Any]) -> None:
    """Print what stands beside the rows of a result."""
    seen = {"columns", "rows", "untrusted", "count" if result.get("count") == len(result["rows"]) else ""}
    facts = {name: value for name, value in result.items() if name not in seen}
    if facts:
        told = ", ".join(f"{name} {_cell(value)}" for name, value in facts.items())
        for line in textwrap.wrap(told, WIDTH - 4, break_on_hyphens=False):
            say(f"  {paint(line, 'dim')}")


def show_picture(picture: ImageContent, folder: Path | None) -> None:
    """Say how large a picture is; keep it as a file, if there is a folder, and say where."""
    data = base64.b64decode(picture.data)
    size = f"{picture.mime_type}, {len(data) / 1_000:.0f} kB"
    if folder is None:
        show_text(size, "cyan")
        return
    number = len(list(folder.glob("picture-*"))) + 1
    path = folder / f"picture-{number}.{picture.mime_type.rpartition('/')[2]}"
    path.write_bytes(data)
    show_text(f"{size}: {path}", "cyan")


def show_resource(result: ReadResourceResult, *, most_lines: int | None = None) -> None:
    """Print what was read."""
    for contents in result.contents:
        if isinstance(contents, BlobResourceContents):
            size = len(base64.b64decode(contents.blob))
            show_text(f"{contents.mime_type or 'bytes'}, {size / 1_000:.0f} kB", "cyan")
        else:
            show_text(contents.text, most_lines=most_lines)


def show_messages(messages: Iterable[PromptMessage], *, most_lines: int | None = None) -> None:
    """Print the messages of a prompt, and what is attached to them."""
    for message in messages:
        say(f"  {paint(message.role, 'dim')}")
        show_text(_of_message(message.content), most_lines=most_lines)


def _of_message(content: ContentBlock) -> str:
    if isinstance(content, TextContent):
        return content.text
    if isinstance(content, EmbeddedResource):
        return f"attached: {content.resource.uri}"
    return f"attached: {content.uri if isinstance(content, ResourceLink) else content.type}"


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, most_lines: int | None = None) -> None:
    """Print records in columns that fit the line; the widest give way first, those to be read last."""
    shown = rows if most_lines is None else rows[:most_lines]
    cells = [list(columns), *([_cell(value) for value in row] for row in shown)]
    widths = [max(width(row[position]) for row in cells) for position in range(len(columns))]
    while sum(widths) + 2 * len(widths) > WIDTH and max(widths) > NARROWEST:
        others = [each for each, name in zip(widths, columns, strict=True) if name not in PROSE]
        widest = max(others, default=0)
        widths[widths.index(widest if widest > NARROWEST else max(widths))] -= 1
    for number, row in enumerate(cells):
        line = "  ".join(fitted(cell, room) for cell, room in zip(row, widths, strict=True)).rstrip()
        say(f"  {line if number else paint(line, 'dim')}")
    if len(rows) > len(shown):
        say(paint(f"  … and {len(rows) - len(shown)} more", "dim"))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_cell, cast(list[Any], value)))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_cell(item)}" for name, item in cast(dict[str, Any], value).items())
    return show_invisible(read_notation(" ⏎ ".join(str(value).splitlines())))


def fitted(text: str, room: int) -> str:
    """Return a text cut or filled up to a width on a terminal."""
    if width(text) > room:
        while width(text) >= room:
            text = text[:-1]
        text += "…"
    return text + " " * (room - width(text))


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def show_text(text: str, colour: Colour | None = None, *, most_lines: int | None = None) -> None:
    """Print a text beside a bar, or the first lines of it; what is the server's own around third-party text is dim."""
    lines = show_invisible(read_notation(text)).removeprefix("{}\n").splitlines()  # the braces: no facts
    if most_lines is not None and len(lines) > most_lines:
        lines[most_lines:] = [f"… and {len(lines) - most_lines} lines more"]
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        shown = "dim" if _FRAME.match(line) else colour
        for part in textwrap.wrap(line, WIDTH - 4, break_on_hyphens=False, subsequent_indent=indent) or [""]:
            say(f"  {paint('│', 'dim')} {paint(part, shown) if shown else part}".rstrip())


@contextmanager
def spinner(title: str) -> Generator[None]:
    """Show on a terminal that something goes on."""
    done = threading.Event()

    def spin() -> None:
        for frame in cycle("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"):
            sys.stdout.write(f"\r{paint(frame, 'yellow')} {title} ")
            sys.stdout.flush()
            if done.wait(0.08):
                break
        sys.stdout.write("\r\x1b[K")
        sys.stdout.flush()

    thread = threading.Thread(target=spin if sys.stdout.isatty() else done.wait)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
