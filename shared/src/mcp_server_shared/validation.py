"""What is wrong with an argument or a setting, in plain words instead of pydantic's."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mcp_server_shared.errors import did_you_mean

_MOST_PROBLEMS = 5

_JSON_NAMES = {
    "NoneType": "null",
    "bool": "a boolean",
    "dict": "an object",
    "float": "a number",
    "int": "an integer",
    "list": "an array",
    "str": "a string",
    "tuple": "an array",
}

_WORDS: dict[str, str] = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "extra_forbidden": "is unknown",
    "enum": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_type": "must be an integer",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be an array",
    "literal_error": "must be one of {expected}",
    "missing": "is missing",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
}


def problems(
    error: ValidationError, known: Iterable[str], named: Callable[[str], str] = lambda name: f"'{name}'"
) -> list[str]:
    """Return one phrase a problem ("'max_rows' must be at least 1"), at most five; values are never repeated.

    Args:
        error: what pydantic found; it must come from a model whose fields are the names in `known`.
        known: the valid names, for a suggestion when one is misspelt.
        named: how to write a field's name.
    """
    details = error.errors(include_url=False, include_context=True, include_input=True)
    return [_problem(detail, list(known), named) for detail in details[:_MOST_PROBLEMS]]


def _problem(detail: ErrorDetails, known: list[str], named: Callable[[str], str]) -> str:
    field = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        near = did_you_mean(field, known)
        return f"{named(field)} is unknown; {near}" if near else f"{named(field)} is unknown"
    inside = "".join(f"[{part!r}]" for part in detail["loc"][1:] if not _is_union_arm(part))
    phrase = f"{named(field)}{inside} {_in_words(detail)}"
    if detail["type"].endswith("_type"):
        return f"{phrase}, not {json_type(detail['input'])}"
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        near = did_you_mean(detail["input"], re.findall("'([^']+)'", str(detail.get("ctx", {}).get("expected"))))
        return f"{phrase}; {near}" if near else phrase
    return phrase


def _in_words(detail: ErrorDetails) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(context["error"])
    if context.get("min_length") == 1:
        return "must not be empty"
    words = _WORDS.get(detail["type"])
    return words.format_map(context) if words else detail["msg"][:1].lower() + detail["msg"][1:]


def _is_union_arm(part: int | str) -> bool:
    """Pydantic adds the type it tried to the location ("int", "list[str]"); that is no part of the argument."""
    return isinstance(part, str) and (part in {"int", "float", "bool", "str"} or part.startswith(("list[", "dict[")))


def json_type(value: object) -> str:
    """Return the JSON name of a value's type, with its article."""
    return _JSON_NAMES.get(type(value).__name__, type(value).__name__)
