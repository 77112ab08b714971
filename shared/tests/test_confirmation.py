"""Confirmation: nothing is done before a person, or the operator beforehand, has agreed to exactly that."""

import hashlib
import math
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, ErrorData, InputRequiredResult
from mcp.types.jsonrpc import JSONRPCRequest, JSONRPCResponse
from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server
from notes.client import ERAS, connected, error_of, text_of
from notes.server import Notes, Settings, build_server

pytestmark = pytest.mark.anyio
in_both_eras = pytest.mark.parametrize("era", ERAS)

AGREED = ElicitResult(action="accept", content={"confirm": True})
NOT_AGREED = [
    ElicitResult(action="decline"),
    ElicitResult(action="cancel"),
    ElicitResult(action="accept", content={"confirm": False}),
    ElicitResult(action="accept", content={"confirm": "true"}),
    ElicitResult(action="accept", content={}),
    ElicitResult(action="accept"),
    ElicitResult(action="decline", content={"confirm": True}),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Person:
    """Answers every question in the same way, and remembers them."""

    def __init__(self, answer: ElicitResult) -> None:
        self.answer = answer
        self.asked: list[ElicitRequestParams] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Answer one question."""
        self.asked.append(params)
        return self.answer


def server_with(notes: Notes | None = None, *confirm: str, **settings: Any) -> Server[Notes]:
    return build_server(Settings(allow_write=True, confirm=confirm or ("ask",), **settings), notes)


async def delete(era: str, notes: Notes, person: Person | None, *confirm: str) -> CallToolResult:
    async with connected(server_with(notes, *confirm), era, elicitation_callback=person) as client:
        return await client.call_tool("delete_note", {"name": "first"})


# The answer


@in_both_eras
async def test_what_a_person_agreed_to_is_done(era: str) -> None:
    notes = Notes()
    result = await delete(era, notes, Person(AGREED))
    assert (result.is_error, "first" in notes.texts) == (False, False)


@in_both_eras
@pytest.mark.parametrize("answer", NOT_AGREED)
async def test_what_a_person_did_not_agree_to_is_not_done(era: str, answer: ElicitResult) -> None:
    notes = Notes()
    result = await delete(era, notes, Person(answer))
    assert error_of(result.meta) == {"code": "confirmation_required", "retryable": False}
    assert "first" in notes.texts


@in_both_eras
async def test_the_person_reads_once_what_will_happen_to_what(era: str) -> None:
    person = Person(AGREED)
    await delete(era, Notes(), person)
    assert [params.message for params in person.asked] == ["Delete the note first?"]


@in_both_eras
async def test_what_does_not_exist_is_not_asked_about(era: str) -> None:
    person = Person(AGREED)
    result = await delete(era, Notes(texts={}), person)
    assert (error_of(result.meta)["code"], person.asked) == ("not_found", [])


# Clients that cannot ask


@in_both_eras
async def test_a_client_that_cannot_ask_gets_an_error_that_names_the_operators_flag(era: str) -> None:
    notes = Notes()
    result = await delete(era, notes, None)
    assert error_of(result.meta)["code"] == "confirmation_required"
    assert text_of(result).endswith("The operator can decide beforehand by --confirm delete=never.")
    assert "first" in notes.texts


async def test_a_client_that_fails_to_ask_is_told_that_confirmation_is_required() -> None:
    notes = Notes()

    async def no_screen(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:
        return ErrorData(code=-1, message="no screen")

    async with connected(server_with(notes), "legacy", elicitation_callback=no_screen) as client:
        result = await client.call_tool("delete_note", {"name": "first"})
    assert (error_of(result.meta)["code"], "first" in notes.texts) == ("confirmation_required", True)


@pytest.mark.parametrize(("declared", "asked"), [({}, True), ({"form": {}, "url": {}}, True), ({"url": {}}, False)])
async def test_a_client_that_shows_web_pages_alone_is_not_asked(declared: dict[str, Any], asked: bool) -> None:  # noqa: FBT001
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": declared},
    }
    params = {"name": "delete_note", "arguments": {"name": "first"}, "_meta": envelope}
    to_server, requests = anyio.create_memory_object_stream[SessionMessage | Exception](1)
    answers, from_server = anyio.create_memory_object_stream[SessionMessage](1)
    server = server_with()
    async with to_server, from_server, anyio.create_task_group() as tasks:
        tasks.start_soon(server.run, requests, answers, server.create_initialization_options())
        await to_server.send(SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=1, method="tools/call", params=params)))
        answer = (await from_server.receive()).message
        assert isinstance(answer, JSONRPCResponse)
        assert (answer.result.get("resultType") == "input_required") == asked
        tasks.cancel_scope.cancel()


# What the operator decided


@in_both_eras
@pytest.mark.parametrize("confirm", [("never",), ("delete=never",), ("refuse", "delete=never")])
@pytest.mark.parametrize("answer", [None, NOT_AGREED[0]])
async def test_what_the_operator_never_wants_confirmed_is_done_unasked(
    era: str, confirm: tuple[str, ...], answer: ElicitResult | None
) -> None:
    notes = Notes()
    await delete(era, notes, answer and Person(answer), *confirm)
    assert "first" not in notes.texts


@in_both_eras
@pytest.mark.parametrize("confirm", [("refuse",), ("delete=refuse",), ("never", "delete=refuse")])
async def test_what_the_operator_refuses_is_not_done_and_nobody_is_asked(era: str, confirm: tuple[str, ...]) -> None:
    notes, person = Notes(), Person(AGREED)
    result = await delete(era, notes, person, *confirm)
    assert (error_of(result.meta)["code"], person.asked) == ("confirmation_required", [])
    assert "first" in notes.texts


# Time


async def test_the_deadline_pauses_while_a_person_thinks() -> None:
    calls: list[Call[Notes]] = []
    remaining: list[float] = []

    async def careful(call: Call[Notes]) -> Records:
        """Ask."""
        calls.append(call)
        await call.confirm("delete", "Sure?")
        remaining.append(call.remaining_s())
        return Records(columns=[], rows=[])

    async def person(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        remaining.append(calls[0].remaining_s())
        return AGREED

    server = server_with(deadline_s=30)
    server.add_tool(careful, title="x", annotations=READ_ONLY)
    async with connected(server, "legacy", elicitation_callback=person) as client:
        await client.call_tool("careful")
    thinking, afterwards = remaining
    assert (thinking, 0 < afterwards <= 30) == (math.inf, True)


async def test_a_call_cancelled_while_a_person_thinks_does_nothing() -> None:
    notes, asked = Notes(), anyio.Event()

    async def person(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.set()
        await anyio.sleep_forever()
        return AGREED

    async with connected(server_with(notes), "legacy", elicitation_callback=person) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "delete_note", {"name": "first"})
            await asked.wait()
            tasks.cancel_scope.cancel()
        assert not (await client.call_tool("read_note", {"name": "first"})).is_error


# The two rounds of 2026-07-28: what a client sends may be forged by it, or carried over from elsewhere


Round = CallToolResult | InputRequiredResult


def manual(notes: Notes) -> AbstractAsyncContextManager[Client]:
    """Connect a client whose rounds are played by hand."""
    return connected(server_with(notes), "2026-07-28", elicitation_callback=Person(AGREED))


async def ask(client: Client, name: str = "first", tool: str = "delete_note") -> str:
    """Play the first round and return its state."""
    asked = await client.session.call_tool(tool, {"name": name}, allow_input_required=True)
    assert isinstance(asked, InputRequiredResult)
    assert asked.request_state is not None
    return asked.request_state


async def agree(client: Client, state: str | None, name: str = "first") -> Round:
    """Play the second round with any state."""
    return await client.session.call_tool(
        "delete_note",
        {"name": name},
        input_responses={"confirm": AGREED},
        request_state=state,
        allow_input_required=True,
    )


async def test_the_first_round_does_nothing() -> None:
    notes = Notes()
    async with manual(notes) as client:
        await ask(client)
    assert "first" in notes.texts


async def test_an_answer_with_the_state_of_its_question_is_taken() -> None:
    notes = Notes()
    async with manual(notes) as client:
        await agree(client, await ask(client))
    assert "first" not in notes.texts


async def test_an_answer_is_good_for_one_call() -> None:
    notes = Notes()
    async with manual(notes) as client:
        state = await ask(client)
        await agree(client, state)
        notes.texts["first"] = "new"
        again = await agree(client, state)
        assert (isinstance(again, InputRequiredResult), "first" in notes.texts) == (True, True)
        assert isinstance(again, InputRequiredResult)
        await agree(client, again.request_state)
    assert "first" not in notes.texts


async def test_an_answer_without_a_state_is_asked_for_again() -> None:
    notes = Notes()
    async with manual(notes) as client:
        assert isinstance(await agree(client, None), InputRequiredResult)
    assert "first" in notes.texts


@pytest.mark.parametrize("state", ["", "x", hashlib.sha256(b"Delete the note first?").hexdigest(), "v1.AAAA"])
async def test_an_answer_with_a_forged_state_is_refused(state: str) -> None:
    notes = Notes()
    async with manual(notes) as client:
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await agree(client, state)
    assert "first" in notes.texts


async def test_an_answer_with_an_altered_state_is_refused() -> None:
    async with manual(Notes()) as client:
        state = await ask(client)
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await agree(client, state[:-5] + ("A" if state[-5] != "A" else "B") + state[-4:])


async def test_an_answer_with_the_state_of_another_question_is_refused() -> None:
    async with manual(Notes()) as client:
        state = await ask(client, "second")
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await agree(client, state, "first")


async def test_an_answer_with_the_state_of_another_server_is_refused() -> None:
    async with manual(Notes()) as other:
        state = await ask(other)
    async with manual(Notes()) as client:
        with pytest.raises(MCPError, match="Invalid or expired requestState"):
            await agree(client, state)


async def test_an_answer_is_asked_for_again_when_the_words_have_changed_since() -> None:
    words = iter(["Delete 1 note?", "Delete 2 notes?"])
    done: list[str] = []

    async def careful(call: Call[Notes], name: str) -> Records:
        """Ask."""
        await call.confirm("delete", next(words))
        done.append(name)
        return Records(columns=[], rows=[])

    server = server_with()
    server.add_tool(careful, title="x", annotations=READ_ONLY)
    async with connected(server, "2026-07-28", elicitation_callback=Person(AGREED)) as client:
        state = await ask(client, tool="careful")
        second = await client.session.call_tool(
            "careful",
            {"name": "first"},
            input_responses={"confirm": AGREED},
            request_state=state,
            allow_input_required=True,
        )
    assert (isinstance(second, InputRequiredResult), done) == (True, [])


@in_both_eras
async def test_a_tool_may_ask_two_questions(era: str) -> None:
    done: list[str] = []

    async def careful(call: Call[Notes]) -> Records:
        """Ask twice."""
        await call.confirm("delete", "Delete the note?")
        await call.confirm("delete", "And its history?")
        done.append("deleted")
        return Records(columns=[], rows=[])

    server = server_with()
    server.add_tool(careful, title="x", annotations=READ_ONLY)
    person = Person(AGREED)
    async with connected(server, era, elicitation_callback=person) as client:
        await client.call_tool("careful", {})
    assert (done, len(person.asked)) == (["deleted"], 2)
