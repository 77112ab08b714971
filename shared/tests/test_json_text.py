"""Editing a person's JSON file: one member changes, every other character stays."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.commands.json_text import JsonText, NotJson

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(st.text(), values, max_size=4)
indents = st.sampled_from([None, 2, 4, "\t"])

COMMENTED = """{
  // what I like
  "theme": "dark", /* really */
  "mcpServers": {
    "other": {"command": "x", "args": ["a, ]", "// no comment"]},
  },
}
"""


@given(objects, indents, values)
def test_a_new_member_is_there_and_all_others_are_as_before(before: dict[str, Any], indent: Any, value: Any) -> None:
    after = json.loads(JsonText(json.dumps(before, indent=indent)).with_value(value, "mcp servers", "one"))
    before = {name: item for name, item in before.items() if name != "mcp servers"}
    assert after == before | {"mcp servers": {"one": value}}


@given(objects, indents, values)
def test_taking_a_new_member_out_gives_the_same_text_again(before: dict[str, Any], indent: Any, value: Any) -> None:
    text = json.dumps({"kept": 1, **before}, indent=indent)
    added = JsonText(text).with_value(value, "a new one")
    assert JsonText(added).without("a new one") == text


@given(st.dictionaries(st.text(), values, min_size=1, max_size=5), indents, st.data())
def test_any_member_can_be_taken_out(before: dict[str, Any], indent: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(before)))
    after = json.loads(JsonText(json.dumps(before, indent=indent)).without(name))
    assert after == {other: value for other, value in before.items() if other != name}


@given(objects, indents)
def test_every_value_can_be_read(value: dict[str, Any], indent: Any) -> None:
    assert JsonText(json.dumps({"a": value}, indent=indent)).get("a") == value


def test_comments_and_trailing_commas_stay() -> None:
    after = JsonText(COMMENTED).with_value({"command": "y"}, "mcpServers", "mine")
    assert after == COMMENTED.replace(
        """comment"]},\n""", """comment"]},\n    "mine": {\n      "command": "y"\n    },\n"""
    )


def test_a_value_with_comments_in_it_can_be_read() -> None:
    assert JsonText(COMMENTED).get("mcpServers", "other", "args") == ["a, ]", "// no comment"]


def test_an_entry_that_is_there_is_replaced_where_it_stands() -> None:
    after = JsonText('{"a": {"x": 1}, "b": 2}').with_value({"y": 3}, "a")
    assert json.loads(after) == {"a": {"y": 3}, "b": 2}


def test_lines_end_as_they_did_before() -> None:
    after = JsonText('{\r\n  "a": 1\r\n}\r\n').with_value({"x": 2}, "b")
    assert after == '{\r\n  "a": 1,\r\n  "b": {\r\n    "x": 2\r\n  }\r\n}\r\n'


def test_a_byte_order_mark_stays() -> None:
    assert JsonText('\ufeff{"a": 1}').with_value(2, "a") == '\ufeff{"a": 2}'


def test_of_two_members_of_one_name_the_one_that_counts_is_changed() -> None:
    assert json.loads(JsonText('{"a": 1, "a": 2}').with_value(3, "a")) == {"a": 3}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1, column 1"),
        ("[]", "line 1, column 1"),
        ('{"a": 1', "line 1, column 8"),
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3"),
        ('{\n  "a" 1\n}', "line 2, column 7"),
        ("{'a': 1}", "line 1, column 2"),
        ('{"a": nope}', "line 1, column 7"),
        ('{"a": 1} {', "line 1, column 10"),
        ('{"a": [1 2]}', "line 1, column 10"),
        ('{"a": "\n"}', "line 1, column 7"),
        ('{"a":' + "[" * 1000, "line 1, column 206"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str, where: str) -> None:
    with pytest.raises(NotJson, match=f"^{where}: "):
        JsonText(text)


def test_nothing_is_put_into_something_that_is_no_object() -> None:
    with pytest.raises(NotJson, match="object"):
        JsonText('{"mcpServers": []}').with_value({}, "mcpServers", "mine")
