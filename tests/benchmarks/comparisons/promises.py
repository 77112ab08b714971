"""What our promises cost a call: the same tools bare on the SDK and as we serve them, over the same transport."""

import sys
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Any

from client import Era, StdioClient

from comparisons import Comparison, taken_in_turn

BARE, OURS = "bare tool, our stdio", "the same, all promises"
_SERVERS = Path(__file__).parents[1] / "servers"
_SIDES = {BARE: "bare.py", OURS: "promising.py"}
_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "no-op": ("nothing", {}),
    "10 rows": ("rows", {"count": 10}),
    "100 rows": ("rows", {"count": 100}),
}
_ERAS: tuple[Era, ...] = ("handshake", "modern")
WARM_UP_CALLS = 100
SEQUENTIAL_CALLS = 500
CONCURRENT_CALLS, IN_FLIGHT = 1_500, 32


def compare(rounds: int, *, calls: int = SEQUENTIAL_CALLS, concurrent: int = CONCURRENT_CALLS) -> Comparison:
    """Call each tool so many times one after the other, and so many times with 32 unanswered."""
    skipped: dict[str, str] = {}
    sides = {
        side: partial(_round, (sys.executable, str(_SERVERS / script)), calls, concurrent)
        for side, script in _SIDES.items()
    }
    return Comparison(BARE, taken_in_turn(sides, rounds, skipped), skipped)


def _round(command: tuple[str, ...], calls: int, concurrent: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    for era in _ERAS:
        with StdioClient(command, era) as client:
            client.open()
            for name, (tool, arguments) in _CALLS.items():
                client.call_latencies(tool, WARM_UP_CALLS, arguments)
                latencies = client.call_latencies(tool, calls, arguments)
                figures[f"{name}, {era}, p50 (us)"] = quantiles(latencies, n=100)[49] * 1e6
                figures[f"{name}, {era}, {IN_FLIGHT} in flight (calls a second)"] = client.calls_per_second(
                    tool, concurrent, arguments, in_flight=IN_FLIGHT
                )
    return figures
