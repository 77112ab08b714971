"""New content under a name, whole or not at all: written beside it, made to last, then given the name.

Whoever looks, and whenever the process is killed, finds the old file or the new one. What is replaced hands on
its mode, owner, group and extended attributes (access control lists among them); not its set-user-id bits, which
no write leaves in place, and not its other hard links, which keep the old content.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from mcp_server_shared.errors import Conflict, InvalidArgument, PermissionDenied, Unavailable

from mcp_server_filesystem.confinement import Place
from mcp_server_filesystem.entries import READ, Checkpoint
from mcp_server_filesystem.handles import (
    close,
    fchmod,
    fstat,
    fstatat,
    fsync,
    openat,
    pread,
    renameat,
    renames_what_is_open,
    scandir,
    unlinkat,
)
from mcp_server_filesystem.renaming import rename_to_new

CHUNK_BYTES = 1_048_576
LEFTOVER_AFTER_S = 3_600  # no call may take longer
ENTRIES_SWEPT = 20_000

TEMPORARY = re.compile(r"\.mcp-[0-9a-f]{16}\.tmp")

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_OPEN = READ | os.O_RDWR
_WITHOUT_ATTRIBUTES = (errno.ENOTSUP, errno.ENOSYS)  # the file system
_NOT_KEPT = (errno.EPERM, errno.EACCES, *_WITHOUT_ATTRIBUTES)
_NOT_HANDED_ON = "security.capability"  # what a program may do is not for a program with other content


@dataclass
class Existing:
    """A regular file that is open for reading and writing, and what it was when it was opened."""

    handle: int
    status: os.stat_result

    def close(self) -> None:
        """Give the handle back, once."""
        if self.handle >= 0:
            close(self.handle)
        self.handle = -1


@contextmanager
def existing(place: Place) -> Generator[Existing | None]:
    """Open the file of that name; None if there is none.

    Raises:
        InvalidArgument: it is a directory, or no file that can be written.
        OSError: the operating system does not let it be read or written.
    """
    try:
        _require_file(fstatat(place.directory, place.name), place)
        handle = openat(place.directory, place.name, _OPEN)
    except FileNotFoundError:
        yield None
        return
    file = Existing(handle, fstat(handle))
    try:
        _require_file(file.status, place)
        yield file
    finally:
        file.close()


def _require_file(status: os.stat_result, place: Place) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InvalidArgument(f"{place.path!r} is a directory.", hint="Name a file in it.")
    if stat.S_ISLNK(status.st_mode):
        raise Unavailable(f"{place.path!r} keeps changing while it is opened.", hint="Try again.")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArgument(f"{place.path!r} is a FIFO, a socket or a device, not a file that can be written.")


def put(place: Place, data: bytes, old: Existing | None, checkpoint: Checkpoint) -> None:
    """Make a file of that content.

    Args:
        place: where.
        data: its content.
        old: the file that is there and gives way; None to create one.
        checkpoint: raises to stop, up to the moment when the file gets its name.

    Raises:
        Conflict: the name is taken by now, or no longer the old file's, or that one changed.
        PermissionDenied: the owner, group or attributes cannot be handed on.
        OSError: what the operating system said.
    """
    # A new file has the mode that the system gives any new file here; one that replaces has none until it has the old.
    mode = 0o666 if old is None else 0o600
    with temporary(place) as name:
        handle = openat(place.directory, name, _CREATE, mode)
        try:
            write_all(handle, data, checkpoint)
            if old is not None:
                take_after(handle, old.handle)
            fsync(handle)
        finally:
            close(handle)
        checkpoint()
        if old is not None and not renames_what_is_open(place.directory):
            old.close()
        give_name(place, name, old and old.status)


def give_name(place: Place, temporary_name: str, seen: os.stat_result | None) -> None:
    """Rename a finished entry to its place, which is free or still holds what was `seen` there."""
    if seen is None:
        try:
            rename_to_new(place.directory, temporary_name, place.directory, place.name)
        except FileExistsError as error:
            raise Conflict(f"{place.path!r} exists by now; nothing was changed.", hint="Read it first.") from error
    else:
        if not _is_still(place, seen):
            raise Conflict(
                f"{place.path!r} was changed by somebody else meanwhile; their version stays.", hint="Read it again."
            )
        renameat(place.directory, temporary_name, place.directory, place.name)
    sync(place.directory)


@contextmanager
def temporary(place: Place) -> Generator[str]:
    """Yield a name that nobody knows for a file beside the place; remove that file unless it got another name."""
    name = temporary_name()
    try:
        yield name
    except BaseException:
        with suppress(FileNotFoundError):
            unlinkat(place.directory, name)
        raise


def temporary_name() -> str:
    """Return a name that nobody can foresee."""
    return f".mcp-{secrets.token_hex(8)}.tmp"


def leftovers(directory: int) -> list[str]:
    """Return the names of what killed servers left unfinished in a directory that is open for reading."""
    before = time.time() - LEFTOVER_AFTER_S
    with scandir(directory) as entries:
        unfinished = [entry for entry in islice(entries, ENTRIES_SWEPT) if TEMPORARY.fullmatch(entry.name)]
        return [entry.name for entry in unfinished if entry.stat(follow_symlinks=False).st_ctime < before]


def digest(handle: int, checkpoint: Checkpoint) -> str:
    """Return the SHA-256 of an open file, as hex digits."""
    sha256 = hashlib.sha256()
    for chunk in chunks(handle, checkpoint):
        sha256.update(chunk)
    return sha256.hexdigest()


def chunks(handle: int, checkpoint: Checkpoint) -> Iterator[bytes]:
    """Yield the content of an open file, from its beginning."""
    at = 0
    while chunk := pread(handle, CHUNK_BYTES, at):
        checkpoint()
        yield chunk
        at += len(chunk)


def write_all(handle: int, data: bytes | memoryview, checkpoint: Checkpoint) -> None:
    """Write everything, however little the system takes at a time."""
    left = memoryview(data)
    while left:
        checkpoint()
        left = left[os.write(handle, left[:CHUNK_BYTES]) :]


def take_after(handle: int, model: int) -> None:
    """Give a file the owner, group, attributes and mode of another; raise PermissionDenied where that cannot be."""
    wanted, own = fstat(model), fstat(handle)
    try:
        if (wanted.st_uid, wanted.st_gid) != (own.st_uid, own.st_gid):
            os.fchown(handle, wanted.st_uid, wanted.st_gid)
        _take_attributes(handle, model)
        fchmod(handle, stat.S_IMODE(wanted.st_mode) & ~_privileges(wanted))
    except OSError as error:
        if error.errno not in _NOT_KEPT:
            raise
        raise PermissionDenied(
            "The file's owner, group or attributes could not be kept, so it was left as it was.",
            hint="The operator would have to run the server as its owner, on a file system that holds attributes.",
        ) from error


def _privileges(status: os.stat_result) -> int:
    """Return the bits that lend a program its owner's or group's rights; on a directory they mean something else."""
    return 0 if stat.S_ISDIR(status.st_mode) else stat.S_ISUID | stat.S_ISGID


def sync(directory: int) -> None:
    """Make the names in a directory last. What was renamed is done, so a failure is no failure of the call."""
    with suppress(OSError):
        handle = openat(directory, ".", os.O_RDONLY)
        try:
            fsync(handle)
        finally:
            close(handle)


def _is_still(place: Place, seen: os.stat_result) -> bool:
    try:
        now = fstatat(place.directory, place.name)
    except FileNotFoundError:
        return False
    return _version(now) == _version(seen)


def _version(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _take_attributes(handle: int, model: int) -> None:
    wanted, own = _attributes(model), _attributes(handle)
    for name in own.keys() - wanted.keys():
        os.removexattr(handle, name)
    for name, value in wanted.items():
        if own.get(name) != value:
            os.setxattr(handle, name, value)


def _attributes(handle: int) -> dict[str, bytes]:
    if not hasattr(os, "listxattr"):  # Python has it on Linux alone
        return {}
    try:
        names = os.listxattr(handle)
    except OSError as error:
        if error.errno not in _WITHOUT_ATTRIBUTES:
            raise
        return {}
    return {name: os.getxattr(handle, name) for name in names if name != _NOT_HANDED_ON}
