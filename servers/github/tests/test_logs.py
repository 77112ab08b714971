"""Logs of any length: the lines that matter, holding no more than those."""

import tracemalloc
from collections.abc import Iterator

import pytest
from github_client import connected, read
from github_sample import Emulated
from mcp_server_github.actions import Selection, clean, lines, selected

STAMP = b"2026-11-20T16:00:00.0000000Z "


def long_log(count: int) -> Iterator[bytes]:
    """Yield the pieces of a log, with an error in the middle."""
    for n in range(count):
        yield STAMP + (b"##[error]it broke\n" if n == count // 2 else b"line %d of many that say little\n" % n)


def test_what_is_around_an_error_is_found_in_a_hundred_thousand_lines() -> None:
    total, shown = selected(lines(long_log(100_000)), Selection())
    assert total == 100_000
    assert [number for number, _ in shown] == list(range(49_989, 50_005))
    assert shown[12] == (50_001, "##[error]it broke")


def test_a_long_log_takes_no_more_memory_than_a_short_one() -> None:
    peaks: list[int] = []
    for count in (2_000, 100_000):
        tracemalloc.start()
        selected(lines(long_log(count)), Selection(tail=100))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


def test_without_an_error_the_end_is_shown() -> None:
    total, shown = selected((b"line %d" % n for n in range(1, 201)), Selection())
    assert (total, shown[0], shown[-1]) == (200, (141, "line 141"), (200, "line 200"))


def test_words_are_found_whatever_their_case_and_lines_come_once() -> None:
    log = [b"a", b"b FAIL", b"c", b"d fail", b"e", b"f"]
    assert selected(log, Selection(words=("fail",), context=1))[1] == [
        (1, "a"),
        (2, "b FAIL"),
        (3, "c"),
        (4, "d fail"),
        (5, "e"),
    ]
    assert selected(log, Selection(words=("fail",), context=0))[1] == [(2, "b FAIL"), (4, "d fail")]
    assert selected(log, Selection(words=("absent",), context=2)) == (6, [])


def test_words_are_no_patterns() -> None:
    assert selected([b"aaaa", b"(a+)+$"], Selection(words=("(a+)+$",)))[1] == [(2, "(a+)+$")]


@pytest.mark.parametrize(
    ("line", "word"),
    [(b"it f\x1b[31mai\x1b[0mled", "FAILED"), ("es war GRÜN".encode(), "grün"), ("273 \u212a".encode(), "273 k")],
    ids=["coloured", "umlaut", "kelvin"],
)
def test_words_are_found_in_what_is_shown(line: bytes, word: str) -> None:
    assert [number for number, _ in selected([b"a", line], Selection(words=(word,)))[1]] == [2]


def test_words_are_not_found_in_what_is_not_shown() -> None:
    assert selected([STAMP + b"done"], Selection(words=("2026-11",)))[1] == []


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_lines_are_the_same_however_they_come_in(size: int) -> None:
    log = STAMP + b"\x1b[31mred\x1b[0m\r\n" + STAMP + "grün\n".encode() + b"last"
    pieces = [log[start : start + size] for start in range(0, len(log), size)]
    assert [clean(line) for line in lines(pieces)] == ["red", "grün", "last"]


def test_a_line_without_end_is_cut() -> None:
    [line] = lines(b"x" * 65_536 for _ in range(50))
    assert len(clean(line)) < 1_100


def test_no_line_is_held_whole_that_is_shown_in_part() -> None:
    assert max(map(len, lines([b"x" * 60_000 + b"\nshort\n" + b"y" * 60_000]))) <= 8_000


def test_a_log_of_no_lines_has_none() -> None:
    assert selected(lines([]), Selection()) == (0, [])
    assert selected(lines([]), Selection(tail=5)) == (0, [])


@pytest.mark.anyio
async def test_a_hundred_thousand_lines_come_within_the_budget_and_page_by_page(github: Emulated) -> None:
    log = b"".join(long_log(100_000))
    github.gaps.logs[77] = log
    github.gaps.jobs[77] = github.gaps.jobs[7] | {"id": 77, "run_id": 901}
    async with connected(github) as client:
        text = await read(client, "read_job_log", repo="alice/hello", job=77)
        assert "##[error]it broke" in text
        assert len(text) < 1_500
        tail = await read(client, "read_job_log", repo="alice/hello", job=77, tail=5_000)
    assert len(tail) <= 25_000
    assert '"truncated":true' in tail
