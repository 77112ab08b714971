"""Cursors: nobody writes their own, none is good for another caller, tool or arguments, and none lasts for ever."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.cursors import Cursors
from mcp_server_shared.errors import InvalidArgument, NotFound

KEY = b"k" * 32
BOUND = ("alice", "list_notes", {"order": "name"})

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def decoded(cursor: str) -> bytes:
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@given(json_values)
def test_a_cursor_opens_to_the_position_it_was_minted_for(position: Any) -> None:
    cursors = Cursors(KEY)
    assert cursors.open(cursors.mint(position, bound_to=BOUND), bound_to=BOUND) == position


def test_replicas_with_one_key_open_each_others_cursors() -> None:
    assert Cursors(KEY).open(Cursors(KEY).mint(7, bound_to=BOUND), bound_to=BOUND) == 7


@pytest.mark.parametrize(
    "bound_to",
    [
        ("bob", "list_notes", {"order": "name"}),
        ("alice", "read_note", {"order": "name"}),
        ("alice", "list_notes", {"order": "length"}),
        ("alice", "list_notes", {}),
        ("alice", 'list_notes",{"order":"name"}', {}),
    ],
)
def test_a_cursor_of_another_caller_tool_or_arguments_is_refused(bound_to: tuple[Any, ...]) -> None:
    cursors = Cursors(KEY)
    with pytest.raises(InvalidArgument, match="does not belong to this call"):
        cursors.open(cursors.mint(7, bound_to=BOUND), bound_to=bound_to)


def test_a_cursor_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        Cursors().open(Cursors().mint(7, bound_to=BOUND), bound_to=BOUND)


@given(st.data())
def test_a_cursor_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    cursors = Cursors(KEY)
    raw = bytearray(decoded(cursors.mint({"after": "first"}, bound_to=BOUND)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(InvalidArgument):
        cursors.open(encoded(bytes(raw)), bound_to=BOUND)


@given(st.text() | st.binary().map(encoded))
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Cursors(KEY).open(text, bound_to=BOUND)


def test_a_position_of_ones_own_under_the_mac_of_another_is_refused() -> None:
    cursors = Cursors(KEY)
    raw = decoded(cursors.mint(7, bound_to=BOUND))
    forged = raw[:16] + json.dumps([9_999_999_999, 8]).encode()
    with pytest.raises(InvalidArgument):
        cursors.open(encoded(forged), bound_to=BOUND)


def test_an_expired_cursor_is_not_found() -> None:
    expired = Cursors(KEY, lifetime_s=-2).mint(7, bound_to=BOUND)
    with pytest.raises(NotFound, match="has expired"):
        Cursors(KEY).open(expired, bound_to=BOUND)


def test_an_expired_cursor_of_somebody_else_does_not_say_that_it_expired() -> None:
    expired = Cursors(KEY, lifetime_s=-2).mint(7, bound_to=BOUND)
    with pytest.raises(InvalidArgument):
        Cursors(KEY).open(expired, bound_to=("bob",))


def test_a_cursor_goes_unquoted_into_a_url() -> None:
    assert encoded(decoded(cursor := Cursors(KEY).mint("ä/+", bound_to=BOUND))) == cursor
