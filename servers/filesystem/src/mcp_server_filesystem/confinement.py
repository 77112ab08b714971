"""Which paths may be reached: everything is opened beneath a root, or not at all.

Nothing is checked first and used later. A path is opened from the handle of its root, name by name, and no
open ever follows a link: where a link is in the way its target is read and walked in the same manner, so the
names passed are known for certain and every one of them meets the deny globs before it is touched. Nothing
outside the roots is ever looked at. The text of a path is split at "/" and otherwise left as it is: a blank,
a quote or an accent belongs to the name.

What is to be written is named by the handle of its directory and one name in it, which nobody follows either.
Whether that directory may be written is decided by the innermost root above it, as the kernel sees it.

Hard links and mounts inside a root are part of it. Where the system has no handles relative to a directory
(Windows), a directory is known by its path, which is looked at again each time: `by_path` says what that leaves open.
"""

import errno
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Literal, TypeVar

from mcp_server_shared.deny import DEFAULT_DENY, DenyGlobs
from mcp_server_shared.errors import (
    ExpectedError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
    did_you_mean,
)

from mcp_server_filesystem.by_path import DIRECTORY, IS_WINDOWS, DirectoryByPath, Identity
from mcp_server_filesystem.handles import (
    NO_FOLLOW,
    SEARCH,
    close,
    is_gone,
    open_real,
    openat,
    readlinkat,
    scandir,
)
from mcp_server_filesystem.windows_paths import names_between_slashes, without_prefix

WalkedT = TypeVar("WalkedT")
Resolver = Literal["openat2", "walk", "path"]
OpenBelow = Callable[[int, Sequence[str], int], int]

MAX_PATH_BYTES = 4_096
MAX_LINKS = 40  # as the Linux kernel allows
MAX_OPENS = 20_000  # a path may zigzag through directories and links; this many opens take some 50 ms
ATTEMPTS = 16  # the tree may change under a walk, by chance or on purpose
NAMES_SCANNED_FOR_HINTS = 2_000
ROOTS_NAMED_IN_ERRORS = 5

_CHANGED = (errno.ELOOP, errno.ENOENT, errno.ENOTDIR)


_REFUSALS: dict[int | None, tuple[type[ExpectedError], str, str]] = {
    errno.ENOENT: (NotFound, "does not exist any more", ""),
    errno.ENOTDIR: (
        InvalidArgument,
        "is not a directory, or leads through a file",
        "read_text_file reads a file; get_file_info tells what there is.",
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM),
        (
            PermissionDenied,
            "is closed to this server by the operating system",
            "The operator would have to change its owner or mode.",
        ),
    ),
    errno.EROFS: (PermissionDenied, "is on a file system that is mounted read-only", ""),
    errno.ENAMETOOLONG: (InvalidArgument, "has a name that is longer than the file system allows", ""),
    **dict.fromkeys((errno.ENXIO, errno.ENODEV), (InvalidArgument, "is a socket or a device, not a file", "")),
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (Unavailable, "was not written: there is no room for it", "")
    ),
}


class _TreeChanged(Exception):
    """What an earlier step of a walk saw is no longer there; its cause is the error of the later step."""


@dataclass(frozen=True)
class Opened:
    """An open handle, the absolute path that was really walked to it, all links resolved, and that below the root."""

    handle: int
    path: str
    relative: str


@dataclass(frozen=True)
class Place:
    """Where an entry is, or may come to be. What has that name is to be opened or replaced, never followed.

    Attributes:
        directory: handle of the directory it is in, which is beneath a root; good for paths, not for reading.
        name: the entry's name there.
        path: its absolute path, links resolved.
        relative: its path below the root that was walked from.
        root: the innermost root that holds the directory.
        beyond: names below it that were asked for, where directories are missing.
    """

    directory: int
    name: str
    path: str
    relative: str
    root: "Root"
    beyond: tuple[str, ...] = ()


