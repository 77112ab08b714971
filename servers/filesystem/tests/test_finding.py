"""Sorted listings, trees, searches by name, and what is known about one path."""

import hashlib
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem import walking
from mcp_server_filesystem.entries import Wanted
from mcp_server_filesystem.files import Files, Sort, Total
from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied

UNIX_TIME_2024 = 1_704_164_645


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def files(root: Path) -> Generator[Files]:
    files = Files([root])
    yield files
    files.close()


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def found(files: Files, glob: str, limit: int = 1_000, *, ignore_case: bool = False) -> list[str]:
    """Return all pages of a search, put end to end."""
    page = files.search(".", glob, limit=limit, ignore_case=ignore_case)
    paths = ["/".join(names) for names, _ in page.entries]
    while page.more:
        page = files.search(".", glob, limit=limit, after=page.entries[-1][0], ignore_case=ignore_case)
        paths += ["/".join(names) for names, _ in page.entries]
    return paths


# Listings


@pytest.mark.parametrize("sort", ["name", "size", "modified"])
@pytest.mark.parametrize("descending", [False, True])
def test_a_sorted_listing_comes_in_pages(root: Path, files: Files, sort: Sort, descending: bool) -> None:  # noqa: FBT001
    for number, name in enumerate("hbfdaceg"):
        (root / name).write_text("x" * (number % 3))
        os.utime(root / name, (UNIX_TIME_2024, UNIX_TIME_2024 + number % 4))
    listing = files.list_directory(".", limit=3, sort=sort, descending=descending)
    keys = list(listing.keys)
    while listing.more:
        listing = files.list_directory(".", limit=3, sort=sort, descending=descending, after=listing.keys[-1])
        keys += listing.keys
    assert keys == sorted(keys, reverse=descending)
    assert sorted(key[-1] for key in keys) == list("abcdefgh")


# Trees


def test_a_tree_is_indented_and_marked(root: Path, files: Files) -> None:
    make(root, "a/b/c/d", "a/x", "z")
    (root / "link").symlink_to("a")
    os.mkfifo(root / "pipe")
    tree = files.outline(".", depth=3, limit=100, gitignore=True)
    assert tree.text == "a/\n  b/\n    c/ …\n  x\nlink@\npipe|\nz\n"
    assert (tree.shown, tree.unlisted, tree.unopened) == (7, 0, 0)


def test_a_tree_shows_upper_levels_first_and_says_what_it_left_out(root: Path, files: Files) -> None:
    make(root, *(f"a/{number:02}" for number in range(50)), *(f"b/{number}" for number in range(3)))
    tree = files.outline(".", depth=5, limit=10, gitignore=True)
    assert tree.text.startswith("a/\n  00\n")
    assert (tree.shown, tree.unlisted, tree.unopened) == (10, 42, 1)
    assert "  … 42 more\n" in tree.text
    assert "b/ …\n" in tree.text


def test_a_tree_leaves_out_what_is_denied_or_ignored(root: Path, files: Files) -> None:
    make(root, ".git/config", ".env", "node_modules/x", "kept")
    (root / ".gitignore").write_text("node_modules/\n")
    assert files.outline(".", depth=5, limit=10, gitignore=True).text == ".gitignore\nkept\n"
    assert "node_modules/" in files.outline(".", depth=5, limit=10, gitignore=False).text


def test_what_is_excluded_is_left_out_with_all_below(root: Path, files: Files) -> None:
    make(root, "node_modules/x/y", "a/node_modules/z", "a/b.py", "dist/c", "a/dist/d")
    tree = files.outline(".", depth=9, limit=20, gitignore=False, exclude=["node_modules", "dist/**"])
    assert tree.text == "a/\n  b.py\n  dist/\n    d\ndist/\n"
    found = files.search(".", "*", limit=20, exclude=["*.py", "a/{node_modules,dist}", "node_modules"])
    assert ["/".join(names) for names, _ in found.entries] == ["a", "dist", "dist/c"]


