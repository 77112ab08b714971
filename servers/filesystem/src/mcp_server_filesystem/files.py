"""Files and directories beneath the roots: the one place that touches the file system, synchronous throughout."""

import hashlib
import heapq
import mimetypes
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mcp_server_shared.deny import DEFAULT_DENY
from mcp_server_shared.errors import InvalidArgument, NotFound, TooLarge, Unsupported
from mcp_server_shared.globs import path_matcher

from mcp_server_filesystem.confinement import Opened, Resolver, Roots, refusal
from mcp_server_filesystem.entries import (
    LIST,
    READ,
    Checkpoint,
    Entry,
    EntryType,
    Wanted,
    entry_names,
    entry_of,
    never_stop,
    time_of,
    type_of,
)
from mcp_server_filesystem.handles import close, fstat, fstatat, pread, readlinkat
from mcp_server_filesystem.line_index import LineIndexes
from mcp_server_filesystem.media import MediaType, media_type
from mcp_server_filesystem.outline import Outline, outline
from mcp_server_filesystem.text import ALL_LINES, SAMPLE_BYTES, Lines, Page, Position, Tail, TextFile, detect_encoding
from mcp_server_filesystem.walking import Walk, gitignores_above

if TYPE_CHECKING:
    from mcp_server_filesystem.content_search import Found, Names, Progress, Query
    from mcp_server_filesystem.writing import Writer

Sort = Literal["name", "size", "modified"]
Key = tuple[Any, ...]  # what a listing is sorted by, the name last

ANY = Wanted()
MAX_HASHED_BYTES = 2**30
HEADER_BYTES = 1_048_576  # of an image: its size may come after an embedded profile or preview

_LOOK = getattr(os, "O_PATH", READ)  # neither reads nor wakes a device
_HASH_BYTES = 1_048_576

_MIME_TYPES = mimetypes.MimeTypes()  # the built-in table alone: the same answers on every machine


@dataclass(frozen=True)
class AllowedDirectory:
    """One root: its absolute path, whether it can be opened now, and whether its files may be changed."""

    path: str
    exists: bool
    writable: bool = False


@dataclass(frozen=True)
class TextRead:
    """A page of a text file, with what is known about the file.

    Attributes:
        path: the absolute path, links resolved.
        size: length of the file in bytes.
        modified: time of the last change, ISO 8601 in UTC; None if out of range.
        page: the text.
    """

    path: str
    size: int
    modified: str | None
    page: Page


@dataclass(frozen=True)
class BytesRead:
    """A whole file as bytes, with the media type that its name suggests."""

    path: str
    modified: str | None
    mime_type: str
    data: bytes


@dataclass(frozen=True)
class MediaRead:
    """An image or a sound, whole."""

    path: str
    modified: str | None
    type: MediaType
    data: bytes


@dataclass(frozen=True)
class FileInfo:
    """What is known about one path; None where it does not apply.

    Attributes:
        path: absolute; of a link itself, which is not followed.
        type: what it is.
        size: bytes of a file.
        modified: time of the last change, ISO 8601 in UTC.
        mode: permissions as `ls` writes them.
        owner: name or number of the user.
        group: name or number of the group.
        target: what a symlink says it leads to.
        mime_type: by content where that tells, else by name.
        encoding: of a text file.
        line_ending: of the beginning of a text file.
        sha256: of a file of up to `MAX_HASHED_BYTES`.
    """

    path: str
    type: EntryType
    size: int | None
    modified: str | None
    mode: str
    owner: str | None
    group: str | None
    target: str | None = None
    mime_type: str | None = None
    encoding: str | None = None
    line_ending: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Total:
    """How many entries are below a directory, and how many bytes the files among them have.

    What is in as many directories as `unreadable` is not counted: the operating system does not let them be read.
    """

    entries: int
    bytes: int
    unreadable: int


@dataclass(frozen=True)
class Listing:
    """A page of a directory.

    Attributes:
        path: the absolute path, links resolved.
        entries: the page.
        keys: of each entry, to go on after it.
        total: entries in the whole directory, without the denied ones.
        denied: entries left out because a deny glob closes them.
        more: whether there are entries after the page.
    """

    path: str
    entries: list[Entry]
    keys: list[Key]
    total: int
    denied: int
    more: bool


@dataclass(frozen=True)
class Search:
    """A page of entries below a directory, in the order of their paths' names.

    Attributes:
        path: where the search started, absolute, links resolved.
        entries: each with its names below that.
        more: whether there are entries after the page.
        unreadable: directories on the way that the operating system does not let be read.
    """

    path: str
    entries: list[tuple[tuple[str, ...], Entry]]
    more: bool
    unreadable: int


