"""The browser server beside `playwright mcp` with 1, 10 and 100 pages open: their memory, and a click on the last."""

import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from client import ServerFailed, StdioClient

from comparisons import Comparison, Growth
from comparisons.browser import (
    CLICKS,
    OURS,
    PAGES,
    TIMEOUT_S,
    Side,
    both_sides,
    memory_mb,
    milliseconds_since,
    reference_of,
)

OPEN = 1, 10, 100
PAGE = "middle"


def compare(rounds: int) -> Comparison:
    """Measure both sides in turn, in the same Chromium; the first round fills caches and does not count."""
    growth: Growth = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    skipped: dict[str, str] = {}
    with both_sides(skipped) as (sides, site):
        for number in range(rounds + 1):
            for name, side in sides.items():
                if name in skipped:
                    continue
                try:
                    for pages, measure, value in _measure(side, f"{site}/{PAGE}.html", OPEN if number else OPEN[:1]):
                        if number:
                            growth[measure][name][pages].append(value)
                except ServerFailed as error:
                    skipped[name] = str(error)
    for measured in growth.values():
        for name in skipped:
            measured.pop(name, None)
    return Comparison(OURS, {}, skipped, growth)


def _measure(side: Side, url: str, sizes: tuple[int, ...]) -> Iterator[tuple[int, str, float]]:
    """Yield how many pages are open, what is measured, and the figure."""
    with StdioClient(side.command, "handshake", TIMEOUT_S) as client:
        client.open()
        page, pages = side.open(client, url), 1
        for size in sizes:
            last = page
            while pages < size:
                last, pages = side.beside(client, page, url), pages + 1
            reference, took = reference_of(side.snapshot(client, last), PAGES[PAGE][1]), list[float]()
            for _ in range(CLICKS):
                started = time.perf_counter()
                side.click(client, last, reference)
                took.append(milliseconds_since(started))
            yield size, "click with so many pages open (ms)", median(took)
            yield size, "memory of so many pages, each (MB)", memory_mb(client.pid) / size
