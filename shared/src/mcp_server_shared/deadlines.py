"""What takes too long: calls past their deadline, requests that it is time to look after."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class Deadlines(Generic[KeyT]):
    """Tells what still runs after a fixed time; on one event loop.

    One timer serves all, set for the oldest: a timer for each would cost a quick call more than all else that is done
    for its deadline.

    Args:
        after_s: how long something may run.
        late: what is done with it then.
    """

    def __init__(self, after_s: float, late: Callable[[KeyT], object]) -> None:
        self._after_s = after_s
        self._late = late
        self._ends: dict[KeyT, float] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def start(self, key: KeyT) -> float:
        """Begin to count for something, until `stop`; return when it is late, by the clock of the event loop."""
        end = self._ends[key] = time.monotonic() + self._after_s
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(end, self._look)
        return end

    def stop(self, key: KeyT) -> None:
        """Count no more."""
        self._ends.pop(key, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._ends:
            key, end = next(iter(self._ends.items()))
            if end > loop.time():
                self._timer = loop.call_at(end, self._look)
                return
            del self._ends[key]
            self._late(key)
