"""Searching in files: ripgrep and our own engine find the same, whatever the files and the pattern."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem.content_search import Found, Query
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.patterns import parse_pattern
from mcp_server_shared.errors import InvalidArgument, PermissionDenied

RIPGREP = shutil.which("rg")
ENGINES = [
    pytest.param("ripgrep", marks=pytest.mark.skipif(RIPGREP is None, reason="ripgrep is not installed")),
    "ours",
]

LETTERS = "ab A\u00e9\u00c9\u4e2d0_-.\t"
CHUNKS = st.sampled_from(
    [
        *(letter.encode() for letter in LETTERS),
        b"\n",
        b"\n",
        b"\r\n",
        b"\xe9",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r",
        b"ab" * 300,
    ]
)
FILES = st.dictionaries(
    st.sampled_from(["a", "b.txt", "a.txt", "d/a.txt", "d/b", "d/e/a", "d.x/a", ".hidden", "\udce9"]),
    st.lists(CHUNKS, max_size=30).map(b"".join) | st.just(b"a\nb\0a\n") | st.just(b"a\n" * 8_000 + b"\0a\nab\n"),
    min_size=1,
    max_size=6,
)
ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "\u00e9",
        "\u00c9",
        "\u4e2d",
        ".",
        "^",
        "$",
        r"\b",
        r"\B",
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        r"\W",
        r"\S",
        "[ab]",
        "[^a]",
        r"[^\w]",
        r"[a-c\s]",
        r"\.",
        "-",
        "ab",
        r"\x61",
        "\ufeff",
        "]",
        "}",
        "{",
        "a{1,2}",
        "(?:a|b)",
        "(a)",
        "[.&&]",
        r"[\]\-]",
    ]
)
PATTERNS = st.lists(st.tuples(ATOMS, st.sampled_from(["", "", "", "?"])), min_size=1, max_size=4).map(
    lambda parts: "".join(f"(?:{atom}){repeat}" if repeat else atom for atom, repeat in parts)
)


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


@pytest.fixture(params=ENGINES)
def ripgrep(request: pytest.FixtureRequest) -> str | None:
    return RIPGREP if request.param == "ripgrep" else None


def query(pattern: str, *, literal: bool = False, ignore_case: bool = False, **others: object) -> Query:
    return Query(parse_pattern(pattern, literal=literal, ignore_case=ignore_case), **others)  # pyright: ignore[reportArgumentType]


def lines(found: Found) -> list[tuple[str, int, str]]:
    return [("/".join(line.names), line.number, line.text) for line in found.lines]


def search(files: Files, asked: Query, ripgrep: str | None, path: str = ".") -> list[tuple[str, int, str]]:
    return lines(files.search_content(path, asked, max_characters=100_000, ripgrep=ripgrep))


@pytest.mark.skipif(RIPGREP is None, reason="ripgrep is not installed")
@settings(max_examples=40, deadline=None)
@given(
    FILES,
    PATTERNS,
    st.sampled_from(["ignored", "matters"]),
    st.integers(0, 2),
    st.sampled_from([1, 2, 100]),
    st.sampled_from([(), ("*.txt",), ("d/**",)]),
)
def test_both_engines_find_the_same(
    content: dict[str, bytes], pattern: str, case: str, context: int, per_file: int, include: tuple[str, ...]
) -> None:
    with TemporaryDirectory() as directory:
        for name, data in content.items():
            path = Path(directory, name)
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(data)
        files = Files([directory])
        asked = query(pattern, ignore_case=case == "ignored", context=context, per_file=per_file, include=include)
        found = [files.search_content(".", asked, max_characters=100_000, ripgrep=engine) for engine in (RIPGREP, None)]
        files.close()
        assert found[0] == found[1]


def test_lines_that_match_are_found_in_the_order_of_the_paths(root: Path, files: Files, ripgrep: str | None) -> None:
    for name in ("b", "a/z", "a.txt", "a/b/c"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("no\nneedle\n")
    found = search(files, query("needle"), ripgrep)
    assert [path for path, _, _ in found] == ["a/b/c", "a/z", "a.txt", "b"]


def test_context_is_shown_once_and_told_from_matches(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "file").write_text("1\n2 x\n3\n4 x\n5\n6\n7\n")
    found = files.search_content(".", query("x", context=1), max_characters=1_000, ripgrep=ripgrep)
    assert [(line.number, line.is_match) for line in found.lines] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
        (5, False),
    ]


def test_pages_make_up_the_whole(root: Path, files: Files, ripgrep: str | None) -> None:
    for name in ("one", "two", "three"):
        (root / name).write_text("match\nother\n" * 20)
    asked = query("match", context=1)
    whole = search(files, asked, ripgrep)
    paged: list[tuple[str, int, str]] = []
    found = files.search_content(".", asked, max_characters=100, ripgrep=ripgrep)
    while found.more:
        paged += lines(found)
        last = found.lines[-1]
        found = files.search_content(".", asked, after=(last.names, last.number), max_characters=100, ripgrep=ripgrep)
    assert paged + lines(found) == whole


def test_a_file_with_more_matches_than_wanted_is_counted(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "file").write_text("x\n" * 10)
    (root / "other").write_text("x\n" * 3)
    found = files.search_content(".", query("x", per_file=3), max_characters=1_000, ripgrep=ripgrep)
    assert (len(found.lines), found.capped) == (6, 1)


def test_one_file_can_be_searched(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "file").write_text("a needle\n")
    assert search(files, query("needle"), ripgrep, "sub/file") == [("file", 1, "a needle")]


def test_denied_and_binary_files_are_left_out(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("needle\n")
    (root / ".env").write_text("needle\n")
    (root / "binary").write_bytes(b"needle\n\0")
    (root / "kept").write_text("needle\n")
    for gitignore in (True, False):
        assert search(files, query("needle", honour_gitignore=gitignore), ripgrep) == [("kept", 1, "needle")]


def test_a_pattern_with_a_directory_is_denied_below_it(root: Path, ripgrep: str | None) -> None:
    (root / "config").mkdir()
    (root / "config" / "secret").write_text("needle\n")
    files = Files([root], deny=["config/secret"])
    assert search(files, query("needle"), ripgrep, "config") == []
    with pytest.raises(PermissionDenied):
        search(files, query("needle"), ripgrep, "config/secret")
    files.close()


def test_gitignore_is_honoured_if_asked_for(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / ".gitignore").write_text("*.log\n!keep.log\nbuild/\n")
    (root / "sub" / "build").mkdir(parents=True)
    for name in ("a.log", "keep.log", "sub/build/x", "sub/y"):
        (root / name).write_text("needle\n")
    honoured = search(files, query("needle", honour_gitignore=True), ripgrep)
    assert [path for path, _, _ in honoured] == ["keep.log", "sub/y"]
    assert len(search(files, query("needle", honour_gitignore=False), ripgrep)) == 4


def test_links_are_not_followed(root: Path, files: Files, ripgrep: str | None) -> None:
    (root.parent / "outside").write_text("needle\n")
    (root / "link").symlink_to("../outside")
    (root / "loop").symlink_to(".")
    assert search(files, query("needle"), ripgrep) == []


def test_what_is_no_file_is_passed_over(root: Path, files: Files, ripgrep: str | None) -> None:
    os.mkfifo(root / "pipe")
    (root / "file").write_text("needle\n")
    assert search(files, query("needle"), ripgrep) == [("file", 1, "needle")]
    with pytest.raises(InvalidArgument, match="is a fifo"):
        search(files, query("needle"), ripgrep, "pipe")


def test_of_a_long_line_what_is_around_the_match_is_shown(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "long").write_text("\u00e9" * 1_000_000 + "needle" + "x" * 1_000_000)
    [line] = files.search_content(".", query("needle"), max_characters=1_000, ripgrep=ripgrep).lines
    assert "needle" in line.text
    assert line.is_cut
    assert len(line.text) <= 400


def test_a_name_that_is_not_utf_8_is_found(root: Path, files: Files, ripgrep: str | None) -> None:
    name = os.fsdecode(b"caf\xe9")
    (root / name).write_text("needle\n")
    assert search(files, query("needle"), ripgrep) == [(name, 1, "needle")]


def test_a_literal_is_searched_as_it_stands(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "file").write_text("a.b*[\naxb\n")
    assert search(files, query("a.b*[", literal=True), ripgrep) == [("file", 1, "a.b*[")]


def test_nothing_is_imported_from_the_current_directory(
    root: Path, files: Files, ripgrep: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "json.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(root)
    assert search(files, query("SystemExit"), ripgrep) == [("json.py", 1, "raise SystemExit")]


def test_a_pattern_that_takes_forever_ends_with_the_call(root: Path, files: Files) -> None:
    class Cancelled(Exception):
        pass

    (root / "file").write_text("a" * 200 + "\n")
    looks = iter(range(10))

    def checkpoint() -> None:
        if next(looks, None) is None:
            raise Cancelled

    with pytest.raises(Cancelled):
        files.search_content(".", query("(a+)+b"), max_characters=1_000, checkpoint=checkpoint)


@pytest.mark.skipif(RIPGREP is None, reason="ripgrep is not installed")
def test_with_ripgrep_such_a_pattern_takes_no_time(root: Path, files: Files) -> None:
    (root / "file").write_text("a" * 200 + "\n")
    assert search(files, query("(a+)+b"), RIPGREP) == []


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a**",
        "*a",
        r"(a)\1",
        "(?=a)",
        "(?<!a)b",
        r"\p{L}",
        "a\nb",
        r"\n",
        "[[:alpha:]]",
        "a{5000}",
        "\udce9",
        "[z-a]",
    ],
)
def test_what_is_no_pattern_for_both_engines_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_pattern(pattern, literal=False, ignore_case=False)


@pytest.mark.skipif(RIPGREP is None, reason="ripgrep is not installed")
def test_a_pattern_too_large_for_ripgrep_is_refused(root: Path, files: Files) -> None:
    (root / "file").touch()
    with pytest.raises(InvalidArgument, match="too large"):
        search(files, query(r"(\w{1000}){1000}"), RIPGREP)
