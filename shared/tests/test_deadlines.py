"""Deadlines: one timer ends everything that is late, and nothing else."""

import anyio
import pytest
from anyio import CancelScope
from mcp_server_shared.deadlines import Deadlines

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def cancel(scope: CancelScope) -> None:
    """End what runs in a scope."""
    scope.cancel()


async def overrun(deadlines: Deadlines[CancelScope]) -> None:
    """Do not return before the deadline has come."""
    with CancelScope() as scope:
        deadlines.start(scope)
        await anyio.sleep_forever()


async def test_everything_that_runs_too_long_is_cancelled() -> None:
    deadlines = Deadlines(0.01, cancel)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(overrun, deadlines)


async def test_what_starts_after_all_others_have_ended_has_a_deadline_too() -> None:
    deadlines = Deadlines(0.01, cancel)
    with anyio.fail_after(10):
        await overrun(deadlines)
        await overrun(deadlines)


async def test_what_was_stopped_goes_on_while_what_started_later_is_cancelled() -> None:
    deadlines, stopped = Deadlines(0.01, cancel), CancelScope()
    with anyio.fail_after(10), stopped:
        deadlines.start(stopped)
        deadlines.stop(stopped)
        await overrun(deadlines)
    assert not stopped.cancel_called


async def test_a_scope_may_be_stopped_after_it_was_cancelled() -> None:
    deadlines = Deadlines(0.01, cancel)
    with anyio.fail_after(10), CancelScope() as scope:
        deadlines.start(scope)
        await anyio.sleep_forever()
    deadlines.stop(scope)
    assert scope.cancelled_caught
