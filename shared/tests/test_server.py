"""The pipeline every request goes through, as clients of both eras see it."""

import logging
import threading
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import EmbeddedResource, PromptReference, ResourceTemplateReference, TextContent, TextResourceContents
from mcp_server_shared.call import Call
from mcp_server_shared.catalog import Grant
from mcp_server_shared.errors import Conflict
from mcp_server_shared.output import Document, Records
from mcp_server_shared.registry import DESTROYS, READ_ONLY
from mcp_server_shared.server import Server
from notes.client import ERAS, connected, error_of, structure_of, text_of, until
from notes.server import Notes, Settings, build_server
from pydantic import Field

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", ERAS)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def server_with(notes: Notes | None = None, **settings: Any) -> Server[Notes]:
    return build_server(Settings(**settings), notes)


def many(count: int) -> Notes:
    return Notes(texts={f"note {number:03}": "x" * number for number in range(count)})


# Grants


async def test_a_tool_without_its_grant_is_not_listed(era: str) -> None:
    async with connected(server_with(), era) as client:
        assert "write_note" not in [tool.name for tool in (await client.list_tools()).tools]


async def test_a_tool_with_its_grant_is_listed(era: str) -> None:
    async with connected(server_with(allow_write=True), era) as client:
        assert "write_note" in [tool.name for tool in (await client.list_tools()).tools]


async def test_a_call_without_the_grant_names_the_flag_that_gives_it(era: str) -> None:
    async with connected(server_with(), era) as client:
        result = await client.call_tool("write_note", {"name": "first", "text": "x"})
    assert error_of(result.meta) == {"code": "permission_denied", "retryable": False}
    assert text_of(result).endswith("by starting mcp-server-shared with --allow-write.")


async def test_a_call_without_the_grant_changes_nothing(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes), era) as client:
        await client.call_tool("write_note", {"name": "first", "text": "x"})
    assert notes.texts["first"] == "one\ntwo\n"


def withheld(notes: Notes | None = None) -> Server[Notes]:
    """Build a server with a resource template that takes a grant."""
    grant = Grant(setting="allow_write", allows="show drafts", needs="nothing")

    async def draft(call: Call[Notes], name: str) -> Document:
        """One draft."""
        return Document(text=name)

    async def complete(call: Call[Notes], value: str, others: Mapping[str, str]) -> list[str]:
        return ["secret-draft"]

    async def watch(state: Notes, name: str) -> AsyncGenerator[None]:
        yield

    server = server_with(notes)
    server.add_resource(
        "draft:///{name}", draft, title="A draft", complete={"name": complete}, watch=watch, grant=grant
    )
    return server


async def test_a_resource_without_its_grant_is_not_listed(era: str) -> None:
    async with connected(withheld(), era) as client:
        listed = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in listed] == ["note:///{name}"]


async def test_a_resource_without_its_grant_is_not_read(era: str) -> None:
    async with connected(withheld(), era) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource("draft:///x")
    assert error_of(caught.value.error.data)["code"] == "permission_denied"


async def test_a_resource_without_its_grant_is_not_completed(era: str) -> None:
    async with connected(withheld(), era) as client:
        with pytest.raises(MCPError) as caught:
            await client.complete(ResourceTemplateReference(uri="draft:///{name}"), {"name": "name", "value": ""})
    assert error_of(caught.value.error.data)["code"] == "permission_denied"


# Registration


@pytest.mark.parametrize(("annotations", "grant"), [(DESTROYS, None), (READ_ONLY, Grant("allow_write", "x", "x"))])
async def test_a_tool_that_changes_something_needs_a_grant_and_one_that_reads_needs_none(
    era: str, annotations: Any, grant: Grant | None
) -> None:
    async def tool(call: Call[Notes]) -> Records:
        """Do something."""
        return Records(columns=[], rows=[])

    with pytest.raises(ValueError, match="exactly when it is not read-only"):
        server_with().add_tool(tool, title="x", annotations=annotations, grant=grant)


async def test_a_name_is_registered_once(era: str) -> None:
    async def wait(call: Call[Notes]) -> Records:
        """Wait."""
        return Records(columns=[], rows=[])

    with pytest.raises(ValueError, match="wait is registered twice"):
        server_with().add_tool(wait, title="x", annotations=READ_ONLY)


# Lists


