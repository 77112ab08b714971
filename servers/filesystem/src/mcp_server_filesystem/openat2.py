"""The Linux system call that opens a path and follows no link on the way. Python has no name for it yet."""

import ctypes
import errno
import os
from collections.abc import Sequence

_SYS_OPENAT2 = 437  # the same on every architecture that Python runs on, but alpha
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RESOLVE = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)


def open_with_openat2(directory: int, names: Sequence[str], flags: int) -> int:
    """Open what `names` lead to below the directory handle, following no link; an OSError says why not."""
    path = os.fsencode("/".join(names) or ".")
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE)
    while True:
        handle = _syscall(_SYS_OPENAT2, directory, path, ctypes.byref(how), ctypes.sizeof(how))
        if handle >= 0:
            return int(handle)
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code), os.fsdecode(path))


def kernel_has_openat2() -> bool:
    """Tell whether the call works here: older kernels lack it, and some sandboxes forbid it."""
    try:
        os.close(open_with_openat2(-100, ["."], os.O_PATH | os.O_DIRECTORY))  # -100 is AT_FDCWD
    except OSError:
        return False
    return True
