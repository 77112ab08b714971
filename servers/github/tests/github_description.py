"""GitHub's own description of its REST API (`@octokit/openapi`): requests and the answers of tests are held to it."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

Json = dict[str, Any]

ROOT = Path(__file__).parents[3]
DESCRIPTION = ROOT / "tests/peers/node_modules/@octokit/openapi/generated/api.github.com.json"


@cache
def description() -> Json:
    """Return the description of api.github.com, which takes a second to read."""
    if not DESCRIPTION.exists():
        pytest.skip("no @octokit/openapi: npm ci --prefix tests/peers")
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))


def example(name: str) -> Any:
    """Return a copy of one of GitHub's examples of an answer."""
    return json.loads(json.dumps(description()["components"]["examples"][name]["value"]))


@cache
def _operations() -> list[tuple[re.Pattern[str], str, Json]]:
    ordered = sorted(description()["paths"].items(), key=lambda item: (item[0].count("{"), -len(item[0])))
    return [(_pattern(template), template, operations) for template, operations in ordered]


def _pattern(template: str) -> re.Pattern[str]:
    if template.endswith("/contents/{path}"):  # the root's path is nothing at all
        return re.compile(_pattern(template.removesuffix("/{path}")).pattern + "(/.*)?")
    parts = re.split(r"\{([^}]+)\}", template)
    names = iter(parts)
    return re.compile("".join(re.escape(text) + _any(next(names, "")) for text in names))


def _any(parameter: str) -> str:
    if not parameter:
        return ""
    return (
        ".+" if parameter in {"path", "ref", "basehead", "branch", "tag", "tree_sha"} else "[^/]+"
    )  # may have slashes


def operation(verb: str, path: str) -> tuple[str, Json] | None:
    """Return the operation that a request is, and its name in the description."""
    for pattern, template, operations in _operations():
        if pattern.fullmatch(path) and verb.lower() in operations:
            return f"{verb} {template}", operations[verb.lower()]
    return None


def faults_of_request(verb: str, path: str, query: Mapping[str, Any], body: Any) -> Iterator[str]:
    """Yield what GitHub would not understand of a request."""
    found = operation(verb, path)
    if found is None:
        yield f"{verb} {path} is no operation of GitHub's"
        return
    name, described = found
    parameters = [_resolved(parameter) for parameter in described.get("parameters", ())]
    known = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    yield from (f"{name}: no parameter {given}" for given in query if given not in known)
    if body is not None:
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        yield from (f"{name}: {fault}" for fault in _faults(schema, body))


def faults_of_answer(verb: str, path: str, status: int, body: Any) -> Iterator[str]:
    """Yield what is wrong with an answer, as "operation: place: fault"."""
    found = operation(verb, path)
    if found is None:
        return
    name, described = found
    answer = described["responses"].get(str(status))
    if answer is None and status >= 400:  # of these not all are described
        return
    if answer is None:
        yield f"{name}: {status} is not among its answers"
        return
    content: Json = _resolved(answer).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is not None and body is not None:
        yield from (f"{name}: {fault}" for fault in _faults(schema, body))


def _resolved(node: Json) -> Json:
    if "$ref" not in node:
        return node
    _, kind, name = node["$ref"].rsplit("/", 2)
    return description()["components"][kind][name]


def _faults(schema: Json, value: Any) -> set[str]:
    validator: Any = Draft4Validator(_draft4(schema), registry=_REGISTRY)
    errors: Iterator[Any] = validator.iter_errors(value)
    return {f"{'.'.join(_place(error))}: {_words(error)}" for error in errors}


def _place(error: Any) -> Iterator[str]:
    return (str(part) if isinstance(part, str) else "[]" for part in error.absolute_path)


def _words(error: Any) -> str:
    if error.validator == "required":
        return str(error.message)
    return f"{error.validator} {json.dumps(error.validator_value)[:60]}"


def _retrieved(uri: str) -> Resource[Any]:
    schema = description()["components"]["schemas"][uri.removeprefix("schema:")]
    return Resource(contents=_draft4(schema), specification=DRAFT4)


_REGISTRY: Any = Registry(retrieve=cast(Any, _retrieved))


def _draft4(node: Any) -> Any:
    """Return a schema of OpenAPI 3.0 in the terms of JSON Schema: `nullable` is a type, and references have a base."""
    if isinstance(node, list):
        return [_draft4(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = cast(Json, node)
    if "$ref" in schema:
        return {"$ref": "schema:" + schema["$ref"].rpartition("/")[2]}
    plain = {key: _draft4(value) for key, value in schema.items() if key not in {"example", "examples", "format"}}
    return {"anyOf": [{"type": "null"}, plain]} if plain.pop("nullable", False) else plain
