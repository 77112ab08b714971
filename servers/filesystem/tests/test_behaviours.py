"""What people may rely on, asked of this server and of the npm one: real processes, real files, the same rows.

Ours keeps every row. What the other one does not keep is in the README, and is checked here to be true.
"""

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.types import ListRootsResult, Root, TextContent
from mcp_server_shared.untrusted import unmark
from pydantic import FileUrl

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

README = Path(__file__).parents[1] / "README.md"
PEER = Path(__file__).parents[3] / "tests/peers/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
NODE = shutil.which("node")

HANGS_AFTER_S = 120
BOUND = 100_000  # characters of one answer
OUTSIDE = "SECRET FROM OUTSIDE"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Answer:
    """What a call gave back: the text without any marks around it."""

    failed: bool
    text: str
    structured: Mapping[str, Any] | None


@dataclass(frozen=True)
class Side:
    """One server at work on a directory of its own, in a box that has more in it."""

    is_ours: bool
    client: Client
    box: Path

    @property
    def root(self) -> Path:
        return self.box / "root"

    async def call(self, tool: str, **arguments: Any) -> Answer:
        result = await self.client.call_tool(tool, arguments)
        text = "".join(block.text for block in result.content if isinstance(block, TextContent))
        if self.is_ours and not result.is_error and result.structured_content is None:
            text = unmark(text.partition("\n")[2])
        return Answer(bool(result.is_error), text, result.structured_content)

    async def read(self, path: str | Path, **part: Any) -> Answer:
        return await self.call("read_text_file", path=str(path), **part)

    async def write(self, path: str | Path, content: str = "new") -> Answer:
        return await self.call("write_file", path=str(path), content=content)

    async def edit(self, path: Path, *edits: tuple[str, str], dry_run: bool = False) -> Answer:
        old, new, dry = ("old_text", "new_text", "dry_run") if self.is_ours else ("oldText", "newText", "dryRun")
        return await self.call(
            "edit_file", path=str(path), edits=[{old: one, new: other} for one, other in edits], **{dry: dry_run}
        )

    async def move(self, source: Path, destination: str | Path) -> Answer:
        return await self.call("move_file", source=str(source), destination=str(destination))

    async def entries(self, path: Path) -> list[tuple[str, str]]:
        """Return the names and types of a listing, in lower case."""
        answer = await self.call("list_directory", path=str(path))
        assert not answer.failed, answer.text
        if self.is_ours:
            rows = cast(dict[str, Any], answer.structured)["untrusted"]["rows"]
            return [(row[0], row[1]) for row in rows]
        return [(name, kind.lower()) for kind, name in re.findall(r"^\[(\w+)\] (.*)$", answer.text, re.MULTILINE)]

    async def found(self, pattern: str) -> Answer:
        return await self.call("search_files", path=str(self.root), **{"glob" if self.is_ours else "pattern": pattern})

    @asynccontextmanager
    async def another(self, *arguments: str, roots: Path | None = None) -> AsyncGenerator["Side"]:
        """Connect to another process with other arguments."""
        async with connected(self.is_ours, arguments, roots) as client:
            yield Side(self.is_ours, client, self.box)


# Where the boundary is


async def a_sibling_named_as_the_directory_and_a_blank_is_closed(side: Side) -> None:
    outside(side.box / "root ")
    for path in ("root /secret", "root "):
        assert (await side.call("list_directory", path=f"{side.box}/{path}")).failed
        assert OUTSIDE not in (await side.read(f"{side.box}/{path}")).text


async def a_sibling_named_as_the_directory_and_a_quote_is_not_read(side: Side) -> None:
    (side.box / 'root"').write_text(OUTSIDE)
    assert OUTSIDE not in (await side.read(f'{side.box}/root"')).text


async def a_sibling_named_as_the_directory_and_a_quote_is_not_written(side: Side) -> None:
    await side.write(f"{side.box}/root'")
    assert not (side.box / "root'").exists()


