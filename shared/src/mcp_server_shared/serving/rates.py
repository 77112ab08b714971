"""How often: a token bucket for each caller, in this process or shared over Redis."""

import time
from collections import OrderedDict
from typing import Protocol

from mcp_server_shared.errors import RateLimited
from mcp_server_shared.limits import Limits

BURST_S = 2.0  # what a caller has not used for so long may come at once
MOST_CALLERS = 10_000


class Buckets(Protocol):
    """A bucket for each key, which fills at a rate."""

    async def take(self, key: str) -> float:
        """Take one from a bucket; return 0, or when it is empty in how many seconds there will be one."""
        ...


def burst_of(rate: float) -> float:
    """Return how many calls a caller may make at once who may make `rate` a second."""
    return max(1.0, rate * BURST_S)


class MemoryBuckets:
    """Buckets of this process; those least used are forgotten first, which fills them.

    Args:
        rate: how many a second come into each.
        burst: how many one holds.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, and when it was that

    async def take(self, key: str) -> float:
        """See `Buckets`."""
        now = time.monotonic()
        level, then = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        enough = level >= 1
        self._buckets[key] = (level - 1 if enough else level, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1 - level) / self._rate


class RatedLimits(Limits):
    """Also limits how often one caller may call."""

    def __init__(self, most: int, most_of_a_caller: int, buckets: Buckets) -> None:
        super().__init__(most, most_of_a_caller)
        self._buckets = buckets

    async def enter(self, caller: str) -> None:
        """See `Limits`."""
        wait_s = await self._buckets.take(caller)
        if wait_s > 0:
            raise RateLimited(
                "This caller calls too often.",
                hint=f"Call again in {wait_s:.1f} seconds.",
                retry_after_s=wait_s,
            )
        await super().enter(caller)
