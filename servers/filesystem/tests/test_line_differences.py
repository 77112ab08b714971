"""Lines that two texts have in common: really equal, in order, and found however long the texts are."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_filesystem.line_differences import MOST_COMPARED_IN_A_GAP, LineDifferences

few_lines = st.lists(st.sampled_from("abcde"), max_size=30)
many_lines = st.lists(st.integers(0, 40).map(str), max_size=60)


def changed(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many lines of both texts are not matched."""
    matched = sum(block.size for block in LineDifferences(old, new).get_matching_blocks())
    return len(old) + len(new) - 2 * matched


@given(few_lines | many_lines, few_lines | many_lines)
def test_the_opcodes_lead_from_the_one_text_to_the_other(old: list[str], new: list[str]) -> None:
    made: list[str] = []
    old_at = new_at = 0
    for tag, old_start, old_end, new_start, new_end in LineDifferences(old, new).get_opcodes():
        assert (old_start, new_start) == (old_at, new_at)
        made += old[old_start:old_end] if tag == "equal" else new[new_start:new_end]
        old_at, new_at = old_end, new_end
    assert made == new
    assert (old_at, new_at) == (len(old), len(new))


@given(few_lines, st.integers(0, 29), few_lines)
def test_equal_lines_before_and_after_a_change_are_matched(lines: list[str], at: int, put: list[str]) -> None:
    at = min(at, len(lines))
    assert changed(lines, [*lines[:at], *put, *lines[at:]]) == len(put)


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("abxcd", "abycd", 2), ("aabb", "abab", 2), ("abcd", "bcda", 2)],
)
def test_as_few_lines_as_possible_are_changed(old: str, new: str, count: int) -> None:
    assert changed(old, new) == count


def test_long_texts_that_differ_in_every_second_line_are_compared() -> None:
    old = [f"{number}" if number % 2 else f"old {number}" for number in range(100_000)]
    new = [f"{number}" if number % 2 else f"new {number}" for number in range(100_000)]
    assert changed(old, new) == 100_000


def test_a_long_gap_without_any_line_of_its_own_is_a_change_as_a_whole() -> None:
    assert changed("ab" * MOST_COMPARED_IN_A_GAP, "ba" * MOST_COMPARED_IN_A_GAP) == 4 * MOST_COMPARED_IN_A_GAP