async def a_sibling_named_as_the_directory_and_blanks_is_not_created(side: Side) -> None:
    await side.call("create_directory", path=f"{side.box}/root  ")
    assert not (side.box / "root  ").exists()


async def nothing_is_moved_to_a_sibling_named_as_the_directory_and_a_newline(side: Side) -> None:
    (side.root / "file").write_text("x")
    await side.move(side.root / "file", f"{side.box}/root\n")
    assert (side.root / "file").exists()


async def a_sibling_with_a_longer_name_is_closed(side: Side) -> None:
    outside(side.box / "root-2")
    assert (await side.read(side.box / "root-2" / "secret")).failed


async def a_parent_step_out_is_refused(side: Side) -> None:
    (side.box / "secret").write_text(OUTSIDE)
    assert (await side.read(f"{side.root}/../secret")).failed


async def a_link_out_is_not_read_through(side: Side) -> None:
    outside(side.box / "out")
    (side.root / "link").symlink_to("../out")
    assert (await side.read(side.root / "link" / "secret")).failed


async def a_link_out_is_not_written_through(side: Side) -> None:
    outside(side.box / "out")
    (side.root / "link").symlink_to("../out")
    assert (await side.write(side.root / "link" / "new")).failed
    assert not (side.box / "out" / "new").exists()


async def a_dangling_link_out_creates_nothing(side: Side) -> None:
    (side.root / "link").symlink_to("../new")
    assert (await side.write(side.root / "link")).failed
    assert not (side.box / "new").exists()


async def a_link_inside_is_followed(side: Side) -> None:
    (side.root / "file").write_text("text")
    (side.root / "link").symlink_to("file")
    assert (await side.read(side.root / "link")).text == "text"


async def a_dangling_link_inside_creates_what_it_leads_to(side: Side) -> None:
    (side.root / "link").symlink_to("new")
    assert not (await side.write(side.root / "link")).failed
    assert (side.root / "new").read_text() == "new"


async def a_nul_in_a_path_is_refused(side: Side) -> None:
    assert (await side.read(f"{side.root}/file\0")).failed


async def blanks_and_quotes_belong_to_a_name(side: Side) -> None:
    for name in (" a ", '"b"', "c'"):
        assert not (await side.write(side.root / name, name)).failed
        assert (side.root / name).read_text() == name
        assert (await side.read(side.root / name)).text == name


async def percent_signs_and_backslashes_belong_to_a_name(side: Side) -> None:
    for name in ("%2e%2e", "a\\b"):
        (side.root / name).write_text(name)
        assert (await side.read(side.root / name)).text == name


async def roots_of_the_client_widen_nothing(side: Side) -> None:
    outside(side.box / "out")
    async with side.another(allowed(side), roots=side.box) as other:
        for _ in range(20):  # a server may ask for them in the meantime
            await other.call("list_allowed_directories")
        answer = await other.read(side.box / "out" / "secret")
    assert answer.failed


async def secrets_are_closed_unless_the_operator_opens_them(side: Side) -> None:
    (side.root / ".env").write_text("PASSWORD=x")
    assert (await side.read(side.root / ".env")).failed


async def nothing_is_written_unless_the_operator_allows_it(side: Side) -> None:
    async with side.another(str(side.root)) as other:
        await other.write(side.root / "new")
    assert not (side.root / "new").exists()


# Reading


async def the_last_line_of_a_file_that_ends_with_a_newline_is_no_empty_one(side: Side) -> None:
    (side.root / "file").write_text("one\ntwo\n")
    assert (await side.read(side.root / "file", tail=1)).text.rstrip("\n") == "two"


