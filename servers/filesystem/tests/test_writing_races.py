"""No write ever reaches outside the roots, or into what is closed, whoever changes the tree meanwhile.

Another process exchanges a directory with a link that leads out, at any pace. Outside is looked at afterwards:
names, contents, modes and times are what they were, and nothing of it has come in.
"""

import ctypes
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp_server_filesystem.confinement import Roots
from mcp_server_filesystem.edits import Edit
from mcp_server_filesystem.entries import never_stop
from mcp_server_filesystem.writing import Writer
from mcp_server_shared.errors import ExpectedError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="platform: the adversary needs renameat2"),
]

DONE, MOST = 60, 20_000  # writes that are to succeed, and tries; most fail at once
OUTSIDE = "outside the roots"
INSIDE = "inside"
FLIP = """
import ctypes, itertools, sys
exchange = ctypes.CDLL(None).renameat2
a, b = (name.encode() for name in sys.argv[1:])
for pause in itertools.cycle(range(0, 20_000, 101)):
    exchange(-100, a, -100, b, 2)
    for _ in range(pause):
        pass
"""

Attempt = Callable[[Writer, Path, int], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a root with a directory `sw`, to be exchanged with `away`, a link to the same names outside."""
    for directory, content in (("root/sw", INSIDE), ("outside", OUTSIDE)):
        (tmp_path / directory / "sub" / "deep").mkdir(parents=True)
        for name in ("file", "sub/file", "sub/deep/file"):
            (tmp_path / directory / name).write_text(content)
    (tmp_path / "root" / "away").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "mine").write_text(INSIDE)
    return tmp_path / "root"


@pytest.fixture(params=[None, "walk"])
def writer(root: Path, request: pytest.FixtureRequest) -> Generator[Writer]:
    roots = Roots([root], writable=[root], resolver=request.param)
    yield Writer(roots)
    roots.close()


@contextmanager
def flipping(one: Path, other: Path) -> Generator[None]:
    with subprocess.Popen([sys.executable, "-c", FLIP, one, other]) as adversary:
        try:
            yield
        finally:
            adversary.kill()


def snapshot(directory: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        content = path.read_text() if path.is_file() else ""
        found[str(path)] = (
            content,
            status.st_mode,
            status.st_ino,
            status.st_nlink,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
    return found


def write(writer: Writer, root: Path, number: int) -> object:
    return writer.write_file(f"sw/new-{number % 50}", INSIDE, expected_sha256=None, checkpoint=never_stop)


def replace(writer: Writer, root: Path, number: int) -> object:
    return writer.write_file("sw/sub/file", f"{INSIDE} {number}", expected_sha256=None, checkpoint=never_stop)


def edit(writer: Writer, root: Path, number: int) -> object:
    edits = [Edit(INSIDE, f"{INSIDE}.")]
    return writer.edit_file(
        "sw/sub/../file",
        edits,
        expected_sha256=None,
        dry_run=number % 2 == 0,
        max_diff_characters=1_000,
        checkpoint=never_stop,
    )


def append(writer: Writer, root: Path, number: int) -> object:
    return writer.append_file("sw/sub/file", ".", expected_sha256=None, checkpoint=never_stop)


def create_directory(writer: Writer, root: Path, number: int) -> object:
    return writer.create_directory(f"sw/new-{number}/a/b")


def copy_out(writer: Writer, root: Path, number: int) -> object:
    return writer.copy("sw/sub", f"copy-{number}", checkpoint=never_stop)


def copy_in(writer: Writer, root: Path, number: int) -> object:
    return writer.copy("mine", f"sw/sub/copy-{number}", checkpoint=never_stop)


def copy_what_flips(writer: Writer, root: Path, number: int) -> object:
    return writer.copy("sw", f"copy-{number}", checkpoint=never_stop)


def move_out_and_in(writer: Writer, root: Path, number: int) -> object:
    source, destination = ("sw/sub/deep", "deep") if (root / "deep").exists() is False else ("deep", "sw/sub/deep")
    return writer.move(source, destination, overwrite=False, checkpoint=never_stop)


def overwrite(writer: Writer, root: Path, number: int) -> object:
    (root / "next").write_text(INSIDE)
    return writer.move("next", "sw/file", overwrite=True, checkpoint=never_stop)


def trash(writer: Writer, root: Path, number: int) -> object:
    writer.write_file("sw/doomed", INSIDE, expected_sha256=None, checkpoint=never_stop)
    return writer.trash("sw/doomed", checkpoint=never_stop)


def delete(writer: Writer, root: Path, number: int) -> object:
    writer.create_directory("sw/sub/doomed/a")
    agreed = writer.survey("sw/sub/doomed", checkpoint=never_stop)
    return writer.delete("sw/sub/doomed", agreed, checkpoint=never_stop)


ATTEMPTS = [
    write,
    replace,
    edit,
    append,
    create_directory,
    copy_out,
    copy_in,
    copy_what_flips,
    move_out_and_in,
    overwrite,
    trash,
    delete,
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_directory_swapped_for_a_link_never_lets_a_write_out(root: Path, writer: Writer, attempt: Attempt) -> None:
    before = snapshot(root.parent / "outside")
    seen: Counter[str] = Counter()
    with flipping(root / "sw", root / "away"):
        for number in range(MOST):
            try:
                attempt(writer, root, number)
                seen["done"] += 1
            except ExpectedError as error:
                seen[error.code] += 1
            if seen["done"] >= DONE:
                break
    assert snapshot(root.parent / "outside") == before
    assert all(OUTSIDE not in path.read_text() for path in root.rglob("*") if is_inside(path))
    assert seen["done"]


def is_inside(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and "away" not in path.parts and "sw" not in path.parts[:-1]


def test_a_file_swapped_for_a_link_never_lets_a_write_out(root: Path, writer: Writer) -> None:
    (root / "link").symlink_to(root.parent / "outside" / "file")
    before = snapshot(root.parent / "outside")
    with flipping(root / "mine", root / "link"):
        for number in range(300):
            for attempt in (
                lambda n=number: writer.write_file(
                    "mine", f"{INSIDE} {n}", expected_sha256=None, checkpoint=never_stop
                ),
                lambda: edit_one(writer, "mine"),
                lambda n=number: writer.copy("mine", f"copy-{n}", checkpoint=never_stop),
            ):
                try:
                    attempt()
                except ExpectedError:
                    continue
            if not (root / "mine").is_symlink() and not (root / "link").is_symlink():
                break  # the link gave way to a file, as a rename does: there is nothing left to exchange
    assert snapshot(root.parent / "outside") == before
    copies = [path for path in root.glob("copy-*") if not path.is_symlink()]
    assert all(OUTSIDE not in path.read_text() for path in copies)


def test_a_file_swapped_for_a_link_is_never_edited_as_what_the_link_leads_to(root: Path, writer: Writer) -> None:
    (root / "link").symlink_to(root.parent / "outside" / "file")
    seen: Counter[str] = Counter()
    with flipping(root / "mine", root / "link"):
        while sum(seen.values()) < 5_000 or not {"invalid_argument", "permission_denied"} <= set(seen):
            try:
                writer.edit_file(
                    "mine",
                    [Edit(OUTSIDE, "found")],
                    expected_sha256=None,
                    dry_run=True,
                    max_diff_characters=100,
                    checkpoint=never_stop,
                )
                seen["done"] += 1
            except ExpectedError as error:
                seen[error.code] += 1
    assert not seen["done"]


def edit_one(writer: Writer, path: str) -> object:
    return writer.edit_file(
        path,
        [Edit(INSIDE, INSIDE)],
        expected_sha256=None,
        dry_run=False,
        max_diff_characters=100,
        checkpoint=never_stop,
    )


def test_a_tree_that_flips_while_it_is_removed_loses_nothing_outside(root: Path, writer: Writer) -> None:
    before = snapshot(root.parent / "outside")
    with flipping(root / "sw", root / "away"):
        for _ in range(300):
            try:
                writer.delete("sw", writer.survey("sw", checkpoint=never_stop), checkpoint=never_stop)
                break
            except ExpectedError:
                continue
    assert snapshot(root.parent / "outside") == before


def test_the_trash_swapped_for_a_link_lets_nothing_out(root: Path, writer: Writer) -> None:
    (root / ".trash").mkdir()
    before = snapshot(root.parent / "outside")
    with flipping(root / ".trash", root / "away"):
        for _ in range(300):
            try:
                writer.write_file("doomed", INSIDE, expected_sha256=None, checkpoint=never_stop)
                writer.trash("doomed", checkpoint=never_stop)
            except ExpectedError:
                continue
    assert snapshot(root.parent / "outside") == before


def test_a_root_that_may_only_be_read_is_not_written_through_a_link_that_flips(root: Path) -> None:
    closed = root / "closed"
    closed.mkdir()
    (closed / "file").write_text(OUTSIDE)
    (root / "to closed").symlink_to("closed")
    writer = Writer(Roots([root, closed], writable=[root]))
    before = snapshot(closed)
    with flipping(root / "sw", root / "to closed"):
        for number in range(300):
            for attempt in (write, replace, create_directory, copy_in, trash, delete):
                try:
                    attempt(writer, root, number)
                except ExpectedError:
                    continue
    assert snapshot(closed) == before