async def test_the_order_of_tools_is_that_of_registration(era: str) -> None:
    server = server_with(allow_write=True)
    async with connected(server, era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == list(server.registry.tools)


async def test_a_description_is_one_line_without_indentation(era: str) -> None:
    async def tool(call: Call[Notes]) -> Records:
        """Say one thing
        and another.

        And a third.
        """
        return Records(columns=[], rows=[])

    server = server_with()
    server.add_tool(tool, title="x", annotations=READ_ONLY)
    async with connected(server, era) as client:
        assert (await client.list_tools()).tools[-1].description == "Say one thing and another.\nAnd a third."


@pytest.mark.parametrize("results", ["both", "text"])
async def test_a_tool_has_an_output_schema_exactly_when_its_results_have_structure(era: str, results: str) -> None:
    async with connected(server_with(results=results), era) as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        listed = await client.call_tool("list_notes")
    assert schemas["read_note"] is None
    assert (schemas["list_notes"] is None, listed.structured_content is None) == ((results == "text"),) * 2


@pytest.mark.parametrize("method", ["list_tools", "list_resources", "list_resource_templates", "list_prompts"])
async def test_a_cursor_for_a_list_is_refused(era: str, method: str) -> None:
    async with connected(server_with(), era) as client:
        with pytest.raises(MCPError, match="This list has one page") as caught:
            await getattr(client, method)(cursor="x")
    assert error_of(caught.value.error.data)["code"] == "invalid_argument"


# Names and arguments


async def test_an_unknown_tool_is_not_found_with_the_nearest_name(era: str) -> None:
    async with connected(server_with(), era) as client:
        result = await client.call_tool("read_notes")
    assert error_of(result.meta)["code"] == "not_found"
    assert text_of(result).startswith("There is no tool 'read_notes'. Did you mean read_note")


async def test_an_unknown_argument_is_refused(era: str) -> None:
    async with connected(server_with(), era) as client:
        result = await client.call_tool("read_note", {"name": "first", "encoding": "utf-8"})
    assert (error_of(result.meta)["code"], "'encoding' is unknown" in text_of(result)) == ("invalid_argument", True)


async def test_an_expected_failure_is_error_content_without_structure(era: str) -> None:
    async with connected(server_with(), era) as client:
        result = await client.call_tool("read_note", {"name": "frist"})
    assert (result.is_error, result.structured_content, text_of(result)) == (
        True,
        None,
        "There is no note 'frist'. Did you mean first?",
    )


# Pages


async def test_paging_gives_everything_once_even_if_the_size_of_a_page_changes(era: str) -> None:
    seen: list[str] = []
    arguments: dict[str, Any] = {"limit": 3}
    async with connected(server_with(many(10)), era) as client:
        while True:
            page = structure_of(await client.call_tool("list_notes", arguments))
            seen += [name for name, _ in page["untrusted"]["rows"]]
            if "cursor" not in page:
                break
            arguments = {"limit": 4, "cursor": page["cursor"]}
    assert seen == [f"note {number:03}" for number in range(10)]


async def test_a_cursor_with_other_arguments_is_refused(era: str) -> None:
    async with connected(server_with(many(10)), era) as client:
        page = structure_of(await client.call_tool("list_notes", {"limit": 3}))
        result = await client.call_tool("list_notes", {"order": "length", "cursor": page["cursor"]})
    assert error_of(result.meta)["code"] == "invalid_argument"


async def test_a_cursor_of_another_tool_is_refused(era: str) -> None:
    async with connected(server_with(many(10)), era) as client:
        page = structure_of(await client.call_tool("list_notes", {"limit": 3}))
        result = await client.call_tool("read_note", {"name": "note 001", "cursor": page["cursor"]})
    assert error_of(result.meta)["code"] == "invalid_argument"


async def test_a_cursor_ends_with_its_server(era: str) -> None:
    async with connected(server_with(many(10)), era) as client:
        page = structure_of(await client.call_tool("list_notes", {"limit": 3}))
    async with connected(server_with(many(10)), era) as client:
        result = await client.call_tool("list_notes", {"limit": 3, "cursor": page["cursor"]})
    assert error_of(result.meta)["code"] == "invalid_argument"


# Time


async def test_a_call_past_its_deadline_is_stopped_and_says_so(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes, deadline_s=0.05), era) as client:
        result = await client.call_tool("wait")
    assert error_of(result.meta) == {"code": "timeout", "retryable": True}
    assert text_of(result).startswith("The call took longer than 0.05 seconds and was stopped.")
    assert notes.stopped == ["wait"]


