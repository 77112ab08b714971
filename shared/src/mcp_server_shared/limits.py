"""How many calls run at a time."""

import anyio

from mcp_server_shared.errors import RateLimited

RETRY_AFTER_S = 1.0


class Limits:
    """Admits calls while there is room; what there is no room for is refused at once, not queued.

    Args:
        most: calls at a time.
        most_of_a_caller: of them, those of one caller; None for no such limit.
    """

    def __init__(self, most: int, most_of_a_caller: int | None = None) -> None:
        self._most = most
        self._most_of_a_caller = most_of_a_caller or most
        self._running: dict[str, int] = {}
        self._total = 0
        self._idle = anyio.Event()

    @property
    def running(self) -> int:
        """How many calls there are now."""
        return self._total

    async def enter(self, caller: str) -> None:
        """Take a place for one call; `leave` gives it back.

        Raises:
            RateLimited: there is none.
        """
        if self._total >= self._most:
            raise RateLimited(
                f"The server runs {self._most} calls at a time, and does.",
                hint="Call again in a moment.",
                retry_after_s=RETRY_AFTER_S,
            )
        running = self._running.get(caller, 0)
        if running >= self._most_of_a_caller:
            raise RateLimited(
                f"At most {self._most_of_a_caller} calls of one caller run at a time, and do.",
                hint="Wait for one of them to end.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._total += 1
        self._running[caller] = running + 1

    def leave(self, caller: str) -> None:
        """Give a place back."""
        self._total -= 1
        others = self._running.pop(caller) - 1
        if others:  # callers come and go
            self._running[caller] = others
        if not self._total:
            self._idle.set()

    async def idle(self) -> None:
        """Return when no call runs."""
        while self._total:
            self._idle = anyio.Event()
            await self._idle.wait()
