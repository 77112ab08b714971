"""Giving an entry its name: at once, and without taking the name from another entry unless that is wanted."""

import errno
import os
import stat
from contextlib import suppress

from mcp_server_filesystem.by_path import IS_WINDOWS, DirectoryByPath
from mcp_server_filesystem.handles import fstatat, linkat, mkdirat, renameat, rmdirat, unlinkat

_RENAME_NOREPLACE = 1
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def rename_to_new(source_directory: int, source: str, directory: int, name: str) -> None:
    """Rename an entry to a name that is free.

    Raises:
        FileExistsError: it is not, whatever has it.
        OSError: as `os.rename`.
    """
    if isinstance(source_directory, DirectoryByPath) and isinstance(directory, DirectoryByPath):
        if IS_WINDOWS:  # which takes no name from another entry
            os.rename(source_directory.entry(source), directory.entry(name))  # noqa: PTH104 - as every call here
        else:
            rename_to_new_by_link(source_directory, source, directory, name)
        return

    import ctypes  # here, because the start of the server need not wait for it

    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "renameat2"):
        old, new = os.fsencode(source), os.fsencode(name)
        if library.renameat2(source_directory, old, directory, new, _RENAME_NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _NOT_SUPPORTED:
            raise OSError(code, os.strerror(code), name)
    rename_to_new_by_link(source_directory, source, directory, name)


def rename_to_new_by_link(source_directory: int, source: str, directory: int, name: str) -> None:
    """Do the same where the system or the file system has no call for it; a file has both names for a moment."""
    if stat.S_ISDIR(fstatat(source_directory, source).st_mode):
        mkdirat(directory, name, 0o700)  # only an empty directory gives way to another
        try:
            renameat(source_directory, source, directory, name)
        except OSError:
            with suppress(OSError):
                rmdirat(directory, name)
            raise
    else:
        linkat(source_directory, source, directory, name)
        unlinkat(source_directory, source)