class Root:
    """One directory that may be read, with all beneath it. Opened at first use, so it may appear later.

    From then on the handle decides, not the name: a root that is moved stays the same root. One that was
    deleted is opened again under its name.
    """

    def __init__(self, path: str | os.PathLike[str], *, writable: bool, by_path: bool) -> None:
        self.path = _slashed(os.path.abspath(path))  # noqa: PTH100 - pathlib keeps ".."
        self.writable = writable
        self._by_path = by_path
        self._real: str | None = None
        self._handle: int | None = None
        self._lock = threading.Lock()

    def handle(self) -> int:
        """Return the handle of the directory; raise NotFound while there is none."""
        with self._lock:
            if self._handle is None:
                self._handle = self._open()
            elif is_gone(self._handle):
                fresh = self._open()
                if self._by_path:
                    self._handle = fresh
                else:
                    os.dup2(fresh, self._handle, inheritable=False)  # other threads hold this number: keep it
                    close(fresh)
            return self._handle

    def names(self) -> list[list[str]]:
        """Return the absolute paths this root is known by, split: as configured and, where it exists, the real one."""
        if self._real is None:
            self.exists()
        return [split(path) for path in {self.path, self._real or self.path}]

    def real(self) -> list[str]:
        """Return the real path of the opened root, split."""
        self.handle()
        return split(self._real or self.path)

    def exists(self) -> bool:
        """Tell whether the directory can be opened now."""
        try:
            self.handle()
        except ExpectedError:
            return False
        return True

    def close(self) -> None:
        """Give the handle back; no call may be under way."""
        with self._lock:
            if self._handle is not None:
                close(self._handle)
            self._handle = None

    def _open(self) -> int:
        try:
            real = self._real or _slashed(os.path.realpath(self.path, strict=True))
            handle = open_real(real, by_path=self._by_path)
        except OSError as error:
            raise NotFound(
                f"The allowed directory {self.path!r} cannot be opened: {error.strerror}.",
                hint="Create it, or have the operator start the server with a directory that exists.",
            ) from error
        self._real = real
        return handle


