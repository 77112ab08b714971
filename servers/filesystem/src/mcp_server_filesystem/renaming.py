"""Giving an entry its name: at once, and without taking the name from another entry unless that is wanted."""

import errno
import os
import stat
from contextlib import suppress

_RENAME_NOREPLACE = 1
_NOT_SUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def rename_to_new(source_directory: int, source: str, directory: int, name: str) -> None:
    """Rename an entry to a name that is free.

    Raises:
        FileExistsError: it is not, whatever has it.
        OSError: as `os.rename`.
    """
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
    if stat.S_ISDIR(os.stat(source, dir_fd=source_directory, follow_symlinks=False).st_mode):
        os.mkdir(name, 0o700, dir_fd=directory)  # only an empty directory gives way to another
        try:
            os.rename(source, name, src_dir_fd=source_directory, dst_dir_fd=directory)
        except OSError:
            with suppress(OSError):
                os.rmdir(name, dir_fd=directory)
            raise
    else:
        os.link(source, name, src_dir_fd=source_directory, dst_dir_fd=directory, follow_symlinks=False)
        os.unlink(source, dir_fd=source_directory)
