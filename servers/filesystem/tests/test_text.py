"""Pages of text, over bytes in memory."""

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem.line_index import MARK_EVERY_BYTES, LineIndex
from mcp_server_filesystem.text import Lines, Page, Position, Tail, TextFile, detect_encoding
from mcp_server_shared.errors import Conflict, InvalidArgument, Unsupported

TEXTS = st.lists(st.sampled_from(["a", "é", "𝄞", "long word ", "\n", "\r", "\r\n", "\n\n"]), max_size=60).map("".join)
BUDGETS = st.integers(2, 30)


def text_file(data: bytes, encoding: str | None = None) -> TextFile:
    found = encoding or detect_encoding(data[:8192], len(data))
    assert found is not None
    return TextFile(lambda offset, size: data[offset : offset + size], len(data), found, lambda: None)


def read(data: bytes, part: Lines | Tail | Position, max_characters: int = 10_000) -> Page:
    return text_file(data).page(part, max_characters)


def pages(file: TextFile, part: Lines | Tail | Position, max_characters: int) -> Iterator[Page]:
    page = file.page(part, max_characters)
    yield page
    while page.truncated and page.next:
        page = file.page(page.next, max_characters)
        yield page


def lines_of(text: str) -> list[str]:
    return [line.decode() for line in text.encode().splitlines(keepends=True)]


@settings(deadline=None)
@given(TEXTS, BUDGETS, st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]))
def test_pages_put_end_to_end_are_the_text_of_the_file(text: str, budget: int, encoding: str) -> None:
    found = list(pages(text_file(text.encode(encoding), encoding), Lines(), budget))
    assert "".join(page.text for page in found) == text
    assert all(len(page.text) <= budget for page in found)
    assert found[-1].total_lines == len(lines_of(text))


@settings(deadline=None)
@given(st.binary(max_size=200), BUDGETS)
def test_pages_of_any_bytes_give_these_bytes_back(data: bytes, budget: int) -> None:
    found = pages(text_file(data, "utf-8"), Lines(), budget)
    assert b"".join(page.text.encode(page.encoding) for page in found) == data


@settings(deadline=None)
@given(st.binary(max_size=200), BUDGETS)
def test_a_tail_of_any_bytes_gives_these_bytes_back(data: bytes, budget: int) -> None:
    found = list(pages(text_file(data, "utf-8"), Tail(1_000), budget))
    assert b"".join(page.text.encode(page.encoding) for page in reversed(found)) == data


@settings(deadline=None)
@given(TEXTS, BUDGETS, st.integers(1, 12), st.integers(0, 12))
def test_a_range_is_those_lines_whatever_the_budget(text: str, budget: int, first: int, count: int) -> None:
    lines = lines_of(text)
    if first > len(lines):
        return
    found = pages(text_file(text.encode()), Lines(first, count), budget)
    assert "".join(page.text for page in found) == "".join(islice(lines, first - 1, first - 1 + count))


@settings(deadline=None)
@given(TEXTS, BUDGETS, st.integers(0, 12), st.sampled_from(["utf-8", "utf-16-le"]))
def test_a_tail_read_backwards_is_the_last_lines(text: str, budget: int, count: int, encoding: str) -> None:
    found = list(pages(text_file(text.encode(encoding), encoding), Tail(count), budget))
    assert "".join(page.text for page in reversed(found)) == "".join(lines_of(text)[-count:] if count else [])
    assert all(len(page.text) <= budget for page in found)


@settings(deadline=None)
@given(TEXTS, BUDGETS)
def test_the_line_numbers_of_a_page_are_where_its_text_stands(text: str, budget: int) -> None:
    before = ""
    for page in pages(text_file(text.encode()), Lines(), budget):
        if page.text:
            assert page.first_line == len(lines_of(before + "."))
            before += page.text
            assert page.last_line == len(lines_of(before))


def test_lines_stay_whole_when_the_budget_ends_a_page() -> None:
    page = read(b"one\ntwo\nthree\n", Lines(), 9)
    assert (page.text, page.last_line, page.next_line, page.truncated) == ("one\ntwo\n", 2, 3, True)


def test_a_line_longer_than_the_budget_goes_on_inside_the_line() -> None:
    page = read(b"x" * 25 + b"\nend", Lines(), 10)
    assert (page.last_line, page.next) == (1, Position(byte=10, line=1, count=None))


def test_a_finished_range_says_where_the_file_goes_on() -> None:
    page = read(b"one\ntwo\nthree\n", Lines(1, 2))
    assert (page.text, page.truncated, page.next_line) == ("one\ntwo\n", False, 3)


def test_the_last_line_of_a_file_with_a_final_newline_is_not_empty() -> None:
    assert read(b"one\ntwo\n", Tail(1)).text == "two\n"


@pytest.mark.parametrize("part", [Lines(1, 0), Tail(0)])
def test_no_lines_are_no_text(part: Lines | Tail) -> None:
    assert read(b"one\ntwo\n", part).text == ""


