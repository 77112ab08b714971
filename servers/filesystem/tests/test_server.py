"""What a client of the filesystem server sees, in both eras, with real files behind it."""

import base64
import json
import os
import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import anyio
import pytest
from mcp import Client
from mcp.client.subscriptions import ResourceUpdated
from mcp.types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
)
from mcp_server_filesystem.content_search import find_ripgrep
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.resources import LOOK_EVERY_S, watch_file
from mcp_server_filesystem.server import build_server
from mcp_server_filesystem.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY
from mcp_server_shared.untrusted import show_invisible, unmark

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[Client]]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 4, 5)
FILE = ResourceTemplateReference(type="ref/resource", uri="file:///{+path}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture(params=["legacy", "2026-07-28"])
def connect(request: pytest.FixtureRequest, root: Path) -> Connect:
    """Return a function that connects a client of one era to a server of `root` with these flags."""

    def to_server(*flags: str) -> Client:
        return Client(build_server(Settings.load([str(root), *flags], {})), mode=request.param)

    return to_server


def text_of(result: CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


def facts_and_body(result: CallToolResult) -> tuple[dict[str, Any], str]:
    facts, _, marked = text_of(result).partition("\n")
    return json.loads(facts), unmark(marked)


def rows(result: CallToolResult) -> list[list[Any]]:
    structured = cast(dict[str, Any], result.structured_content)
    return structured["untrusted"]["rows"]


async def test_an_image_is_a_block_beside_its_facts(root: Path, connect: Connect) -> None:
    (root / "image").write_bytes(PNG)
    async with connect() as client:
        result = await client.call_tool("read_media_file", {"path": "image"})
    facts = json.loads(text_of(result))
    assert (facts["mime_type"], facts["size"], facts["width"], facts["height"]) == ("image/png", len(PNG), 4, 5)
    block = result.content[1]
    assert isinstance(block, ImageContent)
    assert (block.mime_type, base64.b64decode(block.data)) == ("image/png", PNG)


async def test_a_sound_is_a_block_of_its_kind(root: Path, connect: Connect) -> None:
    (root / "sound").write_bytes(b"ID3\x04")
    async with connect() as client:
        result = await client.call_tool("read_media_file", {"path": "sound"})
    assert isinstance(result.content[1], AudioContent)


async def test_files_are_read_together_each_by_itself(root: Path, connect: Connect) -> None:
    (root / "one").write_text("first\n")
    (root / "two").write_text("===== not a title\nsecond")
    (root / ".env").write_text("SECRET")
    async with connect() as client:
        result = await client.call_tool("read_multiple_files", {"paths": ["one", "missing", ".env", "two"]})
    facts, body = facts_and_body(result)
    assert [file.get("error") for file in facts["files"]] == [None, "not_found", "permission_denied", None]
    assert body == f'====== "{root}/one"\nfirst\n\n====== "{root}/two"\n===== not a title\nsecond'


async def test_short_files_leave_their_share_to_long_ones(root: Path, connect: Connect) -> None:
    (root / "short").write_text("short\n")
    (root / "long").write_text("a line\n" * 10_000)
    async with connect("--max-output-characters", "3000") as client:
        result = await client.call_tool("read_multiple_files", {"paths": ["long", "short"]})
    facts, body = facts_and_body(result)
    long, short = facts["files"]
    assert (facts["truncated"], long["truncated"], "truncated" in short) == (True, True, False)
    assert long["next_line"] == long["last_line"] + 1
    assert 1_500 < len(body) < 3_000
    assert len(text_of(result)) <= 3_000


async def test_lines_have_numbers_on_request(root: Path, connect: Connect) -> None:
    (root / "file").write_text("a\nb\r\nc\n")
    async with connect() as client:
        result = await client.call_tool("read_text_file", {"path": "file", "start_line": 2, "line_numbers": True})
    assert facts_and_body(result)[1] == "2\tb\r\n3\tc\n"


async def test_numbered_lines_go_on_after_a_page(root: Path, connect: Connect) -> None:
    (root / "file").write_text("".join(f"{'x' * (number % 40)}\n" for number in range(200)))
    arguments: dict[str, Any] = {"path": "file", "line_numbers": True}
    lines: list[str] = []
    async with connect("--max-output-characters", "1000") as client:
        while True:
            facts, body = facts_and_body(await client.call_tool("read_text_file", arguments))
            lines += body.splitlines()
            if "cursor" not in facts:
                break
            arguments["cursor"] = facts["cursor"]
    assert lines == [f"{number + 1}\t{'x' * (number % 40)}" for number in range(200)]


async def test_a_search_pages_by_cursor(root: Path, connect: Connect) -> None:
    for number in range(30):
        (root / f"file-{number:02}").write_text("needle\n" * 5)
    arguments: dict[str, Any] = {"path": ".", "pattern": "needle"}
    found: list[list[Any]] = []
    async with connect("--max-output-characters", "1000") as client:
        while True:
            result = await client.call_tool("search_content", arguments)
            found += rows(result)
            structured = cast(dict[str, Any], result.structured_content)
            if "cursor" not in structured:
                break
            arguments["cursor"] = structured["cursor"]
    assert found == [[f"file-{file:02}", line + 1, "needle"] for file in range(30) for line in range(5)]


async def test_files_are_found_by_time_and_directories_summed(root: Path, connect: Connect) -> None:
    (root / "old").touch()
    os.utime(root / "old", (0, 0))
    (root / "new").write_text("four")
    async with connect() as client:
        asked = {"path": ".", "glob": "*", "type": "file", "max_bytes": 4}
        later = await client.call_tool("search_files", asked | {"modified_after": "1970-01-01T01:00+01:00"})
        wrong = await client.call_tool("search_files", asked | {"modified_after": "yesterday"})
        total = await client.call_tool("get_file_info", {"path": ".", "total": True})
    assert [row[0] for row in rows(later)] == ["new"]
    assert "'modified_after' is no time: 'yesterday'. Such as 2026-01-31" in text_of(wrong)
    assert rows(total)[0][-2:] == [2, 4]


async def test_a_search_that_finds_nothing_says_so(root: Path, connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("search_content", {"path": ".", "pattern": "needle"})
    assert cast(dict[str, Any], result.structured_content)["count"] == 0


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_text_file", {"path": ".env"}),
        ("read_media_file", {"path": ".env"}),
        ("get_file_info", {"path": ".env"}),
        ("list_directory", {"path": ".git"}),
        ("directory_tree", {"path": ".git"}),
        ("search_files", {"path": ".git", "glob": "*"}),
        ("search_content", {"path": ".env", "pattern": "x"}),
    ],
)
async def test_every_tool_refuses_what_is_denied(
    root: Path, connect: Connect, tool: str, arguments: dict[str, Any]
) -> None:
    (root / ".git").mkdir()
    (root / ".env").write_text("x")
    async with connect() as client:
        result = await client.call_tool(tool, arguments)
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "permission_denied"


async def test_directories_are_listed_with_their_access(root: Path) -> None:
    server = build_server(Settings.load([str(root), f"{root.parent}:rw"], {}))
    async with Client(server) as client:
        result = await client.call_tool("list_allowed_directories", {})
    structured = cast(dict[str, Any], result.structured_content)
    assert structured["rows"] == [[str(root), "read"], [str(root.parent), "write"]]


async def test_a_directory_is_explored_with_its_tree_attached(root: Path, connect: Connect) -> None:
    (root / "README").touch()
    async with connect() as client:
        prompt = await client.get_prompt("explore_directory", {"path": str(root)})
    attached = prompt.messages[1].content
    assert isinstance(attached, EmbeddedResource)
    assert "README" in cast(Any, attached.resource).text


async def test_a_file_is_reviewed_with_its_text_attached(root: Path, connect: Connect) -> None:
    (root / "caf\u00e9.py").write_text("pass\n")
    async with connect() as client:
        prompt = await client.get_prompt("review_file", {"path": str(root / "caf\u00e9.py")})
        attached = prompt.messages[1].content
        assert isinstance(attached, EmbeddedResource)
        again = await client.read_resource(str(attached.resource.uri))
    assert "pass" in cast(Any, again.contents[0]).text


async def test_paths_are_completed(root: Path, connect: Connect) -> None:
    (root / "directory").mkdir()
    (root / "file").touch()
    async with connect() as client:
        of_prompt = await client.complete(
            PromptReference(type="ref/prompt", name="explore_directory"), {"name": "path", "value": f"{root}/"}
        )
        of_resource = await client.complete(FILE, {"name": "path", "value": f"{root}/f".lstrip("/")})
    assert of_prompt.completion.values == [f"{root}/directory/"]
    assert of_resource.completion.values == [f"{root}/file".lstrip("/")]


async def test_a_path_is_completed_among_more_than_are_ever_returned(root: Path, connect: Connect) -> None:
    for number in range(250):
        (root / f"file-{number:03}").touch()
    (root / "file-249x").mkdir()
    async with connect() as client:
        completed = await client.complete(FILE, {"name": "path", "value": f"{root}/file-249".lstrip("/")})
    assert completed.completion.values == [f"{root}/file-249".lstrip("/"), f"{root}/file-249x/".lstrip("/")]


async def test_a_name_that_is_not_utf_8_is_completed_to_an_address_that_can_be_read(
    root: Path, connect: Connect
) -> None:
    for name in ("caf\udce9", "\u202etxt", "\u27e6U+0041\u27e7"):
        (root / name).write_text(show_invisible(name))
    async with connect() as client:
        completed = await client.complete(FILE, {"name": "path", "value": f"{root}/".lstrip("/")})
        assert len(completed.completion.values) == 3
        for path in completed.completion.values:
            prompt = await client.get_prompt("review_file", {"path": f"/{path}"})
            for address in (f"file:///{quote(path)}", cast(Any, prompt.messages[1].content).resource.uri):
                read = cast(Any, await client.read_resource(address)).contents[0].text
                assert unmark(read.partition("\n")[2]) == path.rpartition("/")[2]


async def test_what_is_answered_about_a_name_that_is_not_utf_8_can_be_asked_for_again(
    root: Path, connect: Connect
) -> None:
    async with connect("--allow-write", "--results=text") as client:
        written = await client.call_tool("write_file", {"path": "caf\u27e6U+DCE9\u27e7", "content": "x"})
        path = json.loads(text_of(written).splitlines()[-1])[0]
        read = await client.call_tool("read_text_file", {"path": path})
        facts = json.loads(text_of(read).partition("\n")[0])
        moved = await client.call_tool("move_file", {"source": facts["path"], "destination": "cafe"})
    assert not moved.is_error
    assert (root / "cafe").read_text() == "x"


async def test_a_change_is_reported_even_when_another_file_takes_the_place(root: Path) -> None:
    (root / "file").write_text("one")
    uri = (root / "file").as_uri()
    async with Client(build_server(Settings.load([str(root)], {})), mode="2026-07-28") as client:
        with anyio.fail_after(20):
            async with client.listen(resource_subscriptions=[uri]) as subscription, anyio.create_task_group() as tasks:
                tasks.start_soon(replace_again_and_again, root / "file")
                assert await anext(subscription) == ResourceUpdated(uri=uri)
                tasks.cancel_scope.cancel()


async def replace_again_and_again(file: Path) -> None:
    while True:
        (file.parent / "new").write_text("two")
        (file.parent / "new").rename(file)
        await anyio.sleep(0.01)


@pytest.mark.slow
async def test_what_leaves_the_root_is_reported_once_and_then_no_longer_watched(root: Path) -> None:
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "file").write_text("one")
    (root / "sub").mkdir()
    (root / "sub" / "file").write_text("one")
    files = Files([root])
    seen: list[str] = []
    gone = 0

    async def watch() -> None:
        async for _ in watch_file(files, f"{root}/sub/file".lstrip("/")):
            seen.append("change")  # noqa: PERF401 - as it comes

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            while not seen:  # until the watch has begun and noticed
                (root / "sub" / "file").write_text(str(anyio.current_time()))
                await anyio.sleep(0.01)
            (root / "sub").rename(root.parent / "away")
            (root / "sub").symlink_to(root.parent / "outside")
            await anyio.sleep(3 * LOOK_EVERY_S)
            gone = len(seen)
            (root.parent / "outside" / "file").write_text("changed")
            await anyio.sleep(3 * LOOK_EVERY_S)
            tasks.cancel_scope.cancel()
    files.close()
    assert len(seen) == gone


@pytest.mark.slow
async def test_a_search_tells_how_far_it_is(root: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # our own engine, which takes long over this pattern
    find_ripgrep.cache_clear()
    for number in range(600):
        (root / f"file-{number:03}").write_text("a\n")
    (root / "last").write_text("a" * 200)
    told: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(progress)

    async with connect("--deadline-s", "2") as client:
        arguments = {"path": ".", "pattern": "(a+)+b"}
        result = await client.call_tool("search_content", arguments, progress_callback=note)
    find_ripgrep.cache_clear()
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "timeout"
    assert told == [500]


async def test_if_no_file_can_be_read_the_call_fails(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("read_multiple_files", {"paths": ["missing", "gone"]})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "not_found"
