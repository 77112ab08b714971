"""What was fetched a short while ago, so that nobody is asked twice for the same."""

import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Cache(Generic[KeyT, ValueT]):
    """Keeps values for a while, the latest used of them.

    Args:
        ttl_s: for how long each is kept.
        most_characters: of all of them together, as `put` counts them.
    """

    def __init__(self, *, ttl_s: float, most_characters: int) -> None:
        self._ttl_s = ttl_s
        self._most = most_characters
        self._held = 0
        self._entries: OrderedDict[KeyT, tuple[float, int, ValueT]] = OrderedDict()

    def get(self, key: KeyT) -> ValueT | None:
        """Return what is kept under a key; None when there is nothing, or no longer."""
        expires, _, value = self._entries.get(key, (0.0, 0, None))
        if value is None or expires <= time.monotonic():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: KeyT, value: ValueT, characters: int) -> None:
        """Keep a value of this size; one that is larger than the whole cache is not kept."""
        self._drop(key)
        if not self._ttl_s or characters > self._most:
            return
        self._entries[key] = (time.monotonic() + self._ttl_s, characters, value)
        self._held += characters
        while self._held > self._most:
            self._drop(next(iter(self._entries)))

    def kept(self) -> list[KeyT]:
        """Return the keys of what is still kept, the latest used first."""
        now = time.monotonic()
        return [key for key, (expires, _, _) in reversed(self._entries.items()) if expires > now]

    def _drop(self, key: KeyT) -> None:
        if key in self._entries:
            self._held -= self._entries.pop(key)[1]
