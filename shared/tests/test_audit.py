"""The audit line: one for each request, enough to reconstruct what happened, without its secrets."""

import hashlib
import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import Implementation
from mcp_server_shared.logs import AUDIT_LOGGER
from notes.client import ERAS, connected, text_of, until
from notes.server import Notes, Settings, build_server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]

TOKEN = "ghp_" + "a1B2" * 9
PRIVATE_KEY = f"-----BEGIN PRIVATE KEY-----{'A' * 4_000}-----END PRIVATE KEY-----"
ME = Implementation(name="inspector", version="9")

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return the audit lines so far, without those of what the SDK's client asks for by itself."""
    caplog.set_level(logging.INFO, AUDIT_LOGGER)

    def audited() -> list[dict[str, Any]]:
        logged: list[Any] = [record.msg for record in caplog.records if record.name == AUDIT_LOGGER]
        return [line for line in logged if line["method"] not in {"initialize", "tools/list"}]

    return audited


def connect(era: str, notes: Notes | None = None, **settings: Any) -> Any:
    server = build_server(Settings(allow_write=True, **settings), notes)
    return connected(server, era, client_info=ME)


async def test_a_call_leaves_one_line_with_all_there_is_to_know(era: str, lines: Lines) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with connect(era) as client:
        result = await client.call_tool(
            "list_notes", {"limit": 5}, meta={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        )
    [line] = lines()
    assert line.pop("duration_ms") > 0
    assert line.pop("request_id")
    assert line == {
        "server": "mcp-server-shared",
        "version": version("mcp-server-shared"),
        "method": "tools/call",
        "protocol": "2025-11-25" if era == "legacy" else era,
        "target": "list_notes",
        "arguments": {"limit": 5},
        "client": "inspector 9",
        "caller": "local",
        "trace_id": trace,
        "outcome": "ok",
        "output_characters": len(text_of(result)),
        "output": text_of(result)[:200],
    }


async def test_a_line_can_be_written_as_json(era: str, lines: Lines) -> None:
    async with connect(era) as client:
        await client.call_tool("read_note", {"name": "second"})
    assert json.loads(json.dumps(lines())) == lines()


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("absent", {}, "not_found"),
        ("read_note", {}, "invalid_argument"),
        ("crash", {"secret": "details"}, "internal"),
        ("delete_note", {"name": "first"}, "confirmation_required"),
    ],
)
async def test_a_failed_call_has_the_code_of_its_error(
    era: str, lines: Lines, tool: str, arguments: dict[str, Any], code: str
) -> None:
    async with connect(era) as client:
        await client.call_tool(tool, arguments)
    assert [(line["outcome"], line["error"]) for line in lines()] == [("error", code)]


async def test_a_call_past_its_deadline_is_a_timeout(era: str, lines: Lines) -> None:
    async with connect(era, deadline_s=0.05) as client:
        await client.call_tool("wait")
    assert [line["error"] for line in lines()] == ["timeout"]


async def read_absent(client: Client) -> Any:
    return await client.read_resource("note:///absent")


async def get_wrong_prompt(client: Client) -> Any:
    return await client.get_prompt("review_note", {})


async def list_second_page(client: Client) -> Any:
    return await client.list_prompts(cursor="x")


@pytest.mark.parametrize(
    ("request_of", "error"),
    [(read_absent, "not_found"), (get_wrong_prompt, "invalid_argument"), (list_second_page, "invalid_argument")],
)
async def test_a_protocol_error_has_its_code(
    era: str, lines: Lines, request_of: Callable[[Client], Any], error: str
) -> None:
    async with connect(era) as client:
        with pytest.raises(MCPError):
            await request_of(client)
    assert [(line["outcome"], line["error"]) for line in lines()] == [("error", error)]


async def test_a_cancelled_call_leaves_a_line(era: str, lines: Lines) -> None:
    notes = Notes()
    async with connect(era, notes) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "wait")
            await until(lambda: notes.started)
            tasks.cancel_scope.cancel()
        await until(lines)
    assert [line["outcome"] for line in lines()] == ["cancelled"]


@pytest.mark.parametrize("method", ["list_prompts", "list_resources", "list_resource_templates"])
async def test_a_list_leaves_a_line(era: str, lines: Lines, method: str) -> None:
    async with connect(era) as client:
        await getattr(client, method)()
    assert [line["outcome"] for line in lines()] == ["ok"]


async def test_a_resource_is_named_by_its_address(era: str, lines: Lines) -> None:
    async with connect(era) as client:
        await client.read_resource("note:///first")
    assert [(line["method"], line["target"]) for line in lines()] == [("resources/read", "note:///first")]


