"""What is measured of a server. Each benchmark starts its own process and returns figures of one round."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from statistics import quantiles

from client import StdioClient, server_environment
from targets import Target

SEQUENTIAL_CALLS = 500
WARM_UP_CALLS = 50
CALLS_IN_FLIGHT = 32
CONCURRENT_CALLS = 2000

Figures = Mapping[str, float]


def cold_start(target: Target) -> Figures:
    """Milliseconds from the start of the process to the first answer to `tools/list`, opened as each era does."""
    figures: dict[str, float] = {}
    for era in target.eras:
        start = time.perf_counter()
        with StdioClient(target.command, era) as client:
            client.open()
            client.request("tools/list")
            figures[f"cold start, {era} (ms)"] = (time.perf_counter() - start) * 1e3
    return figures


def calls(target: Target) -> Figures:
    """Latency of calls one by one (microseconds), and calls a second with `CALLS_IN_FLIGHT` unanswered."""
    if target.tool is None:
        return {}
    figures: dict[str, float] = {}
    for era in target.eras:
        with StdioClient(target.command, era) as client:
            client.open()
            client.call_latencies(target.tool, WARM_UP_CALLS)
            percentiles = quantiles(client.call_latencies(target.tool, SEQUENTIAL_CALLS), n=100)
            figures[f"call p50, {era} (us)"] = percentiles[49] * 1e6
            figures[f"call p99, {era} (us)"] = percentiles[98] * 1e6
            figures[f"calls a second, {CALLS_IN_FLIGHT} in flight, {era}"] = client.calls_per_second(
                target.tool, CONCURRENT_CALLS, in_flight=CALLS_IN_FLIGHT
            )
    return figures


def list_size(target: Target) -> Figures:
    """Bytes of the answer to `tools/list` on the wire."""
    with StdioClient(target.command, "handshake") as client:
        client.open()
        return {"tools/list (bytes)": len(client.request("tools/list"))}


BENCHMARKS: Mapping[str, Callable[[Target], Figures]] = {
    "cold-start": cold_start,
    "calls": calls,
    "list-size": list_size,
}


def python_floor() -> float:
    """Milliseconds that an interpreter takes to start and end without doing anything."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True, env=server_environment())
    return (time.perf_counter() - start) * 1e3