async def test_a_cancelled_call_is_stopped(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes), era) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "wait")
            await until(lambda: notes.started)
            tasks.cancel_scope.cancel()
        await until(lambda: notes.stopped)


async def test_after_a_cancelled_call_the_next_one_is_answered(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes), era) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "wait")
            await until(lambda: notes.started)
            tasks.cancel_scope.cancel()
        assert not (await client.call_tool("list_notes")).is_error


async def test_a_call_is_answered_while_another_waits(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes), era) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "wait")
        await until(lambda: notes.started)
        assert not (await client.call_tool("list_notes")).is_error
        tasks.cancel_scope.cancel()


# Threads


async def test_a_thread_of_a_cancelled_call_stops_at_its_checkpoint(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes), era) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "work")
            await until(lambda: notes.started)
            tasks.cancel_scope.cancel()
        await until(lambda: notes.stopped == ["work"])


async def test_a_thread_past_the_deadline_stops_at_its_checkpoint(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes, deadline_s=0.05), era) as client:
        assert error_of((await client.call_tool("work")).meta)["code"] == "timeout"
        await until(lambda: notes.stopped == ["work"])


async def test_a_thread_that_does_not_stop_keeps_its_place(era: str) -> None:
    released = threading.Event()
    running: list[str] = []

    async def block(call: Call[Notes]) -> Records:
        """Block a thread that looks at nothing."""
        await call.in_thread(_block)
        return Records(columns=[], rows=[])

    def _block() -> None:
        running.append("block")
        released.wait(10)

    server = server_with(deadline_s=0.05, threads=2)
    server.add_tool(block, title="Block", annotations=READ_ONLY)
    async with connected(server, era) as client:
        try:
            for _ in range(5):
                await client.call_tool("block")
            assert len(running) == 2
        finally:
            released.set()


async def test_the_place_of_a_thread_is_free_again_once_it_ended(era: str) -> None:
    notes = Notes()
    async with connected(server_with(notes, deadline_s=0.05, threads=1), era) as client:
        for count in range(1, 4):
            await client.call_tool("work")
            await until(lambda count=count: len(notes.stopped) == count)