async def test_a_prompt_has_its_name_and_arguments(era: str, lines: Lines) -> None:
    async with connect(era) as client:
        await client.get_prompt("review_note", {"name": "first"})
    assert [(line["target"], line["arguments"]) for line in lines()] == [("review_note", {"name": "first"})]


# Secrets


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("crash", {"secret": "hunter2"}),
        ("crash", {"unknown": {"password": "hunter2"}}),
        ("write_note", {"name": "x", "text": f"export TOKEN={TOKEN}"}),
        ("write_note", {"name": "x", "text": "x" * 2_030 + f" {TOKEN}"}),
        ("write_note", {"name": "x", "text": f"{TOKEN} " * 55}),
        ("write_note", {"name": "x", "text": PRIVATE_KEY + "." * (4_209 - len(PRIVATE_KEY)) + TOKEN}),
        ("write_note", {"name": "x", "text": {"password": "hunter2", "more": "x" * 5_000}}),
        (TOKEN, {}),
        ("read_note", {TOKEN: 1}),
    ],
)
async def test_a_secret_is_not_in_the_line(era: str, lines: Lines, tool: str, arguments: dict[str, Any]) -> None:
    async with connect(era) as client:
        await client.call_tool(tool, arguments)
    written = json.dumps(lines())
    assert "hunter2" not in written
    assert TOKEN[:8] not in written


@pytest.mark.parametrize("before", [0, 185, 195, 990, 520])
async def test_a_secret_in_the_output_is_not_in_its_preview_wherever_it_stands(
    era: str, lines: Lines, before: int
) -> None:
    async with connect(era, Notes(texts={"first": f"{TOKEN} " * 15 + "." * before + f" {TOKEN}"})) as client:
        await client.call_tool("read_note", {"name": "first"})
    assert TOKEN[:8] not in json.dumps(lines())


async def test_a_secret_in_the_address_of_a_resource_is_not_in_the_line(era: str, lines: Lines) -> None:
    async with connect(era) as client:
        with pytest.raises(MCPError):
            await client.read_resource("note:///" + "x" * 2_030 + f"/{TOKEN}")
    assert TOKEN[:8] not in json.dumps(lines())


# Sizes


async def test_a_long_argument_is_cut_with_its_length_and_hash(era: str, lines: Lines) -> None:
    text = "ä" * 5_000
    async with connect(era) as client:
        await client.call_tool("write_note", {"name": "x", "text": text})
    assert lines()[0]["arguments"]["text"] == {
        "head": "ä" * 1_024,
        "bytes": 10_000,
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


@pytest.mark.parametrize("value", ["x" * 2_048, ["x" * 1_000], {"a": "b"}])
async def test_an_argument_of_up_to_two_kilobytes_is_whole(era: str, lines: Lines, value: Any) -> None:
    async with connect(era) as client:
        await client.call_tool("write_note", {"name": "x", "text": value})
    assert lines()[0]["arguments"]["text"] == value


@pytest.mark.parametrize(
    "arguments",
    [
        {"x" * 100_000: 1},
        {f"x{number}": number for number in range(10_000)},
        {"name": ["x"] * 100_000},
        {"name": {"x" * 100: "y" * 100_000}},
    ],
)
async def test_a_line_is_short_whatever_the_arguments(era: str, lines: Lines, arguments: dict[str, Any]) -> None:
    async with connect(era) as client:
        await client.call_tool("read_note", arguments)
    assert len(json.dumps(lines())) < 10_000


@pytest.mark.parametrize(("log_results", "kept"), [("none", None), ("preview", 200), ("full", 1_000)])
async def test_the_operator_decides_how_much_of_a_result_is_kept(
    era: str, lines: Lines, log_results: str, kept: int | None
) -> None:
    async with connect(era, Notes(texts={"first": "x" * 1_000}), log_results=log_results) as client:
        await client.call_tool("read_note", {"name": "first"})
    [line] = lines()
    if kept is None:
        assert "output" not in line
    else:
        assert len(json.dumps(line["output"])) >= kept


async def test_without_the_level_there_is_no_line(era: str, lines: Lines, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, AUDIT_LOGGER)
    async with connect(era) as client:
        await client.call_tool("list_notes")
    assert lines() == []


@pytest.mark.parametrize("parent", ["00-ghp_0123456789abcdef0123456789ab-b7ad6b7169203331-01", "00-x-y-z", "", 7])
async def test_what_is_no_trace_parent_is_not_logged(era: str, lines: Lines, parent: Any) -> None:
    async with connect(era) as client:
        await client.call_tool("list_notes", meta={"traceparent": parent})
    assert "trace_id" not in lines()[0]
