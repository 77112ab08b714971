"""What replicas share over a real Redis."""

import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp.server.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged
from mcp_server_shared.errors import Unavailable
from mcp_server_shared.serving import redis_state
from mcp_server_shared.serving.rates import MemoryBuckets
from mcp_server_shared.serving.redis_state import RedisState
from notes.application import Running, running
from notes.network import ENVELOPE, call
from notes.redis_server import redis_in
from pydantic import SecretStr
from redis.asyncio import Redis

pytestmark = pytest.mark.anyio
KEY = b"k" * 32


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with redis_in(tmp_path_factory.mktemp("redis")) as url:
        yield url


@asynccontextmanager
async def replicas(redis: str, count: int = 2, key: bytes = KEY) -> AsyncGenerator[list[RedisState]]:
    states = [RedisState(redis, "mcp-server-notes", key) for _ in range(count)]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for state in states:
                await tasks.start(_run, state)
            yield states
            tasks.cancel_scope.cancel()


async def _run(state: RedisState, *, task_status: Any) -> None:
    async with state.running():
        task_status.started()
        await anyio.sleep_forever()


async def test_what_one_replica_keeps_another_finds(redis: str) -> None:
    async with replicas(redis) as (one, other):
        await one.store.put("kept", "value ü", 60)
        assert await other.store.get("kept") == "value ü"
        await other.store.delete("kept")
        assert await one.store.get("kept") is None


async def test_a_key_is_added_by_one_replica_only(redis: str) -> None:
    async with replicas(redis, 4) as states:
        added: list[bool] = []

        async def add(state: RedisState) -> None:
            added.append(await state.store.add("once", "x", 60))

        async with anyio.create_task_group() as tasks:
            for state in states * 5:
                tasks.start_soon(add, state)
    assert sorted(added) == [False] * 19 + [True]


async def test_what_is_kept_expires(redis: str) -> None:
    async with replicas(redis, 1) as [state]:
        await state.store.put("short", "x", 0.001)
        while await state.store.get("short") is not None:
            await anyio.lowlevel.checkpoint()


async def test_who_has_another_key_shares_nothing(redis: str) -> None:
    async with replicas(redis, 1) as [one], replicas(redis, 1, b"o" * 32) as [stranger]:
        await one.store.put("private", "x", 60)
        assert await stranger.store.get("private") is None


async def test_a_rate_is_counted_together(redis: str) -> None:
    async with replicas(redis) as (one, other):
        shared = [state.buckets("call", 0.01, 2, MemoryBuckets(0.01, 2)) for state in (one, other)]
        waits = [await buckets.take("alice") for buckets in shared * 2]
        assert await shared[0].take("bob") == 0
    assert waits[:2] == [0, 0]
    assert 90 < waits[2] <= 100


async def test_a_change_at_one_replica_is_heard_of_at_all_once(redis: str) -> None:
    async with replicas(redis, 3) as states:
        heard: list[list[ServerEvent]] = [[] for _ in states]
        for state, events in zip(states, heard, strict=True):
            state.bus.subscribe(events.append)
        while not all(heard):  # each listens as soon as it is connected
            await states[0].bus.publish(ToolsListChanged())
        await states[0].bus.publish(ResourceUpdated(uri="note:///first"))
        while not all(ResourceUpdated(uri="note:///first") in events for events in heard):
            await anyio.lowlevel.checkpoint()
    assert all(events.count(ResourceUpdated(uri="note:///first")) == 1 for events in heard)


async def test_without_redis_what_needs_it_says_so_and_the_rest_goes_on() -> None:
    state = RedisState("unix:///nowhere/redis.sock", "mcp-server-notes", KEY)
    heard: list[ServerEvent] = []
    state.bus.subscribe(heard.append)
    async with state.running():
        with pytest.raises(Unavailable, match="cannot look up"):
            await state.store.get("x")
        assert await state.buckets("call", 0.01, 1, MemoryBuckets(0.01, 1)).take("alice") == 0
        await state.bus.publish(ToolsListChanged())
    assert heard == [ToolsListChanged()]


async def test_two_replicas_behind_anything_are_one_server(redis: str) -> None:
    shared: dict[str, Any] = {"shared_state": SecretStr(redis), "state_key": SecretStr("k" * 32), "rate": 0.01}
    async with running(**shared) as one, running(**shared) as other:
        assert not (await one.post(call("read_note", name="first"))).json()["result"]["isError"]
        refused = await other.post(call("read_note", name="first"))
    assert refused.json()["result"]["_meta"]["mcp-servers/error"]["code"] == "rate_limited"


async def test_what_is_no_event_does_not_end_the_listening(redis: str) -> None:
    async with replicas(redis, 2) as (one, other):
        heard: list[ServerEvent] = []
        other.bus.subscribe(heard.append)
        stranger: Any = Redis.from_url(redis)  # pyright: ignore[reportUnknownMemberType]
        async with stranger:
            while not heard:
                for text in ("{", "[]", "[1, 2, 3, 4]", '["x", "Unknown", null]', "\xff"):
                    await stranger.publish(one.bus.channel, text)
                await one.bus.publish(ToolsListChanged())


async def test_while_redis_is_away_callers_do_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_state, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(redis_state, "RETRY_S", 3_600)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        state = RedisState(f"redis://127.0.0.1:{silent.getsockname()[1]}", "mcp-server-notes", KEY)
        async with state.running():
            buckets = state.buckets("call", 0.01, 20, MemoryBuckets(0.01, 20))
            assert [await buckets.take("alice") for _ in range(20)] == [0] * 20
        silent.setblocking(False)  # noqa: FBT003
        connections = 0
        with suppress(BlockingIOError):
            while silent.accept()[0].close() is None:
                connections += 1
    assert connections <= 2  # of the listener, and of the first call


async def test_an_agreement_is_good_for_one_call_at_all_replicas(redis: str) -> None:
    shared: dict[str, Any] = {"shared_state": SecretStr(redis), "state_key": SecretStr("k" * 32)}

    async def delete(replica: Running, **answer: Any) -> dict[str, Any]:
        message = call("delete_note", name="first")
        message["params"] |= answer
        message["params"]["_meta"] = ENVELOPE | {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
        return (await replica.post(message)).json()["result"]

    async with running(**shared) as one, running(**shared) as other:
        state = (await delete(one))["requestState"]
        agreed = {
            "requestState": state,
            "inputResponses": {"confirm": {"action": "accept", "content": {"confirm": True}}},
        }
        assert not (await delete(other, **agreed))["isError"]
        assert (await delete(one, **agreed))["resultType"] == "input_required"
