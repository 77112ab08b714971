"""What stands under a name: its type, size and time, learned without following or opening it."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mcp_server_filesystem.by_path import DIRECTORY, is_link
from mcp_server_filesystem.handles import fstatat, is_directory, readlinkat, scandir

Checkpoint = Callable[[], None]
EntryType = Literal["file", "directory", "symlink", "fifo", "socket", "device"]

ENTRIES_BETWEEN_CHECKPOINTS = 4_096

# Neither waits for a writer of a FIFO nor takes over a terminal: what is opened is looked at afterwards.
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
LIST = os.O_RDONLY | DIRECTORY

_TYPES: dict[int, EntryType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True)
class Entry:
    """One name in a directory.

    Attributes:
        name: the name; bytes that are not UTF-8 stand as lone surrogates (`os.fsencode` gives them back).
        type: what it is; a link is never followed.
        size: bytes of a file; None for everything else.
        modified: time of the last change, ISO 8601 in UTC; None if out of range.
        target: what a symlink says it leads to.
    """

    name: str
    type: EntryType
    size: int | None
    modified: str | None
    target: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What an entry has to be; None where it does not matter.

    Attributes:
        type: what it is.
        min_bytes: the least size, of a file.
        max_bytes: the most, of a file.
        modified_after: a time; it was changed later, by a second at least.
    """

    type: EntryType | None = None
    min_bytes: int | None = None
    max_bytes: int | None = None
    modified_after: datetime | None = None

    def fits(self, entry: Entry) -> bool:
        """Tell whether an entry is wanted."""
        if self.min_bytes is not None and (entry.size is None or entry.size < self.min_bytes):
            return False
        if self.max_bytes is not None and (entry.size is None or entry.size > self.max_bytes):
            return False
        if self.modified_after is not None:
            return entry.modified is not None and datetime.fromisoformat(entry.modified) > self.modified_after
        return True


def never_stop() -> None:
    """Go on: the checkpoint of a call that nobody can cancel."""


def entry_names(directory: int, checkpoint: Checkpoint) -> Iterator[str]:
    """Yield the names in an open directory, in no order."""
    for entry in _scanned(directory, checkpoint):
        yield entry.name


def entry_types(directory: int, checkpoint: Checkpoint) -> Iterator[tuple[str, EntryType]]:
    """Yield the names in an open directory, in no order, with what they are."""
    for entry in _scanned(directory, checkpoint):
        if entry.is_file(follow_symlinks=False):
            yield entry.name, "file"
        elif is_directory(entry):
            yield entry.name, "directory"
        elif entry.is_symlink():
            yield entry.name, "symlink"
        elif found := entry_of(directory, entry.name):
            yield entry.name, found.type


def entry_of(directory: int, name: str) -> Entry | None:
    """Return what an open directory holds under a name, or None if it has gone."""
    try:
        status = fstatat(directory, name)
        kind = type_of(status)
        target = readlinkat(directory, name) if kind == "symlink" else None
    except OSError:
        return None
    return Entry(name, kind, status.st_size if kind == "file" else None, time_of(status), target)


def type_of(status: os.stat_result) -> EntryType:
    """Return what a status is of."""
    return "symlink" if is_link(status) else _TYPES.get(stat.S_IFMT(status.st_mode), "device")


def time_of(status: os.stat_result) -> str | None:
    """Return the time of the last change, ISO 8601 in UTC; None if out of range."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):  # some file systems hold years beyond 9999
        return None


def _scanned(directory: int, checkpoint: Checkpoint) -> Iterator["os.DirEntry[str]"]:
    with scandir(directory) as entries:
        for number, entry in enumerate(entries):
            if number % ENTRIES_BETWEEN_CHECKPOINTS == 0:
                checkpoint()
            yield entry
