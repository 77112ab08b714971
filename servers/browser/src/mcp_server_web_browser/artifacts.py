"""The files that pages make: downloads, PDFs, traces. One folder, names of our choosing, a limit for each caller."""

import os
import re
import secrets
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mcp_server_shared.errors import NotFound, TooLarge

Redact = Callable[[str], str]

_MOST_FILES = 200
_MOST_TIMES = 10  # the limit of one file: all of them together
_MIME_BY_MAGIC = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x7fELF", "application/x-executable"),
    (b"MZ", "application/x-msdownload"),
)


@dataclass(frozen=True)
class Artifact:
    """One file.

    Attributes:
        name: what callers call it.
        suggested: what the page called it; third-party text.
        mime_type: told from its first bytes, whatever its name says.
        redact: takes the secrets of the context that it comes from out of text.
    """

    name: str
    path: Path
    suggested: str
    mime_type: str
    size: int
    redact: Redact

    @property
    def uri(self) -> str:
        """Its address as a resource."""
        return f"browser://artifacts/{self.name}"

    def shown(self) -> bytes:
        """Return its bytes without secrets, as far as it is text."""
        data = self.path.read_bytes()
        return _redacted(data, self.redact) if self.mime_type.startswith("text/") else data


class Artifacts:
    """The files of all callers.

    Args:
        directory: where they are kept; None for a folder that is deleted at the end.
        most_bytes: of one file; ten times as much of all of them.
    """

    def __init__(self, directory: Path | None, most_bytes: int) -> None:
        self._chosen = directory
        self._directory: Path | None = None
        self._files: dict[tuple[str, str], Artifact] = {}
        self.most_bytes = most_bytes

    def directory(self) -> Path:
        """Return the folder, made on first use."""
        if self._directory is None:
            if self._chosen is not None:
                self._chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._directory = Path(tempfile.mkdtemp(prefix="mcp-browser-", dir=self._chosen))
        return self._directory

    def new_path(self) -> Path:
        """Return where a new file may be written; nothing is there."""
        return self.directory() / secrets.token_hex(16)

    def holds_too_much(self) -> bool:
        """Whether a file that is being written has outgrown the limit, or all of them together have."""
        kept = {artifact.path for artifact in self._files.values()}
        sizes: list[int] = []
        for path in self.directory().iterdir():
            with suppress(FileNotFoundError):  # finished meanwhile
                sizes += [path.stat().st_size] if path not in kept else []
        return max(sizes, default=0) > self.most_bytes or sum(sizes) > _MOST_TIMES * self.most_bytes

    def write(self, caller: str, data: bytes, suggested: str, redact: Redact) -> Artifact:
        """Keep some bytes."""
        path = self.new_path()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return self.add(caller, path, suggested, redact)

    def add(self, caller: str, path: Path, suggested: str, redact: Redact) -> Artifact:
        """Keep a file that was written at a path from `new_path`.

        Raises:
            TooLarge: it is removed again.
        """
        size = path.stat().st_size
        if size > self.most_bytes:
            path.unlink()
            raise TooLarge(
                f"The file has {size:,} bytes; at most {self.most_bytes:,} are kept.",
                hint="The operator can raise --max-download-bytes.",
            )
        with path.open("rb") as file:
            mime_type = _mime_type(file.read(512))
        name = self._free_name(caller, suggested)
        artifact = Artifact(name, path, suggested, mime_type, size, redact)
        self._files[caller, name] = artifact
        self._make_room()
        return artifact

    def _make_room(self) -> None:
        """Remove the oldest files of who has most, while there are too many or they are too large."""
        while len(self._files) > _MOST_FILES or self._total() > _MOST_TIMES * self.most_bytes:
            counts = Counter[str]()
            for (caller, _), artifact in self._files.items():
                counts[caller] += artifact.size + 1
            greedy = counts.most_common(1)[0][0]
            oldest = next(key for key in self._files if key[0] == greedy)
            self._files.pop(oldest).path.unlink(missing_ok=True)

    def _total(self) -> int:
        return sum(artifact.size for artifact in self._files.values())

    def get(self, caller: str, name: str) -> Artifact:
        """Return one file of a caller.

        Raises:
            NotFound: there is none of this name, or no longer.
        """
        artifact = self._files.get((caller, name))
        if artifact is None:
            raise NotFound("There is no such file, or it was removed to make room.", hint="list_downloads has them.")
        return artifact

    def lasting_path(self, artifact: Artifact | None) -> str | None:
        """Return where a file lies, if the operator chose the folder, so that it stays there."""
        return str(artifact.path) if artifact is not None and self._chosen is not None else None

    def names(self, caller: str) -> list[str]:
        """Return what a caller has."""
        return [name for owner, name in self._files if owner == caller]

    def close(self) -> None:
        """Remove them, unless the operator chose where they are kept."""
        if self._directory is not None and self._chosen is None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _free_name(self, caller: str, suggested: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", suggested).strip(".-")[-80:] or "file"
        stem, dot, ending = plain.rpartition(".")
        number, name = 1, plain
        while (caller, name) in self._files:
            number += 1
            name = f"{stem}-{number}.{ending}" if dot else f"{plain}-{number}"
        return name


def redact_recording(path: Path, redact: Redact) -> None:
    """Take secrets out of a trace, which is an archive of texts and pictures, or out of a HAR file."""
    if not zipfile.is_zipfile(path):
        path.write_bytes(_redacted(path.read_bytes(), redact))
        return
    clean = path.with_suffix(".clean")
    with zipfile.ZipFile(path) as recorded, zipfile.ZipFile(clean, "w", zipfile.ZIP_DEFLATED) as written:
        for entry in recorded.infolist():
            written.writestr(entry.filename, _redacted(recorded.read(entry), redact))
    clean.replace(path)


def _redacted(data: bytes, redact: Redact) -> bytes:
    try:
        return redact(data.decode("utf-8")).encode()
    except UnicodeDecodeError:
        return data


def _mime_type(head: bytes) -> str:
    for magic, mime_type in _MIME_BY_MAGIC:
        if head.startswith(magic):
            return mime_type
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/html" if re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE) else "text/plain"