class Roots:
    """The directories that may be read, and the only way to open anything. Safe to use from many threads.

    Args:
        paths: the directories, as the operator wrote them.
        writable: those of them whose content may be changed.
        deny: globs of what stays closed inside them.
        resolver: how links are kept from being followed; the best the system has unless named here.
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        *,
        writable: Sequence[str | os.PathLike[str]] = (),
        deny: Sequence[str] = DEFAULT_DENY,
        resolver: Resolver | None = None,
    ) -> None:
        self.by_path = resolver == "path" or (resolver is None and os.open not in os.supports_dir_fd)
        self.roots = [Root(path, writable=path in writable, by_path=self.by_path) for path in paths]
        self.deny = DenyGlobs(deny)
        self._resolver = resolver

    def close(self) -> None:
        """Give all handles back; no call may be under way."""
        for root in self.roots:
            root.close()

    @contextmanager
    def open(self, path: str, flags: int) -> Generator[Opened]:
        """Open `path` beneath its root with the `os.O_*` flags, and close it at the end.

        Raises:
            InvalidArgument: no path at all, relative with several roots, or not a directory where one is needed.
            PermissionDenied: outside every root, closed by a deny glob, or refused by the operating system.
            NotFound: there is no such entry; the hint has the nearest names.
        """
        try:
            opened = self._open(path, flags | NO_FOLLOW)
        except OSError as error:
            raise refusal(error, path) from error
        try:
            yield opened
        finally:
            close(opened.handle)

    @contextmanager
    def place(
        self, path: str, *, follow: bool, writing: bool = True, missing_parents: bool = False
    ) -> Generator[Place]:
        """Find the place of an entry that need not exist, and hold its directory open.

        Args:
            path: the entry.
            follow: whether a link of that name stands for what it leads to, or for itself.
            writing: whether its root must be writable.
            missing_parents: whether directories on the way may be missing too; `beyond` then has the rest.

        Raises:
            InvalidArgument: as `open`; also for a root itself.
            PermissionDenied: as `open`; also in a root that may only be read.
            NotFound: a directory on the way does not exist.
        """
        try:
            place = self._place(path, follow=follow, missing_parents=missing_parents)
        except OSError as error:
            raise refusal(error, path) from error
        try:
            if writing and not place.root.writable:
                raise PermissionDenied(
                    f"{path!r} is in {place.root.path!r}, which may only be read.",
                    hint="The operator can allow changes there, with --allow-write or by naming the directory DIR:rw.",
                )
            yield place
        finally:
            close(place.directory)

    def denies(self, directory: Opened, name: str) -> bool:
        """Tell whether a deny glob closes the entry of an open directory."""
        return self.deny.denies(directory.relative, name)

    def holder(self, directory: int) -> Root | None:
        """Return the innermost root that really holds an open directory: the kernel says what is above it."""
        # Of two roots that are the same directory, the one that may not be written decides.
        by_rights = sorted(self.roots, key=lambda root: root.writable, reverse=True)
        known = {identity(root.handle()): root for root in by_rights if root.exists()}
        return next((known[above] for above in ancestors(directory) if above in known), None)

    def _open(self, path: str, flags: int) -> Opened:
        root, names = self._begin(path)
        if ".." not in names:
            self.deny.check(names, path)
            try:
                return _opened(self.open_below(root.handle(), names, flags), root, names)
            except OSError:
                pass  # a link is in the way, or the walk below finds out what is
        return self._undisturbed(path, lambda: _Walk(self, path, root, names).open(flags))

    def _place(self, path: str, *, follow: bool, missing_parents: bool) -> Place:
        root, names = self._begin(path)
        return self._undisturbed(
            path, lambda: _Walk(self, path, root, names).place(follow=follow, missing_parents=missing_parents)
        )

    def _undisturbed(self, path: str, walk: Callable[[], WalkedT]) -> WalkedT:
        cause: BaseException | None = None
        for _ in range(ATTEMPTS):
            try:
                return walk()
            except _TreeChanged as changed:
                cause = changed.__cause__
        if isinstance(cause, NotADirectoryError):
            raise cause
        raise Unavailable(f"{path!r} keeps changing while it is opened.", hint="Try again.") from cause

    def open_below(self, directory: int, names: Sequence[str], flags: int) -> int:
        """Open what `names` lead to below a directory handle, following no link."""
        if self.by_path or self._resolver == "walk":
            return open_with_walk(directory, names, flags)
        try:
            return best_open_below()(directory, names, flags)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return open_with_walk(directory, names, flags)  # the kernel takes no path beyond 4,096 bytes at once

    def _begin(self, path: str) -> tuple[Root, list[str]]:
        _check_text(path)
        asked, path = path, names_between_slashes(path) if IS_WINDOWS else path
        if not self.roots:
            raise PermissionDenied(
                "No directory is allowed yet.",
                hint="The operator has to start the server with one: mcp-server-filesystem DIRECTORY.",
            )
        # A final slash asks for a directory: keep that demand as a last name ".".
        names = split(path) + (["."] if names_directory(path) else [])
        if path.startswith("/"):
            return self.enter([], names, asked)
        if len(self.roots) > 1:
            raise InvalidArgument(f"{asked!r} is relative and there are several roots.", hint=self._named_roots())
        return self.roots[0], names

    def enter(self, above: list[str], names: list[str], asked: str) -> tuple[Root, list[str]]:
        """Find the root that an absolute path leads into, and the names that remain below it.

        Outside the roots the path is followed as text alone, so nothing out there is touched.

        Args:
            above: real names passed so far, from the top of the file system.
            names: the names that follow.
            asked: the path of the call, for the error.
        """
        known = sorted(((known, root) for root in self.roots for known in root.names()), key=lambda pair: -len(pair[0]))
        while True:
            up = names.index("..") if ".." in names else len(names)
            straight = above + [name for name in names[:up] if name not in ("", ".")]
            for known_names, root in known:
                if _same(straight[: len(known_names)], known_names):
                    demand = ["."] if up == len(names) and names[-1:] == ["."] else []
                    return root, straight[len(known_names) :] + names[up:] + demand
            if up == len(names):
                raise PermissionDenied(f"{asked!r} leads outside the allowed directories.", hint=self._named_roots())
            above, names = straight[:-1], names[up + 1 :]

    def _named_roots(self) -> str:
        shown = ", ".join(repr(root.path) for root in self.roots[:ROOTS_NAMED_IN_ERRORS])
        more = len(self.roots) - ROOTS_NAMED_IN_ERRORS
        rest = f" or {more} more (list_allowed_directories)" if more > 0 else ""
        return f"Use an absolute path inside {shown}{rest}."


class _Walk:
    """One path on its way down: the names really passed, those to come, and the directory reached."""

    def __init__(self, roots: Roots, asked: str, root: Root, names: Sequence[str]) -> None:
        self._roots = roots
        self._asked = asked
        self._root = root
        self._passed: list[str] = []
        self._to_come = list(reversed(names))
        self._here: int | None = None
        self._links = 0
        self._opens = 0

    def open(self, flags: int) -> Opened:
        try:
            while self._to_come:
                name = self._to_come.pop()
                if name in ("", "."):
                    continue
                if name == "..":
                    self._climb()
                    continue
                try:
                    target = self._step(name)
                except FileNotFoundError as error:
                    raise self._missing(name) from error
                if target is not None:
                    self._follow(target)
                elif not self._to_come:
                    return self._opened(name, flags)
                else:
                    self._enter(name)
            return self._opened(".", flags)
        finally:
            self._leave()

    def place(self, *, follow: bool, missing_parents: bool) -> Place:
        try:
            while self._to_come:
                name = self._to_come.pop()
                if name in ("", "."):
                    continue
                if name == "..":
                    self._climb()
                    continue
                last = all(later in ("", ".") for later in self._to_come)
                if last and not follow:
                    self._pass(name)
                    return self._placed()
                try:
                    target = self._step(name)
                except FileNotFoundError as error:
                    if last or (missing_parents and ".." not in self._to_come):
                        return self._placed(beyond=[later for later in self._to_come[::-1] if later not in ("", ".")])
                    raise self._missing(name) from error
                if target is not None:
                    self._follow(target)
                elif last:
                    return self._placed()
                else:
                    self._enter(name)
            self._leave()
            return self._placed()
        finally:
            self._leave()

    def _pass(self, name: str) -> None:
        self._passed.append(name)
        self._roots.deny.check(self._passed, self._asked, checked=len(self._passed) - 1)

    def _enter(self, name: str) -> None:
        below = self._open(name, SEARCH)
        self._leave()
        self._here = below

    def _placed(self, beyond: Sequence[str] = ()) -> Place:
        """Return the place of the last name passed, and its directory's handle with it."""
        if not self._passed:
            raise InvalidArgument(f"{self._asked!r} is an allowed directory itself, which stays as it is.")
        names = [*self._passed, *beyond]
        self._roots.deny.check(names, self._asked, checked=len(self._passed))
        directory = self._directory(self._passed[:-1])
        holder = self._roots.holder(directory)
        if holder is None:
            raise _TreeChanged
        self._here = None
        return Place(directory, self._passed[-1], absolute(self._root, names), "/".join(names), holder, tuple(beyond))

    def _step(self, name: str) -> str | None:
        """Take one name into account; return its target if it is a link."""
        self._pass(name)
        try:
            target = readlinkat(self._directory(self._passed[:-1]), name)
        except OSError as error:
            if error.errno == errno.EINVAL:  # no link
                return None
            raise
        self._passed.pop()
        return target

    def _follow(self, target: str) -> None:
        self._links += 1
        if self._links > MAX_LINKS:
            raise InvalidArgument(f"{self._asked!r} runs through more than {MAX_LINKS} links, perhaps in a circle.")
        if IS_WINDOWS:
            target = names_between_slashes(without_prefix(target))
        if target.startswith("/"):
            self._move_to([], target.split("/"))
        else:
            self._to_come.extend(reversed(target.split("/")))

    def _climb(self) -> None:
        self._leave()
        if self._passed:
            self._passed.pop()
        else:
            self._move_to(self._root.real()[:-1], [])

    def _move_to(self, above: list[str], names: list[str]) -> None:
        self._leave()
        self._root, names = self._roots.enter(above, names + self._to_come[::-1], self._asked)
        self._passed, self._to_come = [], names[::-1]

    def _opened(self, name: str, flags: int) -> Opened:
        return _opened(self._open(name, flags), self._root, self._passed)

    def _open(self, name: str, flags: int) -> int:
        directory = self._directory(self._passed if name == "." else self._passed[:-1])
        self._count(1)
        try:
            return openat(directory, name, flags)
        except OSError as error:
            if error.errno in _CHANGED:
                raise _TreeChanged from error
            raise

    def _directory(self, names: Sequence[str]) -> int:
        """Return the handle of the directory reached, opened anew after a climb or a jump."""
        if self._here is None:
            self._count(len(names))
            try:
                self._here = self._roots.open_below(self._root.handle(), names, SEARCH)
            except OSError as error:
                if error.errno in _CHANGED:
                    raise _TreeChanged from error
                raise
        return self._here

    def _count(self, opens: int) -> None:
        self._opens += opens
        if self._opens > MAX_OPENS:
            raise InvalidArgument(f"{self._asked!r} is too long a way through directories and links.")

    def _leave(self) -> None:
        if self._here is not None:
            close(self._here)
            self._here = None

    def _missing(self, name: str) -> NotFound:
        parent = self._passed[:-1]
        message = f"There is no {name!r} in {absolute(self._root, parent)!r}."
        near = did_you_mean(name, self._names_beside(parent))
        return NotFound(message, hint=near.replace("did", "Did", 1) or "list_directory shows what there is.")

    def _names_beside(self, parent: list[str]) -> list[str]:
        try:
            handle = self._open(".", os.O_RDONLY | DIRECTORY)
        except (OSError, _TreeChanged):
            return []
        try:
            with scandir(handle) as entries:
                names = [entry.name for entry in islice(entries, NAMES_SCANNED_FOR_HINTS)]
        except OSError:
            return []
        finally:
            close(handle)
        directory = "/".join(parent)
        return [name for name in names if name.isprintable() and not self._roots.deny.denies(directory, name)]