class Files:
    """What the directories that were named hold. Safe to use from many threads.

    Every method takes a path that is absolute, or relative if there is exactly one root, and raises what
    `Roots.open` does. Long loops call `checkpoint`, which raises to stop them.
    """

    def __init__(
        self,
        directories: Sequence[str | os.PathLike[str]],
        *,
        writable: Sequence[str | os.PathLike[str]] = (),
        deny: Sequence[str] = DEFAULT_DENY,
        resolver: Resolver | None = None,
    ) -> None:
        self._roots = Roots(directories, writable=writable, deny=deny, resolver=resolver)
        self._line_indexes = LineIndexes()

    @cached_property
    def writer(self) -> "Writer":
        """What changes files, where a directory is writable."""
        from mcp_server_filesystem.writing import Writer

        return Writer(self._roots)

    def close(self) -> None:
        """Close the roots; no call may be under way."""
        self._roots.close()

    def access(self) -> list[tuple[str, Literal["read", "write"]]]:
        """Return the directories and what may be done in each; that is configuration, so no disk is asked."""
        return [(root.path, "write" if root.writable else "read") for root in self._roots.roots]

    def roots(self) -> list[AllowedDirectory]:
        """Return the directories that may be read, in the operator's order."""
        return [AllowedDirectory(root.path, root.exists(), root.writable) for root in self._roots.roots]

    def read_text(
        self,
        path: str,
        part: Lines | Tail | Position = ALL_LINES,
        *,
        max_characters: int,
        checkpoint: Checkpoint = never_stop,
    ) -> TextRead:
        """Return one page of a text file.

        Args:
            path: the file.
            part: which lines, or where an earlier page said to go on.
            max_characters: the most text to return, at least 2.
            checkpoint: called between chunks while looking for a far line.

        Raises:
            InvalidArgument: it is no regular file, or the part begins after its end.
            Unsupported: it is binary.
        """
        with self._regular_file(path) as (opened, status):
            size = status.st_size

            def read(offset: int, length: int) -> bytes:
                return _read_fully(opened.handle, offset, length)

            encoding = detect_encoding(read(0, SAMPLE_BYTES), size)
            if encoding is None:
                raise Unsupported(f"{path!r} is binary ({size:,} bytes), not text.")
            index = self._line_indexes.of(status)
            page = TextFile(read, size, encoding, checkpoint, index).page(part, max_characters)
            return TextRead(opened.path, size, time_of(status), page)

    def read_bytes(self, path: str, *, max_bytes: int) -> BytesRead:
        """Return a whole file; raise TooLarge if it has more than `max_bytes`."""
        with self._regular_file(path) as (opened, status):
            data = _read_fully(opened.handle, 0, max_bytes + 1)
            _require_at_most(max_bytes, data, status, path)
            mime_type = _MIME_TYPES.guess_type(opened.path)[0] or "application/octet-stream"
            return BytesRead(opened.path, time_of(status), mime_type, data)

    def read_media(self, path: str, *, max_bytes: int, max_pixels: int) -> MediaRead:
        """Return an image or a sound.

        Raises:
            TooLarge: it has more than `max_bytes`, or the image more than `max_pixels`.
            Unsupported: it is neither.
        """
        with self._regular_file(path) as (opened, status):
            data = _read_fully(opened.handle, 0, max_bytes + 1)
            found = media_type(data[:HEADER_BYTES])
            if found is None:
                raise Unsupported(
                    f"{path!r} is no PNG, JPEG, GIF, WebP or BMP image and no sound.", hint="Try read_text_file."
                )
            if (found.width or 0) * (found.height or 0) > max_pixels:
                size = f"{found.width:,} x {found.height:,} pixels"
                raise TooLarge(f"{path!r} has {size}; at most {max_pixels:,} pixels are returned.")
            _require_at_most(max_bytes, data, status, path)
            return MediaRead(opened.path, time_of(status), found, data)

    def list_directory(
        self,
        path: str,
        *,
        limit: int,
        sort: Sort = "name",
        descending: bool = False,
        after: Sequence[Any] | None = None,
        checkpoint: Checkpoint = never_stop,
    ) -> Listing:
        """Return the first `limit` entries of a directory whose keys come after `after`.

        A page depends on the keys alone. By name, nothing is repeated or skipped when the directory changes in
        between; by size or time, an entry that changed moves, and so may be seen twice or not at all.
        """
        with self._roots.open(path, LIST) as opened, _reported(path):
            denied = 0
            total = 0

            def wanted() -> Iterator[Key]:
                nonlocal denied, total
                for name in entry_names(opened.handle, checkpoint):
                    if self._roots.denies(opened, name):
                        denied += 1
                        continue
                    total += 1
                    key = _key(opened.handle, name, sort)
                    if after is None or (key < tuple(after) if descending else key > tuple(after)):
                        yield key

            keys = (heapq.nlargest if descending else heapq.nsmallest)(limit + 1, wanted())
            found = [(key, entry) for key in keys[:limit] if (entry := entry_of(opened.handle, key[-1]))]
            entries = [entry for _, entry in found]
            return Listing(opened.path, entries, [key for key, _ in found], total, denied, len(keys) > limit)

    def outline(
        self,
        path: str,
        *,
        depth: int,
        limit: int,
        gitignore: bool,
        exclude: Sequence[str] = (),
        checkpoint: Checkpoint = never_stop,
    ) -> Outline:
        """Return a tree of up to `limit` entries and `depth` levels, upper levels first."""
        with self._roots.open(path, LIST) as opened, _reported(path):
            walk = self._walk(opened, checkpoint, gitignore=gitignore, exclude=exclude)
            return outline(opened.path, walk, depth, limit)

    def search(
        self,
        path: str,
        glob: str,
        *,
        limit: int,
        wanted: Wanted = ANY,
        ignore_case: bool = False,
        gitignore: bool = False,
        exclude: Sequence[str] = (),
        after: Sequence[str] = (),
        checkpoint: Checkpoint = never_stop,
    ) -> Search:
        """Return the first `limit` entries below a directory that are wanted and whose path fits a glob, after a path.

        A page depends on the paths alone, so nothing is repeated or skipped when the tree changes in between.
        """
        fits = path_matcher([glob], ignore_case=ignore_case)
        with self._roots.open(path, LIST) as opened, _reported(path):
            found: list[tuple[tuple[str, ...], Entry]] = []
            walk = self._walk(opened, checkpoint, gitignore=gitignore, wanted=fits, exclude=exclude)
            for walked in walk.below(tuple(after)):
                if wanted.type not in (None, walked.type) or not fits(walked.path):
                    continue
                entry = self._entry_below(opened, walked.names)
                if entry is None or not wanted.fits(entry):
                    continue
                if len(found) == limit:
                    return Search(opened.path, found, more=True, unreadable=walk.unreadable)
                found.append((walked.names, entry))
            return Search(opened.path, found, more=False, unreadable=walk.unreadable)

    def search_content(
        self,
        path: str,
        query: "Query",
        *,
        after: "tuple[Names, int] | None" = None,
        max_characters: int,
        checkpoint: Checkpoint = never_stop,
        progress: "Progress" = lambda _: None,
        ripgrep: str | None = None,
        seconds: int = 3_600,
    ) -> "Found":
        """Return lines that match in the files below a directory, or in one file, after a line of a file."""
        from mcp_server_filesystem.content_search import ContentSearch

        with self._roots.open(path, READ) as opened, _reported(path):
            kind = type_of(fstat(opened.handle))
            if kind not in ("file", "directory"):
                raise InvalidArgument(f"{path!r} is a {kind}; only files and directories can be searched.")
            search = ContentSearch(
                self._roots,
                opened,
                query,
                checkpoint=checkpoint,
                progress=progress,
                ripgrep=ripgrep,
                seconds=seconds,
            )
            return search.page(after, max_characters)

    def info(self, path: str, *, checkpoint: Checkpoint = never_stop) -> FileInfo:
        """Return what is known about one path; a link is not followed."""
        try:
            with self._roots.place(path, follow=False, writing=False) as place, _reported(path):
                status = fstatat(place.directory, place.name)
                if type_of(status) == "symlink":
                    return _info(place.path, status, target=readlinkat(place.directory, place.name))
        except (InvalidArgument, NotFound):  # a root has no place in another directory; what is near is told below
            pass
        with self._roots.open(path, _LOOK) as opened, _reported(path):
            status = fstat(opened.handle)
            if type_of(status) != "file":
                return _info(opened.path, status)
        return self._info_of_file(path, checkpoint)

    def total(self, path: str, *, checkpoint: Checkpoint = never_stop) -> Total:
        """Count what is below a directory, and sum the sizes of the files; what is denied is left out."""
        entries = size = 0
        with self._roots.open(path, LIST) as opened, _reported(path):
            walk = self._walk(opened, checkpoint, gitignore=False)
            for walked in walk.below():
                entries += 1
                if walked.type == "file" and (entry := self._entry_below(opened, walked.names)):
                    size += entry.size or 0
            return Total(entries, size, walk.unreadable)

    def fingerprint(self, path: str) -> Key:
        """Return what changes whenever the file at a path does, or another takes its place."""
        with self._roots.open(path, _LOOK) as opened, _reported(path):
            status = fstat(opened.handle)
            return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def _info_of_file(self, path: str, checkpoint: Checkpoint) -> FileInfo:
        with self._regular_file(path) as (opened, status):
            sample = _read_fully(opened.handle, 0, HEADER_BYTES)
            encoding = detect_encoding(sample[:SAMPLE_BYTES], status.st_size)
            found = media_type(sample)
            guessed = _MIME_TYPES.guess_type(opened.path)[0] or ("text/plain" if encoding else None)
            return _info(
                opened.path,
                status,
                mime_type=found.name if found else guessed or "application/octet-stream",
                encoding=encoding,
                line_ending=_line_ending(sample, encoding),
                sha256=_sha256(opened.handle, checkpoint) if status.st_size <= MAX_HASHED_BYTES else None,
            )

    def _walk(
        self,
        opened: Opened,
        checkpoint: Checkpoint,
        *,
        gitignore: bool,
        wanted: Callable[[str], bool] | None = None,
        exclude: Sequence[str] = (),
    ) -> Walk:
        gitignores = gitignores_above(self._roots, opened) if gitignore else None
        return Walk(self._roots, opened, gitignores, checkpoint, wanted, exclude)

    def _entry_below(self, opened: Opened, names: Sequence[str]) -> Entry | None:
        try:
            directory = self._roots.open_below(opened.handle, names[:-1], _LOOK)
        except OSError:
            return None
        try:
            return entry_of(directory, names[-1])
        finally:
            close(directory)

    @contextmanager
    def _regular_file(self, path: str) -> Generator[tuple[Opened, os.stat_result]]:
        with self._roots.open(path, READ) as opened, _reported(path):
            status = fstat(opened.handle)
            kind = type_of(status)
            if kind == "directory":
                raise InvalidArgument(f"{path!r} is a directory.", hint="Use list_directory.")
            if kind != "file":
                raise InvalidArgument(f"{path!r} is a {kind}, not a file that can be read.")
            yield opened, status


