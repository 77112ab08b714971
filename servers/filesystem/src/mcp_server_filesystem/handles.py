"""The calls of the operating system about an open directory and a name in it, by the names they have in C.

A directory is a descriptor, or a `DirectoryByPath` where the system has none; who calls need not know which.
"""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from mcp_server_filesystem.by_path import DIRECTORY, IS_WINDOWS, DirectoryByPath, is_link

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
SEARCH = getattr(os, "O_PATH", os.O_RDONLY) | DIRECTORY  # good for paths, not for listing


def open_real(path: str, *, by_path: bool) -> int:
    """Open the directory at a path that has no links in it."""
    return DirectoryByPath(path) if by_path else os.open(path, SEARCH | NO_FOLLOW)


def openat(directory: int, name: str, flags: int, mode: int = 0o777) -> int:
    """Open an entry, no link."""
    if isinstance(directory, DirectoryByPath):
        return directory.open(name, flags, mode)
    return os.open(name, flags | NO_FOLLOW, mode, dir_fd=directory)


def close(handle: int) -> None:
    """Give a handle back."""
    if not isinstance(handle, DirectoryByPath):
        os.close(handle)


def is_gone(directory: int) -> bool:
    """Tell whether an open directory was deleted or, without a handle, is no longer found."""
    if not isinstance(directory, DirectoryByPath):
        return os.fstat(directory).st_nlink == 0
    try:
        directory.check()
    except OSError:
        return True
    return False


def fstat(handle: int) -> os.stat_result:
    """Return the status of what is open."""
    return handle.status(".") if isinstance(handle, DirectoryByPath) else os.fstat(handle)


def fchmod(handle: int, mode: int) -> None:
    """Set the mode, where a system has that for what is open."""
    if isinstance(handle, DirectoryByPath):
        os.chmod(handle.entry("."), mode)  # noqa: PTH101 - as every call here
    elif hasattr(os, "fchmod"):
        os.fchmod(handle, mode)


def futimens(handle: int, accessed: int, modified: int) -> None:
    """Set the times, in nanoseconds, where a system has that for what is open."""
    if os.utime in os.supports_fd and not isinstance(handle, DirectoryByPath):
        os.utime(handle, ns=(accessed, modified))


def fsync(handle: int) -> None:
    """Make what is open last; a directory without a handle cannot be told to."""
    if not isinstance(handle, DirectoryByPath):
        os.fsync(handle)


def fstatat(directory: int, name: str) -> os.stat_result:
    """Return the status of an entry, of a link itself."""
    if isinstance(directory, DirectoryByPath):
        return directory.status(name)
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def readlinkat(directory: int, name: str) -> str:
    """Return what a link says it leads to; an OSError with EINVAL if it is none."""
    if isinstance(directory, DirectoryByPath):
        return directory.target(name)
    return os.readlink(name, dir_fd=directory)


@contextmanager
def scandir(directory: int) -> "Generator[Iterator[os.DirEntry[str]]]":
    """List a directory."""
    if isinstance(directory, DirectoryByPath):
        yield iter(directory.entries())
        return
    with os.scandir(directory) as entries:
        yield entries


def is_directory(entry: "os.DirEntry[str]") -> bool:
    """Tell whether a listed entry is a directory, and neither a link nor a junction."""
    return entry.is_dir(follow_symlinks=False) and not (IS_WINDOWS and is_link(entry.stat(follow_symlinks=False)))


def mkdirat(directory: int, name: str, mode: int) -> None:
    """Make a directory."""
    path, handle = _named(directory, name)
    # Windows takes the mode 0700 for access rules of its own, which nothing here could take away again.
    os.mkdir(path, 0o777 if IS_WINDOWS else mode, dir_fd=handle)


def rmdirat(directory: int, name: str) -> None:
    """Remove an empty directory."""
    path, handle = _named(directory, name)
    os.rmdir(path, dir_fd=handle)


def unlinkat(directory: int, name: str) -> None:
    """Remove an entry that is no directory."""
    path, handle = _named(directory, name)
    os.unlink(path, dir_fd=handle)


def symlinkat(target: str, directory: int, name: str) -> None:
    """Make a link."""
    path, handle = _named(directory, name)
    os.symlink(target, path, dir_fd=handle)


def linkat(source_directory: int, source: str, directory: int, name: str) -> None:
    """Give a file another name, which is free."""
    old, source_handle = _named(source_directory, source)
    new, handle = _named(directory, name)
    os.link(old, new, src_dir_fd=source_handle, dst_dir_fd=handle, follow_symlinks=False)


def renameat(source_directory: int, source: str, directory: int, name: str) -> None:
    """Rename an entry, in place of a file of that name."""
    old, source_handle = _named(source_directory, source)
    new, handle = _named(directory, name)
    os.replace(old, new, src_dir_fd=source_handle, dst_dir_fd=handle)


def renames_what_is_open(directory: int) -> bool:
    """Tell whether a file may get another name while it is open; where directories have no handles, it may not."""
    return not isinstance(directory, DirectoryByPath)


def pread(handle: int, length: int, offset: int) -> bytes:
    """Read at an offset. Where that is two calls, a handle must be read by one thread alone."""
    if hasattr(os, "pread"):
        return os.pread(handle, length, offset)
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, length)


def _named(directory: int, name: str) -> tuple[str, int | None]:
    return (directory.entry(name), None) if isinstance(directory, DirectoryByPath) else (name, directory)
