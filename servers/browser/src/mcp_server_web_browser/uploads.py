"""Files that may be uploaded: of one folder, never through a link."""

import os
import shutil
import stat
from pathlib import Path

from mcp_server_shared.errors import NotFound, TooLarge

_MOST_NAMED = 20


def copy_upload(folder: Path, name: str, most_bytes: int, into: Path) -> Path:
    """Copy a file of the folder, each step of its path opened without following links; return the copy.

    A page reads what was chosen when it likes, and by then something else could stand at that path.

    Raises:
        NotFound: there is no such file in it.
        TooLarge: it is larger than `most_bytes`.
    """
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if not parts or ".." in parts or name.startswith("/") or "\0" in name:
        raise _missing(folder, name)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
            os.close(directory)
            directory = inner
        # Without O_NONBLOCK, opening a pipe would wait for its writer.
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        raise _missing(folder, name) from None
    finally:
        os.close(directory)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _missing(folder, name)
        if status.st_size > most_bytes:
            raise TooLarge(f"The file has {status.st_size:,} bytes; at most {most_bytes:,} are uploaded.")
        copy = into / parts[-1]
        with copy.open("xb") as copied:
            shutil.copyfileobj(file, copied)
        return copy


def _missing(folder: Path, name: str) -> NotFound:
    there = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    return NotFound(
        f"The upload folder has no file '{name[:200]}'.",
        hint=f"There is: {', '.join(there[:_MOST_NAMED]) or 'nothing'}.",
    )
