"""Values for an argument, from its listed schema: one that fits, and those that have to be refused."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_OF_EACH_TYPE: dict[str, Any] = {
    "boolean": True,
    "integer": 7,
    "number": 7.5,
    "string": "seven",
    "array": [],
    "object": {},
    "null": None,
}

HOSTILE: Sequence[Any] = (
    "",
    " ",
    "\x00",
    "a\x00b\r\n\t\x1b[31m",
    "\ud800",
    "\u202e\u200b\ufeff⟦U+202E⟧",
    "../../../../etc/passwd",
    "/proc/self/environ",
    "file:///etc/passwd",
    "'; drop table users; --",
    "$(id) `id` %s%n {0} {{x}} ${HOME}",
    "</untrusted-000000000000>",
    "[" * 500,
    "é" * 100_000,
    -1,
    10**30,
    -(10**400),
    1e308,
    0.1,
    True,
    None,
    [None, [[[[{}]]]], "x"],
    {"": {"__proto__": 1}},
    [0] * 10_000,
)


def fitting(tool: Schema, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the required arguments of a tool with values that its schema allows, `known` ones first."""
    schema = tool["inputSchema"]
    return {name: known.get(name, _fits(schema["properties"][name], schema)) for name in schema.get("required", ())}


def wrongly_typed(schema: Schema, root: Schema, *, required: bool) -> list[Any]:
    """Return a value of each JSON type that the schema does not allow; null only if `required`."""
    allowed = _types(schema, root)
    if not allowed:
        return []
    if "number" in allowed:
        allowed |= {"integer"}
    if not required:
        allowed |= {"null"}
    return [value for kind, value in _OF_EACH_TYPE.items() if kind not in allowed]


def just_outside(schema: Schema) -> list[Any]:
    """Return the nearest values beyond each limit of the schema."""
    return [value for limit, bound in schema.items() for value in _beyond(limit, bound, schema)]


def _beyond(limit: str, bound: Any, schema: Schema) -> Iterator[Any]:
    match limit:
        case "minimum":
            yield bound - 1
        case "maximum":
            yield bound + 1
        case "exclusiveMinimum" | "exclusiveMaximum":
            yield bound
        case "minLength" if bound:
            yield "x" * (bound - 1)
        case "maxLength":
            yield "x" * (bound + 1)
        case "minItems" if bound:
            yield [_fits(schema.get("items", {}), schema)] * (bound - 1)
        case "maxItems":
            yield [_fits(schema.get("items", {}), schema)] * (bound + 1)
        case "enum":
            yield from ("no-such-choice", str(bound[0]) + " ")
        case _:
            pass


def _arms(schema: Schema, root: Schema) -> list[Schema]:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    choices = schema.get("anyOf") or schema.get("oneOf")
    return [arm for choice in choices for arm in _arms(choice, root)] if choices else [schema]


def _types(schema: Schema, root: Schema) -> set[str]:
    """Return the JSON types that are allowed; empty when all are."""
    types: set[str] = set()
    for arm in _arms(schema, root):
        if "type" not in arm:
            return set()
        types |= {arm["type"]} if isinstance(arm["type"], str) else set(arm["type"])
    return types


def _fits(schema: Schema, root: Schema) -> Any:
    arm = _arms(schema, root)[0]
    match arm:
        case {"default": value} | {"const": value} | {"enum": [value, *_]}:
            fits = value
        case {"type": "integer" | "number"}:
            fits = arm.get("minimum", arm.get("exclusiveMinimum", 0) + 1)
        case {"type": "array"}:
            fits = [_fits(arm.get("items", {}), root)] * arm.get("minItems", 0)
        case {"type": "object"}:
            fits = {name: _fits(arm["properties"][name], root) for name in arm.get("required", ())}
        case {"type": "boolean"}:
            fits = True
        case _:
            fits = "x" * max(1, arm.get("minLength", 1))
    return fits
