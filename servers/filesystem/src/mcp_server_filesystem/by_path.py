"""Directories where the system has no handles for them, which is Windows: each use of the path is looked at again.

A directory is known by its path and by the device and inode that were found there, and so is each above it up to
the root. Before a name in it is used, and after it was read, all of them must still be what they were, none of them a
link or a junction. Of a file that was opened the system tells the path, which must be the one that was asked for:
no content is read from elsewhere, nor written there. Between a look and what follows it remains a moment, in which
another process could lead a listing, a status, a new name or a removal elsewhere.
"""

import errno
import os
import stat
import sys

from mcp_server_filesystem.windows_paths import refused, without_prefix

Identity = tuple[int, int]  # of an entry: device and inode

DIRECTORY = getattr(os, "O_DIRECTORY", 1 << 30)  # where the system has no such flag, it is ours alone
IS_WINDOWS = sys.platform == "win32"

_UNDERSTOOD = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_EXCL
_ALWAYS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", getattr(os, "O_CLOEXEC", 0))
_STANDS_FOR_ANOTHER = 0x2000_0000  # the bit of a reparse tag: a link, a junction, a mount point


class DirectoryChanged(OSError):
    """A directory is no longer what it was when it was opened."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ELOOP, "it changed while it was used", path)


class DirectoryByPath(int):
    """An open directory that has no handle. As a number it is -1, which every call of the system refuses."""

    path: str
    identity: Identity
    above: "DirectoryByPath | None"

    def __new__(
        cls, path: str, above: "DirectoryByPath | None" = None, identity: Identity | None = None
    ) -> "DirectoryByPath":
        """Open the directory at a real path; it must have that identity, if one is given."""
        status = os.lstat(path)
        if is_link(status) or not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        directory = super().__new__(cls, -1)
        directory.path, directory.above, directory.identity = path, above, identity_of(status)
        if identity not in (None, directory.identity):
            raise DirectoryChanged(path)
        return directory

    def check(self) -> None:
        """Raise DirectoryChanged unless this directory, and each above it, is what it was."""
        here: DirectoryByPath | None = self
        while here is not None:
            try:
                same = identity_of(os.lstat(here.path)) == here.identity
            except OSError as error:
                raise DirectoryChanged(here.path) from error
            if not same:
                raise DirectoryChanged(here.path)
            here = here.above

    def entry(self, name: str) -> str:
        """Return the path of a name in it, to be used at once."""
        if IS_WINDOWS and (reason := refused(name)):
            raise OSError(errno.EINVAL, f"a name in it {reason}", name)
        self.check()
        return f"{self.path.rstrip('/')}/{name}"

    def open(self, name: str, flags: int, mode: int) -> int:
        """Open a directory or a regular file in it, never a link."""
        if name == ".":
            self.check()
            return self
        if name == "..":
            return self.above or DirectoryByPath(os.path.dirname(self.path))  # noqa: PTH120 - the text as it is
        path = self.entry(name)
        before = None if flags & os.O_EXCL else os.lstat(path)
        if before is not None:
            is_directory = stat.S_ISDIR(before.st_mode) and not is_link(before)
            if is_directory or flags & DIRECTORY:
                return DirectoryByPath(path, self)
            if is_link(before):
                raise DirectoryChanged(path)
            if not stat.S_ISREG(before.st_mode):
                raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), path)
        handle = os.open(path, flags & _UNDERSTOOD | _ALWAYS, mode)
        try:
            _require_at(path, handle, before)
            self.check()
        except BaseException:
            os.close(handle)
            raise
        return handle

    def status(self, name: str) -> os.stat_result:
        """Return the status of an entry, of a link itself."""
        status = os.lstat(self.entry(name))
        self.check()
        return status

    def target(self, name: str) -> str:
        """Return what a link or junction says it leads to; an OSError with EINVAL if it is none."""
        path = self.entry(name)
        if not is_link(os.lstat(path)):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        target = os.readlink(path)  # noqa: PTH115 - the text as it is
        self.check()
        return target

    def entries(self) -> list["os.DirEntry[str]"]:
        """Return what it holds."""
        self.check()
        with os.scandir(self.path) as entries:
            found = list(entries)
        self.check()
        return found


def identity_of(status: os.stat_result) -> Identity:
    """Return what tells an entry from every other; OSError on a file system that has nothing of the kind."""
    if not status.st_ino:
        raise OSError(errno.ENOTSUP, "its file system does not tell one file from another")
    return status.st_dev, status.st_ino


def is_link(status: os.stat_result) -> bool:
    """Tell whether an entry is a link, or what Windows has beside them, as junctions."""
    return stat.S_ISLNK(status.st_mode) or bool(getattr(status, "st_reparse_tag", 0) & _STANDS_FOR_ANOTHER)


def _require_at(path: str, handle: int, before: os.stat_result | None) -> None:
    """Raise DirectoryChanged unless an open file is the one at a path, and the one found there before."""
    is_there = os.path.normcase(_path_of(handle)) == os.path.normcase(path)
    if not is_there or (before and identity_of(before) != identity_of(os.fstat(handle))):
        raise DirectoryChanged(path)


def _path_of(handle: int) -> str:
    """Return the real path of an open file, as the system has it."""
    if sys.platform != "win32":
        return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - for the tests, and not needed to start
    import ctypes
    import msvcrt

    path_of = ctypes.WinDLL("kernel32", use_last_error=True).GetFinalPathNameByHandleW
    path_of.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32, ctypes.c_uint32)
    path_of.restype = ctypes.c_uint32
    buffer = ctypes.create_unicode_buffer(32_768)
    if not 0 < path_of(msvcrt.get_osfhandle(handle), buffer, len(buffer), 0) < len(buffer):
        raise ctypes.WinError(ctypes.get_last_error())
    return without_prefix(buffer.value)
