"""How much and how often: for all, for one caller, and of the transport itself."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from mcp_server_shared.errors import RateLimited
from mcp_server_shared.limits import Limits
from mcp_server_shared.serving import pressure, streamable_http
from mcp_server_shared.serving.rates import MemoryBuckets
from mcp_server_shared.serving.tokens import new_token
from notes.application import URL, Running, running
from notes.client import connected, error_of, until
from notes.network import INITIALIZE, JSON, call, headers_for
from notes.server import Notes, Settings, build_server

pytestmark = pytest.mark.anyio
READ = call("read_note", name="first")
WAIT = call("wait")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    made = {name: new_token(name, ["read"], None) for name in ("alice", "bob")}
    (tmp_path / "tokens").write_text("\n".join(line for _, line in made.values()), encoding="utf-8")
    return {name: token for name, (token, _) in made.items()}


def error_in(response: httpx2.Response) -> dict[str, Any]:
    return error_of(response.json()["result"]["_meta"])


async def test_limits_are_per_caller_and_for_all() -> None:
    limits = Limits(3, 2)
    await limits.enter("alice")
    await limits.enter("alice")
    with pytest.raises(RateLimited, match="of one caller"):
        await limits.enter("alice")
    await limits.enter("bob")
    with pytest.raises(RateLimited, match="runs 3 calls at a time"):
        await limits.enter("carol")
    limits.leave("alice")
    await limits.enter("alice")


async def test_a_bucket_empties_and_fills() -> None:
    buckets = MemoryBuckets(1_000_000, burst=2)
    slow = MemoryBuckets(0.001, burst=2)
    assert [await buckets.take("a") for _ in range(2)] == [0, 0]
    assert [await slow.take("a") for _ in range(2)] == [0, 0]
    assert 900 < await slow.take("a") <= 1_000
    assert await slow.take("b") == 0


async def test_calls_in_flight_are_limited_without_a_network_too() -> None:
    notes = Notes()
    server = build_server(Settings(max_calls=1), notes)
    async with connected(server, "2026-07-28") as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "wait")
        await until(lambda: notes.started)
        result = await client.call_tool("read_note", {"name": "first"})
        assert error_of(result.meta) == {"code": "rate_limited", "retryable": True, "retry_after_s": 1.0}
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def waiting(server: Running, token: str | None = None) -> AsyncGenerator[None]:
    """Have one call run that does not end."""

    async def wait() -> None:
        while True:  # until it gets a place
            await server.post(WAIT, token)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        yield
        tasks.cancel_scope.cancel()


async def refusal(server: Running, token: str | None = None) -> httpx2.Response:
    """Read until that fails, as it does once the waiting call has its place."""
    while True:
        response = await server.post(READ, token)
        if response.status_code != 200 or response.json()["result"].get("isError"):
            return response
        await anyio.lowlevel.checkpoint()


async def test_one_caller_does_not_take_the_places_of_others(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with running(tokens=tmp_path / "tokens", max_calls_per_caller=1) as server, waiting(server, tokens["alice"]):
        assert error_in(await refusal(server, tokens["alice"]))["code"] == "rate_limited"
        assert not (await server.post(READ, tokens["bob"])).json()["result"]["isError"]


async def test_who_calls_too_often_is_told_when_to_come_back() -> None:
    async with running(rate=0.01) as server:
        assert not (await server.post(READ)).json()["result"]["isError"]
        refused = error_in(await server.post(READ))
    assert refused["code"] == "rate_limited"
    assert 90 < refused["retry_after_s"] <= 100


async def test_what_goes_far_beyond_is_refused_by_the_transport() -> None:
    async with running(rate=0.01) as server:
        responses = [await server.post(call("no such tool")) for _ in range(5)]
    assert responses[-1].status_code == 429
    assert int(responses[-1].headers["retry-after"]) >= 1


async def test_one_caller_has_so_many_requests_open_and_no_more(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_server_shared.serving.application.TIMES_THE_CALLS", 1)
    async with running(tokens=tmp_path / "tokens", max_calls_per_caller=1) as server, waiting(server, tokens["alice"]):
        assert (await refusal(server, tokens["alice"])).status_code == 429


async def test_one_caller_has_so_many_sessions_and_leaves_the_others_theirs(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamable_http, "MOST_SESSIONS_OF_A_CALLER", 2)
    statuses: list[int] = []
    async with running(tokens=tmp_path / "tokens", stateful=True) as server:
        for name in ("alice", "alice", "alice", "bob"):
            async with server.http(tokens[name]) as http:
                statuses.append((await http.post(URL, json=INITIALIZE, headers=JSON)).status_code)
    assert statuses == [200, 200, 503, 200]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "sent in chunks"])
async def test_a_body_too_large_is_refused(declared: bool) -> None:  # noqa: FBT001
    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield b" " * 1_000

    settings = Settings(max_message_bytes=10_000, transport="http")
    async with running(settings) as server, server.http() as http:
        content = b" " * 100_000 if declared else chunks()
        assert (await http.post(URL, content=content, headers=JSON)).status_code == 413


async def test_a_body_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure, "BODY_S", 0.01)

    async def endless() -> AsyncGenerator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    async with running() as server, server.http() as http:
        assert (await http.post(URL, content=endless(), headers=headers_for(READ))).status_code == 408


async def test_one_caller_has_so_many_bytes_of_bodies_open(tmp_path: Path, tokens: dict[str, str]) -> None:
    whole = json.dumps(READ).encode().ljust(9_000)

    async def in_parts(*, ends: bool) -> AsyncGenerator[bytes]:
        yield whole[:8_900]
        if not ends:
            await anyio.sleep_forever()
        yield whole[8_900:]

    async def send(token: str, *, ends: bool = True) -> int:
        async with server.http() as http:
            return (
                await http.post(URL, content=in_parts(ends=ends), headers=headers_for(READ, token), timeout=None)
            ).status_code

    async def hold() -> None:
        while await send(tokens["alice"], ends=False) == 429:  # until there is room
            await anyio.lowlevel.checkpoint()

    settings = Settings(max_message_bytes=10_000, transport="http")
    async with running(settings, tokens=tmp_path / "tokens") as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(hold)
            while (status := await send(tokens["alice"])) == 200:
                await anyio.lowlevel.checkpoint()
            assert (status, await send(tokens["bob"])) == (429, 200)
            tasks.cancel_scope.cancel()
        assert await send(tokens["alice"]) == 200
