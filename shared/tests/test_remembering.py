"""What a server remembers of a caller: notes about flows, and writes that were done already."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import anyio
import pytest
from mcp_server_shared import store as store_module
from mcp_server_shared.call import Call
from mcp_server_shared.errors import Conflict, ExpectedError, InvalidArgument, Unavailable
from mcp_server_shared.idempotency import once
from mcp_server_shared.output import Records
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.store import MemoryStore
from notes.client import connected
from notes.server import Notes, Settings, build_server
from pydantic import Field

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def counting(done: list[int], *failures: Exception) -> Callable[[], Awaitable[Any]]:
    """Return a write that fails in these ways first; `done` counts the tries."""

    async def work() -> dict[str, int]:
        done.append(1)
        if len(done) <= len(failures):
            raise failures[len(done) - 1]
        return {"number": len(done)}

    return work


# The store


async def test_a_value_is_kept_until_it_is_deleted() -> None:
    store = MemoryStore()
    await store.put("a", "1", 60)
    before = await store.get("a")
    await store.delete("a")
    assert (before, await store.get("a")) == ("1", None)


async def test_a_value_is_gone_after_its_time() -> None:
    store = MemoryStore()
    await store.put("a", "1", 0)
    assert await store.get("a") is None


async def test_only_the_first_to_add_a_key_keeps_its_value() -> None:
    store = MemoryStore()
    assert [await store.add("a", value, 60) for value in "123"] == [True, False, False]
    assert await store.get("a") == "1"


async def test_an_expired_key_can_be_added_again() -> None:
    store = MemoryStore()
    await store.add("a", "1", 0)
    assert await store.add("a", "2", 60)


async def test_the_oldest_entries_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_ENTRIES", 2)
    store = MemoryStore()
    for key in "abc":
        await store.put(key, key, 60)
    assert [await store.get(key) for key in "abc"] == [None, "b", "c"]


# Writes that are done once


async def test_a_repeat_gives_the_first_answer_and_does_nothing() -> None:
    done: list[int] = []
    store = MemoryStore()
    answers = [await once(store, "slot", {"to": "x"}, counting(done)) for _ in range(3)]
    assert (answers, len(done)) == ([{"number": 1}] * 3, 1)


async def test_a_key_used_for_something_else_is_a_conflict() -> None:
    store = MemoryStore()
    await once(store, "slot", {"to": "x"}, counting([]))
    with pytest.raises(Conflict, match="other arguments"):
        await once(store, "slot", {"to": "y"}, counting([]))


async def test_a_second_call_while_the_first_runs_is_a_conflict() -> None:
    store, entered, leave = MemoryStore(), anyio.Event(), anyio.Event()

    async def slow() -> str:
        entered.set()
        await leave.wait()
        return "done"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(once, store, "slot", None, slow)
        await entered.wait()
        with pytest.raises(Conflict, match="still running"):
            await once(store, "slot", None, slow)
        leave.set()


async def test_a_write_that_certainly_failed_may_be_tried_again() -> None:
    done: list[int] = []
    store, work = MemoryStore(), counting(done, InvalidArgument("no such channel"))
    with pytest.raises(InvalidArgument):
        await once(store, "slot", {}, work)
    assert await once(store, "slot", {}, work) == {"number": 2}


@pytest.mark.parametrize("failure", [Unavailable("reset"), RuntimeError("surprise")])
async def test_a_write_that_ended_in_doubt_is_never_repeated(failure: Exception) -> None:
    done: list[int] = []
    store, work = MemoryStore(), counting(done, failure)
    with pytest.raises(type(failure)):
        await once(store, "slot", {}, work)
    with pytest.raises(Conflict, match="without saying whether"):
        await once(store, "slot", {}, work)
    assert len(done) == 1


async def test_a_cancelled_write_is_never_repeated() -> None:
    store, entered = MemoryStore(), anyio.Event()

    async def hang() -> None:
        entered.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(once, store, "slot", None, hang)
        await entered.wait()
        tasks.cancel_scope.cancel()
    with pytest.raises(Conflict):
        await once(store, "slot", None, hang)


# As a tool uses them


async def remember(call: Call[Notes], key: Annotated[str | None, Field(description="Key.")] = None) -> Records:
    """Say whether this was noted before, note it, and write once."""
    noted = await call.noted("seen")
    await call.note("seen")

    async def write() -> int:
        call.state.started.append("write")
        return len(call.state.started)

    return Records(columns=["noted", "written"], rows=[[noted, await call.once(key, write)]], untrusted=False)


async def test_a_note_is_there_in_the_callers_next_call() -> None:
    assert await rows_of_calls({}, {}) == [[False, 1], [True, 2]]


async def test_a_call_with_the_same_key_writes_nothing() -> None:
    assert await rows_of_calls({"key": "k"}, {"key": "k"}) == [[False, 1], [True, 1]]


async def rows_of_calls(*calls: dict[str, str]) -> list[Any]:
    server = build_server(Settings())
    server.add_tool(remember, title="Remember", annotations=READ_ONLY)
    rows: list[Any] = []
    async with connected(server, "2026-07-28") as client:
        for arguments in calls:
            result = await client.call_tool("remember", arguments)
            assert result.structured_content is not None
            rows += result.structured_content["rows"]
    return rows


# Tools that the credential cannot use


async def test_a_tool_that_the_credential_cannot_use_is_not_listed() -> None:
    async def unusable(state: Notes) -> dict[str, str]:
        return {"read_note": "Add the scope notes:read."}

    async with connected(build_server(Settings(), unusable=unusable), "2026-07-28") as client:
        assert "read_note" not in [tool.name for tool in (await client.list_tools()).tools]


async def test_a_tool_that_the_credential_cannot_use_says_what_is_missing() -> None:
    async def unusable(state: Notes) -> dict[str, str]:
        return {"read_note": "Add the scope notes:read."}

    async with connected(build_server(Settings(), unusable=unusable), "2026-07-28") as client:
        await client.list_tools()
        result = await client.call_tool("read_note", {"name": "first"})
    assert "Add the scope notes:read." in json.dumps(result.model_dump(mode="json"))


async def test_everything_is_listed_when_the_upstream_does_not_say_what_the_credential_can_do() -> None:
    async def unusable(state: Notes) -> dict[str, str]:
        raise ExpectedError("down")

    async with connected(build_server(Settings(), unusable=unusable), "2026-07-28") as client:
        assert "read_note" in [tool.name for tool in (await client.list_tools()).tools]