async def no_lines_from_the_start_are_no_text(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert "one" not in (await side.read(side.root / "file", head=0)).text


async def no_lines_from_the_end_are_no_text(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert "one" not in (await side.read(side.root / "file", tail=0)).text


async def a_negative_number_of_lines_is_refused(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert (await side.read(side.root / "file", head=-1)).failed


async def half_a_line_is_refused(side: Side) -> None:
    (side.root / "file").write_text("one\ntwo\n")
    assert (await side.read(side.root / "file", head=1.5)).failed


async def an_unknown_argument_is_refused(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert (await side.read(side.root / "file", lines=1)).failed


async def head_and_tail_together_are_refused(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert (await side.read(side.root / "file", head=1, tail=1)).failed


async def line_endings_are_read_as_they_are(side: Side) -> None:
    (side.root / "file").write_bytes(b"a\r\nb\nc\r\n")
    assert (await side.read(side.root / "file")).text == "a\r\nb\nc\r\n"
    assert (await side.read(side.root / "file", head=1)).text.rstrip("\n") == "a\r"


async def text_in_latin_1_is_read_as_what_it_is(side: Side) -> None:
    (side.root / "file").write_bytes("caf\u00e9\n".encode("latin-1"))
    assert (await side.read(side.root / "file")).text == "caf\u00e9\n"


async def text_in_utf_16_is_read_as_what_it_is(side: Side) -> None:
    (side.root / "file").write_bytes("caf\u00e9\n".encode("utf-16"))
    assert (await side.read(side.root / "file")).text == "caf\u00e9\n"


async def a_binary_file_is_not_passed_off_as_text(side: Side) -> None:
    (side.root / "file").write_bytes(bytes(range(256)))
    assert (await side.read(side.root / "file")).failed


async def the_answer_about_a_large_file_is_bounded(side: Side) -> None:
    (side.root / "file").write_text("a line\n" * 200_000)
    assert len((await side.read(side.root / "file")).text) < BOUND


async def the_first_line_is_read_of_a_file_that_is_one_line(side: Side) -> None:
    (side.root / "file").write_text("x" * 16_000_000)
    assert (await side.read(side.root / "file", head=1)).text.startswith("xxx")


async def text_is_sent_once(side: Side) -> None:
    (side.root / "file").write_text("once")
    assert "once" not in json.dumps((await side.read(side.root / "file")).structured)


async def one_file_that_fails_does_not_spoil_the_others(side: Side) -> None:
    (side.root / "file").write_text("text")
    answer = await side.call("read_multiple_files", paths=[str(side.root / "missing"), str(side.root / "file")])
    assert not answer.failed
    assert "text" in answer.text


async def what_is_missing_is_answered_with_what_is_near(side: Side) -> None:
    (side.root / "invoices.csv").touch()
    answer = await side.read(side.root / "invoice.csv")
    assert answer.failed
    assert "invoices.csv" in answer.text


# Editing


async def an_edit_keeps_crlf(side: Side) -> None:
    (side.root / "file").write_bytes(b"one\r\ntwo\r\n")
    await side.edit(side.root / "file", ("one", "1"))
    assert (side.root / "file").read_bytes() == b"1\r\ntwo\r\n"


async def an_edit_keeps_mixed_line_endings(side: Side) -> None:
    (side.root / "file").write_bytes(b"one\r\ntwo\nthree\r\n")
    await side.edit(side.root / "file", ("two", "2"))
    assert (side.root / "file").read_bytes() == b"one\r\n2\nthree\r\n"


async def an_edit_keeps_bytes_that_are_not_utf_8(side: Side) -> None:
    (side.root / "file").write_bytes(b"caf\xe9\none\n")
    await side.edit(side.root / "file", ("one", "1"))
    assert (side.root / "file").read_bytes() == b"caf\xe9\n1\n"


async def an_edit_keeps_the_byte_order_mark(side: Side) -> None:
    (side.root / "file").write_bytes(b"\xef\xbb\xbfone\n")
    await side.edit(side.root / "file", ("one", "1"))
    assert (side.root / "file").read_bytes() == b"\xef\xbb\xbf1\n"


async def a_binary_file_is_not_edited(side: Side) -> None:
    data = bytes(range(256)) + b"one"
    (side.root / "file").write_bytes(data)
    await side.edit(side.root / "file", ("one", "1"))
    assert (side.root / "file").read_bytes() == data


async def an_edit_that_fits_two_places_is_refused(side: Side) -> None:
    (side.root / "file").write_text("one\none\n")
    assert (await side.edit(side.root / "file", ("one", "1"))).failed
    assert (side.root / "file").read_text() == "one\none\n"


async def an_edit_of_nothing_is_refused(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert (await side.edit(side.root / "file", ("", "1"))).failed
    assert (side.root / "file").read_text() == "one\n"


async def an_edit_that_only_resembles_the_text_is_refused(side: Side) -> None:
    (side.root / "file").write_text("if a:\n\tb()\n\tc()\n")
    assert (await side.edit(side.root / "file", ("    b()\n    c()", "    b()\n    d()"))).failed
    assert (side.root / "file").read_text() == "if a:\n\tb()\n\tc()\n"


async def of_several_edits_all_are_made_or_none(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert (await side.edit(side.root / "file", ("one", "1"), ("missing", "2"))).failed
    assert (side.root / "file").read_text() == "one\n"


async def a_dry_run_shows_the_change_and_makes_none(side: Side) -> None:
    (side.root / "file").write_text("one\n")
    assert "+1" in (await side.edit(side.root / "file", ("one", "1"), dry_run=True)).text
    assert (side.root / "file").read_text() == "one\n"


# Writing, moving, creating


async def a_private_file_stays_private(side: Side) -> None:
    (side.root / "file").touch(0o600)
    await side.write(side.root / "file")
    assert ((side.root / "file").stat().st_mode & 0o777, (side.root / "file").read_text()) == (0o600, "new")


async def writing_leaves_nothing_else_behind(side: Side) -> None:
    await side.write(side.root / "file", "one")
    await side.write(side.root / "file", "two")
    assert [entry.name for entry in side.root.iterdir()] == ["file"]


async def a_move_overwrites_nothing(side: Side) -> None:
    for name in ("one", "two"):
        (side.root / name).write_text(name)
    assert (await side.move(side.root / "one", side.root / "two")).failed
    assert (side.root / "two").read_text() == "two"


async def a_link_is_moved_itself(side: Side) -> None:
    (side.root / "file").touch()
    (side.root / "link").symlink_to("file")
    await side.move(side.root / "link", side.root / "moved")
    assert sorted((entry.name, entry.is_symlink()) for entry in side.root.iterdir()) == [
        ("file", False),
        ("moved", True),
    ]


async def directories_are_created_with_those_above_them(side: Side) -> None:
    assert not (await side.call("create_directory", path=str(side.root / "a" / "b"))).failed
    assert (side.root / "a" / "b").is_dir()


# Finding


async def a_link_is_listed_as_one(side: Side) -> None:
    (side.root / "link").symlink_to("nowhere")
    assert await side.entries(side.root) == [("link", "symlink")]


async def a_fifo_is_listed_as_one(side: Side) -> None:
    os.mkfifo(side.root / "pipe")
    assert await side.entries(side.root) == [("pipe", "fifo")]


async def a_name_with_a_newline_is_one_entry(side: Side) -> None:
    (side.root / "a\n[FILE] b").touch()
    assert len(await side.entries(side.root)) == 1


async def a_link_is_described_as_one(side: Side) -> None:
    (side.root / "link").symlink_to(".")
    assert "symlink" in (await side.call("get_file_info", path=str(side.root / "link"))).text.lower()


async def the_answer_about_a_large_directory_is_bounded(side: Side) -> None:
    for number in range(5_000):
        (side.root / f"a-long-name-of-a-file-{number}").touch()
    for answer in (
        await side.call("list_directory", path=str(side.root)),
        await side.call("directory_tree", path=str(side.root)),
        await side.found("a-*"),
    ):
        assert not answer.failed
        assert len(answer.text) < BOUND


async def links_in_a_circle_are_not_followed(side: Side) -> None:
    (side.root / "file").touch()
    (side.root / "loop").symlink_to(".")
    answer = await side.found("**/file")
    assert not answer.failed
    assert answer.text.count("file") == answer.text.replace("loop/", "").count("file") > 0
    assert "loop/file" not in answer.text


# What may hang


async def a_fifo_is_refused_at_once(side: Side) -> None:
    os.mkfifo(side.root / "pipe")
    assert (await side.read(side.root / "pipe")).failed


async def fifos_hold_up_no_other_call(side: Side) -> None:
    (side.root / "file").write_text("text")
    for number in range(8):
        os.mkfifo(side.root / f"pipe-{number}")
    answers: list[Answer] = []
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(side.read, side.root / f"pipe-{number}")
        answers.append(await side.read(side.root / "file"))
        tasks.cancel_scope.cancel()
    assert answers[0].text == "text"


BEHAVIOURS: list[Callable[[Side], Awaitable[None]]] = [
    each for each in list(globals().values()) if getattr(each, "__annotations__", {}) == {"side": Side, "return": None}
]

# It does so whatever the time it is given: most of this test would be waiting.
NPM_HANGS = (the_first_line_is_read_of_a_file_that_is_one_line, a_fifo_is_refused_at_once, fifos_hold_up_no_other_call)


async def test_every_behaviour_is_kept(tmp_path: Path) -> None:
    assert await broken(tmp_path, is_ours=True) == {}


@pytest.mark.skipif(NODE is None or not PEER.exists(), reason="the npm peers are not installed")
async def test_the_readme_tells_what_the_npm_server_does_not_keep(tmp_path: Path) -> None:
    found = await broken(tmp_path, is_ours=False)
    names = [name_of(behaviour).replace("_", " ") for behaviour in BEHAVIOURS if name_of(behaviour) in found]
    told = f"{len(names)} of {len(BEHAVIOURS)}: {'; '.join(names)}."
    assert textwrap.fill(told, 120) in README.read_text(encoding="utf-8")


async def broken(directory: Path, *, is_ours: bool) -> dict[str, str]:
    """Return the behaviours that a server does not keep, each with what it did."""
    found: dict[str, str] = {}
    to_do = list(BEHAVIOURS)
    while to_do:
        box = directory / f"boxes-{len(to_do)}"
        box.mkdir()
        suffix = ":rw" if is_ours else ""
        boxes = {name_of(behaviour): box / name_of(behaviour) for behaviour in to_do}
        for path in boxes.values():
            (path / "root").mkdir(parents=True)
        async with connected(is_ours, [f"{path / 'root'}{suffix}" for path in boxes.values()]) as client:
            while to_do:
                behaviour = to_do.pop(0)
                name = name_of(behaviour)
                error = await broke(behaviour, Side(is_ours, client, boxes[name]))
                if error is not None:
                    found[name] = error
                    if error == "it hangs":  # and with it what comes after: go on with a new process
                        break
    return found


def name_of(behaviour: Callable[[Side], Awaitable[None]]) -> str:
    return behaviour.__name__


async def broke(behaviour: Callable[[Side], Awaitable[None]], side: Side) -> str | None:
    try:
        with anyio.fail_after(HANGS_AFTER_S if side.is_ours or behaviour not in NPM_HANGS else 3):
            await behaviour(side)
    except TimeoutError:
        return "it hangs"
    except (AssertionError, OSError) as error:
        return str(error) or "not so"
    return None


@asynccontextmanager
async def connected(is_ours: bool, arguments: Any, roots: Path | None = None) -> AsyncGenerator[Client]:  # noqa: FBT001
    async def offer_roots(context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=FileUrl(cast(Path, roots).as_uri()))])

    command = [sys.executable, "-m", "mcp_server_filesystem"] if is_ours else [NODE or "node", str(PEER)]
    parameters = StdioServerParameters(command=command[0], args=[*command[1:], *arguments])
    with open(os.devnull, "w") as errlog:  # noqa: ASYNC230, PTH123
        transport = stdio_client(parameters, errlog=errlog)
        async with Client(transport, mode="legacy", list_roots_callback=offer_roots if roots else None) as client:
            yield client


def allowed(side: Side) -> str:
    return f"{side.root}:rw" if side.is_ours else str(side.root)


def outside(directory: Path) -> None:
    directory.mkdir()
    (directory / "secret").write_text(OUTSIDE)
