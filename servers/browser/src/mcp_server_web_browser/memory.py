"""How much memory a browser takes: what its processes share with nobody."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")


def memory_mb(processes: Iterable[int]) -> float:
    """Return the memory of processes and those below; 0 where the system does not tell, which is all but Linux."""
    total, below = 0, list(processes)
    while below:
        process = below.pop()
        with suppress(OSError, ValueError):  # ended meanwhile
            _, resident, shared, *_ = (_PROCESSES / str(process) / "statm").read_text().split()
            total += int(resident) - int(shared)
        below += children(process)
    return total * _page_size() / 2**20


def children(process: int) -> list[int]:
    """Return the processes that one has started."""
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROCESSES / str(process) / "task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
