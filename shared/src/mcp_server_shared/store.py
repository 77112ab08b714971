"""What a server remembers of its callers for a while: small texts under keys that expire."""

import time
from collections import OrderedDict
from typing import Protocol

MOST_ENTRIES = 100_000


class Store(Protocol):
    """Keeps texts until they expire. Replicas share one; then a key set in one is seen by all."""

    async def get(self, key: str) -> str | None:
        """Return what is kept under a key; None when there is nothing, or no longer."""
        ...

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """Keep a value for `ttl_s` seconds, in place of what was there."""
        ...

    async def add(self, key: str, value: str, ttl_s: float) -> bool:
        """Keep a value for `ttl_s` seconds unless the key has one; return whether it was kept. Atomic."""
        ...

    async def delete(self, key: str) -> None:
        """Forget a key."""
        ...


class MemoryStore:
    """A store that lives and dies with this process. Past `MOST_ENTRIES` the oldest entries go first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def get(self, key: str) -> str | None:
        """See `Store`."""
        return self._present(key)

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """See `Store`."""
        self._entries[key] = (time.monotonic() + ttl_s, value)
        self._entries.move_to_end(key)
        if len(self._entries) > MOST_ENTRIES:
            self._entries.popitem(last=False)

    async def add(self, key: str, value: str, ttl_s: float) -> bool:
        """See `Store`."""
        if self._present(key) is not None:
            return False
        await self.put(key, value, ttl_s)
        return True

    async def delete(self, key: str) -> None:
        """See `Store`."""
        self._entries.pop(key, None)

    def _present(self, key: str) -> str | None:
        expires, value = self._entries.get(key, (0.0, ""))
        if expires > time.monotonic():
            return value
        self._entries.pop(key, None)
        return None
