"""Reading and listing real directories."""

import os
import socket
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem.entries import Entry
from mcp_server_filesystem.files import AllowedDirectory, Files
from mcp_server_filesystem.text import Lines, Tail
from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge, Unsupported

NAMES = st.sets(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
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


def all_names(files: Files, limit: int) -> list[str]:
    listing = files.list_directory(".", limit=limit)
    names = [entry.name for entry in listing.entries]
    while listing.more:
        listing = files.list_directory(".", limit=limit, after=listing.keys[-1])
        names += [entry.name for entry in listing.entries]
    return names


def test_a_text_file_is_read_with_what_is_known_about_it(root: Path, files: Files) -> None:
    (root / "notes.txt").write_bytes(b"one\r\ntwo\r\n")
    os.utime(root / "notes.txt", (UNIX_TIME_2024, UNIX_TIME_2024))
    result = files.read_text(str(root / "notes.txt"), max_characters=100)
    assert (result.path, result.size, result.modified) == (str(root / "notes.txt"), 10, "2024-01-02T03:04:05Z")
    assert (result.page.text, result.page.encoding, result.page.line_ending) == ("one\r\ntwo\r\n", "utf-8", "crlf")


def test_head_and_tail_of_a_huge_file_take_no_time(root: Path, files: Files) -> None:
    with (root / "huge").open("wb") as huge:
        huge.write(b"first\n" + b"x" * 10_000)
        huge.truncate(5 * 2**30)
        huge.seek(0, os.SEEK_END)
        huge.write(b"\nlast\n")
    assert files.read_text("huge", Lines(1, 1), max_characters=100).page.text == "first\n"
    assert files.read_text("huge", Tail(1), max_characters=100).page.text == "last\n"


def test_a_line_is_looked_for_anew_in_a_file_that_changed(root: Path, files: Files) -> None:
    def lines(first: str) -> str:
        return first + "".join(f"line {number}\n" for number in range(2, 600_001))

    (root / "file").write_text(lines("line 1\n"))
    os.utime(root / "file", (0, 0))
    assert files.read_text("file", Lines(599_999, 1), max_characters=100).page.text == "line 599999\n"
    (root / "file").write_text(lines("1\n2\n3\n\n"))
    os.utime(root / "file", (0, 0))
    assert files.read_text("file", Lines(599_999, 1), max_characters=100).page.text == "line 599996\n"


def test_a_binary_file_is_recognised(root: Path, files: Files) -> None:
    (root / "image").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(Unsupported, match="is binary \\(16 bytes\\)"):
        files.read_text("image", max_characters=100)


def test_bytes_come_with_the_type_that_the_name_suggests(root: Path, files: Files) -> None:
    (root / "image.png").write_bytes(b"\x89PNG")
    result = files.read_bytes("image.png", max_bytes=4)
    assert (result.data, result.mime_type) == (b"\x89PNG", "image/png")


def test_more_bytes_than_the_limit_are_refused(root: Path, files: Files) -> None:
    (root / "file").write_bytes(b"12345")
    with pytest.raises(TooLarge, match="has 5 bytes; at most 4"):
        files.read_bytes("file", max_bytes=4)


def test_a_file_without_a_size_is_read_and_limited_all_the_same() -> None:
    files = Files(["/proc/self"])
    assert "Name:" in files.read_text("status", max_characters=10_000).page.text
    with pytest.raises(TooLarge):
        files.read_bytes("status", max_bytes=10)
    files.close()


def test_what_is_no_regular_file_is_named_and_does_not_hang(root: Path, files: Files) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(InvalidArgument, match="is a fifo"):
        files.read_text("pipe", max_characters=100)


def test_a_socket_is_not_a_file(root: Path, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # the address of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        with pytest.raises(InvalidArgument, match="socket"):
            files.read_text("s", max_characters=100)


def test_a_device_is_not_a_file() -> None:
    files = Files(["/dev"])
    with pytest.raises(InvalidArgument, match="is a device"):
        files.read_text("zero", max_characters=100)
    files.close()


def test_reading_a_directory_points_to_the_tool_for_it(files: Files) -> None:
    with pytest.raises(InvalidArgument) as refused:
        files.read_text(".", max_characters=100)
    assert "list_directory" in refused.value.text()


def test_listing_a_file_points_to_the_tool_for_it(root: Path, files: Files) -> None:
    (root / "file").touch()
    with pytest.raises(InvalidArgument) as refused:
        files.list_directory("file", limit=10)
    assert "read_text_file" in refused.value.text()


@pytest.mark.skipif(os.geteuid() == 0, reason="platform: root may read everything")
def test_what_the_system_refuses_is_permission_denied(root: Path, files: Files) -> None:
    (root / "locked").touch(mode=0)
    with pytest.raises(PermissionDenied):
        files.read_text("locked", max_characters=100)


def test_entries_have_type_size_time_and_target(root: Path, files: Files) -> None:
    (root / "directory").mkdir()
    (root / "file").write_text("12345")
    (root / "link").symlink_to("/somewhere")
    os.mkfifo(root / "pipe")
    for name in ("directory", "file", "link", "pipe"):
        os.utime(root / name, (UNIX_TIME_2024, UNIX_TIME_2024), follow_symlinks=False)
    at = "2024-01-02T03:04:05Z"
    assert files.list_directory(".", limit=10).entries == [
        Entry("directory", "directory", None, at),
        Entry("file", "file", 5, at),
        Entry("link", "symlink", None, at, "/somewhere"),
        Entry("pipe", "fifo", None, at),
    ]


def test_a_name_that_is_not_utf_8_survives(root: Path, files: Files) -> None:
    name = os.fsdecode(b"caf\xe9")
    (root / name).write_text("coffee")
    [entry] = files.list_directory(".", limit=10).entries
    assert files.read_text(entry.name, max_characters=100).page.text == "coffee"


def test_denied_entries_are_left_out_and_counted(root: Path, files: Files) -> None:
    for name in (".env", ".env.example", "key.pem", "readme"):
        (root / name).touch()
    (root / ".git").mkdir()
    listing = files.list_directory(".", limit=10)
    assert [entry.name for entry in listing.entries] == [".env.example", "readme"]
    assert (listing.total, listing.denied) == (2, 3)


def test_a_pattern_with_a_directory_holds_in_its_listing(root: Path) -> None:
    (root / "config").mkdir()
    (root / "config" / "secret").touch()
    files = Files([root], deny=["config/secret"])
    assert files.list_directory("config", limit=10).denied == 1
    files.close()


@settings(max_examples=25, deadline=None)
@given(NAMES, st.integers(1, 7))
def test_paging_returns_every_name_exactly_once_in_order(names: set[str], limit: int) -> None:
    names = {name for name in names if name not in (".", "..") and len(os.fsencode(name)) < 256}
    with TemporaryDirectory() as directory:
        for name in names:
            Path(directory, name).touch()
        files = Files([directory], deny=[])
        assert all_names(files, limit) == sorted(names)
        files.close()


def test_a_directory_that_changes_between_pages_repeats_and_skips_nothing(root: Path, files: Files) -> None:
    for name in "bdfh":
        (root / name).touch()
    first = files.list_directory(".", limit=2)
    (root / "b").unlink()
    (root / "a").touch()
    second = files.list_directory(".", limit=2, after=first.keys[-1])
    assert [entry.name for entry in first.entries + second.entries] == ["b", "d", "f", "h"]


def test_a_long_listing_stops_at_a_checkpoint(root: Path, files: Files) -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    (root / "file").touch()
    with pytest.raises(Cancelled):
        files.list_directory(".", limit=1, checkpoint=cancel)


def test_roots_are_listed_with_whether_they_exist(root: Path) -> None:
    files = Files([root, root / "missing"])
    assert files.roots() == [
        AllowedDirectory(str(root), exists=True),
        AllowedDirectory(f"{root}/missing", exists=False),
    ]
    files.close()


def test_a_missing_file_is_not_found(files: Files) -> None:
    with pytest.raises(NotFound):
        files.read_text("gone", max_characters=100)
