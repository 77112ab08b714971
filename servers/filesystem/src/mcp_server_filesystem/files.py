"""Files and directories beneath the roots: the one place that touches the file system, synchronous throughout."""

import heapq
import mimetypes
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from mcp_server_shared.errors import InvalidArgument, TooLarge, Unsupported

from mcp_server_filesystem.confinement import Opened, Resolver, Roots, refusal
from mcp_server_filesystem.deny import DEFAULT_DENY
from mcp_server_filesystem.text import ALL_LINES, SAMPLE_BYTES, Lines, Page, Position, Tail, TextFile, detect_encoding

Checkpoint = Callable[[], None]
EntryType = Literal["file", "directory", "symlink", "fifo", "socket", "device"]

ENTRIES_BETWEEN_CHECKPOINTS = 4_096

# Neither waits for a writer of a FIFO nor takes over a terminal: what is opened is looked at afterwards.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_LIST = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_TYPES: dict[int, EntryType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_MIME_TYPES = mimetypes.MimeTypes()  # the built-in table alone: the same answers on every machine


@dataclass(frozen=True)
class AllowedDirectory:
    """One root: its absolute path, whether it can be opened now, and whether its files may be changed."""

    path: str
    exists: bool
    writable: bool = False


@dataclass(frozen=True)
class TextRead:
    """A page of a text file, with what is known about the file.

    Attributes:
        path: the absolute path, links resolved.
        size: length of the file in bytes.
        modified: time of the last change, ISO 8601 in UTC; None if out of range.
        page: the text.
    """

    path: str
    size: int
    modified: str | None
    page: Page


@dataclass(frozen=True)
class BytesRead:
    """A whole file as bytes, with the media type that its name suggests."""

    path: str
    modified: str | None
    mime_type: str
    data: bytes


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
class Listing:
    """A page of a directory, in the order of the names' code points.

    Attributes:
        path: the absolute path, links resolved.
        entries: the page.
        total: entries in the whole directory, without the denied ones.
        denied: entries left out because a deny glob closes them.
        next_after: name to go on after; None when the directory is complete.
    """

    path: str
    entries: list[Entry]
    total: int
    denied: int
    next_after: str | None


def never_stop() -> None:
    """Go on: the checkpoint of a call that nobody can cancel."""


class Files:
    """What the directories that were named hold. Safe to use from many threads.

    Every method takes a path that is absolute, or relative if there is exactly one root, and raises what
    `Roots.open` does. Long loops call `checkpoint`, which raises to stop them.
    """

    def __init__(
        self,
        directories: Sequence[str | os.PathLike[str]],
        *,
        deny: Sequence[str] = DEFAULT_DENY,
        resolver: Resolver | None = None,
    ) -> None:
        self._roots = Roots(directories, deny=deny, resolver=resolver)

    def close(self) -> None:
        """Close the roots; no call may be under way."""
        self._roots.close()

    def roots(self) -> list[AllowedDirectory]:
        """Return the directories that may be read, in the operator's order."""
        return [AllowedDirectory(root.path, root.exists()) for root in self._roots.roots]

    def read_text(
        self,
        path: str,
        part: Lines | Tail | Position = ALL_LINES,
        *,
        max_characters: int,
        checkpoint: Checkpoint = never_stop,
    ) -> TextRead:
        """Return one page of a text file.

        Args:
            path: the file.
            part: which lines, or where an earlier page said to go on.
            max_characters: the most text to return, at least 2.
            checkpoint: called between chunks while looking for a far line.

        Raises:
            InvalidArgument: it is no regular file, or the part begins after its end.
            Unsupported: it is binary.
        """
        with self._regular_file(path) as (opened, status):
            size = status.st_size

            def read(offset: int, length: int) -> bytes:
                return _read_fully(opened.handle, offset, length)

            encoding = detect_encoding(read(0, SAMPLE_BYTES), size)
            if encoding is None:
                raise Unsupported(f"{path!r} is binary ({size:,} bytes), not text.")
            page = TextFile(read, size, encoding, checkpoint).page(part, max_characters)
            return TextRead(opened.path, size, _time(status), page)

    def read_bytes(self, path: str, *, max_bytes: int) -> BytesRead:
        """Return a whole file; raise TooLarge if it has more than `max_bytes`."""
        with self._regular_file(path) as (opened, status):
            data = b"" if status.st_size > max_bytes else _read_fully(opened.handle, 0, max_bytes + 1)
            if max(status.st_size, len(data)) > max_bytes:
                size = f"{status.st_size:,} bytes" if status.st_size > max_bytes else "more"
                raise TooLarge(f"{path!r} has {size}; at most {max_bytes:,} bytes are returned.")
            mime_type = _MIME_TYPES.guess_type(opened.path)[0] or "application/octet-stream"
            return BytesRead(opened.path, _time(status), mime_type, data)

    def list_directory(
        self, path: str, *, limit: int, after: str | None = None, checkpoint: Checkpoint = never_stop
    ) -> Listing:
        """Return the first `limit` entries of a directory whose names come after `after`.

        A page depends on names alone, so nothing is repeated or skipped when the directory changes in between.
        """
        with self._roots.open(path, _LIST) as opened, _reported(path):
            denied = 0
            total = 0

            def wanted() -> Iterator[str]:
                nonlocal denied, total
                for name in _names(opened.handle, checkpoint):
                    if self._roots.denies(opened, name):
                        denied += 1
                        continue
                    total += 1
                    if after is None or name > after:
                        yield name

            names = heapq.nsmallest(limit + 1, wanted())
            entries = [entry for name in names[:limit] if (entry := _entry(opened.handle, name))]
            return Listing(opened.path, entries, total, denied, names[limit - 1] if len(names) > limit else None)

    @contextmanager
    def _regular_file(self, path: str) -> Generator[tuple[Opened, os.stat_result]]:
        with self._roots.open(path, _READ) as opened, _reported(path):
            status = os.fstat(opened.handle)
            kind = _type(status)
            if kind == "directory":
                raise InvalidArgument(f"{path!r} is a directory.", hint="Use list_directory.")
            if kind != "file":
                raise InvalidArgument(f"{path!r} is a {kind}, not a file that can be read.")
            yield opened, status


@contextmanager
def _reported(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def _read_fully(handle: int, offset: int, length: int) -> bytes:
    """Return the bytes there, fewer than `length` only at the end of the file."""
    data = os.pread(handle, length, offset)
    while data and len(data) < length:
        rest = os.pread(handle, length - len(data), offset + len(data))
        if not rest:
            break
        data += rest
    return data


def _names(directory: int, checkpoint: Checkpoint) -> Iterator[str]:
    with os.scandir(directory) as entries:
        for number, entry in enumerate(entries):
            if number % ENTRIES_BETWEEN_CHECKPOINTS == 0:
                checkpoint()
            yield entry.name


def _entry(directory: int, name: str) -> Entry | None:
    """Return what is there under that name, or None if it has gone."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        kind = _type(status)
        target = os.readlink(name, dir_fd=directory) if kind == "symlink" else None
    except OSError:
        return None
    return Entry(name, kind, status.st_size if kind == "file" else None, _time(status), target)


def _type(status: os.stat_result) -> EntryType:
    return _TYPES.get(stat.S_IFMT(status.st_mode), "device")


def _time(status: os.stat_result) -> str | None:
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):  # some file systems hold years beyond 9999
        return None
