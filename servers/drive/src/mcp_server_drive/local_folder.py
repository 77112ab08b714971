"""The one directory of this machine that files are uploaded from and saved in."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mcp_server_shared.errors import Conflict, InvalidArgument, NotFound, PermissionDenied

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_MOST_NAMED = 20


class LocalFolder:
    """Files directly in one directory; no link leads out of it.

    Args:
        path: the directory; None where the operator named none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @contextmanager
    def reading(self, name: str) -> Generator[IO[bytes]]:
        """Open a file for uploading."""
        path = self._named(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | _NO_FOLLOW)
        except OSError:
            raise NotFound(
                "There is no such file in the local folder.", untrusted=", ".join(sorted(self._names())[:_MOST_NAMED])
            ) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InvalidArgument("Only a regular file can be uploaded.")
        with os.fdopen(descriptor, "rb") as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Generator[IO[bytes]]:
        """Open a new file for saving; it goes away again when saving fails."""
        path = self._named(name)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600)
        except FileExistsError:
            raise Conflict("A file of this name is there already.", hint="Pass another local_name.") from None
        except OSError as error:
            raise PermissionDenied(f"The local folder cannot be written: {error.strerror}.") from None
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise

    def _named(self, name: str) -> Path:
        if self._path is None:
            raise PermissionDenied(
                "No directory of this machine is open to this server.", hint="The operator names one by --local-folder."
            )
        if name != Path(name).name or name.startswith(".") or "\0" in name or "\\" in name or ":" in name:
            raise InvalidArgument("'local_name' has to be the plain name of a file directly in the local folder.")
        return self._path / name

    def _names(self) -> list[str]:
        return [entry.name for entry in os.scandir(self._path) if entry.is_file(follow_symlinks=False)]


def safe_name(name: str, suffix: str = "") -> str:
    """Return a name that a file may have anywhere, as near as possible to that of a file of Drive."""
    kept = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in name).strip(" .")[:150] or "file"
    return kept if kept.lower().endswith(suffix) else kept + suffix
