"""Searching in files: ripgrep and our own engine find the same, whatever the files and the pattern."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem import content_search
from mcp_server_filesystem.content_search import MOST_CANDIDATES, Found, Query
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.patterns import parse_pattern
from mcp_server_filesystem.searched_text import MAX_COPIED_BYTES
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


def utf_16(text_and_codec: tuple[str, str]) -> bytes:
    text, codec = text_and_codec
    return text.encode(codec) if codec == "utf-16" else f"\ufeff{text}".encode(codec)


def one_byte(text_and_codec: tuple[str, str]) -> bytes:
    text, codec = text_and_codec
    return text.encode(codec, "ignore")


FILES = st.dictionaries(
    st.sampled_from(["a", "b.txt", "a.txt", "d/a.txt", "d/b", "d/e/a", "d.x/a", ".hidden", "\udce9"]),
    st.lists(CHUNKS, max_size=30).map(b"".join)
    | st.tuples(st.text(LETTERS + "\n\0\U0001d11e", max_size=30), st.sampled_from(["utf-16", "utf-16-be"])).map(utf_16)
    | st.tuples(st.text(LETTERS + "\n", max_size=30), st.sampled_from(["latin-1", "cp1252"])).map(one_byte)
    | st.text("ab \u00e9\n", max_size=30).map(lambda text: text.encode("utf-16-le"))
    | st.just(b"a\nb\0a\n")
    | st.just(b"a\n" * 8_000 + b"\0a\nab\n"),
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
        "abab",
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


# What root may do beyond others, search engines that it starts may not: the kernel takes it from them.
SEARCH_WITHOUT_PRIVILEGE = """
import ctypes, json, sys
from mcp_server_filesystem.content_search import Query
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.patterns import parse_pattern
DROP_FROM_BOUNDING_SET, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2
for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
    ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
