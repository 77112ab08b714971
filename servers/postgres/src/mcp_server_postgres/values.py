"""PostgreSQL's own text form of every value, to and from JSON, with nothing lost.

Results, by type:

- boolean and NULL: `true`, `false`, `null`.
- integers: a JSON number up to 2^53-1 in magnitude, which every JSON reader keeps exact; a string beyond.
- real and double precision: a JSON number; `"NaN"`, `"Infinity"` and `"-Infinity"` as strings.
- json and jsonb: the document itself; the document's text when parsing it would lose something (a number that
  a double cannot hold, a repeated key, an unpaired surrogate, more than 64 levels).
- arrays: nested JSON arrays of the element's form; text when the bounds do not start at 1, since a list has none.
- a domain: like the type below it.
- everything else, text exactly as PostgreSQL prints it: numeric, dates, times and intervals (ISO 8601), bytea (`\\x`
  and hex), uuid, inet, bit strings, ranges, composites, enums, xml, money, geometric and unknown types.

Parameters: a string is PostgreSQL's input text for whatever type the parameter has (`"2024-01-01"`, `"12.50"`,
`"\\xdeadbeef"` for bytea, `"{\"a\": 1}"` for jsonb); numbers and booleans are written as such; an object is written as
JSON; a list as an array, or as JSON where the parameter is json or jsonb.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

MAX_EXACT_INTEGER = 2**53 - 1
_MAX_DEPTH = 64

_JSON_OIDS = frozenset({114, 3802})


@dataclass(frozen=True, slots=True)
class Type:
    """What has to be known of a PostgreSQL type to read and write its values.

    Attributes:
        name: as `format_type` prints it: `integer`, `text[]`, `public.mood`.
        base_oid: the type whose text form the values have: a domain's base type, otherwise the type itself.
        element: the type of an array's elements; None for anything but a true array.
        delimiter: what separates an array's elements: a comma, except for arrays of box.
    """

    name: str
    base_oid: int
    element: "Type | None" = None
    delimiter: str = ","


def decode(text: str, of_type: Type) -> JsonValue:
    """Return the JSON form of a value from PostgreSQL's text for it."""
    if of_type.element is not None:
        return _decode_array(text, of_type.element, of_type.delimiter)
    decoder = _DECODERS.get(of_type.base_oid)
    return text if decoder is None else decoder(text)


def encode(value: JsonValue, of_type: Type) -> str | None:
    """Return PostgreSQL's input text for a parameter; the server checks that the text suits the type.

    Raises:
        ValueError: no text can stand for the value; the message says why, fit for a model to read.
    """
    if value is None:
        return None
    try:
        if isinstance(value, list) and of_type.element is not None:
            return _encode_array(value, of_type.element, of_type.delimiter)
        text = _encode_scalar(value, of_type)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if "\0" in text:
        raise ValueError("it contains a NUL character, which PostgreSQL cannot store")
    if not is_unicode(text):
        raise ValueError("it contains half of a surrogate pair, which is not a character")
    return text


def _decode_integer(text: str) -> JsonValue:
    number = int(text)
    return number if abs(number) <= MAX_EXACT_INTEGER else text


def _decode_float(text: str) -> JsonValue:
    number = float(text)
    return number if math.isfinite(number) else text


def _decode_json(text: str) -> JsonValue:
    try:
        value = json.loads(
            text, parse_int=_exact_integer, parse_float=_exact_float, object_pairs_hook=_object_without_repeats
        )
    except (ValueError, RecursionError):
        return text
    if _is_deeper_than(value, _MAX_DEPTH) or ("\\u" in text and not is_unicode(json.dumps(value, ensure_ascii=False))):
        return text
    return value


def _exact_integer(digits: str) -> int:
    if len(digits) > len("-9007199254740991") or abs(int(digits)) > MAX_EXACT_INTEGER:
        raise ValueError("not exact as a double")
    return int(digits)


def _exact_float(digits: str) -> float:
    number = float(digits)
    try:
        exact = math.isfinite(number) and Decimal(repr(number)) == Decimal(digits)
    except InvalidOperation:  # an exponent beyond what Decimal reads
        exact = False
    if not exact:
        raise ValueError("not exact as a double")
    return number


def _object_without_repeats(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a repeated key")
    return value


def _is_deeper_than(value: JsonValue, levels: int) -> bool:
    if not isinstance(value, list | dict):
        return False
    inside = value if isinstance(value, list) else value.values()
    return levels == 0 or any(_is_deeper_than(item, levels - 1) for item in inside)


def is_unicode(text: str) -> bool:
    """Return whether the text can be sent: a surrogate alone cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_DECODERS: dict[int, Callable[[str], JsonValue]] = {
    16: "t".__eq__,  # boolean
    20: _decode_integer,  # bigint
    21: int,  # smallint
    23: int,  # integer
    26: int,  # oid
    700: _decode_float,  # real
    701: _decode_float,  # double precision
    114: _decode_json,  # json
    3802: _decode_json,  # jsonb
}


@cache
def _array_tokens(delimiter: str) -> re.Pattern[str]:
    """Match a brace, a quoted element (group 1, still escaped), or a bare element (group 2)."""
    return re.compile(rf'[{{}}]|"((?:[^"\\]|\\.)*)"|([^{{}}"{re.escape(delimiter)}]+)', re.DOTALL)


def _decode_array(text: str, element: Type, delimiter: str) -> JsonValue:
    if not text.startswith("{"):
        return text
    outer: list[JsonValue] = []
    open_lists = [outer]
    for token in _array_tokens(delimiter).finditer(text):
        quoted, bare = token.groups()
        if quoted is not None:
            open_lists[-1].append(decode(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), element))
        elif bare is not None:
            open_lists[-1].append(None if bare == "NULL" else decode(bare, element))
        elif token.group() == "{":
            inner: list[JsonValue] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        else:
            open_lists.pop()
    return outer[0]


def _encode_array(values: Sequence[JsonValue], element: Type, delimiter: str) -> str:
    return "{" + delimiter.join(_encode_element(value, element, delimiter) for value in values) + "}"


def _encode_element(value: JsonValue, element: Type, delimiter: str) -> str:
    if isinstance(value, list) and element.base_oid not in _JSON_OIDS:
        return _encode_array(value, element, delimiter)
    text = encode(value, element)
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encode_scalar(value: JsonValue, of_type: Type) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        # PostgreSQL reads Python's nan and inf, and repr() is exact.
        return repr(value)
    if isinstance(value, list) and of_type.base_oid not in _JSON_OIDS:
        raise ValueError(f"it is a list but the parameter is one {of_type.name}; to match any of a list, use = ANY($n)")
    return json.dumps(value, ensure_ascii=False)
