"""What our promises cost a call: the same tools bare on the SDK and as we serve them, over the same transport."""

import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from client import Era, StdioClient

from comparisons import PORTIONS, Comparison, Figures, in_portions, in_rounds

BARE, OURS = "bare tool, our stdio", "the same, all promises"
_SERVERS = Path(__file__).parents[1] / "servers"
_SIDES = {BARE: "bare.py", OURS: "promising.py"}
Part = TypeVar("Part")
_Call = tuple[str, dict[str, Any]]
_CALLS: dict[str, _Call] = {
    "no-op": ("nothing", {}),
    "10 rows": ("rows", {"count": 10}),
    "100 rows": ("rows", {"count": 100}),
}
_ERAS: tuple[Era, ...] = ("handshake", "modern")
WARM_UP_CALLS = 100
SEQUENTIAL_CALLS = 500
CONCURRENT_CALLS, IN_FLIGHT = 1_500, 32


def compare(rounds: int, *, calls: int = SEQUENTIAL_CALLS, concurrent: int = CONCURRENT_CALLS) -> Comparison:
    """Call each tool so many times one after the other, and so many times with 32 unanswered, both sides in turn."""
    skipped: dict[str, str] = {}
    return Comparison(BARE, in_rounds(lambda: _round(calls, concurrent, skipped), rounds), skipped)


def _round(calls: int, concurrent: int, skipped: dict[str, str]) -> Figures:
    figures: dict[str, dict[str, list[float]]] = {side: {} for side in _SIDES}
    for era in _ERAS:
        with ExitStack() as stack:
            clients = {side: stack.enter_context(_client(script, era)) for side, script in _SIDES.items()}
            for client in clients.values():
                client.open()
            stack.enter_context(_apart(clients.values()))
            for name, call in _CALLS.items():
                for client in clients.values():
                    client.call_latencies(call[0], WARM_UP_CALLS, call[1])
                for side, latencies in in_portions(_each(clients, _latencies, call, calls), skipped).items():
                    figures[side][f"{name}, {era}, p50 (us)"] = [median(part) * 1e6 for part in latencies]
                for side, rates in in_portions(_each(clients, _rate, call, concurrent), skipped).items():
                    figures[side][f"{name}, {era}, {IN_FLIGHT} in flight (calls a second)"] = rates
    return figures


def _client(script: str, era: Era) -> StdioClient:
    return StdioClient((sys.executable, str(_SERVERS / script)), era)


@contextmanager
def _apart(clients: Iterable[StdioClient]) -> Generator[None]:
    """Keep this process on one processor and the servers, of which one is asked at a time, on another.

    Where the scheduler puts them would decide more than what is compared.
    """
    processors = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
    if sys.platform != "linux" or len(processors) == 1:
        yield
        return
    here, there, *_ = sorted(processors)
    os.sched_setaffinity(0, {here})
    for client in clients:
        os.sched_setaffinity(client.pid, {there})
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)


def _each(
    clients: dict[str, StdioClient], ask: Callable[[StdioClient, _Call, int], Part], call: _Call, calls: int
) -> dict[str, Callable[[], Part]]:
    return {side: partial(ask, client, call, calls // PORTIONS) for side, client in clients.items()}


def _latencies(client: StdioClient, call: _Call, count: int) -> list[float]:
    return client.call_latencies(call[0], count, call[1])


def _rate(client: StdioClient, call: _Call, count: int) -> float:
    return client.calls_per_second(call[0], count, call[1], in_flight=IN_FLIGHT)