root, *ripgrep = sys.argv[1:]
query = Query(parse_pattern("needle", literal=True, ignore_case=False))
found = Files([root]).search_content(".", query, max_characters=1_000, ripgrep=ripgrep[0] if ripgrep else None)
print(json.dumps([[line.names for line in found.lines], found.unreadable]))
"""


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
    st.sampled_from([(), ("a",), ("d/e", "*.x")]),
)
def test_both_engines_find_the_same(
    content: dict[str, bytes],
    pattern: str,
    case: str,
    context: int,
    per_file: int,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    with TemporaryDirectory() as directory:
        for name, data in content.items():
            path = Path(directory, name)
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(data)
        files = Files([directory])
        asked = query(
            pattern, ignore_case=case == "ignored", context=context, per_file=per_file, include=include, exclude=exclude
        )
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


@pytest.mark.parametrize("without", [3, MOST_CANDIDATES])
def test_files_with_the_text_inside_a_match_alone_are_not_found(
    root: Path, files: Files, ripgrep: str | None, without: int
) -> None:
    for number in range(without):
        (root / f"without-{number:03}").write_text("an Error\n")
    (root / "a").write_text("ValueError\n")
    (root / "binary").write_bytes(b"ValueError\0")
    (root / "wide").write_bytes("\ufeffa KeyError\n".encode("utf-16-le"))
    found = files.search_content(".", query(r"\w+Error"), max_characters=1_000, ripgrep=ripgrep)
    assert (lines(found), found.binary) == ([("a", 1, "ValueError"), ("wide", 1, "a KeyError")], 1)


@pytest.mark.parametrize(
    ("pattern", "inner"),
    [
        (r"\w+Error", "Error"),
        (r"^\s*import \w+", r"import\x{20}"),
        (r"(foo|bar)\w+Error\b", "Error"),
        (r"\w+Errors?", "Error"),
        (r"\w+Erro+r", "Err"),
        (r"\d[ab]x\.yz{2}", r"x\x{2E}y"),
        (r"\w+\x61bc", "abc"),
        (r"\w+Error|x", ""),
        (r"\w(Error|x)", ""),
        (r"\w(Error)?", ""),
        (r"\wab", ""),
        (r"Error\w+", ""),
    ],
)
def test_the_text_inside_every_match_is_known(pattern: str, inner: str) -> None:
    assert parse_pattern(pattern, literal=False, ignore_case=False).inner == inner


def test_binary_files_are_counted_where_they_would_have_been_searched(
    root: Path, files: Files, ripgrep: str | None
) -> None:
    for name in ("a", "c", ".env", "ignored"):
        (root / name).write_bytes(b"\x7fELF\0")
    (root / "b").write_text("needle\n")
    (root / ".gitignore").write_text("ignored\n")
    for path, asked, binary in [
        (".", query("needle"), 2),
        (".", query("needle", include=["a", "b"]), 1),
        ("a", query("needle"), 1),
    ]:
        found = files.search_content(path, asked, max_characters=1_000, ripgrep=ripgrep)
        assert (found.binary, len(found.lines)) == (binary, path == ".")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_a_byte_order_mark_is_searched_as_the_text_it_is(
    root: Path, files: Files, ripgrep: str | None, codec: str
) -> None:
    (root / "file").write_bytes("\ufeffone\r\na n\u00e9edle\r\n\u4e2d".encode(codec))
    found = files.search_content(".", query("n.edle", context=1), max_characters=1_000, ripgrep=ripgrep)
    assert lines(found) == [("file", 1, "one"), ("file", 2, "a n\u00e9edle"), ("file", 3, "\u4e2d")]
    assert search(files, query("^one$"), ripgrep, "file") == [("file", 1, "one")]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("caf\u00e9", [1]),
        ("CAF\u00c9", []),
        (r"caf. \d", [1]),
        (r"\bcaf\w\b", [1]),
        (r"\Bf\u00e9", [1]),
        (r"[^a-z ]{1}", [1, 2]),
        ("[\u00e8-\u00ea]", [1, 2]),
        (r"^\u00e9t", [2]),
        (r"\w\u00e9t\u00e9", []),
        ("\u20ac", []),
    ],
)
@pytest.mark.parametrize("codec", ["latin-1", "utf-16-le"])
def test_text_is_found_in_the_encoding_that_it_is_read_in(
    root: Path, files: Files, ripgrep: str | None, pattern: str, found: list[int], codec: str
) -> None:
    text = "a caf\u00e9 1\n\u00e9t\u00e9 and that is that, a line long enough to show what it is\n"
    (root / "file").write_bytes(text.encode(codec))
    lines_of_text = text.splitlines()
    expected = [("file", number, lines_of_text[number - 1]) for number in found]
    assert search(files, query(pattern), ripgrep) == expected
    assert search(files, query(pattern), ripgrep, "file") == expected


def test_a_letter_that_shows_late_in_a_file_is_found_as_well(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "ignored").write_bytes("\u00c9 \u2019".encode("cp1252"))
    (root / "late").write_bytes(b"a line\n" * 10_000 + "caf\u00e9 \u2019\n".encode("cp1252"))
    assert search(files, query("CAF\u00c9 \u2019", ignore_case=True), ripgrep) == [("late", 10_001, "caf\u00e9 \u2019")]


def test_many_copies_are_searched_a_few_at_a_time(
    root: Path, files: Files, ripgrep: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_search, "COPIED_BYTES_AT_ONCE", 20)
    for number in range(20):
        (root / f"{number:02}").write_bytes(b"caf\xe9\n")
    assert [line[0] for line in search(files, query("caf\u00e9"), ripgrep)] == [f"{number:02}" for number in range(20)]


def test_utf_16_too_large_to_be_copied_counts_as_binary(root: Path, files: Files, ripgrep: str | None) -> None:
    with (root / "file").open("wb") as file:
        file.write("\ufeffneedle\n".encode("utf-16-le"))
        file.truncate(MAX_COPIED_BYTES + 2)
    found = files.search_content(".", query("needle"), max_characters=1_000, ripgrep=ripgrep)
    assert (found.binary, found.lines) == (1, [])


def test_what_may_not_be_read_is_counted(root: Path, ripgrep: str | None) -> None:
    for name in ("open", "shut"):
        (root / name).mkdir()
        (root / name / "file").write_text("needle\n")
    (root / "a\nsecret").write_text("needle\n")
    (root / "a\nsecret").chmod(0)
    (root / "shut").chmod(0)
    command = [sys.executable, "-c", SEARCH_WITHOUT_PRIVILEGE, root, *([ripgrep] if ripgrep else [])]
    done = subprocess.run(command, capture_output=True, check=True)
    (root / "shut").chmod(0o700)
    assert json.loads(done.stdout) == [[["open", "file"]], 2]


def test_a_search_closes_what_it_opens(root: Path, files: Files, ripgrep: str | None) -> None:
    (root / "binary").write_bytes(b"\0")
    (root / "text").write_text("needle\n")
    (root / "utf-16").write_bytes("needle\n".encode("utf-16"))
    search(files, query("needle"), ripgrep)
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for path in (".", "binary", "text", "utf-16"):
        search(files, query("needle"), ripgrep, path)
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


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


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["node_modules"], ["a/x.py", "a/x.txt", "x.py"]),
        (["*.py", "a/node_modules/**"], ["a/x.txt", "node_modules/x"]),
        (["a/*.{py,txt}", "/node_modules"], ["a/node_modules/x", "x.py"]),
    ],
)
@pytest.mark.parametrize("include", [(), ("*",)])
def test_what_is_excluded_is_not_searched(
    root: Path, files: Files, ripgrep: str | None, exclude: list[str], include: tuple[str, ...], left: list[str]
) -> None:
    for name in ("x.py", "a/x.py", "a/x.txt", "node_modules/x", "a/node_modules/x"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("needle\n")
    found = search(files, query("needle", exclude=exclude, include=include), ripgrep)
    assert [path for path, _, _ in found] == left


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
