"""The query language of files.list, as its documentation has it; what is not in it is an error, as at Google."""

import re
from collections.abc import Callable
from typing import Any

from fake_google.storage import Stored

Test = Callable[[Stored], bool]

_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\['\\])*')|(<=|>=|!=|=|<|>|\(|\)|\{|\})|([A-Za-z]+))")
_TEXT_FIELDS = {"name": "name", "mimeType": "media_type", "modifiedTime": "modified"}


class BadQuery(Exception):
    """Google answers such a query with 400."""


def parse(query: str) -> Test:
    """Return what tells whether a file fits."""
    parser = _Parser(_tokens(query))
    test = parser.any_of()
    if parser.tokens:
        raise BadQuery(f"{parser.tokens[0]!r} is too many")
    return test


def _tokens(query: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while query[at:].strip():
        match = _TOKEN.match(query, at)
        if match is None:
            raise BadQuery(f"cannot read {query[at:]!r}")
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens

    def any_of(self) -> Test:
        tests = [self.all_of()]
        while self._take("or"):
            tests.append(self.all_of())
        return lambda file: any(test(file) for test in tests)

    def all_of(self) -> Test:
        tests = [self.one()]
        while self._take("and"):
            tests.append(self.one())
        return lambda file: all(test(file) for test in tests)

    def one(self) -> Test:
        if self._take("not"):
            test = self.one()
            return lambda file: not test(file)
        if self._take("("):
            test = self.any_of()
            self._need(")")
            return test
        first = self._next()
        if first.startswith("'"):
            self._need("in")
            return _contained(self._next(), _value(first))
        return self._compared(first, self._next())

    def _compared(self, name: str, operator: str) -> Test:
        if name == "appProperties" and operator == "has":
            self._need("{", "key", "=")
            key = _value(self._next())
            self._need("and", "value", "=")
            value = _value(self._next())
            self._need("}")
            return lambda file: file.app_properties.get(key) == value
        text = self._next()
        if name == "trashed" and operator in {"=", "!="} and text in {"true", "false"}:
            return lambda file: (file.trashed == (text == "true")) == (operator == "=")
        return _comparison(name, operator, _value(text))

    def _next(self) -> str:
        if not self.tokens:
            raise BadQuery("it ends too early")
        return self.tokens.pop(0)

    def _take(self, token: str) -> bool:
        taken = self.tokens[:1] == [token]
        self.tokens = self.tokens[taken:]
        return taken

    def _need(self, *tokens: str) -> None:
        for token in tokens:
            if not self._take(token):
                raise BadQuery(f"{token!r} is missing before {self.tokens[:1]}")


def _value(token: str) -> str:
    if not token.startswith("'"):
        raise BadQuery(f"{token!r} is no value")
    return re.sub(r"\\(.)", r"\1", token[1:-1])


def _contained(name: str, value: str) -> Test:
    if name == "parents":
        return lambda file: value in file.parents
    if name in {"owners", "writers", "readers"}:
        return lambda file: file.owner == value or (value == "me" and file.mine)
    raise BadQuery(f"nothing is in {name!r}")


def _comparison(name: str, operator: str, value: str) -> Test:
    if name == "fullText" and operator == "contains":
        phrase = re.fullmatch(r'"(.*)"', value)
        return lambda file: (
            phrase[1].lower() in file.searchable() if phrase else set(_words(value)) <= set(_words(file.searchable()))
        )
    if name == "name" and operator == "contains":  # the beginnings of words
        return lambda file: all(any(word.startswith(w) for word in _words(file.name)) for w in _words(value))
    if name == "mimeType" and operator == "contains":
        return lambda file: value in file.media_type
    if name in _TEXT_FIELDS and (
        operator in {"=", "!="} or (name == "modifiedTime" and operator in {"<", ">", "<=", ">="})
    ):
        tests: dict[str, Callable[[Any, Any], bool]] = {
            "=": lambda a, b: a == b,
            "!=": lambda a, b: a != b,
            "<": lambda a, b: a < b,
            ">": lambda a, b: a > b,
            "<=": lambda a, b: a <= b,
            ">=": lambda a, b: a >= b,
        }
        return lambda file: tests[operator](getattr(file, _TEXT_FIELDS[name]), value)
    raise BadQuery(f"no such comparison: {name} {operator}")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
