"""Large files and many files, at three sizes: this server beside two npm ones, content search beside ripgrep itself.

The npm servers answer whole where ours answers with a first page, so read the bytes of an answer beside its time.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from client import ServerFailed, StdioClient

from comparisons import Comparison, Growth, Samples

OURS, NPM, COMMANDER, RIPGREP = (
    "mcp-server-filesystem",
    "npm server-filesystem",
    "npm desktop-commander",
    "ripgrep itself",
)
PEER = Path(__file__).parents[2] / "peers/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
COMMANDER_PACKAGE = (
    "@wonderwhy-er/desktop-commander@0.2.52"  # with 680 packages below it: too many to pin among the peers
)

SCALES = 1, 10, 100
HUGE_BYTES = 5_000_000_000
LARGE_BYTES = 1_000_000_000
SMALL_FILES = 100_000
FILES_A_DIRECTORY = 100
WARM_READS = 50
SEARCHES = 5
QUICK_S, QUICK_CALLS = 0.05, 9

_LINE = b"%09d a line of text as it stands in a log or a table, not long\n"
_BLOCK_LINES = 10_000
_EDITED = f"{_BLOCK_LINES // 2:09}"
_NEEDLE = "needle in the haystack"
_SEARCH = "search in the small files (ms)"
_ONCE = ("edit", "10 lines of the large file")  # another time it is something else
_MEMORY = "most memory in all that (MB)"
_GROWING = ("file (ms)", "files (ms)", "on (ms)", "again (ms)", _MEMORY)
_SESSION = re.compile(rb"search_\d+_\d+")

Call = tuple[str, dict[str, Any]]
Calls = Mapping[str, Call]


@dataclass(frozen=True)
class Data:
    """Files on disk: a huge sparse one with text at both ends, a large one, many small ones, as many in one directory.

    Attributes:
        root: the directory of all.
        scale: of the sizes, 100 is the whole.
        lines: of the large file.
    """

    root: Path
    scale: int
    lines: int

    def path(self, name: str) -> str:
        """Return the absolute path of one of them."""
        return str(self.root / name)


def compare(
    rounds: int,
    *,
    huge_bytes: int = HUGE_BYTES,
    large_bytes: int = LARGE_BYTES,
    small_files: int = SMALL_FILES,
    rivals: Sequence[str] = (NPM, COMMANDER),
) -> Comparison:
    """Measure all servers on a huge and a large file of so many bytes, on so many small ones, and on less of each."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    growth: Growth = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        commands = _commands(root, rivals, skipped)
        sizes = {scale: [whole * scale // 100 for whole in (huge_bytes, large_bytes, small_files)] for scale in SCALES}
        made = [_made(root / f"{scale}", scale, *sizes[scale]) for scale in SCALES]
        for number in range(rounds + 1):
            for data in made:
                for side, measure, value in _round(commands, data, skipped):
                    if not number:  # the first round fills the caches
                        continue
                    if data.scale == max(SCALES):
                        samples[measure][side].append(value)
                    if measure.endswith(_GROWING):
                        growth[measure][side][data.scale].append(value)
    for sides in growth.values():
        for side in [side for side, sizes in sides.items() if len(sizes) < len(SCALES)]:
            del sides[side]
    return Comparison(OURS, samples, skipped, growth)


def _commands(root: Path, rivals: Sequence[str], skipped: dict[str, str]) -> dict[str, tuple[str, ...]]:
    commands: dict[str, tuple[str, ...]] = {
        OURS: (str(Path(sys.executable).with_name("mcp-server-filesystem")), f"{root}:rw")
    }
    node = shutil.which("node") or "node"
    if NPM in rivals:
        commands[NPM] = (node, str(PEER), str(root))
    if COMMANDER in rivals:
        commands[COMMANDER] = (node, *_commander(root, skipped))
    return commands


def _commander(root: Path, skipped: dict[str, str]) -> tuple[str, ...]:
    """Install it with a home of its own, where its settings are; return its arguments."""
    home = root / "home"
    settings = home / ".claude-server-commander/config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"telemetryEnabled": False, "allowedDirectories": [str(root)]}))
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(home)]
    try:
        subprocess.run([*install, COMMANDER_PACKAGE], capture_output=True, check=True, timeout=300)
    except (OSError, subprocess.SubprocessError):
        skipped[COMMANDER] = "cannot be installed: it needs npm and a package registry"
    at_home = f"process.env.HOME = {json.dumps(str(home))};"
    program = home / "node_modules/@wonderwhy-er/desktop-commander/dist/index.js"
    return ("--import", f"data:text/javascript,{quote(at_home)}", str(program), "--no-onboarding")


def _made(root: Path, scale: int, huge_bytes: int, large_bytes: int, small_files: int) -> Data:
    root.mkdir()
    block = b"".join(_LINE % number for number in range(_BLOCK_LINES))
    with (root / "huge.txt").open("wb") as huge:
        huge.write(block)
        huge.seek(huge_bytes)
        huge.write(b"\n" + block)
    lines = 0
    with (root / "large.txt").open("wb") as large:
        while large.tell() < large_bytes:
            large.write(b"".join(_LINE % number for number in range(lines + 1, lines + 1 + _BLOCK_LINES)))
            lines += _BLOCK_LINES
    (root / "read.txt").write_bytes(_LINE % 1)
    (root / "flat").mkdir()
    text = (_LINE % 0) * 20
    for number in range(small_files):
        directory = root / "small" / f"{number // FILES_A_DIRECTORY:05}"
        directory.mkdir(parents=True, exist_ok=True)
        has_needle = number % 1_000 == 7
        (directory / f"file-{number}.txt").write_bytes(text + (_NEEDLE.encode() if has_needle else b""))
        (root / "flat" / f"file-{number}").touch()
    return Data(root, scale, lines)


def _our_calls(data: Data) -> Calls:
    far = {"path": data.path("large.txt"), "start_line": data.lines * 9 // 10, "head": 10}
    return {
        **_calls_of_both(data),
        "10 lines of the huge file from 5,000 on": (
            "read_text_file",
            {"path": data.path("huge.txt"), "start_line": 5_000, "head": 10},
        ),
        "10 lines of the large file from nine tenths on": ("read_text_file", far),
        "10 lines of it from nine tenths on, again": ("read_text_file", far),
        "search for names in the small files": ("search_files", {"path": data.path("small"), "glob": "file-*7.txt"}),
        "edit 600 kB": (
            "edit_file",
            {"path": data.path("edited.txt"), "edits": [{"old_text": _EDITED, "new_text": "edited"}]},
        ),
    }


def _npm_calls(data: Data) -> Calls:
    return {
        **_calls_of_both(data),
        "search for names in the small files": (
            "search_files",
            {"path": data.path("small"), "pattern": "**/file-*7.txt"},
        ),
        "edit 600 kB": (
            "edit_file",
            {"path": data.path("edited.txt"), "edits": [{"oldText": _EDITED, "newText": "edited"}]},
        ),
    }


def _calls_of_both(data: Data) -> Calls:
    huge = data.path("huge.txt")
    return {
        "first 10 lines of the huge file": ("read_text_file", {"path": huge, "head": 10}),
        "last 10 lines of the huge file": ("read_text_file", {"path": huge, "tail": 10}),
        "list of one directory of as many files": ("list_directory", {"path": data.path("flat")}),
        "tree of the small files": ("directory_tree", {"path": data.path("small")}),
        "write 1 MB": ("write_file", {"path": data.path("written.txt"), "content": "a line of text\n" * 70_000}),
    }


def _commander_calls(data: Data) -> Calls:
    """Return what it has for the same; where a far line is, it only estimates, and answers with another."""
    huge, small = data.path("huge.txt"), data.path("small")
    search = {"path": small, "literalSearch": True, "pattern": _NEEDLE, "searchType": "content"}
    edit = {"file_path": data.path("edited.txt"), "old_string": _EDITED, "new_string": "edited"}
    return {
        "first 10 lines of the huge file": ("read_file", {"path": huge, "length": 10}),
        "last 10 lines of the huge file": ("read_file", {"path": huge, "offset": -10}),
        "list of one directory of as many files": ("list_directory", {"path": data.path("flat"), "depth": 1}),
        "tree of the small files": ("list_directory", {"path": small, "depth": 3}),
        "search for names in the small files": ("start_search", {"path": small, "pattern": "file-*7.txt"}),
        _SEARCH.removesuffix(" (ms)"): ("start_search", search),
        "edit 600 kB": ("edit_block", edit),
    }


_CALLS = {OURS: _our_calls, NPM: _npm_calls, COMMANDER: _commander_calls}


def _round(
    commands: Mapping[str, tuple[str, ...]], data: Data, skipped: dict[str, str]
) -> list[tuple[str, str, float]]:
    """Return the figures of each side for each measure: one, or several of what is compared most closely."""
    figures = [*_searched(commands[OURS], data)]
    for side, command in commands.items():
        if side in skipped:
            continue
        try:
            found = _figures(side, command, data)
        except ServerFailed as error:
            skipped[side] = str(error)
            continue
        figures += [(side, measure, value) for measure, value in found.items()]
    return figures


def _searched(command: tuple[str, ...], data: Data) -> Iterator[tuple[str, str, float]]:
    """Yield what one search takes our server and ripgrep itself, in turn."""
    search = {"path": data.path("small"), "pattern": _NEEDLE, "literal": True}
    with StdioClient(command, "handshake") as client:
        client.open()
        for _ in range(SEARCHES):
            seconds, size = _timed(client, "search_content", search)
            yield OURS, _SEARCH, seconds * 1e3
            yield OURS, _SEARCH.replace("(ms)", "(bytes)"), size
            if seconds := _ripgrep(data):
                yield RIPGREP, _SEARCH, seconds * 1e3


def _figures(side: str, command: tuple[str, ...], data: Data) -> dict[str, float]:
    """Return what one process of a server needs for each call: milliseconds, and bytes of the answer."""
    figures: dict[str, float] = {}
    (data.root / "edited.txt").write_bytes(b"".join(_LINE % number for number in range(_BLOCK_LINES)))
    with StdioClient(command, "handshake") as client:
        client.open()
        small: Call = ("read_file" if side == COMMANDER else "read_text_file", {"path": data.path("read.txt")})
        figures["read a line (ms)"] = median(_timed(client, *small)[0] for _ in range(WARM_READS)) * 1e3
        for name, call in _CALLS[side](data).items():
            seconds, size = _timed(client, *call)
            if seconds < QUICK_S and not name.startswith(_ONCE):
                seconds = median(_timed(client, *call)[0] for _ in range(QUICK_CALLS))
            figures[f"{name} (ms)"] = seconds * 1e3
            figures[f"{name} (bytes)"] = size
        if peak := client.peak_megabytes():
            figures[_MEMORY] = peak
    return figures


def _timed(client: StdioClient, tool: str, arguments: dict[str, Any]) -> tuple[float, int]:
    start = time.perf_counter()
    answer = client.call(tool, arguments)
    if tool == "start_search" and (session := _SESSION.search(answer)):  # which is to be asked for until it is done
        while b"Status: COMPLETED" not in answer:
            answer = client.call("get_more_search_results", {"sessionId": session[0].decode()})
    return time.perf_counter() - start, len(answer)


def _ripgrep(data: Data) -> float | None:
    """Return the seconds that ripgrep needs for the same search by itself."""
    program = shutil.which("rg")
    if program is None:
        return None
    command = [program, "--no-config", "--line-number", "--fixed-strings", "--hidden", "--no-require-git", _NEEDLE]
    start = time.perf_counter()
    subprocess.run(command, cwd=data.path("small"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return time.perf_counter() - start
