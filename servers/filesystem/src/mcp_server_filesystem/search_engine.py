"""Our engine for `search_content`, a process of its own: `python -m mcp_server_filesystem.search_engine TASK`.

It writes a line of JSON for each file that has a match, in the order of their names: `[names, [[number, offset,
column], …]]`; for each binary file, without any; `[null, n]` after every n files; and at the end `[[], n]`, if the
operating system did not let n files and directories be read.
"""

import faulthandler
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from mcp_server_shared.globs import path_matcher

from mcp_server_filesystem.by_path import DirectoryByPath
from mcp_server_filesystem.confinement import Opened, Roots
from mcp_server_filesystem.entries import never_stop
from mcp_server_filesystem.handles import pread
from mcp_server_filesystem.patterns import Pattern
from mcp_server_filesystem.searched_text import searched_text
from mcp_server_filesystem.walking import REFUSED, Walk

MAX_LINE_BYTES = 16_777_216  # of a longer line each such part is searched by itself

_READ_BYTES = 1_048_576
_FILES_BETWEEN_REPORTS = 500

Hit = tuple[int, int, int]  # number of the line, its offset, offset of the match in it


def search(task: dict[str, Any]) -> Iterator[Any]:
    """Yield what is to be written."""
    pattern = Pattern(task["python"], "", ignore_case=task["ignore_case"]).compiled()
    start = Opened(_start(task), task["path"], task["relative"])
    if task["is_file"]:
        yield [start.path.rpartition("/")[2:], _hits_or_none(os.dup(start.handle), pattern, task["most"]) or []]
        return
    included = path_matcher(task["include"])
    roots = Roots((), deny=task["deny"], resolver=task["resolver"])
    walk = Walk(roots, start, task["gitignores"], never_stop, included, task["exclude"])
    searched = unreadable = 0
    for names in _files(walk, tuple(task["at_least"])):
        try:
            hits = _hits_or_none(walk.open_file(names), pattern, task["most"])
        except OSError as error:  # gone, or as a file of /proc that may not be read
            unreadable += error.errno in REFUSED
            continue
        if hits != []:
            yield [names, hits or []]
        searched += 1
        if searched % _FILES_BETWEEN_REPORTS == 0:
            yield [None, searched]
    if unreadable + walk.unreadable:
        yield [[], unreadable + walk.unreadable]


def _start(task: dict[str, Any]) -> int:
    if not task["directory"]:
        return int(task["handle"])
    path, *identity = task["directory"]
    return DirectoryByPath(path, identity=tuple(identity))


def _hits_or_none(file: int, pattern: re.Pattern[str], most: int) -> list[Hit] | None:
    """Return what `hits_in` does of a file, which is closed; None if it is binary."""
    handle = searched_text(file)
    if handle is None:
        return None
    try:
        return hits_in(handle, pattern, most)
    finally:
        os.close(handle)


def hits_in(handle: int, pattern: re.Pattern[str], most: int) -> list[Hit]:
    """Return up to `most` lines of an open file that match, up to its first NUL."""
    hits: list[Hit] = []
    number, offset, data, ends = 1, 0, b"", False
    while not ends and len(hits) < most:
        read = pread(handle, _READ_BYTES, offset + len(data))
        data, nul, _ = (data + read).partition(b"\0")
        ends = not read or bool(nul)
        size = len(data) if ends or len(data) >= MAX_LINE_BYTES else data.rfind(b"\n") + 1
        hits += _hits(data[:size], pattern, number, offset)[: most - len(hits)]
        number += data.count(b"\n", 0, size)
        offset, data = offset + size, data[size:]
    return hits


def _hits(data: bytes, pattern: re.Pattern[str], number: int, offset: int) -> list[Hit]:
    """Return the lines of some data that match; what follows its last line break is a line unless it is empty."""
    hits: list[Hit] = []
    text = data.decode("utf-8", "surrogateescape")
    is_ascii = len(text) == len(data)

    def size(begin: int, end: int) -> int:
        return end - begin if is_ascii else len(text[begin:end].encode("utf-8", "surrogateescape"))

    end = len(text) - 1 if text.endswith("\n") else len(text)
    counted = at = 0
    while at <= end and text and (match := pattern.search(text, at)) and match.start() <= end:
        begin = text.rfind("\n", 0, match.start()) + 1
        number += text.count("\n", counted, begin)
        offset += size(counted, begin)
        counted = begin
        hits.append((number, offset, size(begin, match.start()) if match.start() < len(text) else 0))
        at = text.find("\n", match.start()) + 1
        if at == 0:
            break
    return hits


def _files(walk: Walk, first: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the files in order, from one on."""
    if first and walk.is_open(first):
        yield first
    yield from (entry.names for entry in walk.below(first) if entry.type == "file")


def main() -> None:
    """Carry out the task that the first argument describes."""
    task = json.loads(sys.argv[1])
    faulthandler.dump_traceback_later(task["seconds"], exit=True)  # whatever a pattern is busy with
    with os.fdopen(1, "wb") as output:
        for answer in search(task):
            output.write(json.dumps(answer).encode() + b"\n")
            output.flush()


if __name__ == "__main__":
    main()
