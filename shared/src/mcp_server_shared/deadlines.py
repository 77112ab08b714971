"""When calls end that take too long."""

import asyncio
import time

from anyio import CancelScope


class Deadlines:
    """Cancels scopes that still run after a fixed time; entered and left on one event loop.

    One timer serves all of them, set for the oldest: a timer for each would cost a quick call more than all else that
    is done for its deadline.

    Args:
        after_s: how long a scope may run.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._ends: dict[CancelScope, float] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None

    def start(self, scope: CancelScope) -> float:
        """Begin to count for a scope, until `stop`; return when it is cancelled, by the clock of the event loop."""
        end = self._ends[scope] = time.monotonic() + self._after_s
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(end, self._look)
        return end

    def stop(self, scope: CancelScope) -> None:
        """Count no more."""
        self._ends.pop(scope, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._ends:
            scope, end = next(iter(self._ends.items()))
            if end > loop.time():
                self._timer = loop.call_at(end, self._look)
                return
            del self._ends[scope]
            scope.cancel("deadline exceeded")
