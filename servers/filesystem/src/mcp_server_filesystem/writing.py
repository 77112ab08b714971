"""Changes beneath the roots: the one place that writes, synchronous throughout.

A path names an entry by the handle of its directory and its name there (`Roots.place`), in a root that may be
written; from then on nothing but that handle and that name is used, and no link is followed. Every change is
whole or not there at all, but for the removal of a directory and a move between file systems.
"""

import errno
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from mcp_server_shared.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, TooLarge, Unavailable

from mcp_server_filesystem.by_path import Identity
from mcp_server_filesystem.confinement import (
    Place,
    Root,
    Roots,
    absolute,
    ancestors,
    identity,
    names_directory,
    refusal,
)
from mcp_server_filesystem.edits import Edit, apply_edits, decoded, diff, with_added
from mcp_server_filesystem.entries import LIST, READ, Checkpoint, EntryType, never_stop, type_of
from mcp_server_filesystem.handles import (
    close,
    fstat,
    fstatat,
    mkdirat,
    openat,
    renameat,
    renames_what_is_open,
    rmdirat,
)
from mcp_server_filesystem.renaming import rename_to_new
from mcp_server_filesystem.replacement import (
    TEMPORARY,
    Existing,
    chunks,
    digest,
    existing,
    give_name,
    leftovers,
    put,
    sync,
    temporary_name,
)
from mcp_server_filesystem.trees import TreeCopy, opened, opened_new, remove, walk

ABSENT = "absent"  # as the expected hash: there must be no such file yet
TRASH = ".trash"
MAX_EDIT_BYTES = 32 * 2**20  # a file is edited in memory
MAX_HASHED_BYTES = 2**30  # a file that only moves is not read at any price

_LOCKS = 64
_DIRECTORIES_REMEMBERED = 10_000


@dataclass(frozen=True)
class Written:
    """A file that was created or replaced."""

    path: str
    bytes: int
    sha256: str
    created: bool


@dataclass(frozen=True)
class Edited:
    """A file that was edited, or would be.

    Attributes:
        path: the absolute path, links resolved.
        bytes: its new size.
        sha256: its new hash.
        encoding: what it is written in, before and after.
        diff: the change as a unified diff.
    """

    path: str
    bytes: int
    sha256: str
    encoding: str
    diff: str


@dataclass(frozen=True)
class Moved:
    """An entry under its new path.

    Attributes:
        path: the new absolute path, links above it resolved.
        type: what it is.
        sha256: of a file; None if larger than `MAX_HASHED_BYTES` or not readable.
    """

    path: str
    type: EntryType
    sha256: str | None


@dataclass(frozen=True)
class Copied:
    """An entry and its copy.

    Attributes:
        path: the absolute path of the copy.
        type: what it is.
        entries: how many entries it has, itself included.
        bytes: size of all files in it.
        skipped: entries left out: closed by a deny glob, or FIFOs, sockets and devices.
        sha256: of a file.
    """

    path: str
    type: EntryType
    entries: int
    bytes: int
    skipped: int
    sha256: str | None


@dataclass(frozen=True)
class Doomed:
    """What a removal would take away for good; equal as long as it is the same."""

    path: str
    type: EntryType
    entries: int
    bytes: int
    identity: Identity


