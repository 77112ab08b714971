"""Nothing outside the roots is searched, shown or described while another process exchanges names as fast as it can."""

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp_server_filesystem.content_search import Query
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.patterns import parse_pattern
from mcp_server_shared.errors import ExpectedError

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "renameat2"), reason="platform: the adversary needs renameat2"
)

FLIP = """
import ctypes, sys
exchange = ctypes.CDLL(None).renameat2
a, b = (name.encode() for name in sys.argv[1:])
while True:
    exchange(-100, a, -100, b, 2)
"""
NEEDLE = Query(parse_pattern("needle", literal=True, ignore_case=False), context=1)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Make a directory `a` to be the root, in it a directory and a link to the same names outside."""
    for place, word in (("a/sw", "inside"), ("outside", "outside")):
        (tmp_path / place / "deep").mkdir(parents=True)
        (tmp_path / place / "deep" / "file.txt").write_text(f"needle {word}\n")
        (tmp_path / place / "deep" / word).write_text("needle\n")
    (tmp_path / "a" / "away").symlink_to(tmp_path / "outside")
    return tmp_path


@pytest.fixture
def files(box: Path) -> Generator[Files]:
    files = Files([box / "a"])
    yield files
    files.close()


@contextmanager
def flipping(box: Path) -> Generator[None]:
    command = [sys.executable, "-c", FLIP, str(box / "a" / "sw"), str(box / "a" / "away")]
    with subprocess.Popen(command) as adversary:
        try:
            yield
        finally:
            adversary.kill()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ripgrep", "ours"])
def test_no_line_and_no_name_from_outside_is_found(box: Path, files: Files, engine: str) -> None:
    ripgrep = shutil.which("rg")
    if engine == "ripgrep" and ripgrep is None:
        pytest.skip("ripgrep is not installed")
    seen: set[str] = set()
    with flipping(box):
        for _ in range(60):
            try:
                found = files.search_content(
                    ".", NEEDLE, max_characters=10_000, ripgrep=ripgrep if engine == "ripgrep" else None
                )
            except ExpectedError:
                continue
            seen |= {line.text for line in found.lines} | {name for line in found.lines for name in line.names}
    assert not [text for text in seen if "outside" in text]


@pytest.mark.parametrize("path", [".", "sw", "sw/deep"])
def test_no_name_from_outside_is_found_or_shown(box: Path, files: Files, path: str) -> None:
    seen: set[str] = set()
    with flipping(box):
        for _ in range(600):
            try:
                seen |= {names[-1] for names, _ in files.search(path, "**", limit=100).entries}
                seen |= {files.outline(path, depth=5, limit=100, gitignore=True).text}
            except ExpectedError:
                continue
    assert not [text for text in seen if "outside" in text]


def test_no_file_outside_is_described_or_watched(box: Path, files: Files) -> None:
    outside = (box / "outside" / "deep" / "file.txt").stat().st_ino
    described: set[str | None] = set()
    inodes: set[int] = set()
    with flipping(box):
        for _ in range(1_000):
            try:
                described.add(files.info("sw/deep/file.txt").sha256)
                inodes.add(files.fingerprint("sw/deep/file.txt")[1])
            except ExpectedError:
                continue
    assert outside not in inodes
    assert len(described) <= 1
