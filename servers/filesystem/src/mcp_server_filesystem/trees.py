"""Directories as a whole: looked through, copied and removed by handles, so that no link is ever followed."""

import hashlib
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from mcp_server_shared.errors import InvalidArgument, TooLarge

from mcp_server_filesystem.entries import LIST, READ, Checkpoint, type_of
from mcp_server_filesystem.handles import (
    close,
    fchmod,
    fstat,
    fstatat,
    fsync,
    futimens,
    is_directory,
    mkdirat,
    openat,
    readlinkat,
    rmdirat,
    scandir,
    symlinkat,
    unlinkat,
)
from mcp_server_filesystem.replacement import CHUNK_BYTES, take_after, write_all

MAX_DEPTH = 128  # each level keeps handles open
MAX_COPY_ENTRIES = 100_000
MAX_COPY_BYTES = 10 * 2**30

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_REMOVED_AT_A_TIME = 1_000
_NOTHING = bytes(CHUNK_BYTES)


@contextmanager
def opened(directory: int, name: str, flags: int = LIST) -> Generator[int]:
    """Open an entry of an open directory, a directory itself unless flags say otherwise; never through a link."""
    handle = openat(directory, name, flags)
    try:
        yield handle
    finally:
        close(handle)


def walk(directory: int, path: str, checkpoint: Checkpoint, depth: int = 1) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything in a directory open for listing, at any depth, each with the path of its directory."""
    require_depth(depth)
    with scandir(directory) as entries:
        for entry in entries:
            checkpoint()
            yield path, entry
            if is_directory(entry):
                with opened(directory, entry.name) as below:
                    yield from walk(below, f"{path}/{entry.name}", checkpoint, depth + 1)


def remove(directory: int, name: str, checkpoint: Checkpoint, depth: int = 0) -> None:
    """Remove an entry of an open directory, with everything in it."""
    require_depth(depth)
    checkpoint()
    if type_of(fstatat(directory, name)) != "directory":
        unlinkat(directory, name)
        return
    with opened(directory, name) as below:
        while names := _first_names(below):
            for inner in names:
                remove(below, inner, checkpoint, depth + 1)
    rmdirat(directory, name)


def require_depth(depth: int) -> None:
    """Raise TooLarge where directories are nested too deep."""
    if depth > MAX_DEPTH:
        raise TooLarge(f"It has directories nested more than {MAX_DEPTH} deep.", hint="Take a part of it at a time.")


@dataclass
class TreeCopy:
    """One copy under way, of a file, a link or a directory with what is in it.

    Attributes:
        skips: says of the path of a directory, and a name in it, whether to leave that out.
        faithful: whether owner, attributes and times come along, as for a move; else the mode alone does.
        checkpoint: raises to stop it.
        entries: how many were copied so far.
        bytes: how many bytes.
        skipped: how many entries were left out; FIFOs, sockets and devices are.
        sha256: of the last file copied, as hex digits.
    """

    skips: Callable[[str, str], bool]
    faithful: bool
    checkpoint: Checkpoint
    entries: int = 0
    bytes: int = 0
    skipped: int = 0
    sha256: str | None = None

    def entry(self, source: int, name: str, path: str, target: int, target_name: str, depth: int = 0) -> None:
        """Copy an entry of one open directory, with that path, to a free name in another.

        Raises:
            TooLarge: it has more entries or bytes, or is nested deeper, than the limits allow.
            InvalidArgument: it is no file, directory or link.
        """
        require_depth(depth)
        self.checkpoint()
        self.entries += 1
        if self.entries > MAX_COPY_ENTRIES:
            raise TooLarge(f"It has more than {MAX_COPY_ENTRIES:,} entries.", hint="Take a part of it at a time.")
        kind = type_of(fstatat(source, name))
        if kind == "file":
            with opened(source, name, READ) as read, opened_new(target, target_name) as written:
                self._content(read, written)
                self._finish(read, written)
        elif kind == "symlink":
            symlinkat(readlinkat(source, name), target, target_name)
        elif kind == "directory":
            mkdirat(target, target_name, 0o700)
            with opened(source, name) as read, opened(target, target_name) as written:
                self._entries(read, path, written, depth)
                self._finish(read, written)
        elif depth and not self.faithful:
            self.entries -= 1
            self.skipped += 1
        else:
            raise InvalidArgument(f"{path!r} is a FIFO, a socket or a device, which is not copied.")

    def _entries(self, source: int, path: str, target: int, depth: int) -> None:
        with scandir(source) as entries:
            for entry in entries:
                if self.skips(path, entry.name):
                    self.skipped += 1
                else:
                    inner = f"{path}/{entry.name}"
                    self.entry(source, entry.name, inner, target, entry.name, depth + 1)

    def _content(self, source: int, target: int) -> None:
        if not stat.S_ISREG(fstat(source).st_mode):
            raise InvalidArgument("A file became something else while it was copied.")
        sha256 = hashlib.sha256()
        while chunk := os.read(source, CHUNK_BYTES):
            self.bytes += len(chunk)
            if self.bytes > MAX_COPY_BYTES:
                raise TooLarge(f"It has more than {MAX_COPY_BYTES:,} bytes.", hint="Take a part of it at a time.")
            sha256.update(chunk)
            if chunk == _NOTHING:
                os.lseek(target, len(chunk), os.SEEK_CUR)  # a hole, as the source may have there
            else:
                write_all(target, chunk, self.checkpoint)
        os.ftruncate(target, os.lseek(target, 0, os.SEEK_CUR))  # which may end in a hole
        self.sha256 = sha256.hexdigest()

    def _finish(self, source: int, target: int) -> None:
        status = fstat(source)
        if self.faithful:
            take_after(target, source)
            futimens(target, status.st_atime_ns, status.st_mtime_ns)
        else:
            inherited = fstat(target).st_mode & stat.S_ISGID
            fchmod(target, status.st_mode & 0o777 | inherited)
        if self.faithful or self.entries == 1:  # in a tree it would take longer than the copying
            fsync(target)


@contextmanager
def opened_new(directory: int, name: str) -> Generator[int]:
    """Create an empty file that nobody else may read yet."""
    handle = openat(directory, name, _CREATE, 0o600)
    try:
        yield handle
    finally:
        close(handle)


def _first_names(directory: int) -> list[str]:
    with scandir(directory) as entries:
        return [entry.name for entry in islice(entries, _REMOVED_AT_A_TIME)]