@pytest.mark.parametrize("steps", range(5))
async def test_a_thread_given_up_at_any_moment_leaves_its_place(era: str, steps: int) -> None:
    async def hasty(call: Call[Notes]) -> Records:
        """Give up a thread that may not have started."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.in_thread, bool)
            for _ in range(steps):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await call.in_thread(bool)
        return Records(columns=[], rows=[])

    server = server_with(threads=1, deadline_s=5)
    server.add_tool(hasty, title="Hasty", annotations=READ_ONLY)
    async with connected(server, era) as client:
        assert not (await client.call_tool("hasty")).is_error


async def test_a_call_goes_on_after_it_gave_up_one_thread_itself(era: str) -> None:
    async def impatient(call: Call[Notes]) -> Records:
        """Give up one thread and use another."""
        with anyio.move_on_after(0.01):
            await call.in_thread(_until_stopped, call)
        await call.in_thread(call.checkpoint)
        return Records(columns=[], rows=[])

    def _until_stopped(call: Call[Notes]) -> None:
        while True:
            call.checkpoint()

    server = server_with()
    server.add_tool(impatient, title="Impatient", annotations=READ_ONLY)
    async with connected(server, era) as client:
        assert not (await client.call_tool("impatient")).is_error


# What nobody expected


async def test_an_unexpected_exception_gives_a_reference_that_finds_the_log_line(
    era: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(server_with(), era) as client:
        result = await client.call_tool("crash", {"secret": "details"})
    assert error_of(result.meta) == {"code": "internal", "retryable": False}
    reference = text_of(result).partition("(reference ")[2].partition(")")[0]
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert f"reference {reference}" in record.getMessage()
    assert record.exc_info is not None


async def test_an_unexpected_exception_tells_the_client_nothing_of_itself(era: str) -> None:
    async with connected(server_with(), era) as client:
        result = await client.call_tool("crash", {"secret": "hunter2"})
    assert "hunter2" not in result.model_dump_json()
    assert "RuntimeError" not in result.model_dump_json()


# Resources


async def test_a_resource_is_read_with_its_variables_decoded(era: str) -> None:
    async with connected(server_with(Notes(texts={"a b/c": "text"})), era) as client:
        [contents] = (await client.read_resource("note:///a%20b%2Fc")).contents
    assert isinstance(contents, TextResourceContents)
    assert contents.text.startswith('{"name":"a b/c"}\n<untrusted-')


@pytest.mark.parametrize("uri", ["note:///absent", "note:///a/b", "unknown:///x"])
async def test_a_resource_that_does_not_exist_is_a_protocol_error_with_its_uri_and_code(era: str, uri: str) -> None:
    async with connected(server_with(), era) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    error = caught.value.error
    assert (error.code, error.data) == (
        -32602,
        {"uri": uri, "mcp-servers/error": {"code": "not_found", "retryable": False}},
    )


# Prompts


async def test_a_prompt_carries_its_resource(era: str) -> None:
    async with connected(server_with(), era) as client:
        messages = (await client.get_prompt("review_note", {"name": "first"})).messages
    said, attached = (message.content for message in messages)
    assert isinstance(said, TextContent)
    assert isinstance(attached, EmbeddedResource)
    assert (said.text, attached.resource.uri) == ("Review the note first.", "note:///first")


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("review_notes", {}, "not_found"),
        ("review_note", {}, "invalid_argument"),
        ("review_note", {"name": "first", "tone": "kind"}, "invalid_argument"),
        ("review_note", {"name": "absent"}, "not_found"),
    ],
)
async def test_a_prompt_asked_for_wrongly_is_a_protocol_error_with_a_code(
    era: str, name: str, arguments: dict[str, str], code: str
) -> None:
    async with connected(server_with(), era) as client:
        with pytest.raises(MCPError) as caught:
            await client.get_prompt(name, arguments)
    assert error_of(caught.value.error.data)["code"] == code


# Completion

NOTE = ResourceTemplateReference(uri="note:///{name}")
REVIEW = PromptReference(name="review_note")


@pytest.mark.parametrize("reference", [NOTE, REVIEW])
async def test_a_value_is_completed(era: str, reference: Any) -> None:
    async with connected(server_with(), era) as client:
        completion = (await client.complete(reference, {"name": "name", "value": "f"})).completion
    assert (completion.values, completion.has_more) == (["first"], False)


@pytest.mark.parametrize(("count", "more"), [(100, False), (101, True)])
async def test_at_most_a_hundred_values_are_given_and_more_are_announced(era: str, count: int, more: bool) -> None:  # noqa: FBT001
    async with connected(server_with(many(count)), era) as client:
        completion = (await client.complete(NOTE, {"name": "name", "value": ""})).completion
    assert (len(completion.values), completion.has_more) == (100, more)


@pytest.mark.parametrize(
    ("reference", "argument", "code"),
    [
        (NOTE, "nam", "invalid_argument"),
        (ResourceTemplateReference(uri="note:///{x}"), "x", "not_found"),
        (PromptReference(name="review"), "name", "not_found"),
    ],
)
async def test_what_cannot_be_completed_is_a_protocol_error_with_a_code(
    era: str, reference: Any, argument: str, code: str
) -> None:
    async with connected(server_with(), era) as client:
        with pytest.raises(MCPError) as caught:
            await client.complete(reference, {"name": argument, "value": ""})
    assert error_of(caught.value.error.data)["code"] == code


async def test_an_expected_failure_inside_a_task_group_keeps_its_text(era: str) -> None:
    async def grouped(call: Call[Notes]) -> Records:
        """Fail in a task group."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
        return Records(columns=[], rows=[])

    async def fail() -> None:
        raise Conflict("The note has changed.")

    server = build_server(Settings())
    server.add_tool(grouped, title="x", annotations=READ_ONLY)
    async with connected(server, era) as client:
        result = await client.call_tool("grouped", {})
    assert (error_of(result.meta)["code"], text_of(result)) == ("conflict", "The note has changed.")


async def test_a_variable_of_a_resource_is_validated_as_an_argument_is(era: str) -> None:
    async def limited(call: Call[Notes], name: Annotated[str, Field(max_length=3)]) -> Document:
        """Return a short name."""
        return Document(text=name)

    server = build_server(Settings())
    server.add_resource("limited:///{name}", limited, title="x")
    async with connected(server, era) as client:
        with pytest.raises(MCPError, match="'name' must have at most 3 characters") as caught:
            await client.read_resource("limited:///four")
    assert error_of(caught.value.error.data)["code"] == "invalid_argument"
