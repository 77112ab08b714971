"""Lines of files that match a pattern: found by ripgrep where it is installed, by our own engine elsewhere.

Either is a process of its own, so a pattern that takes forever ends with the call and holds nobody up. Ripgrep
opens files by their paths, which others may exchange for links meanwhile. So all that counts is which paths it
names: each is opened beneath the roots by us, searched again by its handle, and read from there.

Files are searched as UTF-8 up to their first NUL; one that has it in its first few thousand bytes is binary, left
out and counted. Of one in UTF-16, or with one byte a character, a copy in UTF-8 is searched. Either engine names these
files along with those that match.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from heapq import nsmallest
from itertools import islice
from typing import IO

from mcp_server_shared.errors import InvalidArgument, Unavailable
from mcp_server_shared.globs import path_matcher

from mcp_server_filesystem.by_path import DirectoryByPath
from mcp_server_filesystem.confinement import Opened, Roots
from mcp_server_filesystem.entries import Checkpoint, type_of
from mcp_server_filesystem.handles import fstat, pread
from mcp_server_filesystem.patterns import Pattern
from mcp_server_filesystem.process_output import output_of
from mcp_server_filesystem.searched_text import searched_text
from mcp_server_filesystem.walking import REFUSED, Walk, gitignores_above

MOST_CANDIDATES = 256  # files that are searched again although they may have no match
COPIED_BYTES_AT_ONCE = 64 * 2**20  # of those files of which a copy is searched
MAX_LINE_BYTES = 400  # of a line that is shown; of a longer one, what is around the first match

_BYTES_BEFORE_A_MATCH = 100
_CONTEXT_BYTES = 65_536  # context farther away is left out
_SCAN_BYTES = 1_048_576
_FILES_AT_ONCE = 64  # opened for one run of ripgrep
_NAMES_AT_ONCE = 50_000  # kept of those that ripgrep names
_SAME_TO_RIPGREP = re.compile(r"[\w.*-]+", re.ASCII)
_BINARY_OR_UTF_16 = r"(?-u:\x00|\xFF\xFE|\xFE\xFF)"  # named in the same run, to be told apart afterwards
_RIPGREP_FAILED = 2
_SYSTEM_ERROR = re.compile(rb"\(os error (\d+)\)$")
# The column is missing where nothing matches at the end of a file. At most one character of the line follows.
_RIPGREP_HIT = re.compile(rb"(\d+):(?:(\d+):)?(\d+):")

Names = tuple[str, ...]
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Query:
    """What is searched for, and where.

    Attributes:
        pattern: the pattern.
        include: globs of paths below the start, one of which has to fit; a glob without a slash fits at any depth.
        exclude: globs of paths below the start to leave out, with all below them.
        context: lines to show before and after each match.
        per_file: most matching lines of one file.
        honour_gitignore: whether to leave out what `.gitignore` files say.
    """

    pattern: Pattern
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    context: int = 0
    per_file: int = 100
    honour_gitignore: bool = True


@dataclass(frozen=True)
class Line:
    """One line that is shown: a match or its context.

    Attributes:
        names: the file, below the start.
        number: the first line is 1.
        text: the line without its end; bytes that are not UTF-8 stand as lone surrogates.
        is_match: whether it matches.
        is_cut: whether the text is a part of a long line.
    """

    names: Names
    number: int
    text: str
    is_match: bool
    is_cut: bool


@dataclass(frozen=True)
class Found:
    """A page of lines, in the order of the paths' names.

    Attributes:
        path: where the search started, absolute, links resolved.
        lines: the page.
        more: whether there may be more after them.
        capped: files of this page with more matches than were wanted of one file.
        binary: files that were left out on the way because they are binary.
        unreadable: files and directories that the operating system does not let be read, if all were looked at.
    """

    path: str
    lines: list[Line]
    more: bool
    capped: int
    binary: int
    unreadable: int = 0


@dataclass(frozen=True)
class Hit:
    """A line that matches: its number, its offset in the file, and that of the match in the line, in bytes."""

    number: int
    offset: int
    column: int


class ContentSearch:
    """One search below an open directory, or of an open file.

    Args:
        roots: the confinement.
        start: where to search.
        query: what for.
        checkpoint: called often; raises to stop.
        progress: told how many files were found or searched so far.
        ripgrep: the program; None for our own engine.
        seconds: after which our own engine ends by itself, should this process not live to end it.
    """

    def __init__(
        self,
        roots: Roots,
        start: Opened,
        query: Query,
        *,
        checkpoint: Checkpoint,
        progress: Progress,
        ripgrep: str | None,
        seconds: int,
    ) -> None:
        self._start = start
        self._query = query
        self._checkpoint = checkpoint
        self._progress = progress
        self._ripgrep = None if roots.by_path else ripgrep  # it is told where to search by a handle
        self._seconds = seconds
        self._roots = roots
        self._is_file = type_of(fstat(start.handle)) == "file"
        self._gitignores = gitignores_above(roots, start) if query.honour_gitignore and not self._is_file else None
        self._walk = Walk(roots, start, self._gitignores, checkpoint, exclude=query.exclude)
        self._included = path_matcher(query.include)
        self._binary = 0
        self._unreadable = 0

    def page(self, after: tuple[Names, int] | None, max_characters: int) -> Found:
        """Return the lines that come after one, until they have about so many characters."""
        lines: list[Line] = []
        size, capped = 0, 0
        for names, handle, hits in self._hits(after[0] if after else ()):
            shown = list(self._lines(names, handle, hits))
            for line in shown:
                if after and (names, line.number) <= after:
                    continue
                lines.append(line)
                size += len(line.text) + sum(map(len, names)) + 10
                if size > max_characters:
                    return Found(self._start.path, lines, more=True, capped=capped, binary=self._binary)
            capped += len(hits) > self._query.per_file
        return Found(
            self._start.path, lines, more=False, capped=capped, binary=self._binary, unreadable=self._unreadable
        )

    # Files with their hits, in order, each open while its lines are read

    def _hits(self, at_least: Names) -> Iterator[tuple[Names, int, list[Hit]]]:
        hits = self._hits_by_ripgrep(at_least) if self._ripgrep else self._hits_by_ourselves(at_least)
        return (file for file in hits if file[2])

    def _hits_by_ripgrep(self, at_least: Names) -> Iterator[tuple[Names, int, list[Hit]]]:
        itself = (self._start.path.rpartition("/")[2],)
        names = iter([itself]) if self._is_file else self._named_by_ripgrep(at_least)
        batch_size = 8
        while batch := list(islice(names, batch_size)):
            while batch:
                with ExitStack() as opened:
                    files = self._opened(batch, opened)
                    found = self._search_again([handle for _, handle in files])
                    for (file, handle), hits in zip(files, found, strict=True):
                        yield file, handle, hits
            batch_size = _FILES_AT_ONCE

    def _opened(self, names: list[Names], opened: ExitStack) -> list[tuple[Names, int]]:
        """Open what is to be searched of files, as many as may be at once; the others remain in `names`."""
        files: list[tuple[Names, int]] = []
        copied = 0
        while names and copied < COPIED_BYTES_AT_ONCE:
            file = names.pop(0)
            handle = self._text_of(file)
            if handle is not None:
                opened.callback(os.close, handle)
                files.append((file, handle))
                status = fstat(handle)
                copied += status.st_size if status.st_nlink == 0 else 0  # a copy has no name
        return files

    def _text_of(self, names: Names) -> int | None:
        """Open what is to be searched of a file; None if that is nothing, as in a binary one, which counts."""
        try:
            handle = searched_text(os.dup(self._start.handle) if self._is_file else self._walk.open_file(names))
        except OSError:  # gone by now
            return None
        self._binary += handle is None
        return handle

    def _named_by_ripgrep(self, at_least: Names) -> Iterator[Names]:
        """Yield the files that ripgrep names, in order, of those that a walk of ours would reach."""
        if self._query.honour_gitignore:
            ignoring = ["--no-ignore-dot", "--no-ignore-exclude", "--no-ignore-global", "--no-ignore-parent"]
            ignoring += ["--no-require-git", "--glob=!.git"]
        else:
            ignoring = ["--no-ignore", *(["--glob=!.git"] if self._roots.deny.denies("", ".git") else [])]
        if self._query.include and all(map(_SAME_TO_RIPGREP.fullmatch, self._query.include)):
            ignoring = [*(f"--glob={glob}" for glob in self._query.include), *ignoring]
        ignoring += [f"--glob=!{glob}" for glob in self._query.exclude if _SAME_TO_RIPGREP.fullmatch(glob)]
        flags = ["--files-with-matches", "--null", "--text", "--hidden", "--no-follow", *ignoring]
        flags.append(f"--regexp={_BINARY_OR_UTF_16}")
        if self._query.pattern.inner and (few := self._few_candidates(flags)) is not None:
            yield from (names for names in few if names >= at_least and self._is_wanted(names))
            return
        while True:
            command = self._ripgrep_command(flags, self._query.pattern.naming)
            counted = self._counted(self._output([*command, "./"], b"\0"))
            paths = (_names(path) for path in counted)
            found = nsmallest(_NAMES_AT_ONCE, (names for names in paths if names >= at_least))
            yield from (names for names in found if self._is_wanted(names))
            if len(found) < _NAMES_AT_ONCE:
                return
            at_least = (*found[-1], "")

    def _few_candidates(self, flags: Sequence[str]) -> list[Names] | None:
        """Return the files that have the text inside every match, in order; None if they are too many to look into.

        Ripgrep finds that text, or a binary file, much sooner than the pattern, or a binary file.
        """
        output = self._output([*self._ripgrep_command(flags, self._query.pattern.inner), "./"], b"\0")
        found = [_names(path) for path in islice(output, MOST_CANDIDATES + 1)]
        return sorted(found) if len(found) <= MOST_CANDIDATES else None

    def _is_wanted(self, names: Names) -> bool:
        self._checkpoint()
        return self._included("/".join(names)) and self._walk.is_open(names)

    def _search_again(self, handles: Sequence[int]) -> list[list[Hit]]:
        """Return the hits in open files."""
        if not handles:
            return []
        flags = ["--line-number", "--byte-offset", "--column", "--null", "--with-filename", "--no-heading"]
        flags += ["--max-columns=1", f"--max-count={self._query.per_file + 1}", "--text", "--no-mmap"]
        files = [f"/dev/fd/{handle}" for handle in handles]
        found: dict[int, list[Hit]] = {handle: [] for handle in handles}
        command = self._ripgrep_command(flags, self._query.pattern.rust)
        for line in self._output([*command, *files], b"\n", handles):
            file, _, rest = line.partition(b"\0")
            if hit := _RIPGREP_HIT.match(rest):
                number, column, offset = (int(group or 1) for group in hit.groups())
                found[int(file.rpartition(b"/")[2])].append(Hit(number, offset, column - 1))
        return [self._before_nul(handle, found[handle]) for handle in handles]

    def _before_nul(self, handle: int, hits: list[Hit]) -> list[Hit]:
        last = hits[-1].offset + hits[-1].column + 1 if hits else 0
        for offset in range(0, last, _SCAN_BYTES):
            self._checkpoint()
            nul = pread(handle, min(_SCAN_BYTES, last - offset), offset).find(b"\0")
            if nul >= 0:
                return [hit for hit in hits if hit.offset + hit.column < offset + nul]
        return hits

    def _ripgrep_command(self, flags: Sequence[str], pattern: str) -> list[str]:
        case = "--ignore-case" if self._query.pattern.ignore_case else "--case-sensitive"
        fixed = ["--no-config", "--color=never", "--encoding=none", case]
        return [self._ripgrep or "", *fixed, *flags, f"--regexp={pattern}", "--"]

    def _hits_by_ourselves(self, at_least: Names) -> Iterator[tuple[Names, int, list[Hit]]]:
        start = self._start.handle
        at_path = isinstance(start, DirectoryByPath)
        # Where directories have no handles, none is handed on: a directory goes by its path, a file as standard input.
        handed_on = [] if self._roots.by_path else [start]
        task = {
            "handle": 0 if self._roots.by_path else start,
            "directory": [start.path, *start.identity] if at_path else None,
            "resolver": "path" if self._roots.by_path else None,
            "path": self._start.path,
            "relative": self._start.relative,
            "is_file": self._is_file,
            "deny": list(self._roots.deny.patterns),
            "gitignores": self._gitignores,
            "include": list(self._query.include),
            "exclude": list(self._query.exclude),
            "python": self._query.pattern.python,
            "ignore_case": self._query.pattern.ignore_case,
            "most": self._query.per_file + 1,
            "at_least": list(at_least),
            "seconds": self._seconds,
        }
        # -P: nothing is imported from the current directory, which may be one that is searched.
        command = [sys.executable, "-P", "-m", "mcp_server_filesystem.search_engine", json.dumps(task)]
        stdin = start if self._roots.by_path and not at_path else subprocess.DEVNULL
        for line in self._output(command, b"\n", handed_on, stdin=stdin, by_ripgrep=False):
            names, hits = json.loads(line)
            if names is None:
                self._progress(hits)
                continue
            if not names:
                self._unreadable = hits
                continue
            handle = self._text_of(names)
            if handle is None:
                continue
            try:
                yield tuple(names), handle, [Hit(*hit) for hit in hits]
            finally:
                os.close(handle)

    # Lines, read by the handle

    def _lines(self, names: Names, handle: int, hits: Sequence[Hit]) -> Iterator[Line]:
        numbers = {hit.number for hit in hits}
        shown = 0
        for hit in hits[: self._query.per_file]:
            text, is_cut, end = _shown_line(handle, hit.offset, hit.column)
            for number, line, cut in self._context_before(handle, hit):
                if number > shown and number not in numbers:
                    yield Line(names, number, line, is_match=False, is_cut=cut)
            yield Line(names, hit.number, text, is_match=True, is_cut=is_cut)
            shown = hit.number
            for number, line, cut in self._context_after(handle, hit, end):
                if number in numbers:
                    break
                yield Line(names, number, line, is_match=False, is_cut=cut)
                shown = number

    def _context_before(self, handle: int, hit: Hit) -> list[tuple[int, str, bool]]:
        if not self._query.context or hit.offset == 0:
            return []
        begin = max(0, hit.offset - _CONTEXT_BYTES)
        lines = pread(handle, hit.offset - begin - 1, begin).split(b"\n")
        lines = (lines if begin == 0 else lines[1:])[-self._query.context :]
        return [(hit.number - len(lines) + i, *_shown(line)) for i, line in enumerate(lines)]

    def _context_after(self, handle: int, hit: Hit, end: int | None) -> list[tuple[int, str, bool]]:
        if not self._query.context or end is None:
            return []
        data = pread(handle, _CONTEXT_BYTES, end)
        lines = data.split(b"\n")
        if len(data) == _CONTEXT_BYTES or not lines[-1]:
            lines.pop()
        return [(hit.number + 1 + i, *_shown(line)) for i, line in enumerate(lines[: self._query.context])]

    # Processes

    def _counted(self, paths: Iterator[bytes]) -> Iterator[bytes]:
        for number, path in enumerate(paths, 1):
            self._progress(number)
            yield path

    def _output(
        self,
        command: Sequence[str],
        separator: bytes,
        pass_on: Sequence[int] = (),
        *,
        stdin: int = subprocess.DEVNULL,
        by_ripgrep: bool = True,
    ) -> Iterator[bytes]:
        """Yield what a process writes, piece by piece; it ends with the last piece that is wanted."""
        below = by_ripgrep and not self._is_file
        directory = f"/proc/self/fd/{self._start.handle}" if below else None
        with tempfile.TemporaryFile() as complaints:
            with (
                _running(command, directory, pass_on, stdin, complaints, by_ripgrep=by_ripgrep) as process,
                closing(output_of(process, self._checkpoint)) as output,
            ):
                rest = b""
                for data in output:
                    *pieces, rest = (rest + data).split(separator)
                    yield from pieces
            if by_ripgrep and not pass_on:
                self._unreadable = sum(error in REFUSED for error in _system_errors(complaints))


@contextmanager
def _running(
    command: Sequence[str],
    directory: str | None,
    pass_on: Sequence[int],
    stdin: int,
    complaints: IO[bytes],
    *,
    by_ripgrep: bool,
) -> Generator["subprocess.Popen[bytes]"]:
    """Run a search engine; one that still runs at the end is not wanted any more."""
    process = subprocess.Popen(  # noqa: S603 - no shell reads the pattern
        command,
        bufsize=0,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=complaints,
        cwd=directory,
        env={} if by_ripgrep else None,  # it would take flags from there
        pass_fds=pass_on,
    )
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
    if process.returncode < 0 or (process.returncode and not by_ripgrep):
        raise Unavailable("The search engine ended before it was done.", hint="Search a smaller part.")
    if process.returncode == _RIPGREP_FAILED and complaints.tell() and not _system_errors(complaints):
        raise InvalidArgument(
            "The search engine does not take this pattern; it may be too large.",
            hint="Use a simpler pattern, or literal=true.",
        )


def _system_errors(complaints: IO[bytes]) -> list[int]:
    """Return the numbers of the errors that the system answered to ripgrep, each about one file."""
    complaints.seek(0)
    return [int(error[1]) for line in complaints if (error := _SYSTEM_ERROR.search(line))]


@cache
def find_ripgrep() -> str | None:
    """Return the program; None where it is missing, or cannot be confined for want of /proc."""
    return shutil.which("rg") if sys.platform == "linux" else None


def _names(path: bytes) -> Names:
    return tuple(os.fsdecode(path).removeprefix("./").split("/"))


def _shown_line(handle: int, offset: int, column: int) -> tuple[str, bool, int | None]:
    """Return the line at an offset, whether it is a part only, and where the next line begins if that is near."""
    data = pread(handle, MAX_LINE_BYTES + 2, offset)
    end = data.find(b"\n")
    if end < 0 and len(data) < MAX_LINE_BYTES + 2:
        return *_shown(data), None
    if 0 <= end <= MAX_LINE_BYTES:
        return *_shown(data[:end]), offset + end + 1
    part = pread(handle, _CONTEXT_BYTES, offset + max(0, column - _BYTES_BEFORE_A_MATCH))
    end = part.find(b"\n")
    text, _ = _shown(part[:end] if end >= 0 else part)
    return text, True, offset + max(0, column - _BYTES_BEFORE_A_MATCH) + end + 1 if end >= 0 else None


def _shown(line: bytes) -> tuple[str, bool]:
    """Return a line as text, and whether it was cut; never inside a character."""
    line = line.removesuffix(b"\r")
    if len(line) <= MAX_LINE_BYTES:
        return line.decode("utf-8", "surrogateescape"), False
    begin = next((at for at in range(4) if not _continues(line[at])), 0)
    end = next((at for at in range(MAX_LINE_BYTES, MAX_LINE_BYTES - 4, -1) if not _continues(line[at])), MAX_LINE_BYTES)
    return line[begin:end].decode("utf-8", "surrogateescape"), True


def _continues(byte: int) -> bool:
    """Tell whether a byte is inside a character of UTF-8."""
    return 0x80 <= byte < 0xC0  # noqa: PLR2004
