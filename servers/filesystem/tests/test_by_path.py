"""Where directories have no handles, as on Windows: everything works, and what leads elsewhere is found out.

Here the calls that Windows lacks are taken away, and what it refuses is refused. It is not Windows itself.
"""

import errno
import os
import select
import stat
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mcp_server_filesystem.by_path import DirectoryByPath, identity_of, is_link
from mcp_server_filesystem.content_search import Query
from mcp_server_filesystem.edits import Edit
from mcp_server_filesystem.entries import never_stop
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.patterns import parse_pattern
from mcp_server_filesystem.text import Tail
from mcp_server_shared.errors import Conflict, ExpectedError

MISSING = ("pread", "fchmod", "fchown", "getxattr", "listxattr", "setxattr", "removexattr", "O_NOFOLLOW", "O_DIRECTORY")
WITH_HANDLES = ("open", "stat", "mkdir", "rmdir", "unlink", "rename", "replace", "link", "symlink", "readlink")
NEEDLE = Query(parse_pattern("needle", literal=True, ignore_case=False), context=1)
IMPORT_AS_ON_WINDOWS = """
import sys
import mcp_server_filesystem.server, mcp_server_shared.stdio, mcp.server.stdio
for name in [name for name in sys.modules if name.startswith("mcp_server_")]:
    del sys.modules[name]
for name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty", "pty", "posix", "uvloop"):
    sys.modules[name] = None
sys.platform = "win32"
import mcp_server_filesystem.__main__
import mcp_server_filesystem.search_engine
import mcp_server_filesystem.writing
import mcp_server_shared.stdio
from mcp_server_filesystem.content_search import ContentSearch
from mcp_server_filesystem.server import build_server
from mcp_server_filesystem.settings import Settings
build_server(Settings.load(["C:/docs:rw"]))
print("built")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "file.txt").write_text("one\ntwo needle\nthree\n")
    (root / "sub" / "deep" / "file.txt").write_text("needle\n")
    (root / "link").symlink_to("sub/deep")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file.txt").write_text("outside")
    return root


@pytest.fixture
def files(root: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Files]:
    for name in MISSING:
        monkeypatch.delattr(os, name)
    monkeypatch.delattr(select, "poll")
    monkeypatch.setattr(os, "supports_dir_fd", set[object]())
    monkeypatch.setattr(os, "supports_fd", set[object]())
    for name in WITH_HANDLES:
        monkeypatch.setattr(os, name, without_handles(getattr(os, name), root))
    files = Files([root], writable=[root])
    yield files
    files.close()


def without_handles(call: Callable[..., Any], root: Path) -> Callable[..., Any]:
    """Return a call of the system that takes no handle of a directory, opens none and renames no open file."""
    moves = call.__name__ in ("rename", "replace", "unlink")

    def refusing(path: Any, *arguments: Any, **options: Any) -> Any:
        if any(options.get(name) is not None for name in ("dir_fd", "src_dir_fd", "dst_dir_fd")):
            raise NotImplementedError
        taken = [argument for argument in (path, *arguments) if moves and is_open(argument)]
        if taken or (call.__name__ == "open" and str(path).startswith(str(root)) and Path(path).is_dir()):
            raise PermissionError(errno.EACCES, "as Windows does", str(path))
        return call(path, *arguments, **options)

    return refusing


def is_open(path: str) -> bool:
    handles = os.scandir("/proc/self/fd")
    return any(os.path.realpath(f"/proc/self/fd/{handle.name}") == str(path) for handle in handles)


def text(files: Files, path: str | Path) -> str:
    return files.read_text(str(path), max_characters=1_000).page.text


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


# What it can do


def test_files_are_read_and_described(root: Path, files: Files) -> None:
    assert files.read_text("file.txt", Tail(1), max_characters=100).page.text == "three\n"
    assert text(files, root / "link" / "file.txt") == "needle\n"
    assert files.read_bytes("sub/../file.txt", max_bytes=100).data.startswith(b"one")
    info = files.info("file.txt")
    assert (info.type, info.size, info.owner is None) == ("file", 21, False)
    assert files.info("link").target == "sub/deep"
    assert files.fingerprint("file.txt") == files.fingerprint(str(root / "file.txt"))


@pytest.mark.parametrize("sort", ["name", "size", "modified"])
def test_directories_are_listed(files: Files, sort: Any) -> None:
    listing = files.list_directory(".", limit=10, sort=sort)
    assert {(entry.name, entry.type) for entry in listing.entries} == {
        ("file.txt", "file"),
        ("link", "symlink"),
        ("sub", "directory"),
    }


def test_trees_are_shown_and_searched(files: Files) -> None:
    assert "deep/" in files.outline(".", depth=5, limit=100, gitignore=True).text
    found = files.search(".", "*.txt", limit=10)
    assert [names for names, _ in found.entries] == [("file.txt",), ("sub", "deep", "file.txt")]


@pytest.mark.parametrize(("path", "lines"), [(".", 4), ("file.txt", 3), ("link", 1)])
def test_content_is_searched(files: Files, path: str, lines: int) -> None:
    found = files.search_content(path, NEEDLE, max_characters=1_000, ripgrep="/usr/bin/rg")
    assert len(found.lines) == lines


def test_a_search_for_content_that_is_not_wanted_any_more_ends(root: Path, files: Files) -> None:
    (root / "long").write_text("a" * 50_000)
    endless = Query(parse_pattern("(a|a)*b" * 5, literal=False, ignore_case=False))
    looks = iter(range(3))

    def checkpoint() -> None:
        if next(looks, None) is None:
            raise Conflict("stopped")

    with pytest.raises(Conflict, match="stopped"):
        files.search_content("long", endless, max_characters=100, checkpoint=checkpoint)


def test_files_are_written_edited_and_replaced(root: Path, files: Files) -> None:
    created = files.writer.write_file("new", "1", expected_sha256="absent", checkpoint=never_stop)
    files.writer.write_file("new", "2", expected_sha256=created.sha256, checkpoint=never_stop)
    edit = Edit("2", "3\n")
    files.writer.edit_file(
        "new", [edit], expected_sha256=None, dry_run=False, max_diff_characters=100, checkpoint=never_stop
    )
    assert (root / "new").read_text() == "3\n"
    assert names(root) == {"file.txt", "link", "new", "sub"}


def test_entries_are_copied_moved_and_deleted(root: Path, files: Files) -> None:
    writer = files.writer
    assert writer.create_directory("made/here")[1]
    assert writer.copy("sub", "made/copy", checkpoint=never_stop).entries == 3
    moved = writer.move("made/copy/deep/file.txt", "file.txt", overwrite=True, checkpoint=never_stop)
    assert moved.sha256 == files.info("file.txt").sha256
    with pytest.raises(Conflict):
        writer.move("made/copy", "sub", overwrite=False, checkpoint=never_stop)
    trashed = writer.trash("made/here", checkpoint=never_stop)
    writer.move(trashed.path, "back", overwrite=False, checkpoint=never_stop)
    writer.delete("made", writer.survey("made", checkpoint=never_stop), checkpoint=never_stop)
    assert names(root) == {".trash", "back", "file.txt", "link", "sub"}
    assert (root / "file.txt").read_text() == "needle\n"


# What it finds out


def swap(root: Path) -> None:
    """Put a link out of the root where a directory was, or the reverse."""
    (root / "sub").rename(root / "between")
    if (root / "swapped").exists():
        (root / "swapped").rename(root / "sub")
    else:
        (root / "sub").symlink_to(root.parent / "outside")
    (root / "between").rename(root / "swapped")


def meanwhile(monkeypatch: pytest.MonkeyPatch, call: str, *, before: Any = None, after: Any = None) -> None:
    """Have somebody else do something right before a call of the system, and right after it."""
    original = getattr(os, call)

    def interfered(path: Any, *arguments: Any, **options: Any) -> Any:
        if "sub" not in str(path):
            return original(path, *arguments, **options)
        if before:
            before()
        try:
            return original(path, *arguments, **options)
        finally:
            if after:
                after()

    monkeypatch.setattr(os, call, interfered)


@pytest.mark.parametrize("back", [True, False])
def test_a_file_that_was_opened_elsewhere_is_not_read(
    root: Path, files: Files, monkeypatch: pytest.MonkeyPatch, *, back: bool
) -> None:
    (root / "sub" / "file.txt").write_text("inside")
    meanwhile(monkeypatch, "open", before=lambda: swap(root), after=(lambda: swap(root)) if back else None)
    with pytest.raises(ExpectedError):
        text(files, "sub/file.txt")


def test_a_directory_that_became_a_link_is_not_listed(
    root: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, "scandir", before=lambda: swap(root))
    with pytest.raises(ExpectedError):
        files.list_directory("sub", limit=10)


def test_a_directory_that_became_a_link_is_left_out_of_a_search(
    root: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, "scandir", before=lambda: (root / "swapped").exists() or swap(root))
    found = files.search(".", "**", limit=10)
    assert ("sub", "file.txt") not in [names for names, _ in found.entries]


def test_a_file_that_was_created_elsewhere_is_not_written(
    root: Path, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, "open", before=lambda: swap(root))
    with pytest.raises(ExpectedError):
        files.writer.write_file("sub/file.txt", "secret", expected_sha256=None, checkpoint=never_stop)
    assert {entry.read_text() for entry in (root.parent / "outside").iterdir()} <= {"outside", ""}


def test_a_directory_that_was_replaced_is_another(root: Path) -> None:
    directory = DirectoryByPath(str(root / "sub"))
    (root / "sub").rename(root / "moved")
    (root / "sub").mkdir()
    with pytest.raises(OSError, match="changed"):
        directory.check()


def test_a_directory_is_no_number_that_the_system_takes(root: Path) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(DirectoryByPath(str(root)))


@pytest.mark.parametrize(("tag", "link"), [(0xA000_0003, True), (0xA000_000C, True), (0x9000_001A, False), (0, False)])
def test_a_junction_is_a_link_and_a_file_in_a_cloud_is_none(tag: int, *, link: bool) -> None:
    status = SimpleNamespace(st_mode=stat.S_IFDIR, st_reparse_tag=tag)
    assert is_link(cast("os.stat_result", status)) is link


def test_where_files_cannot_be_told_apart_nothing_is_opened() -> None:
    with pytest.raises(OSError, match="does not tell one file from another"):
        identity_of(os.stat_result((stat.S_IFREG, 0, 1, 1, 0, 0, 0, 0, 0, 0)))


# What serving imports


def test_the_server_is_built_without_the_modules_that_windows_lacks() -> None:
    built = subprocess.run([sys.executable, "-c", IMPORT_AS_ON_WINDOWS], capture_output=True, text=True, check=False)
    assert (built.stdout, built.stderr) == ("built\n", "")