def test_an_empty_file_has_no_lines() -> None:
    page = read(b"", Lines())
    assert (page.text, page.total_lines, page.next, page.encoding) == ("", 0, None, "utf-8")


@pytest.mark.parametrize("part", [Lines(0), Lines(-1), Lines(1, -1), Tail(-1), Lines(4)])
def test_a_part_that_cannot_be_is_refused(part: Lines | Tail | Position) -> None:
    with pytest.raises(InvalidArgument):
        read(b"one\ntwo", part)


@pytest.mark.parametrize("line", [1, None])
def test_a_position_past_the_end_of_a_file_that_shrank_is_a_conflict(line: int | None) -> None:
    with pytest.raises(Conflict):
        read(b"one\ntwo", Position(99, line, None))


def test_a_line_past_the_end_is_answered_with_the_number_of_lines() -> None:
    with pytest.raises(InvalidArgument, match="Line 9 is past the end: the file has 2 lines"):
        read(b"one\ntwo", Lines(9))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_far_line_is_found_across_chunks(ending: str) -> None:
    data = "".join(f"line {number}{ending}" for number in range(1, 100_001)).encode()
    assert read(data, Lines(99_999, 1)).text == f"line 99999{ending}"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_far_line_is_found_again_without_reading_what_is_before_it(encoding: str) -> None:
    data = "".join(f"line {number}\r\n" for number in range(1, 800_001)).encode(encoding)
    reads: list[int] = []

    def noted(offset: int, size: int) -> bytes:
        reads.append(offset)
        return data[offset : offset + size]

    index = LineIndex()
    first, again, nearer = (
        TextFile(noted, len(data), encoding, lambda: reads.append(-1), index).page(Lines(line, 1), 100).text
        for line in (799_999, 800_000, 500_000)
    )
    assert (first, again, nearer) == ("line 799999\r\n", "line 800000\r\n", "line 500000\r\n")
    assert reads.count(-1) <= len(data) / 262_144 + 2 + 2 * MARK_EVERY_BYTES / 262_144


def test_a_line_past_the_end_is_answered_the_same_from_the_index() -> None:
    data = b"a line\n" * 1_000_000
    index = LineIndex()
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="the file has 1,000,000 lines"):
            TextFile(lambda at, size: data[at : at + size], len(data), "utf-8", lambda: None, index).page(
                Lines(2_000_000), 100
            )


def test_a_far_line_is_found_in_utf_16() -> None:
    data = "".join(f"line {number}\r\n" for number in range(1, 50_001)).encode("utf-16")
    assert read(data, Lines(49_999, 1)).text == "line 49999\r\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"plain", "utf-8"),
        ("Grüße".encode(), "utf-8"),
        ("Grüße".encode("utf-8-sig"), "utf-8-sig"),
        ("Grüße".encode("utf-16"), "utf-16-le"),
        (b"\xfe\xff" + "Grüße".encode("utf-16-be"), "utf-16-be"),
        ("Grüße\r\n".encode("utf-16-le"), "utf-16-le"),
        ("Grüße\r\n".encode("utf-16-be"), "utf-16-be"),
        ("Grüße".encode("latin-1"), "latin-1"),
        ("“Grüße”".encode("cp1252"), "cp1252"),
        (b"x" * 9_000 + "Grüße".encode("latin-1"), "latin-1"),
        (b"x" * 8_191 + "ü".encode(), "utf-8"),
    ],
)
def test_the_encoding_is_found_and_named(data: bytes, encoding: str) -> None:
    page = read(data, Lines())
    assert page.encoding == encoding
    assert page.text.removeprefix("x" * 8_191).strip("x\r\n“”") in ("plain", "Grüße", "ü")


@pytest.mark.parametrize("data", [b"PNG\0\1\2\3", bytes(range(256)) * 4, b"\1\2\3\4", b"\xff\xfe\0\0a\0\0\0"])
def test_what_is_not_text_is_found_out(data: bytes) -> None:
    assert detect_encoding(data, len(data)) is None


def test_broken_utf_16_is_refused_rather_than_mangled() -> None:
    with pytest.raises(Unsupported):
        read("ab".encode("utf-16") + b"\x00\xd8x\x00", Lines())


def test_half_a_character_at_the_end_of_utf_16_is_left_out() -> None:
    page = read("ab".encode("utf-16") + b"x", Lines())
    assert (page.text, page.next) == ("ab", None)


@pytest.mark.parametrize(
    ("text", "ending"),
    [("a\nb\n", "lf"), ("a\r\nb", "crlf"), ("a\rb", "cr"), ("a\nb\r\n", "mixed"), ("a", "none")],
)
def test_the_line_ending_is_named(text: str, ending: str) -> None:
    assert read(text.encode(), Lines()).line_ending == ending


def test_a_long_scan_stops_at_a_checkpoint() -> None:
    class Cancelled(Exception):
        pass

    def cancel() -> None:
        raise Cancelled

    file = TextFile(lambda offset, size: b"\n" * size, 10**12, "utf-8", cancel)
    with pytest.raises(Cancelled):
        file.page(Lines(10**11), 100)
