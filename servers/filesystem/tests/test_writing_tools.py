"""The writing tools as a client sees them, in both eras."""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from mcp_server_filesystem.server import build_server
from mcp_server_filesystem.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY

pytestmark = pytest.mark.anyio

Connect = Callable[..., AbstractAsyncContextManager[Client]]
WRITING_TOOLS = {"write_file", "append_file", "edit_file", "create_directory", "copy_path", "move_file", "delete_path"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture(params=["legacy", "2026-07-28"])
def connect(root: Path, request: pytest.FixtureRequest) -> Connect:
    """Return a function that connects a client of one era to a server that may write in the root."""

    def to_server(*confirm: str, writable: bool = True, person: "Person | None" = None) -> Client:
        settings = Settings(directories=(root,), allow_write=writable, confirm=confirm or ("ask",))
        return Client(build_server(settings), mode=request.param, elicitation_callback=person)

    return to_server


class Person:
    """Answers every question in the same way, and remembers them."""

    def __init__(self, *, agrees: bool) -> None:
        self.agrees = agrees
        self.asked: list[str] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer one question."""
        self.asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": self.agrees})


def text(result: CallToolResult) -> str:
    [part] = result.content
    assert isinstance(part, TextContent)
    return part.text


def record(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None, text(result)
    [row] = result.structured_content["rows"]
    return dict(zip(result.structured_content["columns"], row, strict=True))


def code(result: CallToolResult) -> str:
    assert result.is_error
    assert result.meta is not None
    return result.meta[ERROR_META_KEY]["code"]


async def test_no_writing_tool_is_listed_or_may_be_called_without_the_grant(connect: Connect, root: Path) -> None:
    async with connect(writable=False) as client:
        listed = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("write_file", {"path": "file", "content": "x"})
    assert not listed & WRITING_TOOLS
    assert (code(refused), "--allow-write" in text(refused)) == ("permission_denied", True)
    assert not (root / "file").exists()


async def test_the_writing_tools_cost_little(connect: Connect) -> None:
    async with connect() as client:
        tools = [tool for tool in (await client.list_tools()).tools if tool.name in WRITING_TOOLS]
    schemas = [json.dumps(tool.input_schema, separators=(",", ":")) for tool in tools]
    characters = sum(len(f"{t.name}{t.description}{schema}") for t, schema in zip(tools, schemas, strict=True))
    assert (len(tools), characters <= 950 * 4) == (7, True)


async def test_only_what_cannot_destroy_is_said_not_to(connect: Connect) -> None:
    async with connect() as client:
        hints = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
    harmless = {name for name in WRITING_TOOLS if (given := hints[name]) and given.destructive_hint is False}
    repeatable = {name for name in WRITING_TOOLS if (given := hints[name]) and given.idempotent_hint}
    assert (harmless, repeatable) == (
        {"append_file", "create_directory", "copy_path"},
        {"write_file", "create_directory"},
    )


async def test_a_file_is_written_edited_and_read_with_what_is_invisible_kept(connect: Connect, root: Path) -> None:
    async with connect() as client:
        written = await client.call_tool("write_file", {"path": "file", "content": "a⟦U+200B⟧b\nc\n"})
        edited = await client.call_tool(
            "edit_file",
            {
                "path": "file",
                "edits": [{"old_text": "a⟦U+200B⟧b", "new_text": "⟦U+FEFF⟧"}],
                "expected_sha256": record(written)["sha256"],
            },
        )
    assert record(written)["result"] == "created"
    data = (root / "file").read_bytes()
    assert data == "\ufeff\nc\n".encode()
    facts, _, diff = text(edited).partition("\n")
    assert json.loads(facts)["sha256"] == hashlib.sha256(data).hexdigest()
    assert "-a⟦U+200B⟧b\n+⟦U+FEFF⟧\n c\n" in diff


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ([], "'edits' must not be empty"),
        ([{"old_text": "", "new_text": "x"}], "'edits'[0]['old_text'] must not be empty"),
        ([{"oldText": "a", "newText": "b"}], "is missing"),
        ([{"old_text": "a", "new_text": "b", "expected_count": 0}], "at least 1"),
    ],
)
async def test_edits_that_make_no_sense_are_refused_in_plain_words(
    connect: Connect, root: Path, edits: list[Any], problem: str
) -> None:
    (root / "file").write_text("a")
    async with connect() as client:
        refused = await client.call_tool("edit_file", {"path": "file", "edits": edits})
    assert (code(refused), problem in text(refused)) == ("invalid_argument", True)
    assert (root / "file").read_text() == "a"


async def test_text_is_added_to_a_file(connect: Connect, root: Path) -> None:
    async with connect() as client:
        first = record(await client.call_tool("append_file", {"path": "file", "content": "one\n"}))
        more = {"path": "file", "content": "two\u27e6U+200B\u27e7\n", "expected_sha256": first["sha256"]}
        second = record(await client.call_tool("append_file", more))
        again = await client.call_tool("append_file", more)
    assert (first["result"], second["result"], code(again)) == ("created", "appended", "conflict")
    assert (root / "file").read_text() == "one\ntwo\u200b\n"


async def test_a_conflict_names_the_hash_to_go_on_with(connect: Connect, root: Path) -> None:
    (root / "file").write_text("theirs")
    async with connect() as client:
        refused = await client.call_tool("write_file", {"path": "file", "content": "x", "expected_sha256": "absent"})
    assert (code(refused), hashlib.sha256(b"theirs").hexdigest() in text(refused)) == ("conflict", True)


async def test_what_is_deleted_comes_back_from_where_the_answer_says(connect: Connect, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    async with connect() as client:
        deleted = await client.call_tool("delete_path", {"path": "a/b"})
        await client.call_tool("move_file", {"source": record(deleted)["path"], "destination": "a/again"})
    assert {path.name for path in (root / "a").iterdir()} == {"again"}


async def test_for_good_is_deleted_what_a_person_agreed_to(connect: Connect, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    person = Person(agrees=True)
    async with connect(person=person) as client:
        deleted = await client.call_tool("delete_path", {"path": "a", "permanent": True})
    assert (record(deleted)["result"], (root / "a").exists()) == ("deleted", False)
    assert person.asked == [f"Delete for good: the directory '{root}/a' (entries: 2, bytes: 0)?"]


@pytest.mark.parametrize(
    ("confirm", "person"), [("ask", Person(agrees=False)), ("ask", None), ("refuse", Person(agrees=True))]
)
async def test_nothing_is_deleted_for_good_that_nobody_agreed_to(
    connect: Connect, root: Path, confirm: str, person: Person | None
) -> None:
    (root / "file").touch()
    async with connect(f"delete={confirm}", person=person) as client:
        refused = await client.call_tool("delete_path", {"path": "file", "permanent": True})
    assert (code(refused), (root / "file").exists()) == ("confirmation_required", True)


async def test_an_operator_can_agree_beforehand(connect: Connect, root: Path) -> None:
    (root / "file").touch()
    async with connect("delete=never") as client:
        await client.call_tool("delete_path", {"path": "file", "permanent": True})
    assert not (root / "file").exists()


async def test_copies_and_directories_answer_with_what_they_are(connect: Connect, root: Path) -> None:
    (root / "file").write_text("text")
    async with connect() as client:
        made = await client.call_tool("create_directory", {"path": "a/b"})
        again = await client.call_tool("create_directory", {"path": "a/b"})
        copied = await client.call_tool("copy_path", {"source": "file", "destination": "a/b/copy"})
    assert (record(made)["result"], record(again)["result"]) == ("created", "exists")
    assert record(copied) == {
        "path": f"{root}/a/b/copy",
        "type": "file",
        "entries": 1,
        "bytes": 4,
        "skipped": 0,
        "sha256": hashlib.sha256(b"text").hexdigest(),
    }
