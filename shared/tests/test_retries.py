"""Repeating requests to an upstream: when, how often, after how long, and never past the deadline."""

from collections.abc import Callable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.call import Call, CallStopped
from mcp_server_shared.errors import Conflict, DeadlineExceeded, ExpectedError, RateLimited, Unavailable
from mcp_server_shared.output import Records
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.retries import LONGEST_WAIT_S, MOST_ATTEMPTS, wait_before_retry
from notes.client import connected, error_of, until
from notes.server import Notes, Settings, build_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("error", [Conflict("no"), DeadlineExceeded("no"), ExpectedError("no")])
def test_what_would_fail_again_is_not_repeated(error: ExpectedError) -> None:
    assert wait_before_retry(error, 1, 60.0) is None


@pytest.mark.parametrize("error", [RateLimited("no"), Unavailable("no")])
def test_what_was_turned_away_is_repeated_until_there_were_enough_attempts(error: ExpectedError) -> None:
    waits = [wait_before_retry(error, attempts, 60.0) is not None for attempts in range(1, MOST_ATTEMPTS + 1)]
    assert waits == [True] * (MOST_ATTEMPTS - 1) + [False]


@given(asked=st.floats(0, LONGEST_WAIT_S), attempts=st.integers(1, MOST_ATTEMPTS - 1))
def test_the_wait_is_never_shorter_than_the_upstream_asked_for(asked: float, attempts: int) -> None:
    wait = wait_before_retry(RateLimited("no", retry_after_s=asked), attempts, 60.0)
    assert wait is not None
    assert wait > asked


def test_a_longer_wait_than_the_cap_is_left_to_the_caller() -> None:
    assert wait_before_retry(RateLimited("no", retry_after_s=LONGEST_WAIT_S + 1), 1, 60.0) is None


@given(remaining=st.floats(0, 10))
def test_no_wait_goes_past_the_deadline(remaining: float) -> None:
    wait = wait_before_retry(Unavailable("no"), 1, remaining)
    assert wait is None or wait < remaining


def failing(times: int, tried: list[int]) -> Callable[[], str]:
    """Return a request that is turned away so many times."""

    def attempt() -> str:
        tried.append(1)
        if len(tried) <= times:
            raise Unavailable("Not now.")
        return "done"

    return attempt


async def answers(call: Call[Notes]) -> Records:
    """Ask an upstream that is away once, from the loop and from a thread."""
    of_loop, of_thread = failing(1, []), failing(1, [])

    async def attempt() -> str:
        return of_loop()

    first = await call.retry(attempt)
    second = await call.in_thread(call.retry_in_thread, of_thread)
    return Records(columns=["loop", "thread"], rows=[[first, second]], untrusted=False)


async def test_a_request_that_works_the_second_time_gives_its_answer() -> None:
    server = build_server(Settings())
    server.add_tool(answers, title="Answers", annotations=READ_ONLY)
    async with connected(server, "2026-07-28") as client:
        result = await client.call_tool("answers")
    assert result.structured_content is not None
    assert result.structured_content["rows"] == [["done", "done"]]


async def test_the_last_failure_is_what_the_caller_gets() -> None:
    tried: list[int] = []

    async def never(call: Call[Notes]) -> Records:
        """Ask an upstream that stays away."""
        await call.in_thread(call.retry_in_thread, failing(10, tried))
        return Records(columns=[], rows=[])

    server = build_server(Settings())
    server.add_tool(never, title="Never", annotations=READ_ONLY)
    async with connected(server, "2026-07-28") as client:
        result = await client.call_tool("never")
    assert (error_of(result.meta)["code"], len(tried)) == ("unavailable", MOST_ATTEMPTS)


async def test_a_thread_left_behind_while_it_waits_does_not_try_again() -> None:
    tried: list[int] = []
    ended: list[type[BaseException]] = []

    async def slow(call: Call[Notes]) -> Records:
        """Ask an upstream that wants to be left alone for a while."""

        def attempt() -> None:
            tried.append(1)
            raise RateLimited("Later.", retry_after_s=9)

        def work() -> None:
            try:
                call.retry_in_thread(attempt)
            except CallStopped as stopped:
                ended.append(type(stopped))
                raise

        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await call.in_thread(work)
        return Records(columns=[], rows=[])

    scopes: list[anyio.CancelScope] = []
    server = build_server(Settings())
    server.add_tool(slow, title="Slow", annotations=READ_ONLY)
    async with connected(server, "2026-07-28") as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "slow")
        await until(lambda: tried)
        scopes[0].cancel()
        await until(lambda: ended)
    assert len(tried) == 1
