"""Where lines are in large files that were read lately, so that a far line is not looked for from the start again."""

import os
import threading
import time
from bisect import bisect_right
from collections import OrderedDict

MARK_EVERY_BYTES = 4_194_304
FILES_REMEMBERED = 32
SETTLED_AFTER_S = 2  # a file may change again within one tick of its times

_Version = tuple[int, ...]


class LineIndex:
    """Of one version of a file: places, each with the number of the line it is in. Safe to use from many threads."""

    def __init__(self) -> None:
        self._places: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def before(self, line: int) -> tuple[int, int] | None:
        """Return the last known line before one, and a place in it."""
        with self._lock:
            at = bisect_right(self._places, (line,)) - 1
            return self._places[at] if at >= 0 else None

    def add(self, line: int, byte: int) -> None:
        """Remember a place in a line, if there is none near."""
        with self._lock:
            if byte >= MARK_EVERY_BYTES + (self._places[-1][1] if self._places else 0):
                self._places.append((line, byte))


class LineIndexes:
    """Of the files read last."""

    def __init__(self) -> None:
        self._of: OrderedDict[_Version, LineIndex] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, status: os.stat_result) -> LineIndex:
        """Return what is known of the file that has this status."""
        if max(status.st_mtime, status.st_ctime) > time.time() - SETTLED_AFTER_S:
            return LineIndex()
        version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        with self._lock:
            index = self._of.setdefault(version, LineIndex())
            self._of.move_to_end(version)
            if len(self._of) > FILES_REMEMBERED:
                self._of.popitem(last=False)
        return index
