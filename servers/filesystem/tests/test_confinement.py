"""Nothing outside the roots is reached, by any path, through any link, whoever changes the tree meanwhile."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mcp_server_filesystem.by_path import DirectoryByPath
from mcp_server_filesystem.confinement import Resolver, Roots
from mcp_server_filesystem.files import Files
from mcp_server_shared.deny import DEFAULT_DENY, DenyGlobs
from mcp_server_shared.errors import ExpectedError, InvalidArgument, NotFound, PermissionDenied

OUTSIDE = "outside the roots"
FLIP = """
import ctypes, sys
exchange = ctypes.CDLL(None).renameat2
a, b = (name.encode() for name in sys.argv[1:])
while True:
    exchange(-100, a, -100, b, 2)
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Make a directory `a` to be the root, with things around it that are not."""
    (tmp_path / "a" / "sub").mkdir(parents=True)
    (tmp_path / "a" / "file.txt").write_text("inside")
    (tmp_path / "a" / "sub" / "deep.txt").write_text("deep inside")
    for name in ("ab", "a ", 'a"', "outside"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.txt").write_text(OUTSIDE)
    return tmp_path


@pytest.fixture(params=[None, "walk", "path"])
def resolver(request: pytest.FixtureRequest) -> Resolver | None:
    return request.param


@pytest.fixture
def files(box: Path, resolver: Resolver | None) -> Generator[Files]:
    files = Files([box / "a"], resolver=resolver)
    yield files
    files.close()


def text(files: Files, path: str | Path) -> str:
    return files.read_text(str(path), max_characters=1_000).page.text


@contextmanager
def flipping(one: Path, other: Path) -> Generator[None]:
    """Another process exchanges two names as fast as it can."""
    with subprocess.Popen([sys.executable, "-c", FLIP, one, other]) as adversary:
        try:
            yield
        finally:
            adversary.kill()


@pytest.mark.parametrize(
    "path", ["file.txt", "./file.txt", "sub/../file.txt", "sub//..//file.txt", "sub/./../file.txt", "../a/file.txt"]
)
def test_a_path_that_stays_beneath_the_root_is_read(files: Files, path: str) -> None:
    assert text(files, path) == "inside"


@pytest.mark.parametrize(
    "path", ["..", "../ab/file.txt", "sub/../../outside/file.txt", "/etc/passwd", "/", "../../../../../../etc/passwd"]
)
def test_a_path_out_of_the_root_is_refused(files: Files, path: str) -> None:
    with pytest.raises(PermissionDenied, match="outside the allowed directories"):
        text(files, path)


@pytest.mark.parametrize("sibling", ["ab", "a ", 'a"', "a\n"])
def test_a_sibling_with_a_longer_name_is_outside(box: Path, files: Files, sibling: str) -> None:
    with pytest.raises(PermissionDenied):
        text(files, f"{box}/{sibling}/file.txt")


def test_a_refusal_names_the_allowed_directory(box: Path, files: Files) -> None:
    with pytest.raises(PermissionDenied) as refused:
        text(files, "/etc/passwd")
    assert repr(str(box / "a")) in refused.value.text()


@pytest.mark.parametrize("name", ["a ", " a", 'quo"te', "new\nline", "e\u0301", "\u00e9", "~", "%2e", "-", "\udcff"])
def test_a_name_is_taken_as_it_is(box: Path, files: Files, name: str) -> None:
    (box / "a" / name).write_text(name, errors="surrogateescape")
    assert files.read_bytes(name, max_bytes=100).data == os.fsencode(name)


@pytest.mark.parametrize("path", ["", "a\0b", "\ud800", "x/" * 3_000, "x" * 300])
def test_what_cannot_be_a_path_is_an_invalid_argument(files: Files, path: str) -> None:
    with pytest.raises(InvalidArgument):
        text(files, path)


@pytest.mark.parametrize("target", ["file.txt", "sub/../file.txt", "{box}/a/file.txt", "../a/file.txt", "chain"])
def test_a_link_that_stays_inside_is_followed(box: Path, files: Files, target: str) -> None:
    (box / "a" / "chain").symlink_to("file.txt")
    (box / "a" / "link").symlink_to(target.format(box=box))
    result = files.read_text("link", max_characters=100)
    assert (result.page.text, result.path) == ("inside", str(box / "a" / "file.txt"))


@pytest.mark.parametrize("target", ["../outside/file.txt", "{box}/outside/file.txt", "../../../../../../etc/passwd"])
def test_a_link_out_of_the_root_is_refused(box: Path, files: Files, target: str) -> None:
    (box / "a" / "link").symlink_to(target.format(box=box))
    with pytest.raises(PermissionDenied):
        text(files, "link")


@pytest.mark.parametrize("path", ["sw/file.txt", "sw", "sw/", "sub/../sw/file.txt", "sw/../outside/file.txt"])
def test_a_linked_directory_out_of_the_root_is_refused(box: Path, files: Files, path: str) -> None:
    (box / "a" / "sw").symlink_to(box / "outside")
    with pytest.raises(PermissionDenied):
        files.list_directory(path, limit=10)


def test_a_parent_step_after_a_link_is_taken_where_the_link_led(box: Path, files: Files) -> None:
    (box / "a" / "sub" / "deeper").mkdir()
    (box / "a" / "link").symlink_to("sub/deeper")
    assert text(files, "link/../deep.txt") == "deep inside"


def test_links_in_a_circle_end(box: Path, files: Files) -> None:
    (box / "a" / "one").symlink_to("two")
    (box / "a" / "two").symlink_to("one")
    with pytest.raises(InvalidArgument, match="circle"):
        text(files, "one")


def test_links_that_multiply_steps_end(box: Path, files: Files) -> None:
    (box / "a" / "l0").symlink_to("sub/../" * 500 + "file.txt")
    for number in range(1, 40):
        (box / "a" / f"l{number}").symlink_to("sub/../" * 500 + f"l{number - 1}")
    with pytest.raises(InvalidArgument, match="too long a way"):
        text(files, "l39")


def test_a_dangling_link_is_not_found(box: Path, files: Files) -> None:
    (box / "a" / "link").symlink_to("gone")
    with pytest.raises(NotFound):
        text(files, "link")


def test_a_deep_path_is_opened(box: Path, files: Files) -> None:
    deep = box / "a"
    for _ in range(300):
        deep /= "d"
        deep.mkdir()
    (deep / "file.txt").write_text("far down")
    assert text(files, "d/" * 300 + "file.txt") == "far down"


def test_a_missing_name_is_answered_with_the_nearest_names(files: Files) -> None:
    with pytest.raises(NotFound) as missing:
        text(files, "sub/depe.txt")
    assert "Did you mean deep.txt?" in missing.value.text()


def test_a_hint_never_names_what_is_denied(box: Path, files: Files) -> None:
    (box / "a" / "server.key").write_text("k")
    with pytest.raises(NotFound) as missing:
        text(files, "server.kex")
    assert "server.key" not in missing.value.text()


def test_the_innermost_root_decides(box: Path, resolver: Resolver | None) -> None:
    (box / "a" / ".git").mkdir()
    (box / "a" / ".git" / "config").write_text("named by the operator")
    files = Files([box / "a", box / "a" / ".git"], resolver=resolver)
    assert text(files, box / "a" / ".git" / "config") == "named by the operator"
    files.close()


def test_a_link_from_one_root_into_another_is_followed(box: Path, resolver: Resolver | None) -> None:
    files = Files([box / "a", box / "outside"], resolver=resolver)
    (box / "a" / "relative").symlink_to("../outside/file.txt")
    (box / "a" / "absolute").symlink_to(box / "outside" / "file.txt")
    assert [text(files, box / "a" / name) for name in ("relative", "absolute")] == [OUTSIDE, OUTSIDE]
    files.close()


def test_a_relative_path_needs_a_single_root(box: Path) -> None:
    files = Files([box / "a", box / "ab"])
    with pytest.raises(InvalidArgument, match="several roots"):
        text(files, "file.txt")
    files.close()


def test_a_root_that_is_a_link_is_known_by_both_names(box: Path) -> None:
    (box / "alias").symlink_to("a")
    files = Files([box / "alias"])
    assert [text(files, box / name / "file.txt") for name in ("a", "alias")] == ["inside", "inside"]
    files.close()


def test_the_whole_file_system_can_be_a_root(box: Path) -> None:
    files = Files(["/"])
    (box / "link").symlink_to("../" * 50 + str(box / "a" / "file.txt").lstrip("/"))
    assert text(files, box / "link") == "inside"
    files.close()


def test_a_missing_root_is_named_and_found_once_it_exists(tmp_path: Path) -> None:
    files = Files([tmp_path / "later"])
    with pytest.raises(NotFound, match="later"):
        text(files, "file.txt")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "file.txt").write_text("here")
    assert text(files, "file.txt") == "here"
    files.close()


def test_a_root_deleted_and_made_again_is_read_again(box: Path, files: Files) -> None:
    (box / "ab" / "file.txt").unlink()
    files = Files([box / "ab"])
    assert files.list_directory(".", limit=1).total == 0
    (box / "ab").rmdir()
    (box / "ab").mkdir()
    (box / "ab" / "new").touch()
    assert files.list_directory(".", limit=1).total == 1
    files.close()


def test_a_deleted_root_replaced_by_a_link_is_not_followed(box: Path) -> None:
    (box / "ab" / "file.txt").unlink()
    files = Files([box / "ab"])
    files.list_directory(".", limit=1)
    (box / "ab").rmdir()
    (box / "ab").symlink_to("outside")
    with pytest.raises(NotFound):
        text(files, "file.txt")
    files.close()


def test_no_directory_at_all_is_refused_with_what_to_do() -> None:
    with pytest.raises(PermissionDenied) as refused:
        text(Files([]), "file.txt")
    assert "mcp-server-filesystem DIRECTORY" in refused.value.text()


def test_where_directories_have_no_handles_they_go_by_their_paths(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set[object]())
    roots = Roots([box / "a"])
    with roots.open("sub", os.O_RDONLY) as opened:
        assert isinstance(opened.handle, DirectoryByPath)
    roots.close()


def test_handles_are_closed_whatever_happens(box: Path, files: Files) -> None:
    (box / "a" / "out").symlink_to(box / "outside")
    (box / "a" / "in").symlink_to("sub")
    text(files, "file.txt")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("file.txt", "in/deep.txt", "out/file.txt", "gone", "file.txt/x", "sub", "sub/../..", "in/../file.tx"):
        try:
            text(files, path)
        except ExpectedError:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "name",
    [".env", ".ENV", ".env.local", ".git", ".git/config", "x/.git/hooks/y", "id_rsa", "Certs/Server.PEM", ".ssh/known"],
)
def test_secrets_are_denied_by_default(name: str) -> None:
    with pytest.raises(PermissionDenied, match="deny pattern"):
        DenyGlobs(DEFAULT_DENY).check(name.split("/"), name)


@pytest.mark.parametrize(
    "name",
    [".env.", "id_rsa. .", ".g\u200cit/config", ".\u017f\u017fh/x", "x.p\ufe0fem", ".aws./credentials", "\uff0eenv"],
)
def test_a_secret_is_denied_in_every_spelling_that_a_file_system_may_take_for_it(name: str) -> None:
    with pytest.raises(PermissionDenied, match="deny pattern"):
        DenyGlobs(DEFAULT_DENY).check(name.split("/"), name)


@pytest.mark.parametrize(
    "name",
    [
        ".env.example",
        ".gitignore",
        "...",
        "caf\u00e9",
        "\u200b",
        "e\u0301.txt",
        "env",
        "a.pem.txt",
        ".github/x",
        "monkey",
        "keys/a",
    ],
)
def test_what_only_resembles_a_secret_is_not_denied(name: str) -> None:
    DenyGlobs(DEFAULT_DENY).check(name.split("/"), name)


@pytest.mark.parametrize(
    ("glob", "denied", "open_"),
    [
        ("*.sql", "a/b.sql", "b.sqlx"),
        ("build/", "a/build/x", "a/build.py"),
        ("**/a/b", "x/y/a/b/c", "x/a/c/b"),
        ("/top.txt", "top.txt", "a/top.txt"),
        ("private/**", "private/x/y", "a/private/x"),
        ("a/*/c", "a/b/c", "a/b/b/c"),
        ("a/**/c", "a/b/b/c", "ab/c"),
        ("file?[0-9].txt", "file_7.txt", "file_x.txt"),
        ("[!a]x", "bx", "ax"),
        ("a.b+c", "a.b+c", "aab+c"),
    ],
)
def test_globs_mean_what_they_say(glob: str, denied: str, open_: str) -> None:
    globs = DenyGlobs([glob])
    globs.check(open_.split("/"), open_)
    with pytest.raises(PermissionDenied):
        globs.check(denied.split("/"), denied)


@pytest.mark.parametrize("path", ["innocent", "docs/key", "way/id", "way/../innocent", ".git/../file.txt"])
def test_a_link_to_what_is_denied_is_denied(box: Path, files: Files, path: str) -> None:
    (box / "a" / ".ssh").mkdir()
    (box / "a" / ".git").mkdir()
    (box / "a" / ".ssh" / "id").write_text("key")
    (box / "a" / "docs").mkdir()
    (box / "a" / "innocent").symlink_to(".ssh/id")
    (box / "a" / "docs" / "key").symlink_to(box / "a" / ".ssh" / "id")
    (box / "a" / "way").symlink_to(".ssh")
    with pytest.raises(PermissionDenied, match="deny pattern"):
        text(files, path)


def test_a_denial_says_nothing_about_existence(files: Files) -> None:
    with pytest.raises(PermissionDenied, match=r"'\*\*/\.env'.*"):
        text(files, "sub/.env")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="platform: the adversary needs renameat2")
@pytest.mark.parametrize("path", ["sw/file.txt", "sub/../sw/file.txt", "link/file.txt"])
def test_a_directory_swapped_for_a_link_never_lets_a_read_out(box: Path, files: Files, path: str) -> None:
    (box / "a" / "sw").mkdir()
    (box / "a" / "sw" / "file.txt").write_text("inside")
    (box / "a" / "away").symlink_to(box / "outside")
    (box / "a" / "link").symlink_to("sw")
    seen: dict[str, int] = {}
    with flipping(box / "a" / "sw", box / "a" / "away"):
        while sum(seen.values()) < 1_500 or (len(seen) < 2 and sum(seen.values()) < 30_000):
            try:
                outcome = text(files, path)
            except ExpectedError as error:
                outcome = error.code
            seen[outcome] = seen.get(outcome, 0) + 1
    assert OUTSIDE not in seen
    assert {"inside", "permission_denied"} <= set(seen)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="platform: the adversary needs renameat2")
@pytest.mark.parametrize("resolver", [None, "walk"], indirect=True)  # by path alone there is no such promise
def test_a_directory_swapped_for_a_link_never_lets_a_listing_out(box: Path, files: Files) -> None:
    (box / "a" / "sw").mkdir()
    (box / "a" / "away").symlink_to(box / "outside")
    with flipping(box / "a" / "sw", box / "a" / "away"):
        for _ in range(1_500):
            try:
                assert files.list_directory("sw", limit=5).total == 0
            except ExpectedError:
                continue


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "renameat2"), reason="platform: the adversary needs renameat2")
def test_a_file_swapped_for_a_link_to_a_secret_never_shows_it(box: Path, files: Files) -> None:
    (box / "a" / ".env").write_text(OUTSIDE)
    (box / "a" / "away").symlink_to(".env")
    with flipping(box / "a" / "file.txt", box / "a" / "away"):
        for _ in range(1_500):
            try:
                assert text(files, "file.txt") == "inside"
            except ExpectedError:
                continue


def test_roots_give_back_an_open_handle_and_where_it_is(box: Path) -> None:
    roots = Roots([box / "a"])
    with roots.open("sub/deep.txt", os.O_RDONLY) as opened:
        assert (opened.path, opened.relative) == (str(box / "a/sub/deep.txt"), "sub/deep.txt")
    roots.close()