def open_with_walk(directory: int, names: Sequence[str], flags: int) -> int:
    """Open what `names` lead to below the directory handle, following no link; an OSError says why not."""
    here = openat(directory, ".", SEARCH)
    try:
        for name in names[:-1]:
            below = openat(here, name, SEARCH)
            close(here)
            here = below
        return openat(here, names[-1] if names else ".", flags)
    finally:
        close(here)


@cache
def best_open_below() -> OpenBelow:
    """Return the fastest way to open without following links that this system has."""
    if sys.platform == "linux":
        # Here, because it loads ctypes, which the start of the server need not wait for.
        from mcp_server_filesystem.openat2 import kernel_has_openat2, open_with_openat2

        if kernel_has_openat2():
            return open_with_openat2
    return open_with_walk


def names_directory(path: str) -> bool:
    """Tell whether the text of a path can only be meant for a directory."""
    return _slashed(path).endswith(("/", "/."))


def split(path: str) -> list[str]:
    """Return the names of a path, without the empty ones and those that mean the same place."""
    return [name for name in path.split("/") if name not in ("", ".")]


def identity(handle: int) -> Identity:
    """Return what tells an open directory from every other."""
    if isinstance(handle, DirectoryByPath):
        return handle.identity
    status = os.fstat(handle)
    return status.st_dev, status.st_ino