def test_a_name_cannot_pass_for_a_line_of_the_tree(root: Path, files: Files) -> None:
    make(root, "a\nb", "c\r", "… 7 more", "  c", "link@", "say@home")
    assert files.outline(".", depth=1, limit=10, gitignore=True).text == (
        '"  c"\n"a\\nb"\n"c\\r"\n"link@"\nsay@home\n"… 7 more"\n'
    )


# Searches by name


def test_paths_that_fit_are_found_in_order(root: Path, files: Files) -> None:
    make(root, "b.py", "a/b.py", "a.py/x", "a/c/d.py", "a/c.txt")
    assert found(files, "*.py") == ["a/b.py", "a/c/d.py", "a.py", "b.py"]
    assert found(files, "a/*.{py,txt}") == ["a/b.py", "a/c.txt"]
    assert found(files, "*.PY") == []
    assert found(files, "*.PY", ignore_case=True) == found(files, "*.py")


def test_links_in_a_loop_are_found_but_not_followed(root: Path, files: Files) -> None:
    (root / "loop").symlink_to(".")
    assert found(files, "**") == ["loop"]


def test_what_is_denied_is_not_found(root: Path, files: Files) -> None:
    make(root, ".git/config", "sub/.env", "sub/kept", "key.pem")
    assert found(files, "**") == ["sub", "sub/kept"]


def test_a_tree_deeper_than_a_process_may_have_handles_is_searched(root: Path, files: Files) -> None:
    directory = os.open(root, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=directory)
        below = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(os.open("end", os.O_CREAT, dir_fd=directory))
    os.close(directory)
    try:
        assert found(files, "end") == ["d/" * 1_500 + "end"]
    finally:
        subprocess.run(["rm", "-r", root / "d"], check=True)  # too deep for Python's own way


TREES = st.sets(
    st.lists(st.sampled_from(["a", "b", "a.b", "\udcff", "c d"]), min_size=1, max_size=4).map("/".join), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(TREES, st.integers(1, 4), st.integers(1, 3))
def test_pages_have_everything_exactly_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str], limit: int, at_once: int
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for path in paths:
        (root / f"{path}/").mkdir(parents=True, exist_ok=True)
    expected = sorted(tuple(path.relative_to(root).parts) for path in root.rglob("*"))
    files = Files([root])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking, "ENTRIES_AT_ONCE", at_once)
        assert found(files, "**", limit) == ["/".join(names) for names in expected]
    files.close()


def test_directories_that_may_not_be_read_are_counted(root: Path, files: Files) -> None:
    make(root, "open/file", "shut/file")
    (root / "shut").chmod(0)
    with anybody(root, files):
        found = files.search(".", "*", limit=10)
        assert (["/".join(names) for names, _ in found.entries], found.unreadable) == (["open", "open/file", "shut"], 1)
        assert files.outline(".", depth=9, limit=10, gitignore=True).unreadable == 1
        assert files.total(".") == Total(entries=3, bytes=0, unreadable=1)
    (root / "shut").chmod(0o700)