def runs_as_root() -> bool:
    """Whether the operating system lets this process read and change everything."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


@contextmanager
def _reported(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def _require_at_most(max_bytes: int, data: bytes, status: os.stat_result, path: str) -> None:
    """Raise TooLarge if a file has more bytes: by its status, or by what was read of it, as one that grew."""
    if max(status.st_size, len(data)) > max_bytes:
        size = f"{status.st_size:,} bytes" if status.st_size > max_bytes else "more"
        raise TooLarge(f"{path!r} has {size}; at most {max_bytes:,} bytes are returned.")


def _read_fully(handle: int, offset: int, length: int) -> bytes:
    """Return the bytes there, fewer than `length` only at the end of the file."""
    data = pread(handle, length, offset)
    while data and len(data) < length:
        rest = pread(handle, length - len(data), offset + len(data))
        if not rest:
            break
        data += rest
    return data


def _key(directory: int, name: str, sort: Sort) -> Key:
    if sort == "name":
        return (name,)
    try:
        status = fstatat(directory, name)
    except OSError:  # it has gone
        return (0, name)
    if sort == "modified":
        return (status.st_mtime_ns, name)
    return (status.st_size if stat.S_ISREG(status.st_mode) else 0, name)


def _info(path: str, status: os.stat_result, **known: str | None) -> FileInfo:
    kind = type_of(status)
    owner, group = _owner_and_group(status)
    size = status.st_size if kind == "file" else None
    return FileInfo(path, kind, size, time_of(status), stat.filemode(status.st_mode), owner, group, **known)


def _owner_and_group(status: os.stat_result) -> tuple[str | None, str | None]:
    try:
        from grp import getgrgid  # not needed by every call
        from pwd import getpwuid
    except ImportError:  # Windows, where a status has neither
        return None, None
    try:
        owner = getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    try:
        group = getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return owner, group


def _line_ending(sample: bytes, encoding: str | None) -> str | None:
    if encoding is None:
        return None
    file = TextFile(lambda at, size: sample[at : at + size], len(sample), encoding, never_stop)
    return file.page(ALL_LINES, SAMPLE_BYTES).line_ending


def _sha256(handle: int, checkpoint: Checkpoint) -> str:
    digest = hashlib.sha256()
    at = 0
    while data := pread(handle, _HASH_BYTES, at):
        checkpoint()
        digest.update(data)
        at += len(data)
    return digest.hexdigest()
