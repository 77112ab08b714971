"""Everything below a directory, in the order of the names, without ever following a link."""

import errno
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, islice

from mcp_server_shared.errors import ExpectedError
from mcp_server_shared.globs import path_matcher

from mcp_server_filesystem.by_path import DirectoryChanged
from mcp_server_filesystem.confinement import Opened, Roots
from mcp_server_filesystem.entries import LIST, READ, Checkpoint, EntryType, entry_types, type_of
from mcp_server_filesystem.gitignore import MAX_BYTES, Ignored, IgnoreFile
from mcp_server_filesystem.handles import close, fstat, pread

TextAbove = tuple[str, list[str]]

ENTRIES_AT_ONCE = 100_000  # of one directory; a larger one is read several times

REFUSED = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class Walked:
    """One entry: its names below the start, and what it is."""

    names: tuple[str, ...]
    type: EntryType

    @property
    def path(self) -> str:
        """The path below the start."""
        return "/".join(self.names)


class Walk:
    """A way through a tree, each directory before what it holds, names in the order of their code points.

    Each directory is opened anew beneath the start, name by name, so a link is never followed, and a tree may be
    deeper than the handles a process may have. What cannot be opened is left out; `unreadable` counts the directories
    of which the operating system says so.

    Args:
        roots: the confinement.
        start: the open directory to begin in.
        gitignores: what `gitignores_above` returned, to leave out what `.gitignore` files say; None not to.
        checkpoint: called for each directory and every few thousand entries.
        wanted: which paths below the start to yield, beside directories; all without it.
        exclude: globs of paths below the start to leave out, with all below them.
    """

    def __init__(
        self,
        roots: Roots,
        start: Opened,
        gitignores: Sequence[TextAbove] | None,
        checkpoint: Checkpoint,
        wanted: Callable[[str], bool] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        self._roots = roots
        self._start = start
        self._checkpoint = checkpoint
        self._wanted = wanted
        self._excluded = path_matcher(exclude) if exclude else None
        self.unreadable = 0
        self.ignored = None
        if gitignores is not None:
            self.ignored = Ignored(self._gitignore, [(IgnoreFile(text), names) for text, names in gitignores])

    def first(self, names: tuple[str, ...], most: int) -> tuple[list[Walked], int]:
        """Return the first entries of one directory, and how many it has."""
        total = 0

        def counted() -> Iterator[tuple[str, EntryType]]:
            nonlocal total
            for entry in self._scanned(names):
                total += 1
                yield entry

        entries = nsmallest(most, counted())
        return [Walked((*names, name), kind) for name, kind in entries], total

    def below(self, after: tuple[str, ...] = ()) -> Iterator[Walked]:
        """Yield everything below the start that comes after a path."""
        stack = [self._entries((), *after[:1])]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
                continue
            depth = len(entry.names)
            on_the_way = entry.names == after[:depth]
            if not on_the_way:
                yield entry
            if entry.type == "directory":
                stack.append(self._entries(entry.names, *(after[depth : depth + 1] if on_the_way else ())))

    def is_open(self, names: Sequence[str]) -> bool:
        """Tell whether a walk would reach this file: nothing on the way is denied, excluded or ignored."""
        above = [self._start.relative] if self._start.relative else []
        for depth, name in enumerate(names):
            if self._roots.deny.denies("/".join([*above, *names[:depth]]), name):
                return False
            if self._excluded and self._excluded("/".join(names[: depth + 1])):
                return False
        return self.ignored is None or not self.ignored.hides(names)

    def open_file(self, names: Sequence[str]) -> int:
        """Open a regular file below the start; OSError if it is none, or no longer there."""
        handle = self._roots.open_below(self._start.handle, names, READ)
        if type_of(fstat(handle)) != "file":
            close(handle)
            raise FileNotFoundError(names[-1])
        return handle

    def _entries(self, names: tuple[str, ...], at_least: str = "") -> Iterator[Walked]:
        """Yield what one directory holds, in order, from a name on."""
        while True:
            scanned = self._scanned(names, at_least)
            found = list(islice(scanned, ENTRIES_AT_ONCE))
            complete = len(found) < ENTRIES_AT_ONCE
            for name, kind in sorted(found) if complete else nsmallest(ENTRIES_AT_ONCE, chain(found, scanned)):
                at_least = name + "\0"
                yield Walked((*names, name), kind)
            if complete:
                return

    def _scanned(self, names: tuple[str, ...], at_least: str = "") -> Iterator[tuple[str, EntryType]]:
        """Yield what one directory holds, in no order: what is wanted, and neither denied, excluded nor ignored."""
        self._checkpoint()
        below = "".join(f"{name}/" for name in names)
        relative = "/".join([self._start.relative, *names] if self._start.relative else names)
        with self._listed(names) as entries:
            for name, kind in entries:
                if name < at_least or self._roots.deny.denies(relative, name):
                    continue
                is_directory = kind == "directory"
                if not is_directory and self._wanted and not self._wanted(below + name):
                    continue
                if self._excluded and self._excluded(below + name):
                    continue
                if self.ignored is None or not self.ignored.ignores((*names, name), is_directory=is_directory):
                    yield name, kind

    @contextmanager
    def _listed(self, names: Sequence[str]) -> Generator[Iterator[tuple[str, EntryType]]]:
        """Open a directory below the start; one that cannot be opened holds nothing."""
        try:
            handle = self._roots.open_below(self._start.handle, names, LIST)
        except OSError as error:
            self.unreadable += error.errno in REFUSED
            yield iter(())
            return
        try:
            yield entry_types(handle, self._checkpoint)
        except DirectoryChanged:
            pass
        finally:
            close(handle)

    def _gitignore(self, names: Sequence[str]) -> str:
        try:
            handle = self.open_file([*names, ".gitignore"])
        except OSError:
            return ""
        try:
            return _text(handle)
        except OSError:
            return ""
        finally:
            close(handle)


def gitignores_above(roots: Roots, start: Opened) -> list[TextAbove]:
    """Return the texts of the `.gitignore` files between the root and a directory, outermost first.

    Each comes with the names that lead from its directory to the start.
    """
    names = [name for name in start.relative.split("/") if name]
    root = start.path.removesuffix(start.relative).rstrip("/")
    texts: list[TextAbove] = []
    for depth in range(len(names)):
        try:
            with roots.open("/".join([root, *names[:depth], ".gitignore"]), READ) as opened:
                texts.append((_text(opened.handle), names[depth:]))
        except (OSError, ExpectedError):
            continue
    return texts


def _text(handle: int) -> str:
    is_file = type_of(fstat(handle)) == "file"
    return pread(handle, MAX_BYTES, 0).decode("utf-8", "surrogateescape") if is_file else ""
