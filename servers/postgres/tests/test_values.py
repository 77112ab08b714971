"""What values look like as JSON, and how JSON values become parameters, without a server."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_postgres.values import JsonValue, Type, decode, encode

BOOLEAN = Type("boolean", 16)
BIGINT = Type("bigint", 20)
INTEGER = Type("integer", 23)
TEXT = Type("text", 25)
FLOAT = Type("double precision", 701)
NUMERIC = Type("numeric", 1700)
JSONB = Type("jsonb", 3802)
TEXTS = Type("text[]", 1009, TEXT)
INTEGERS = Type("integer[]", 1007, INTEGER)
BOXES = Type("box[]", 1020, Type("box", 603), ";")
DOCUMENTS = Type("jsonb[]", 3807, JSONB)


@pytest.mark.parametrize("number", [0, -1, 2**53 - 1, 1 - 2**53])
def test_an_integer_that_every_json_reader_keeps_is_a_number(number: int) -> None:
    assert decode(str(number), BIGINT) == number


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**63 - 1, -(2**63)])
def test_a_larger_integer_is_a_string(number: int) -> None:
    assert decode(str(number), BIGINT) == str(number)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_a_float_that_json_has_no_number_for_is_a_string(text: str) -> None:
    assert decode(text, FLOAT) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_finite_float_survives_the_round_trip(number: float) -> None:
    assert decode(repr(number), FLOAT) == number


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        ('"\\ud83d\\ude00"', "😀"),
        ("9007199254740991", 9007199254740991),
        ("1e2", 100.0),
    ],
)
def test_a_json_document_is_shown_as_itself(text: str, shown: JsonValue) -> None:
    assert decode(text, JSONB) == shown


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 9007199254740993}',
        "[0.12345678901234567890]",
        "1e400",
        '{"a": 1, "a": 2}',
        '"\\ud83d"',
        "[" * 100 + "]" * 100,
        "[" * 100_000 + "]" * 100_000,
        "1" * 5000,
    ],
    ids=["big integer", "long fraction", "overflow", "repeated key", "lone surrogate", "deep", "very deep", "digits"],
)
def test_a_json_document_that_would_lose_something_stays_text(text: str) -> None:
    assert decode(text, JSONB) == text


@pytest.mark.parametrize(
    ("text", "of_type", "shown"),
    [
        ("{}", INTEGERS, []),
        ("{1,NULL,3}", INTEGERS, [1, None, 3]),
        ("{{1,2},{3,4}}", INTEGERS, [[1, 2], [3, 4]]),
        (
            r'{"","NULL",null?,"a,b","{x}","q\"q","back\\slash"}',
            TEXTS,
            ["", "NULL", "null?", "a,b", "{x}", 'q"q', "back\\slash"],
        ),
        ('{"line\nbreak"}', TEXTS, ["line\nbreak"]),
        ("{(1,1),(0,0);(3,3),(2,2)}", BOXES, ["(1,1),(0,0)", "(3,3),(2,2)"]),
        (r'{"{\"a\": [1, 2]}","[1]"}', DOCUMENTS, [{"a": [1, 2]}, [1]]),
    ],
)
def test_an_array_is_a_nested_list(text: str, of_type: Type, shown: JsonValue) -> None:
    assert decode(text, of_type) == shown


def test_an_array_with_bounds_of_its_own_stays_text() -> None:
    assert decode("[0:1]={7,8}", INTEGERS) == "[0:1]={7,8}"


@pytest.mark.parametrize("text", ["1.10", "NaN", "1e-30", "123456789012345678901234567890.5"])
def test_a_numeric_is_a_string_with_every_digit(text: str) -> None:
    assert decode(text, NUMERIC) == text


@given(st.recursive(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.none(), st.lists))
def test_an_array_parameter_reads_back_as_it_was_given(value: JsonValue) -> None:
    items: list[JsonValue] = value if isinstance(value, list) else [value]
    text = encode(items, TEXTS)
    assert text is not None
    assert decode(text, TEXTS) == items


@pytest.mark.parametrize(
    ("value", "of_type", "text"),
    [
        (None, TEXT, None),
        (True, BOOLEAN, "true"),
        (12, NUMERIC, "12"),
        (1e22, NUMERIC, "1e+22"),
        ("2024-01-01", Type("date", 1082), "2024-01-01"),
        ({"a": ["ü", None]}, JSONB, '{"a": ["ü", null]}'),
        ([1, [2]], JSONB, "[1, [2]]"),
        ({"a": 1}, TEXT, '{"a": 1}'),
        ('{"a": 1}', JSONB, '{"a": 1}'),
        ([1, None, 3], INTEGERS, '{"1",NULL,"3"}'),
        ("{1,2}", INTEGERS, "{1,2}"),
        ([[1], {"a": 1}], DOCUMENTS, '{"[1]","{\\"a\\": 1}"}'),
        (["(1,1),(0,0)", "(3,3),(2,2)"], BOXES, '{"(1,1),(0,0)";"(3,3),(2,2)"}'),
    ],
)
def test_a_parameter_becomes_input_text_of_its_type(value: JsonValue, of_type: Type, text: str | None) -> None:
    assert encode(value, of_type) == text


@pytest.mark.parametrize(
    ("value", "of_type", "reason"),
    [
        ([1, 2], INTEGER, "= ANY"),
        ("a\0b", TEXT, "NUL"),
        ("\ud83d", TEXT, "surrogate"),
        (["ok", "a\0b"], TEXTS, "NUL"),
    ],
)
def test_a_parameter_that_no_text_can_stand_for_is_refused(value: JsonValue, of_type: Type, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        encode(value, of_type)


@pytest.mark.parametrize("of_type", [TEXTS, JSONB])
def test_a_parameter_nested_too_deeply_is_refused(of_type: Type) -> None:
    value: JsonValue = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(ValueError, match="deep"):
        encode(value, of_type)


def test_a_document_with_a_lone_surrogate_in_a_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        encode(json.loads(r'{"a": "\ud800"}'), JSONB)