def ancestors(directory: int) -> Iterator[Identity]:
    """Yield the identity of an open directory and of each above it, up to the top of the file system."""
    here = openat(directory, ".", SEARCH)
    try:
        at = identity(here)
        above = None
        while at != above:
            yield at
            parent = openat(here, "..", SEARCH)
            close(here)
            here = parent
            at, above = identity(here), at
    finally:
        close(here)


def absolute(root: Root, names: Sequence[str]) -> str:
    """Return the path of an entry below a root, under the name the operator gave the root."""
    return "/".join([root.path.rstrip("/"), *names]) or "/"


def refusal(error: OSError, path: str) -> ExpectedError:
    """Put what the operating system answered about `path` in words."""
    if error.errno not in _REFUSALS:
        return Unavailable(f"The operating system failed on {path!r}: {error.strerror}.")
    kind, message, hint = _REFUSALS[error.errno]
    return kind(f"{path!r} {message}.", hint=hint)


def _opened(handle: int, root: Root, names: Sequence[str]) -> Opened:
    names = [name for name in names if name != "."]
    return Opened(handle, absolute(root, names), "/".join(names))


def _slashed(path: str) -> str:
    return path.replace("\\", "/") if IS_WINDOWS else path


def _same(names: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether two paths are the same to this system: to Windows case means nothing."""
    return list(map(os.path.normcase, names)) == list(map(os.path.normcase, others))


def _check_text(path: str) -> None:
    if not path:
        raise InvalidArgument("The path is empty.", hint='Use "." for the allowed directory itself.')
    if "\0" in path:
        raise InvalidArgument("The path has a NUL character, which no file name can have.")
    try:
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise InvalidArgument(f"The path is longer than {MAX_PATH_BYTES:,} bytes.")
    except UnicodeEncodeError as error:
        raise InvalidArgument("The path has characters that no file name here can have.") from error
