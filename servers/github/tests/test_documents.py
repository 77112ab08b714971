"""Text by others stands under headings that nobody else can write, and can be had back to the character."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_github.documents import RULE, body, from_position, heading

text = st.text(alphabet="═> \nab", min_size=1, max_size=40).map(lambda written: f"{written}\n")


@settings(deadline=None)
@given(text)
def test_a_text_can_be_had_back(written: str) -> None:
    assert re.sub("^>(>*═)", r"\1", body(written), flags=re.MULTILINE) == written


@settings(deadline=None)
@given(text)
def test_no_text_has_a_heading(written: str) -> None:
    assert not [line for line in body(written).split("\n") if line.startswith(RULE.strip())]


def test_a_heading_is_one_line() -> None:
    assert heading("file", "a\n═══ b", "", None) == "═══ file · a ═══ b\n"


def test_a_piece_goes_on_where_it_was_cut() -> None:
    whole = from_position("abcdef", 3, None)
    rest = from_position("abcdef", 3, whole.at(2))
    assert (rest.text, rest.at(1), from_position("xyz", 4, whole.at(2)).text) == ("cdef", [3, 3], "xyz")
