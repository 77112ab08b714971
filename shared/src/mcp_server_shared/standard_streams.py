"""The process's own stdin and stdout, kept for the protocol alone.

Imports next to nothing, so that start-up can claim stdout before any library has a chance to print.
"""

import os
import sys
from collections.abc import Callable
from functools import cache

if sys.platform != "win32":
    import fcntl

_FIRST_PRIVATE_FD = 3


@cache
def claim_stdout() -> int:
    """Keep stdout for the protocol, for the rest of the process, and return the descriptor that leads to the client.

    From here on, descriptor 1 leads to stderr: whatever a library or a child process prints ends up there, even text
    that waits in a print buffer until the interpreter exits. The returned descriptor is 3 or above and not inherited
    by child processes. Calling again returns the same one. On Windows nothing is moved: the SDK's transport, which
    serves there, does it. Raises `OSError` when stdout is closed.
    """
    return _claim(1, _stderr)


@cache
def claim_stdin() -> int:
    """Like `claim_stdout`, for stdin: descriptor 0 becomes empty, so that nothing else takes the client's messages."""
    return _claim(0, lambda: os.open(os.devnull, os.O_RDONLY))


def _stderr() -> int:
    try:
        return os.dup(2)
    except OSError:  # closed by whoever started us
        return os.open(os.devnull, os.O_WRONLY)


def _claim(fd: int, open_diversion: Callable[[], int]) -> int:
    if sys.platform == "win32":
        return fd
    private = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE_FD)
    diversion = open_diversion()
    os.dup2(diversion, fd)
    os.close(diversion)
    return private