@contextmanager
def anybody(root: Path, files: Files) -> Generator[None]:
    """Be a user whom the system can refuse something, if this is root."""
    root.chmod(0o755)
    assert files.roots()[0].exists  # and open from now on
    user = os.geteuid()
    os.seteuid(user or 65_534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_what_has_too_long_a_path_for_the_system_is_found(root: Path, files: Files) -> None:
    names = ["d" * 200] * 30
    here = os.open(root, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("bottom", os.O_CREAT, dir_fd=here))
    os.close(here)
    assert [found for found, _ in files.search(".", "bottom", limit=10).entries] == [(*names, "bottom")]
    assert files.total(".").entries == 31


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(), ["d", "d/large", "d/old", "empty", "link"]),
        (Wanted(type="directory"), ["d"]),
        (Wanted(type="symlink"), ["link"]),
        (Wanted(min_bytes=4), ["d/large", "d/old"]),
        (Wanted(max_bytes=4), ["d/old", "empty"]),
        (Wanted(modified_after=datetime.fromtimestamp(UNIX_TIME_2024, UTC)), ["d", "d/large", "empty", "link"]),
        (Wanted(modified_after=datetime.fromtimestamp(UNIX_TIME_2024 - 1, UTC), max_bytes=9), ["d/old", "empty"]),
    ],
)
def test_what_is_found_can_be_narrowed(root: Path, files: Files, wanted: Wanted, expected: list[str]) -> None:
    make(root, "empty", "d/old", "d/large")
    (root / "d" / "old").write_text("four")
    (root / "d" / "large").write_text("x" * 10)
    (root / "link").symlink_to("d")
    os.utime(root / "d" / "old", (UNIX_TIME_2024, UNIX_TIME_2024))
    assert ["/".join(names) for names, _ in files.search(".", "*", limit=10, wanted=wanted).entries] == expected
    pages: list[str] = []
    page = files.search(".", "*", limit=1, wanted=wanted)
    while page.entries:
        pages += ["/".join(page.entries[0][0])]
        page = files.search(".", "*", limit=1, wanted=wanted, after=page.entries[0][0])
    assert pages == expected


# One path


def test_what_is_below_a_directory_is_counted_and_summed(root: Path, files: Files) -> None:
    make(root, "a/b/c", "a/d", "a/.env")
    (root / "a" / "b" / "c").write_text("four")
    (root / "a" / "d").write_text("five!")
    (root / "a" / "link").symlink_to("/etc/passwd")
    (root / ".gitignore").write_text("*\n")
    assert files.total("a") == Total(entries=4, bytes=9, unreadable=0)
    with pytest.raises(InvalidArgument):
        files.total("a/d")


def test_a_file_is_described(root: Path, files: Files) -> None:
    (root / "notes.txt").write_bytes(b"one\r\ntwo\r\n")
    os.utime(root / "notes.txt", (UNIX_TIME_2024, UNIX_TIME_2024))
    (root / "notes.txt").chmod(0o640)
    info = files.info("notes.txt")
    assert (info.path, info.type, info.size, info.mode) == (str(root / "notes.txt"), "file", 10, "-rw-r-----")
    assert (info.mime_type, info.encoding, info.line_ending) == ("text/plain", "utf-8", "crlf")
    assert (info.modified, info.sha256) == ("2024-01-02T03:04:05Z", hashlib.sha256(b"one\r\ntwo\r\n").hexdigest())


def test_a_link_is_described_and_not_followed(root: Path, files: Files) -> None:
    (root / "link").symlink_to("/etc/passwd")
    info = files.info("link")
    assert (info.path, info.type, info.target, info.sha256) == (str(root / "link"), "symlink", "/etc/passwd", None)


def test_what_is_missing_is_answered_with_what_is_near(root: Path, files: Files) -> None:
    (root / "report.txt").touch()
    with pytest.raises(NotFound) as missing:
        files.info("reprot.txt")
    assert "Did you mean report.txt?" in missing.value.text()


def test_other_things_are_described_without_being_opened(root: Path, files: Files) -> None:
    os.mkfifo(root / "pipe")
    assert (files.info("pipe").type, files.info(".").type) == ("fifo", "directory")


def test_a_denied_file_is_not_described(root: Path, files: Files) -> None:
    make(root, ".env")
    with pytest.raises(PermissionDenied):
        files.info(".env")


def test_a_fingerprint_changes_with_the_file_and_with_what_takes_its_place(root: Path, files: Files) -> None:
    (root / "file").write_text("one")
    seen = [files.fingerprint("file")]
    (root / "file").write_text("three")
    seen.append(files.fingerprint("file"))
    (root / "new").write_text("three")
    (root / "new").rename(root / "file")
    seen.append(files.fingerprint("file"))
    assert len(set(seen)) == 3