class Writer:
    """What may be changed in the roots. Safe to use from many threads.

    Every method takes paths that are absolute, or relative if there is exactly one root, and raises what
    `Roots.place` does. `checkpoint` raises to stop a call; what it had begun is undone, but for a removal.
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._locks = [threading.Lock() for _ in range(_LOCKS)]
        self._swept: set[Identity] = set()

    def write_file(self, path: str, content: str, *, expected_sha256: str | None, checkpoint: Checkpoint) -> Written:
        """Create a file, or replace the one that is there, links followed.

        Args:
            path: the file.
            content: its whole text, written as UTF-8, every character as it is.
            expected_sha256: what the file must have now to be replaced; `ABSENT` if there must be none.
            checkpoint: raises to stop.

        Raises:
            Conflict: the file is not as expected, or changed while it was written.
            InvalidArgument: it is no regular file, or the content has characters that UTF-8 lacks.
        """
        data = _utf_8(content)
        with self._file(path) as (place, old):
            _expect(place, old, expected_sha256, checkpoint)
            return _written(place, data, old, checkpoint)

    def append_file(self, path: str, content: str, *, expected_sha256: str | None, checkpoint: Checkpoint) -> Written:
        """Add text to the end of a file, links followed, in its encoding and with its line ends; create it if need be.

        Raises:
            Conflict: the file is not as expected, or changed meanwhile.
            InvalidArgument: it is no regular file, or its encoding lacks a character of the content.
            Unsupported: it is binary.
            TooLarge: it is larger than `MAX_EDIT_BYTES`.
        """
        with self._file(path) as (place, old):
            _expect(place, old, expected_sha256, checkpoint)
            before = _content(place, old, checkpoint) if old else b""
            text = decoded(before)
            data = text.encoded(with_added(text, content)) if before else _utf_8(content)
            return _written(place, data, old, checkpoint)

    def edit_file(
        self,
        path: str,
        edits: Sequence[Edit],
        *,
        expected_sha256: str | None,
        dry_run: bool,
        max_diff_characters: int,
        checkpoint: Checkpoint,
    ) -> Edited:
        """Replace exact pieces of a text file, in order, links followed; all of them or none.

        Raises:
            NotFound: there is no such file.
            InvalidArgument: an edit does not fit (`apply_edits`).
            Unsupported: it is binary.
            TooLarge: it is larger than `MAX_EDIT_BYTES`.
            Conflict: it is not the expected file, or changed meanwhile.
        """
        with self._file(path) as (place, old):
            if old is None:
                raise self._missing(path)
            data = _content(place, old, checkpoint)
            _expect(place, old, expected_sha256, checkpoint)
            text = decoded(data)
            after = apply_edits(text, edits, checkpoint)
            edited = text.encoded(after)
            if edited != data and not dry_run:
                put(place, edited, old, checkpoint)
            return Edited(
                place.path,
                len(edited),
                hashlib.sha256(edited).hexdigest(),
                text.encoding,
                diff(place.path, text.text, after, max_diff_characters),
            )

    def create_directory(self, path: str) -> tuple[str, bool]:
        """Create a directory and those missing above it; return its absolute path, and whether it is new."""
        with suppress(NotFound), self._roots.open(path, LIST) as there:
            return there.path, False
        with (
            self._place(path, follow=True, missing_parents=True) as place,
            _made(place.directory, [place.name, *place.beyond], 0o777),
        ):
            return place.path, True

    def copy(self, source: str, destination: str, *, checkpoint: Checkpoint) -> Copied:
        """Copy a file, a link as a link, or a directory with all in it, to a path that is free.

        Raises:
            Conflict: there is something at the destination.
            InvalidArgument: it is a special file, or the destination is inside the source.
            TooLarge: it is more than the limits of `TreeCopy` allow.
        """
        with self._both(source, destination, writing_source=False) as (origin, target):
            kind = self._kind(origin, source)
            if kind == "directory":
                _require_outside(origin, target)
            if _exists(target):
                raise _taken(target)
            denies = self._roots.deny.denies
            copied = TreeCopy(
                lambda path, name: (
                    denies(path, name) or denies(target.relative + path.removeprefix(origin.relative), name)
                ),
                faithful=False,
                checkpoint=checkpoint,
            )
            _copy(origin, target, None, copied)
            sha256 = copied.sha256 if kind == "file" else None
            return Copied(target.path, kind, copied.entries, copied.bytes, copied.skipped, sha256)

    def move(self, source: str, destination: str, *, overwrite: bool, checkpoint: Checkpoint) -> Moved:
        """Move or rename an entry, a link itself and not what it leads to.

        Raises:
            Conflict: there is something at the destination, and it is no file or `overwrite` is not set.
            InvalidArgument: the destination is inside the source, or the same.
            PermissionDenied: something in it would become open or closed to a deny glob.
        """
        with self._both(source, destination) as (origin, target):
            kind = self._kind(origin, source)
            if kind == "directory":
                _require_outside(origin, target)
                self._require_movable(origin, target.relative, checkpoint)
            replaced = _replaced(origin, target) if overwrite else None
            return _move(origin, target, kind, replaced, checkpoint)

    def trash(self, path: str, *, checkpoint: Checkpoint) -> Moved:
        """Move an entry into the trash folder of its root, from where `move` brings it back."""
        with self._place(path, follow=False) as doomed:
            names = doomed.relative.split("/")
            if names[0] == TRASH:
                raise InvalidArgument(f"{path!r} is in the trash.", hint="permanent=true deletes it for good.")
            kind = self._kind(doomed, path)
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            beneath = [TRASH, f"{now}-{secrets.token_hex(4)}", *names]
            if kind == "directory":
                self._require_movable(doomed, "/".join(beneath), checkpoint, may_close=True)
            with _trash(doomed.root) as trash, _made(trash, beneath[1:-1], 0o700) as directory:
                path_there = absolute(doomed.root, beneath)
                target = Place(directory, names[-1], path_there, "/".join(beneath), doomed.root)
                return _move(doomed, target, kind, None, checkpoint)

    def survey(self, path: str, *, checkpoint: Checkpoint) -> Doomed:
        """Look at what `delete` would remove; raise PermissionDenied if a deny glob closes any of it."""
        with self._place(path, follow=False) as place:
            return self._survey(place, path, checkpoint)

    def delete(self, path: str, agreed: Doomed, *, checkpoint: Checkpoint) -> None:
        """Remove an entry for good; a directory with all in it, which cannot be undone halfway.

        Raises:
            Conflict: it is not any more what `survey` returned.
        """
        with self._place(path, follow=False) as place:
            if self._survey(place, path, checkpoint) != agreed:
                raise Conflict(f"{path!r} changed since its deletion was agreed; nothing was deleted.")
            try:
                remove(place.directory, place.name, checkpoint)
            except OSError as error:
                if agreed.type != "directory":
                    raise
                raise Unavailable(
                    f"{path!r} is deleted in part at most: {error.strerror}.", hint="list_directory shows what is left."
                ) from error
            sync(place.directory)

    @contextmanager
    def _place(
        self, path: str, *, follow: bool, writing: bool = True, missing_parents: bool = False
    ) -> Generator[Place]:
        with self._roots.place(path, follow=follow, writing=writing, missing_parents=missing_parents) as place:
            # What has such a name is swept away one day: nobody is to lose anything by choosing it.
            if any(TEMPORARY.fullmatch(name) for name in (place.name, *place.beyond)):
                raise InvalidArgument(f"{path!r} has a name that is reserved for unfinished files.")
            with _reported(path):
                yield place

    @contextmanager
    def _file(self, path: str) -> Generator[tuple[Place, Existing | None]]:
        if names_directory(path):
            raise InvalidArgument(f"{path!r} names a directory.", hint="Name a file in it.")
        with self._place(path, follow=True) as place:
            self._sweep(place)
            # By name: a file that is replaced becomes another one. Other processes are noticed when it is renamed.
            lock = self._locks[hash((identity(place.directory), place.name)) % _LOCKS]
            with lock, existing(place) as old:
                yield place, old

    @contextmanager
    def _both(self, source: str, destination: str, *, writing_source: bool = True) -> Generator[tuple[Place, Place]]:
        with (
            self._place(source, follow=False, writing=writing_source) as origin,
            self._place(destination, follow=False) as target,
            _reported(f"{source} → {destination}"),
        ):
            self._sweep(target)
            yield origin, target

    def _missing(self, path: str) -> Exception:
        """Return the error for what does not exist, with the names that are near."""
        try:
            with self._roots.open(path, READ):
                return Unavailable(f"{path!r} keeps changing.", hint="Try again.")
        except NotFound as error:
            return error

    def _kind(self, place: Place, asked: str) -> EntryType:
        try:
            return type_of(fstatat(place.directory, place.name))
        except FileNotFoundError:
            raise self._missing(asked) from None

    def _sweep(self, place: Place) -> None:
        """Remove what a killed server left there, before the first change of this one."""
        at = identity(place.directory)
        if at in self._swept:
            return
        if len(self._swept) >= _DIRECTORIES_REMEMBERED:
            self._swept.clear()
        self._swept.add(at)
        with suppress(OSError), opened(place.directory, ".") as directory:
            for name in leftovers(directory):
                remove(directory, name, never_stop)

    def _require_movable(
        self, origin: Place, new_path: str, checkpoint: Checkpoint, *, may_close: bool = False
    ) -> None:
        """Raise PermissionDenied if moving a directory would open to view what is closed in it, or the reverse."""
        denies = self._roots.deny.denies
        with opened(origin.directory, origin.name) as directory:
            self._require_no_root(directory, origin)
            for path, entry in walk(directory, origin.relative, checkpoint):
                closed = denies(path, entry.name)
                closes = denies(new_path + path.removeprefix(origin.relative), entry.name)
                if closed != closes and not (closes and may_close):
                    raise PermissionDenied(
                        f"{origin.path!r} has {f'{path}/{entry.name}'!r} in it, which a deny pattern closes "
                        f"{'where it is' if closed else 'where it would go'}.",
                        hint="Take the other entries one by one.",
                    )

    def _require_no_root(self, directory: int, place: Place) -> None:
        at = identity(directory)
        for root in self._roots.roots:
            if root.exists() and at in ancestors(root.handle()):
                raise PermissionDenied(
                    f"{place.path!r} has the allowed directory {root.path!r} in it, which stays where it is.",
                    hint="Take the other entries one by one.",
                )

    def _survey(self, place: Place, asked: str, checkpoint: Checkpoint) -> Doomed:
        kind = self._kind(place, asked)
        status = fstatat(place.directory, place.name)
        entries, size = 1, status.st_size if kind == "file" else 0
        if kind == "directory":
            with opened(place.directory, place.name) as directory:
                self._require_no_root(directory, place)
                for path, entry in walk(directory, place.relative, checkpoint):
                    if self._roots.deny.denies(path, entry.name):
                        raise PermissionDenied(
                            f"{place.path!r} has {f'{path}/{entry.name}'!r} in it, which a deny pattern closes.",
                            hint="Delete the other entries one by one, or move the directory to the trash.",
                        )
                    entries += 1
                    if entry.is_file(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
        return Doomed(place.path, kind, entries, size, (status.st_dev, status.st_ino))


@contextmanager
def _reported(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(error, path) from error


def _utf_8(content: str) -> bytes:
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"The content has a lone surrogate at character {error.start:,}, which no UTF-8 file can have."
        ) from error


def _content(place: Place, file: Existing, checkpoint: Checkpoint) -> bytes:
    if file.status.st_size > MAX_EDIT_BYTES:
        raise TooLarge(f"{place.path!r} has {file.status.st_size:,} bytes; at most {MAX_EDIT_BYTES:,} can be edited.")
    return b"".join(chunks(file.handle, checkpoint))


def _written(place: Place, data: bytes, old: Existing | None, checkpoint: Checkpoint) -> Written:
    put(place, data, old, checkpoint)
    return Written(place.path, len(data), hashlib.sha256(data).hexdigest(), old is None)


def _expect(place: Place, old: Existing | None, expected: str | None, checkpoint: Checkpoint) -> None:
    if expected is None or (expected == ABSENT and old is None):
        return
    if old is None:
        raise Conflict(f"{place.path!r} does not exist any more.", hint=f"expected_sha256={ABSENT!r} creates it.")
    current = digest(old.handle, checkpoint)
    if expected == ABSENT:
        raise Conflict(f"{place.path!r} exists already; its sha256 is {current}.", hint="Read it first.")
    if current != expected:
        raise Conflict(
            f"{place.path!r} is not what you expect: its sha256 is now {current}.",
            hint="Read it again and decide anew; nothing was changed.",
        )


def _move(
    origin: Place, target: Place, kind: EntryType, replaced: os.stat_result | None, checkpoint: Checkpoint
) -> Moved:
    with ExitStack() as opened_file:
        in_advance = renames_what_is_open(origin.directory)
        file = opened_file.enter_context(_readable(origin, kind)) if in_advance else None
        checkpoint()
        try:
            if replaced is None:
                rename_to_new(origin.directory, origin.name, target.directory, target.name)
            else:
                renameat(origin.directory, origin.name, target.directory, target.name)
        except FileExistsError:
            raise _taken(target) from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(origin, target, replaced, checkpoint)
        sync(target.directory)
        sync(origin.directory)
        if not in_advance:
            file = opened_file.enter_context(_readable(target, kind))
        return Moved(target.path, kind, None if file is None else digest(file, checkpoint))


def _move_across(origin: Place, target: Place, replaced: os.stat_result | None, checkpoint: Checkpoint) -> None:
    """Move between file systems: copy, then remove, so that a kill leaves the old, or both."""
    begun = time.time()
    _copy(origin, target, replaced, TreeCopy(lambda path, name: False, faithful=True, checkpoint=checkpoint))
    if _changed_since(begun, origin):
        raise Conflict(
            f"{origin.path!r} changed while it was copied to {target.path!r}, on another file system; both exist now.",
            hint="Compare them, then delete one.",
        )
    remove(origin.directory, origin.name, never_stop)


def _copy(origin: Place, target: Place, replaced: os.stat_result | None, copy: TreeCopy) -> None:
    """Copy beside the target, then give the finished copy its name."""
    name = temporary_name()
    try:
        copy.entry(origin.directory, origin.name, origin.relative, target.directory, name)
        copy.checkpoint()
        give_name(target, name, replaced)
    except BaseException:
        with suppress(OSError):
            remove(target.directory, name, never_stop)
        raise


def _changed_since(begun: float, place: Place) -> bool:
    if fstatat(place.directory, place.name).st_ctime >= begun:
        return True
    try:
        with opened(place.directory, place.name) as directory:
            entries = walk(directory, place.relative, never_stop)
            return any(entry.stat(follow_symlinks=False).st_ctime >= begun for _, entry in entries)
    except NotADirectoryError:
        return False


@contextmanager
def _readable(place: Place, kind: EntryType) -> Generator[int | None]:
    """Open what moves, to hash it afterwards; None where that is not possible or takes too long."""
    handle = None
    if kind == "file":
        with suppress(OSError):
            handle = openat(place.directory, place.name, READ)
    try:
        fits = handle is not None and fstat(handle).st_size <= MAX_HASHED_BYTES
        yield handle if fits else None
    finally:
        if handle is not None:
            close(handle)


def _replaced(origin: Place, target: Place) -> os.stat_result | None:
    """Return what a move will overwrite, if there is anything; raise Conflict if that must not be."""
    try:
        there = fstatat(target.directory, target.name)
    except FileNotFoundError:
        return None
    here = fstatat(origin.directory, origin.name)
    if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
        raise InvalidArgument(f"{origin.path!r} and {target.path!r} are the same file.")
    if {type_of(here), type_of(there)} - {"file", "symlink"}:
        raise Conflict(
            f"{target.path!r} exists, and only a file can be overwritten, by a file.",
            hint="Choose another destination, or delete it first.",
        )
    return there


def _require_outside(origin: Place, target: Place) -> None:
    with opened(origin.directory, origin.name) as directory:
        if identity(directory) in ancestors(target.directory):
            raise InvalidArgument(f"{target.path!r} is inside {origin.path!r}, which cannot go into itself.")


def _exists(place: Place) -> bool:
    try:
        fstatat(place.directory, place.name)
    except FileNotFoundError:
        return False
    return True


def _taken(place: Place) -> Conflict:
    return Conflict(
        f"{place.path!r} exists already; nothing was changed.",
        hint="Choose another destination; move_file overwrites a file with overwrite=true.",
    )


@contextmanager
def _made(directory: int, names: Sequence[str], mode: int) -> Generator[int]:
    """Make directories, each in the one before it, where they are missing; yield a handle of the last.

    If that fails, or what is done with the handle, those that were made and are empty are removed again.
    """
    with ExitStack() as handles, ExitStack() as made:
        here = directory
        for name in names:
            with suppress(FileExistsError):
                mkdirat(here, name, mode)
                made.callback(_remove_empty, here, name)
                sync(here)
            here = handles.enter_context(opened(here, name))
        yield here
        made.pop_all()


def _remove_empty(directory: int, name: str) -> None:
    with suppress(OSError):
        rmdirat(directory, name)


@contextmanager
def _trash(root: Root) -> Generator[int]:
    """Open the trash folder of a root, made if there is none, such that searches leave it out."""
    with ExitStack() as handles:
        try:
            trash = handles.enter_context(_made(root.handle(), [TRASH], 0o700))
        except NotADirectoryError as error:
            raise Conflict(
                f"{absolute(root, [TRASH])!r} is no directory, so there is no trash to move anything to.",
                hint="permanent=true deletes for good.",
            ) from error
        # Where there is no room left for it, things can be deleted all the same.
        with suppress(OSError), opened_new(trash, ".gitignore") as handle:
            os.write(handle, b"*\n")
        yield trash
