"""Changing real files: whole or not at all, with everything kept that was not to change."""

import hashlib
import os
import re
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem import replacement
from mcp_server_filesystem.confinement import Resolver, Roots
from mcp_server_filesystem.edits import Edit
from mcp_server_filesystem.entries import never_stop
from mcp_server_filesystem.renaming import rename_to_new_by_link
from mcp_server_filesystem.trees import MAX_DEPTH
from mcp_server_filesystem.writing import ABSENT, MAX_EDIT_BYTES, Edited, Moved, Writer, Written
from mcp_server_shared.errors import (
    Conflict,
    ExpectedError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    Unavailable,
    Unsupported,
)
from mcp_server_shared.untrusted import read_notation, show_invisible

WRITE_AGAIN_AND_AGAIN = """
import sys
from mcp_server_filesystem.confinement import Roots
from mcp_server_filesystem.writing import Writer
root, *contents = sys.argv[1:]
writer = Writer(Roots([root], writable=[root]))
print("ready", flush=True)
while True:
    for content in contents:
        writer.write_file("file", content * 100_000, expected_sha256=None, checkpoint=lambda: None)
"""


class Stop(Exception):
    """Raised by a checkpoint."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture(params=[None, "walk", "path"])
def writer(root: Path, request: pytest.FixtureRequest) -> Generator[Writer]:
    roots = Roots([root], writable=[root], resolver=request.param)
    yield Writer(roots)
    roots.close()


@pytest.fixture
def other_device(root: Path) -> Generator[Path]:
    """Make a root on another file system."""
    shared_memory = Path("/dev/shm")  # noqa: S108
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == root.stat().st_dev:
        pytest.skip("platform: there is no second file system to write to")
    with TemporaryDirectory(dir=shared_memory) as directory:
        yield Path(directory)


def write(writer: Writer, path: str | Path, content: str, expected: str | None = None) -> Written:
    return writer.write_file(str(path), content, expected_sha256=expected, checkpoint=never_stop)


def edit(writer: Writer, path: str | Path, *edits: Edit, expected: str | None = None, dry_run: bool = False) -> Edited:
    return writer.edit_file(
        str(path),
        edits,
        expected_sha256=expected,
        dry_run=dry_run,
        max_diff_characters=10_000,
        checkpoint=never_stop,
    )


def move(writer: Writer, source: str | Path, destination: str | Path, *, overwrite: bool = False) -> Moved:
    return writer.move(str(source), str(destination), overwrite=overwrite, checkpoint=never_stop)


def delete(writer: Writer, path: str | Path) -> None:
    writer.delete(str(path), writer.survey(str(path), checkpoint=never_stop), checkpoint=never_stop)


def names(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


# write_file


def test_a_file_is_created_and_then_replaced(root: Path, writer: Writer) -> None:
    path = str(root / "file")
    assert write(writer, "file", "one") == Written(path, 3, sha256("one"), created=True)
    assert write(writer, path, "zwölf") == Written(path, 6, sha256("zwölf"), created=False)
    assert (root / "file").read_text() == "zwölf"
    assert names(root) == {"file"}


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_is_written_in_the_notation_is_read_again(text: str) -> None:
    with TemporaryDirectory() as root:
        roots = Roots([root], writable=[root])
        write(Writer(roots), "file", read_notation(show_invisible(text)))
        assert Path(root, "file").read_bytes() == text.encode()
        roots.close()


def test_a_lone_surrogate_is_refused_before_anything_is_done(root: Path, writer: Writer) -> None:
    with pytest.raises(InvalidArgument, match="lone surrogate at character 1"):
        write(writer, "file", "a\ud800")
    assert names(root) == set()


def test_a_file_that_is_as_expected_is_replaced(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    assert write(writer, "file", "new", sha256("old")).created is False


def test_a_file_that_is_not_as_expected_stays_and_its_hash_is_named(root: Path, writer: Writer) -> None:
    (root / "file").write_text("theirs")
    with pytest.raises(Conflict, match=sha256("theirs")):
        write(writer, "file", "mine", sha256("old"))
    assert (root / "file").read_text() == "theirs"


def test_a_file_that_should_be_absent_is_not_replaced(root: Path, writer: Writer) -> None:
    assert write(writer, "file", "one", ABSENT).created
    with pytest.raises(Conflict, match=f"exists already; its sha256 is {sha256('one')}"):
        write(writer, "file", "two", ABSENT)
    assert (root / "file").read_text() == "one"


def test_a_file_that_should_be_there_is_not_created(root: Path, writer: Writer) -> None:
    with pytest.raises(Conflict, match="does not exist"):
        write(writer, "file", "new", sha256("old"))
    assert names(root) == set()


@pytest.mark.parametrize(
    "path", ["gone/file", "file/", ".", "", "sub", "a\0b", "x" * 300, "/etc/x", "../x", "sub/../.."]
)
def test_where_no_file_can_be_none_is_written(root: Path, writer: Writer, path: str) -> None:
    (root / "sub").mkdir()
    with pytest.raises(ExpectedError):
        write(writer, path, "x")
    assert names(root) == {"sub"}
    assert names(root.parent) == {"root", "root/sub"}


@pytest.mark.parametrize("name", ["a ", " a", 'quo"te', "new\nline", "e\u0301", "\u00e9", "~", "%2e", "-", "\udcff"])
def test_a_name_is_taken_as_it_is(root: Path, writer: Writer, name: str) -> None:
    write(writer, name, "x")
    assert os.listdir(root) == [name]  # noqa: PTH208 - the names themselves


@pytest.mark.parametrize(
    ("before", "content", "after"),
    [
        (b"a\n", "b\n", b"a\nb\n"),
        (b"a", "b", b"ab"),
        (b"a\r\n", "b\nc\r\n", b"a\r\nb\r\nc\r\n"),
        (b"a\r", "b\n", b"a\rb\r"),
        (b"a\r\nb\n", "c\n", b"a\r\nb\nc\n"),
        (b"caf\xe9\n", "\u00e9t\u00e9\n", b"caf\xe9\n\xe9t\xe9\n"),
        ("\ufeffa\r\n".encode("utf-16-le"), "\u4e2d\n", "\ufeffa\r\n\u4e2d\r\n".encode("utf-16-le")),
        ("a \u00e9".encode() + b"\xff\n", "b", "a \u00e9".encode() + b"\xff\nb"),
        (b"", "\u00e9\n", "\u00e9\n".encode()),
        (None, "\u00e9\n", "\u00e9\n".encode()),
    ],
)
def test_text_is_added_as_the_file_is_written(
    root: Path, writer: Writer, before: bytes | None, content: str, after: bytes
) -> None:
    if before is not None:
        (root / "file").write_bytes(before)
    written = writer.append_file("file", content, expected_sha256=None, checkpoint=never_stop)
    assert (root / "file").read_bytes() == after
    assert (written.bytes, written.sha256, written.created) == (len(after), sha256(after), before is None)


def test_what_cannot_be_added_to_stays_as_it_is(root: Path, writer: Writer) -> None:
    (root / "binary").write_bytes(b"\0\1")
    (root / "latin").write_bytes(b"caf\xe9")
    (root / "other").write_text("x")
    with (root / "large").open("wb") as large:
        large.truncate(MAX_EDIT_BYTES + 1)
    attempts: list[tuple[str, str, str | None, type[ExpectedError]]] = [
        ("binary", "b", None, Unsupported),
        ("latin", "\u4e2d", None, InvalidArgument),
        ("other", "b", sha256("y"), Conflict),
        ("large", "b", None, TooLarge),
        ("new", "\ud800", None, InvalidArgument),
        ("new/", "b", None, InvalidArgument),
    ]
    for path, content, expected, error in attempts:
        with pytest.raises(error):
            writer.append_file(path, content, expected_sha256=expected, checkpoint=never_stop)
    assert names(root) == {"binary", "latin", "other", "large"}
    assert [(root / name).stat().st_size for name in ("binary", "latin", "other")] == [2, 4, 1]


def test_a_link_is_written_through_and_stays(root: Path, writer: Writer) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "file").write_text("old")
    (root / "link").symlink_to("sub/file")
    assert write(writer, "link", "new").path == str(root / "sub" / "file")
    assert (root / "link").is_symlink()
    assert (root / "sub" / "file").read_text() == "new"


def test_a_dangling_link_inside_creates_what_it_leads_to(root: Path, writer: Writer) -> None:
    (root / "link").symlink_to("file")
    write(writer, "link", "new")
    assert (root / "file").read_text() == "new"


@pytest.mark.parametrize(
    "target", ["../outside", "{tmp}/outside", "../gone/file", "/nowhere/file", "sub/../../outside"]
)
def test_a_link_that_leads_outside_creates_nothing(root: Path, writer: Writer, target: str) -> None:
    (root / "sub").mkdir()
    (root / "link").symlink_to(target.format(tmp=root.parent))
    with pytest.raises(PermissionDenied):
        write(writer, "link", "x")
    assert names(root.parent) == {"root", "root/link", "root/sub"}


def test_other_hard_links_keep_the_old_content(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    (root / "other").hardlink_to(root / "file")
    write(writer, "file", "new")
    assert (root / "other").read_text() == "old"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666, 0o200])
def test_mode_and_attributes_are_kept(root: Path, writer: Writer, mode: int) -> None:
    (root / "file").write_text("old")
    try:
        os.setxattr(root / "file", "user.note", b"kept")
    except OSError:
        pytest.skip("platform: the file system has no extended attributes")
    (root / "file").chmod(mode)
    if os.geteuid() and not mode & 0o400:
        pytest.skip("platform: only root may read this")
    write(writer, "file", "new")
    assert (root / "file").stat().st_mode & 0o7777 == mode
    assert os.getxattr(root / "file", "user.note") == b"kept"


def test_an_access_control_list_is_kept(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    user, named_user, group, mask, other, nobody = 0x01, 0x02, 0x04, 0x10, 0x20, 0xFFFFFFFF
    entries = [(user, 6, nobody), (named_user, 4, 1234), (group, 0, nobody), (mask, 4, nobody), (other, 0, nobody)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(root / "file", "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("platform: the file system has no access control lists")
    mode = (root / "file").stat().st_mode
    edit(writer, "file", Edit("old", "new"))
    assert os.getxattr(root / "file", "system.posix_acl_access") == acl
    assert ((root / "file").stat().st_mode, (root / "file").read_text()) == (mode, "new")


@pytest.mark.skipif(os.geteuid() != 0, reason="platform: only root may give files away")
def test_owner_and_group_are_kept(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    os.chown(root / "file", 1234, 4321)
    edit(writer, "file", Edit("old", "new"))
    status = (root / "file").stat()
    assert (status.st_uid, status.st_gid, (root / "file").read_text()) == (1234, 4321, "new")


def test_a_new_file_has_the_mode_of_any_new_file(root: Path, writer: Writer) -> None:
    (root / "other").touch()
    write(writer, "file", "x")
    assert (root / "file").stat().st_mode == (root / "other").stat().st_mode


def test_a_replaced_program_loses_its_set_user_id_bit(root: Path, writer: Writer) -> None:
    (root / "file").touch()
    (root / "file").chmod(0o4755)
    write(writer, "file", "x")
    assert (root / "file").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("other", ["fifo", "directory", "device"])
def test_what_is_no_file_is_not_replaced_and_does_not_hang(root: Path, writer: Writer, other: str) -> None:
    if other == "fifo":
        os.mkfifo(root / "it")
    elif other == "directory":
        (root / "it").mkdir()
    elif os.geteuid() == 0:
        os.mknod(root / "it", 0o20666, os.makedev(1, 3))
    else:
        pytest.skip("platform: only root makes devices")
    for attempt in (lambda: write(writer, "it", "x"), lambda: edit(writer, "it", Edit("a", "b"))):
        with pytest.raises(InvalidArgument):
            attempt()
    assert names(root) == {"it"}


def test_a_call_that_is_stopped_leaves_the_old_file_and_no_other(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    left = 3

    def stop_soon() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Stop

    with pytest.raises(Stop):
        writer.write_file("file", "x" * 10_000_000, expected_sha256=None, checkpoint=stop_soon)
    assert (names(root), (root / "file").read_text()) == ({"file"}, "old")


def test_a_full_disk_leaves_the_old_file_and_no_other(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # as near to a full disk as any user gets
    try:
        with pytest.raises(Unavailable, match="no room"):
            write(writer, "file", "x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (names(root), (root / "file").read_text()) == ({"file"}, "old")


@pytest.mark.skipif(os.geteuid() == 0, reason="platform: root may write everywhere")
def test_a_file_and_a_directory_that_are_read_only_stay_as_they_are(root: Path, writer: Writer) -> None:
    (root / "file").write_text("old")
    (root / "file").chmod(0o444)
    with pytest.raises(PermissionDenied):
        write(writer, "file", "new")
    root.chmod(0o555)
    with pytest.raises(PermissionDenied):
        write(writer, "other", "new")
    root.chmod(0o755)
    assert names(root) == {"file"}


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(root: Path) -> None:
    for attempt in range(15):
        command = [sys.executable, "-c", WRITE_AGAIN_AND_AGAIN, root, "a", "b"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            until = time.perf_counter() + 0.003 * (attempt + 1)
            while time.perf_counter() < until or not (root / "file").exists():
                pass
            process.kill()
        assert (root / "file").read_text() in {"a" * 100_000, "b" * 100_000}
    unfinished = names(root) - {"file"}
    assert all(re.fullmatch(r"\.mcp-[0-9a-f]{16}\.tmp", name) for name in unfinished)


def test_what_a_killed_server_left_is_removed_by_a_later_one(
    root: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (".mcp-0123456789abcdef.tmp", ".mcp-0123.tmp", "x.mcp-0123456789abcdef.tmp"):
        (root / name).touch()
    (root / ".mcp-00000000000000dd.tmp" / "sub").mkdir(parents=True)
    monkeypatch.setattr(replacement, "LEFTOVER_AFTER_S", -1)  # nothing here can be an hour old
    write(writer, "file", "x")
    assert names(root) == {"file", ".mcp-0123.tmp", "x.mcp-0123456789abcdef.tmp"}


def test_what_another_server_may_still_be_writing_stays(root: Path, writer: Writer) -> None:
    (root / ".mcp-0123456789abcdef.tmp").touch()
    os.utime(root / ".mcp-0123456789abcdef.tmp", (0, 0))
    write(writer, "file", "x")
    assert names(root) == {"file", ".mcp-0123456789abcdef.tmp"}


def test_a_name_for_unfinished_files_cannot_be_chosen(root: Path, writer: Writer) -> None:
    (root / "a").mkdir()
    name = ".mcp-0123456789abcdef.tmp"
    for attempt in (
        lambda: write(writer, name, "x"),
        lambda: move(writer, "a", name),
        lambda: writer.copy("a", f"a/{name}", checkpoint=never_stop),
        lambda: writer.create_directory(f"b/{name}/c"),
    ):
        with pytest.raises(InvalidArgument, match="reserved"):
            attempt()
    assert names(root) == {"a"}


# edit_file


def test_an_edit_returns_the_diff_and_the_new_hash(root: Path, writer: Writer) -> None:
    (root / "file").write_bytes(b"one\r\ntwo\r\n")
    result = edit(writer, "file", Edit("two\n", "zwei\ndrei\n"))
    new = b"one\r\nzwei\r\ndrei\r\n"
    assert (result.bytes, result.sha256, result.encoding) == (len(new), sha256(new), "utf-8")
    assert result.diff.endswith("@@ -1,2 +1,3 @@\n one\n-two\n+zwei\n+drei\n")
    assert (root / "file").read_bytes() == new


def test_a_dry_run_changes_nothing_and_says_the_same(root: Path, writer: Writer) -> None:
    (root / "file").write_text("one")
    before = (root / "file").stat()
    dry = edit(writer, "file", Edit("one", "two"), dry_run=True)
    after = (root / "file").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert edit(writer, "file", Edit("one", "two")) == dry


def test_of_several_edits_one_that_fails_undoes_all(root: Path, writer: Writer) -> None:
    (root / "file").write_text("one")
    with pytest.raises(InvalidArgument):
        edit(writer, "file", Edit("one", "two"), Edit("one", "three"))
    assert (root / "file").read_text() == "one"


def test_an_edit_of_another_version_is_a_conflict(root: Path, writer: Writer) -> None:
    (root / "file").write_text("one")
    with pytest.raises(Conflict, match=sha256("one")):
        edit(writer, "file", Edit("one", "two"), expected=sha256("zero"))


def test_editing_what_is_missing_names_what_is_near(root: Path, writer: Writer) -> None:
    (root / "notes.txt").touch()
    with pytest.raises(NotFound) as missing:
        edit(writer, "note.txt", Edit("a", "b"))
    assert "Did you mean notes.txt?" in missing.value.text()


def test_a_file_too_large_to_edit_is_refused_unread(root: Path, writer: Writer) -> None:
    with (root / "file").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TooLarge):
        edit(writer, "file", Edit("a", "b"))


def test_edits_of_one_file_at_the_same_time_all_last(root: Path, writer: Writer) -> None:
    (root / "file").write_text("".join(f"<{n}>\n" for n in range(24)))
    with ThreadPoolExecutor(8) as pool:
        edits = [pool.submit(edit, writer, "file", Edit(f"<{n}>", f"[{n}]")) for n in range(24)]
    assert all(done.result() for done in edits)
    assert (root / "file").read_text() == "".join(f"[{n}]\n" for n in range(24))


def test_a_change_by_another_process_meanwhile_is_not_overwritten(root: Path, writer: Writer) -> None:
    (root / "file").write_text("one")

    def somebody_else() -> None:
        (root / "file").write_text("theirs, one")

    with pytest.raises(Conflict, match="their version stays"):
        writer.write_file("file", "mine", expected_sha256=None, checkpoint=somebody_else)
    assert ((root / "file").read_text(), names(root)) == ("theirs, one", {"file"})


def test_a_file_that_appears_meanwhile_is_not_overwritten(root: Path, writer: Writer) -> None:
    with pytest.raises(Conflict, match="exists by now"):
        writer.write_file(
            "file", "mine", expected_sha256=None, checkpoint=lambda: void((root / "file").write_text("theirs"))
        )
    assert ((root / "file").read_text(), names(root)) == ("theirs", {"file"})


def void(_: object) -> None:
    return


# create_directory


def test_a_directory_is_created_with_those_above_it(root: Path, writer: Writer) -> None:
    assert writer.create_directory("a/b/c") == (str(root / "a/b/c"), True)
    assert writer.create_directory(str(root / "a/b/")) == (str(root / "a/b"), False)
    assert writer.create_directory(".") == (str(root), False)
    assert names(root) == {"a", "a/b", "a/b/c"}


def test_a_directory_is_created_through_a_link_inside(root: Path, writer: Writer) -> None:
    (root / "a").mkdir()
    (root / "link").symlink_to("a")
    assert writer.create_directory("link/b/c") == (str(root / "a/b/c"), True)


@pytest.mark.parametrize("path", ["out/x/y", "out", "new/../../x", "file/x", "file", ".git/x", "x/.env/y", "../x/y"])
def test_where_no_directory_may_be_none_is_created(root: Path, writer: Writer, path: str) -> None:
    (root / "out").symlink_to(root.parent / "elsewhere")
    (root / "file").touch()
    with pytest.raises(ExpectedError):
        writer.create_directory(path)
    assert names(root.parent) == {"root", "root/out", "root/file"}


# copy_path


def test_a_file_is_copied_with_its_mode(root: Path, writer: Writer) -> None:
    (root / "file").write_text("text")
    (root / "file").chmod(0o750)
    copied = writer.copy("file", "copy", checkpoint=never_stop)
    assert (copied.path, copied.type, copied.bytes, copied.sha256) == (str(root / "copy"), "file", 4, sha256("text"))
    assert ((root / "copy").read_text(), (root / "copy").stat().st_mode & 0o7777) == ("text", 0o750)


def test_a_sparse_file_is_copied_with_its_holes(root: Path, writer: Writer) -> None:
    with (root / "file").open("wb") as file:
        file.write(b"begin")
        file.seek(50_000_000)
        file.write(b"middle")
        file.truncate(100_000_000)
    copied = writer.copy("file", "copy", checkpoint=never_stop)
    assert (copied.bytes, copied.sha256) == (100_000_000, sha256((root / "file").read_bytes()))
    assert sha256((root / "copy").read_bytes()) == copied.sha256
    assert (root / "copy").stat().st_blocks * 512 < 10_000_000


def test_a_directory_is_copied_with_links_as_links_and_without_what_is_closed(root: Path, writer: Writer) -> None:
    (root / "a" / "sub").mkdir(parents=True)
    (root / "a" / "sub" / "file").write_text("text")
    (root / "a" / "sub").chmod(0o555)
    (root / "a" / ".env").write_text("secret")
    (root / "a" / ".git" / "objects").mkdir(parents=True)
    (root / "a" / "out").symlink_to("/etc/passwd")
    os.mkfifo(root / "a" / "pipe")
    copied = writer.copy("a", "b", checkpoint=never_stop)
    assert names(root / "b") == {"sub", "sub/file", "out"}
    assert ((root / "b" / "out").readlink(), (root / "b" / "sub").stat().st_mode & 0o777) == (
        Path("/etc/passwd"),
        0o555,
    )
    assert (copied.entries, copied.skipped, copied.sha256) == (4, 3, None)


def test_a_copy_leaves_out_what_would_be_closed_at_its_destination(root: Path, writer: Writer) -> None:
    (root / "docker").mkdir()
    (root / "docker" / "config.json").touch()
    writer.copy("docker", ".docker", checkpoint=never_stop)
    assert names(root / ".docker") == set()


def test_a_link_is_copied_as_a_link(root: Path, writer: Writer) -> None:
    (root / "link").symlink_to("/etc/passwd")
    writer.copy("link", "copy", checkpoint=never_stop)
    assert (root / "copy").readlink() == Path("/etc/passwd")


def test_nothing_is_copied_over_what_exists(root: Path, writer: Writer) -> None:
    (root / "file").write_text("one")
    (root / "there").write_text("two")
    (root / "dangling").symlink_to("nowhere")
    for taken in ("there", "dangling", "file"):
        with pytest.raises(Conflict, match="exists already"):
            writer.copy("file", taken, checkpoint=never_stop)
    assert (root / "there").read_text() == "two"


def test_a_directory_does_not_go_into_itself(root: Path, writer: Writer) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "link").symlink_to("a/b")
    for destination in ("a/c", "a/b/c", "link/c"):
        with pytest.raises(InvalidArgument, match="into itself"):
            writer.copy("a", destination, checkpoint=never_stop)
        with pytest.raises(InvalidArgument, match="into itself"):
            move(writer, "a", destination)
    assert names(root) == {"a", "a/b", "link"}


def test_a_special_file_is_not_copied(root: Path, writer: Writer) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(InvalidArgument, match="FIFO"):
        writer.copy("pipe", "copy", checkpoint=never_stop)
    assert names(root) == {"pipe"}


def test_a_tree_nested_too_deep_is_refused_and_nothing_of_it_stays(root: Path, writer: Writer) -> None:
    deep = root / "a"
    for _ in range(MAX_DEPTH + 2):
        deep.mkdir()
        deep /= "d"
    with pytest.raises(TooLarge):
        writer.copy("a", "b", checkpoint=never_stop)
    assert os.listdir(root) == ["a"]  # noqa: PTH208


def test_a_copy_that_is_stopped_leaves_nothing(root: Path, writer: Writer) -> None:
    (root / "a").mkdir()
    for number in range(10):
        (root / "a" / str(number)).write_text("x")
    left = 8

    def stop_soon() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Stop

    with pytest.raises(Stop):
        writer.copy("a", "b", checkpoint=stop_soon)
    assert os.listdir(root) == ["a"]  # noqa: PTH208


# move_file


def test_a_file_is_moved_and_a_directory_with_all_in_it(root: Path, writer: Writer) -> None:
    (root / "a").mkdir()
    (root / "a" / "file").write_text("x")
    assert move(writer, "a/file", "a/new") == Moved(str(root / "a/new"), "file", sha256("x"))
    assert move(writer, "a", "b") == Moved(str(root / "b"), "directory", None)
    assert names(root) == {"b", "b/new"}


@pytest.mark.parametrize("taken", ["file", "directory", "full", "dangling", "itself"])
def test_a_move_takes_no_name_from_another(root: Path, writer: Writer, taken: str) -> None:
    (root / "itself").write_text("mine")
    (root / "file").write_text("theirs")
    (root / "directory").mkdir()
    (root / "full").mkdir()
    (root / "full" / "x").touch()
    (root / "dangling").symlink_to("nowhere")
    before = names(root)
    with pytest.raises(Conflict, match="exists already"):
        move(writer, "itself", taken)
    with pytest.raises(Conflict, match="exists already"):
        move(writer, "full", taken)
    assert (names(root), (root / "file").read_text()) == (before, "theirs")


def test_a_move_that_is_told_to_overwrites_a_file_but_never_a_directory(root: Path, writer: Writer) -> None:
    (root / "one").write_text("1")
    (root / "two").write_text("2")
    (root / "empty").mkdir()
    with pytest.raises(Conflict, match="only a file"):
        move(writer, "one", "empty", overwrite=True)
    with pytest.raises(Conflict, match="only a file"):
        move(writer, "empty", "one", overwrite=True)
    move(writer, "one", "two", overwrite=True)
    assert (names(root), (root / "two").read_text()) == ({"two", "empty"}, "1")


def test_two_names_of_one_file_are_not_moved_onto_each_other(root: Path, writer: Writer) -> None:
    (root / "one").write_text("1")
    (root / "two").hardlink_to(root / "one")
    for destination in ("one", "two"):
        with pytest.raises(InvalidArgument, match="the same file"):
            move(writer, "one", destination, overwrite=True)


def test_a_link_is_moved_itself(root: Path, writer: Writer) -> None:
    (root / "link").symlink_to("/etc/passwd")
    assert move(writer, "link", "moved") == Moved(str(root / "moved"), "symlink", None)
    assert (root / "moved").readlink() == Path("/etc/passwd")


def test_moving_what_is_missing_names_what_is_near(root: Path, writer: Writer) -> None:
    (root / "notes.txt").touch()
    with pytest.raises(NotFound) as missing:
        move(writer, "note.txt", "x")
    assert "Did you mean notes.txt?" in missing.value.text()


@pytest.mark.parametrize(
    ("source", "destination"),
    [("file", ".env"), (".env", "file2"), ("cloud", ".aws"), (".aws", "cloud2"), ("file", ".git/hooks"), (".git", "x")],
)
def test_a_move_neither_opens_nor_fills_what_is_closed(
    root: Path, writer: Writer, source: str, destination: str
) -> None:
    for name in ("file", ".env", "cloud/credentials", ".aws/credentials", ".git/x"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    before = names(root)
    with pytest.raises(PermissionDenied, match="deny pattern"):
        move(writer, source, destination)
    assert names(root) == before


def test_a_directory_moves_with_what_stays_closed_in_it(root: Path, writer: Writer) -> None:
    (root / "project" / ".git").mkdir(parents=True)
    (root / "project" / ".env").touch()
    move(writer, "project", "renamed")
    assert names(root) == {"renamed", "renamed/.git", "renamed/.env"}


def test_a_move_without_the_system_call_for_it_takes_no_name_either(root: Path) -> None:
    for name in ("file", "taken"):
        (root / name).write_text(name)
    (root / "directory" / "sub").mkdir(parents=True)
    (root / "empty").mkdir()
    handle = os.open(root, os.O_RDONLY)
    for source in ("file", "directory"):
        for taken in ("taken", "empty"):
            with pytest.raises(FileExistsError):
                rename_to_new_by_link(handle, source, handle, taken)
        rename_to_new_by_link(handle, source, handle, f"new {source}")
    os.close(handle)
    assert names(root) == {"new file", "new directory", "new directory/sub", "taken", "empty"}


def test_a_move_to_another_file_system_keeps_everything(root: Path, other_device: Path) -> None:
    (root / "a" / "sub").mkdir(parents=True)
    (root / "a" / "sub" / "file").write_text("text")
    (root / "a" / ".env").write_text("secret")
    (root / "a" / "link").symlink_to("sub/file")
    (root / "a" / "sub" / "file").chmod(0o640)
    os.utime(root / "a" / "sub" / "file", (1_700_000_000, 1_700_000_000))
    writer = Writer(Roots([root, other_device], writable=[root, other_device]))
    move(writer, root / "a", other_device / "b")
    status = (other_device / "b" / "sub" / "file").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o640, 1_700_000_000)
    assert names(other_device) == {"b", "b/sub", "b/sub/file", "b/.env", "b/link"}
    assert names(root) == set()


def test_a_move_to_another_file_system_overwrites_only_when_told(root: Path, other_device: Path) -> None:
    (root / "one").write_text("1")
    (other_device / "two").write_text("2")
    writer = Writer(Roots([root, other_device], writable=[root, other_device]))
    with pytest.raises(Conflict):
        move(writer, root / "one", other_device / "two")
    assert ((other_device / "two").read_text(), names(root), names(other_device)) == ("2", {"one"}, {"two"})
    moved = move(writer, root / "one", other_device / "two", overwrite=True)
    assert (moved.sha256, names(root), (other_device / "two").read_text()) == (sha256("1"), set(), "1")


def test_a_file_changed_during_a_move_to_another_file_system_is_kept_at_both_ends(
    root: Path, other_device: Path
) -> None:
    (root / "a").mkdir()
    (root / "a" / "file").write_text("one")
    writer = Writer(Roots([root, other_device], writable=[root, other_device]))
    with pytest.raises(Conflict, match="both exist now"):
        writer.move(
            str(root / "a"),
            str(other_device / "a"),
            overwrite=False,
            checkpoint=lambda: void((root / "a" / "late").write_text("late")),
        )
    assert (root / "a" / "late").read_text() == "late"


# delete_path


def test_what_is_deleted_is_in_the_trash_and_can_be_brought_back(root: Path, writer: Writer) -> None:
    (root / "a" / "sub").mkdir(parents=True)
    (root / "a" / "sub" / "file").write_text("x")
    trashed = writer.trash("a/sub", checkpoint=never_stop)
    assert re.fullmatch(rf"{root}/\.trash/\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}/a/sub", trashed.path)
    assert not (root / "a" / "sub").exists()
    move(writer, trashed.path, "a/sub")
    assert (root / "a" / "sub" / "file").read_text() == "x"


def test_the_trash_is_private_and_left_out_of_searches(root: Path, writer: Writer) -> None:
    (root / "file").touch()
    writer.trash("file", checkpoint=never_stop)
    assert (root / ".trash").stat().st_mode & 0o777 == 0o700
    assert (root / ".trash" / ".gitignore").read_text() == "*\n"


def test_things_are_deleted_where_there_is_no_room_left(root: Path, writer: Writer) -> None:
    (root / "file").touch()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        trashed = writer.trash("file", checkpoint=never_stop)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert Path(trashed.path).exists()


def test_a_name_can_be_deleted_again_and_again(root: Path, writer: Writer) -> None:
    for _ in range(3):
        (root / "file").touch()
        writer.trash("file", checkpoint=never_stop)
    assert len([name for name in names(root) if name.endswith("/file")]) == 3


def test_a_deletion_that_fails_leaves_no_empty_folder_in_the_trash(root: Path, writer: Writer) -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    (root / "sub").mkdir()
    (root / "sub" / "file").touch()
    with pytest.raises(Cancelled):
        writer.trash("sub/file", checkpoint=cancel)
    assert names(root) == {"sub", "sub/file", ".trash", ".trash/.gitignore"}


def test_of_directories_that_cannot_all_be_created_none_stays(root: Path, writer: Writer) -> None:
    with pytest.raises(InvalidArgument, match="longer than the file system allows"):
        writer.create_directory(f"a/b/{'c' * 300}")
    assert names(root) == set()


def test_what_is_in_the_trash_is_only_deleted_for_good(root: Path, writer: Writer) -> None:
    (root / "file").touch()
    trashed = writer.trash("file", checkpoint=never_stop)
    with pytest.raises(InvalidArgument, match="in the trash"):
        writer.trash(trashed.path, checkpoint=never_stop)
    delete(writer, ".trash")
    assert names(root) == set()


def test_a_trash_folder_that_is_a_link_is_not_followed(root: Path, writer: Writer) -> None:
    (root.parent / "elsewhere").mkdir()
    (root / ".trash").symlink_to(root.parent / "elsewhere")
    (root / "file").touch()
    with pytest.raises(Conflict, match="is no directory"):
        writer.trash("file", checkpoint=never_stop)
    assert (names(root), names(root.parent / "elsewhere")) == ({"file", ".trash"}, set())


def test_a_link_is_deleted_itself(root: Path, writer: Writer) -> None:
    (root / "file").touch()
    (root / "one").symlink_to("file")
    (root / "two").symlink_to("file")
    writer.trash("one", checkpoint=never_stop)
    delete(writer, "two")
    assert names(root) >= {"file"}
    assert names(root).isdisjoint({"one", "two"})


def test_a_directory_is_deleted_for_good_with_all_in_it_and_nothing_behind_its_links(
    root: Path, writer: Writer
) -> None:
    (root / "kept").mkdir()
    (root / "kept" / "file").touch()
    (root / "a" / "sub").mkdir(parents=True)
    (root / "a" / "sub" / "link").symlink_to(root / "kept")
    os.mkfifo(root / "a" / "pipe")
    for number in range(50):
        (root / "a" / "sub" / str(number)).touch()
    assert writer.survey("a", checkpoint=never_stop).entries == 54
    delete(writer, "a")
    assert names(root) == {"kept", "kept/file"}


def test_what_changed_since_its_deletion_was_agreed_stays(root: Path, writer: Writer) -> None:
    (root / "a").mkdir()
    agreed = writer.survey("a", checkpoint=never_stop)
    (root / "a" / "new").touch()
    with pytest.raises(Conflict, match="nothing was deleted"):
        writer.delete("a", agreed, checkpoint=never_stop)
    assert names(root) == {"a", "a/new"}


def test_what_is_closed_is_neither_deleted_nor_trashed(root: Path, writer: Writer) -> None:
    (root / "a" / ".git").mkdir(parents=True)
    (root / ".aws").mkdir()
    (root / ".aws" / "credentials").touch()
    for path in ("a", "a/.git", ".aws", ".aws/credentials"):
        with pytest.raises(PermissionDenied):
            delete(writer, path)
    with pytest.raises(PermissionDenied):
        writer.trash("a/.git", checkpoint=never_stop)
    writer.trash("a", checkpoint=never_stop)
    writer.trash(".aws", checkpoint=never_stop)


@pytest.mark.parametrize("path", [".", "", "..", "../root", "a/.."])
def test_a_root_itself_stays(root: Path, writer: Writer, path: str) -> None:
    (root / "a").mkdir()
    for attempt in (
        lambda: writer.trash(path, checkpoint=never_stop),
        lambda: delete(writer, path),
        lambda: move(writer, path, "b"),
    ):
        with pytest.raises(ExpectedError):
            attempt()
    assert names(root) == {"a"}


# Roots that may only be read


@pytest.fixture(params=[None, "walk", "path"])
def nested(root: Path, request: pytest.FixtureRequest) -> Generator[Writer]:
    """Make a writable root with one in it that is not, which has a writable one in it again."""
    (root / "closed" / "open").mkdir(parents=True)
    (root / "closed" / "file").write_text("kept")
    (root / "closed" / "open" / "file").write_text("free")
    (root / "link").symlink_to("closed")
    (root / "inner").symlink_to("closed/open")
    (root / "to file").symlink_to("closed/file")
    (root / "file").write_text("mine")
    resolver: Resolver | None = request.param
    roots = Roots(
        [root, root / "closed", root / "closed" / "open"],
        writable=[root, root / "closed" / "open"],
        resolver=resolver,
    )
    yield Writer(roots)
    roots.close()


@pytest.mark.parametrize("way", ["closed", "link", "closed/open/..", "inner/..", "link/open/../."])
def test_nothing_is_changed_in_a_root_that_may_only_be_read(root: Path, nested: Writer, way: str) -> None:
    before = names(root)
    there = f"{root}/{way}"
    attempts = [
        lambda: write(nested, f"{there}/file", "changed"),
        lambda: write(nested, f"{there}/new", "new"),
        lambda: edit(nested, f"{there}/file", Edit("kept", "changed")),
        lambda: nested.append_file(f"{there}/file", "more", expected_sha256=None, checkpoint=never_stop),
        lambda: nested.create_directory(f"{there}/x/y"),
        lambda: nested.copy(f"{root}/file", f"{there}/new", checkpoint=never_stop),
        lambda: move(nested, f"{root}/file", f"{there}/new"),
        lambda: move(nested, f"{there}/file", f"{root}/new"),
        lambda: nested.trash(f"{there}/file", checkpoint=never_stop),
        lambda: delete(nested, f"{there}/file"),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDenied, match="may only be read"):
            attempt()
    assert (names(root), (root / "closed" / "file").read_text()) == (before, "kept")


def test_a_link_into_a_root_that_may_only_be_read_is_not_written_through(root: Path, nested: Writer) -> None:
    with pytest.raises(PermissionDenied, match="may only be read"):
        write(nested, root / "to file", "changed")
    assert (root / "closed" / "file").read_text() == "kept"


def test_the_innermost_root_is_written_by_any_way(root: Path, nested: Writer) -> None:
    for way in ("closed/open", "link/open", "inner"):
        write(nested, root / way / "file", way)
        assert (root / "closed" / "open" / "file").read_text() == way
    trashed = nested.trash(f"{root}/inner/file", checkpoint=never_stop)
    assert trashed.path.startswith(f"{root}/closed/open/.trash/")
    assert Path(trashed.path).read_text() == "inner"


def test_what_is_in_a_root_that_may_only_be_read_can_be_copied_out(root: Path, nested: Writer) -> None:
    nested.copy(f"{root}/closed/file", f"{root}/new", checkpoint=never_stop)
    assert (root / "new").read_text() == "kept"


def test_a_directory_that_holds_a_root_stays_where_it_is(root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    (root / "self").symlink_to(".")
    writer = Writer(Roots([root, root / "a" / "b"], writable=[root]))
    for path in (root / "a", root / "self" / "a", root / "a" / ".." / "a"):
        for attempt in (
            lambda path=path: move(writer, path, root / "c"),
            lambda path=path: writer.trash(str(path), checkpoint=never_stop),
            lambda path=path: delete(writer, path),
        ):
            with pytest.raises(PermissionDenied, match="the allowed directory"):
                attempt()
    assert names(root) == {"a", "a/b", "self"}


def test_a_root_that_was_moved_away_under_another_name_is_still_not_written(root: Path) -> None:
    (root / "closed").mkdir()
    writer = Writer(Roots([root, root / "closed"], writable=[root]))
    with pytest.raises(PermissionDenied):
        write(writer, root / "closed" / "x", "x")
    (root / "closed").rename(root / "renamed")
    with pytest.raises(PermissionDenied, match="may only be read"):
        write(writer, root / "renamed" / "x", "x")


def test_of_two_names_for_a_root_the_one_that_may_not_be_written_decides(root: Path) -> None:
    (root.parent / "alias").symlink_to("root")
    for paths in ([root, root.parent / "alias"], [root.parent / "alias", root]):
        writer = Writer(Roots(paths, writable=[root]))
        with pytest.raises(PermissionDenied, match="may only be read"):
            write(writer, root / "file", "x")


def test_handles_are_closed_whatever_happens(root: Path, nested: Writer) -> None:
    def everything() -> None:
        for number, path in enumerate(
            ["file", "closed/file", "gone/x", "link/x", "inner/file", "inner", ".git", "../x"]
        ):
            for attempt in (
                lambda path=path: write(nested, root / path, "x"),
                lambda path=path: edit(nested, root / path, Edit("x", "y")),
                lambda path=path, number=number: nested.copy(
                    f"{root}/{path}", f"{root}/copy-{number}-{len(names(root))}", checkpoint=never_stop
                ),
                lambda path=path: move(nested, root / path, root / f"{path}-moved"),
                lambda path=path: move(nested, root / f"{path}-moved", root / path),
                lambda path=path: nested.trash(f"{root}/{path}", checkpoint=never_stop),
                lambda path=path: delete(nested, root / path),
                lambda path=path: nested.create_directory(f"{root}/{path}/x"),
            ):
                try:
                    attempt()
                except ExpectedError:
                    continue

    everything()
    before = len(list(Path("/proc/self/fd").iterdir()))
    everything()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
