"""Slack's answers: JSON of which any part may be missing, or be something else than expected."""

from collections.abc import Mapping
from typing import Any, cast

Answer = Mapping[str, Any]


def an_object(value: Any) -> Answer:
    """Return a value that should be an object; an empty one where it is none."""
    return cast("Answer", value) if isinstance(value, dict) else {}


def objects(value: Any) -> list[Answer]:
    """Return the objects of a value that should be a list of them."""
    return [item for item in map(an_object, cast("list[Any]", value)) if item] if isinstance(value, list) else []


def strings(value: Any) -> list[str]:
    """Return the strings of a value that should be a list of them."""
    return [item for item in cast("list[Any]", value) if isinstance(item, str)] if isinstance(value, list) else []
