"""What a request and an answer may be, by the descriptions that Google's library ships."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from googleapiclient.discovery_cache import get_static_doc

VERSIONS = {"drive": "v3", "docs": "v1", "sheets": "v4", "slides": "v1"}
Json = dict[str, Any]


class Violation(Exception):
    """A request or an answer is not what the description says."""


@dataclass(frozen=True)
class Method:
    """One method of an API."""

    api: str
    id: str
    told: Json
    pattern: re.Pattern[str]
    upload: bool

    @property
    def schemas(self) -> Json:
        return _document(self.api)["schemas"]

    def check_request(self, path: Mapping[str, str], query: Mapping[str, list[str]], body: Any) -> Json:
        """Return the parameters, as their types say; raise for what the description does not have."""
        known: Json = {**_document(self.api)["parameters"], **self.told.get("parameters", {})}
        values: Json = {}
        for name, texts in {**{key: [value] for key, value in path.items()}, **query}.items():
            if name not in known and not (self.upload and name == "upload_id"):
                raise Violation(f"{self.id} has no parameter {name}")
            if name in known:
                parsed = [_parsed(known[name], text, f"{self.id} {name}") for text in texts]
                values[name] = parsed if known[name].get("repeated") else parsed[0]
        for name, parameter in known.items():
            if parameter.get("required") and name not in values:
                raise Violation(f"{self.id} needs {name}")
        if body is not None:
            if "request" not in self.told:
                raise Violation(f"{self.id} takes no body")
            check(self.schemas, self.told["request"], body, self.id)
        return values

    def check_response(self, value: Any) -> None:
        """Raise for an answer that the description does not have."""
        if "response" in self.told:
            check(self.schemas, self.told["response"], value, f"answer of {self.id}")

    def masked(self, value: Any, fields: str | None) -> Any:
        """Return the part of an answer that was asked for; raise for fields that there are not."""
        if fields is None or fields == "*":
            return value
        return _masked(value, parse_fields(fields), self.schemas, self.told.get("response", {}), self.id)


@cache
def _document(api: str) -> Json:
    return json.loads(get_static_doc(api, VERSIONS[api]) or "{}")


@cache
def methods() -> list[Method]:
    """Return every method of the four APIs."""
    found: list[Method] = []
    for api in VERSIONS:
        document = _document(api)
        for told in _methods_in(document):
            path = document["servicePath"] + told["path"]
            found.append(Method(api, told["id"], told, _pattern("/" + path), upload=False))
            protocols: Json = told.get("mediaUpload", {}).get("protocols", {})
            paths = {protocol["path"] for protocol in protocols.values()}
            found += [Method(api, told["id"], told, _pattern(path), upload=True) for path in paths]
    return found


def find_method(verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
    """Return the method that a request is for, and the values in its path."""
    for method in methods():
        match = method.pattern.fullmatch(path)
        if match and (method.told["httpMethod"] == verb or (method.upload and verb == "PUT")):
            return method, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def _methods_in(resource: Json) -> Iterator[Json]:
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from _methods_in(inner)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\+?(\w+)\}", path)
    return re.compile("".join(f"(?P<{part}>[^/:]+)" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)))


def _parsed(told: Json, text: str, where: str) -> Any:
    if "enum" in told and text not in told["enum"]:
        raise Violation(f"{where}: {text!r} is none of {told['enum']}")
    if "pattern" in told and not re.search(told["pattern"], text):
        raise Violation(f"{where}: {text!r} does not match")
    match told["type"]:
        case "integer":
            number = int(text)
            if not int(told.get("minimum", number)) <= number <= int(told.get("maximum", number)):
                raise Violation(f"{where}: {number} is out of range")
            return number
        case "boolean":
            if text not in {"true", "false"}:
                raise Violation(f"{where}: {text!r} is no boolean")
            return text == "true"
        case _:
            return text


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "any": (object,),
}


def check(schemas: Json, schema: Json, value: Any, where: str) -> None:
    """Raise when a value is not what a schema says; properties that it does not name are wrong."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    kind = schema.get("type", "any")
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        raise Violation(f"{where}: {value!r} is no {kind}")
    if "enum" in schema and value not in schema["enum"]:
        raise Violation(f"{where}: {value!r} is none of {schema['enum']}")
    if kind == "array":
        for item in value:
            check(schemas, schema["items"], item, f"{where}[]")
    elif kind == "object":
        properties = schema.get("properties", {})
        for name, item in value.items():
            inner = properties.get(name) or schema.get("additionalProperties")
            if inner is None:
                raise Violation(f"{where} has no {name}")
            check(schemas, inner, item, f"{where}.{name}")


def parse_fields(text: str) -> Json:
    """Read a mask such as "a,b(c,d/e)" into nested mappings."""
    tokens = re.findall(r"[\w*]+|[(),/]", text)
    if "".join(tokens) != text:
        raise Violation(f"the fields {text!r} cannot be read")
    mask, rest = _parse_list(tokens)
    if rest:
        raise Violation(f"the fields {text!r} have {rest[0]!r} too many")
    return mask


def _parse_list(tokens: list[str]) -> tuple[Json, list[str]]:
    mask: Json = {}
    while True:
        name, *tokens = tokens or [""]
        if not re.fullmatch(r"[\w*]+", name):
            raise Violation("a field has no name")
        path = [name]
        while tokens[:1] == ["/"]:
            path.append(tokens[1])
            tokens = tokens[2:]
        inner: Json = {}
        if tokens[:1] == ["("]:
            inner, tokens = _parse_list(tokens[1:])
            if tokens[:1] != [")"]:
                raise Violation("a parenthesis of the fields is not closed")
            tokens = tokens[1:]
        for part in reversed(path[1:]):
            inner = {part: inner}
        mask.setdefault(path[0], {}).update(inner)
        if tokens[:1] != [","]:
            return mask, tokens
        tokens = tokens[1:]


def _masked(value: Any, mask: Json, schemas: Json, schema: Json, where: str) -> Any:
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    if schema.get("type") == "array":
        return [_masked(item, mask, schemas, schema["items"], where) for item in value or ()]
    if not mask or "*" in mask:
        return value
    properties: Json = schema.get("properties", {})
    unknown = mask.keys() - properties.keys()
    if unknown and "additionalProperties" not in schema:
        raise Violation(f"{where} has no fields {sorted(unknown)}")
    present: Json = {}
    for name, inner in mask.items():
        part = _masked((value or {}).get(name), inner, schemas, properties.get(name, {}), f"{where}.{name}")
        if name in (value or {}):
            present[name] = part
    return present
