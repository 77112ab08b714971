"""Changing one member of a JSON file that a person wrote, and leaving every other character as it is.

Comments and trailing commas are read as well, since editors' configuration files have them (JSON with Comments).
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_INDENT = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_DEEPEST = 200


class NotJson(ValueError):
    """The text is not JSON; the message says in which line and column."""


@dataclass
class _Value:
    """A value and where it stands; an object has members."""

    start: int
    end: int
    members: "list[_Member] | None" = None


@dataclass
class _Member:
    name: str
    start: int
    value: _Value


@dataclass
class JsonText:
    """A JSON text with an object at its top.

    Raises:
        NotJson: it is none.
    """

    text: str
    _top: _Value = field(init=False)

    def __post_init__(self) -> None:
        self._top, end = self._value(self._after_blank(0), depth=0)
        if self._after_blank(end) != len(self.text):
            self._refuse(self._after_blank(end), "nothing more is expected")
        if self._top.members is None:
            self._refuse(self._top.start, "an object in braces is expected")

    def get(self, *path: str) -> Any:
        """Return the value at a path of member names; None when there is none."""
        node = self._find(path)
        return None if node is None else json.loads(_without_comments(self.text[node.start : node.end]))

    def with_value(self, value: Any, *path: str) -> str:
        """Return the text with a value at a path; the objects that lead there are made where they are missing.

        Raises:
            NotJson: something else than an object is on the way.
        """
        node, depth = self._top, 0
        while depth < len(path) and (member := self._member(node, path[depth])) is not None:
            node, depth = member.value, depth + 1
        if depth == len(path):
            return self._replaced(node.start, node.end, self._dumped(value, self._indent_at(node.start)))
        if node.members is None:
            self._refuse(node.start, "an object in braces is expected")
        for name in reversed(path[depth + 1 :]):
            value = {name: value}
        return self._appended(node, path[depth], value)

    def without(self, *path: str) -> str:
        """Return the text without the member at a path; the same text when it has none."""
        owner = self._find(path[:-1])
        member = owner and self._member(owner, path[-1])
        if not owner or not owner.members or not member:
            return self.text
        position = owner.members.index(member)
        if position + 1 < len(owner.members):
            return self._replaced(member.start, owner.members[position + 1].start, "")
        if position:
            return self._replaced(owner.members[position - 1].value.end, member.value.end, "")
        return self._replaced(owner.start, owner.end, "{}")

    # Writing

    def _appended(self, node: _Value, name: str, value: Any) -> str:
        members = node.members or []
        outer = self._indent_at(node.start)
        indent = self._indent_at(members[-1].start) if members and self._is_first(members[-1]) else outer + self._unit
        entry = f"{self._newline}{indent}{json.dumps(name)}: {self._dumped(value, indent)}"
        if members:
            return self._replaced(members[-1].value.end, members[-1].value.end, f",{entry}")
        return self._replaced(node.start, node.end, f"{{{entry}{self._newline}{outer}}}")

    def _dumped(self, value: Any, indent: str) -> str:
        lines = json.dumps(value, indent=self._unit, ensure_ascii=False).split("\n")
        return f"{self._newline}{indent}".join(lines)

    def _replaced(self, start: int, end: int, new: str) -> str:
        return self.text[:start] + new + self.text[end:]

    @property
    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def _unit(self) -> str:
        found = _INDENT.search(self.text)
        return found[1] if found else "  "

    def _indent_at(self, position: int) -> str:
        line = self.text[self.text.rfind("\n", 0, position) + 1 : position]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _is_first(self, member: _Member) -> bool:
        return not self.text[self.text.rfind("\n", 0, member.start) + 1 : member.start].strip()

    # Reading

    def _find(self, path: tuple[str, ...]) -> _Value | None:
        node = self._top
        for name in path:
            member = self._member(node, name)
            if member is None:
                return None
            node = member.value
        return node

    @staticmethod
    def _member(node: _Value, name: str) -> _Member | None:
        # Of two members of one name, readers take the last.
        return next((member for member in reversed(node.members or []) if member.name == name), None)

    def _value(self, start: int, depth: int) -> tuple[_Value, int]:
        if depth > _DEEPEST:
            self._refuse(start, f"more than {_DEEPEST} levels are nested")
        match self.text[start : start + 1]:
            case "{":
                return self._object(start, depth)
            case "[":
                return self._array(start, depth)
            case '"':
                found = _STRING.match(self.text, start)
            case _:
                found = _SCALAR.match(self.text, start)
        if not found:
            self._refuse(start, "a value is expected")
        return _Value(start, found.end()), found.end()

    def _object(self, start: int, depth: int) -> tuple[_Value, int]:
        members: list[_Member] = []
        at = self._after_blank(start + 1)
        while self.text[at : at + 1] != "}":
            name = _STRING.match(self.text, at)
            if not name:
                self._refuse(at, "a name in quotes or a closing brace is expected")
            colon = self._after_blank(name.end())
            if self.text[colon : colon + 1] != ":":
                self._refuse(colon, "a colon is expected")
            value, end = self._value(self._after_blank(colon + 1), depth + 1)
            members.append(_Member(json.loads(name[0]), at, value))
            at = self._after_item(end, "}")
        return _Value(start, at + 1, members), at + 1

    def _array(self, start: int, depth: int) -> tuple[_Value, int]:
        at = self._after_blank(start + 1)
        while self.text[at : at + 1] != "]":
            _, end = self._value(at, depth + 1)
            at = self._after_item(end, "]")
        return _Value(start, at + 1), at + 1

    def _after_item(self, end: int, closing: str) -> int:
        at = self._after_blank(end)
        if self.text[at : at + 1] == ",":
            return self._after_blank(at + 1)
        if self.text[at : at + 1] != closing:
            self._refuse(at, f"a comma or {closing} is expected")
        return at

    def _after_blank(self, start: int) -> int:
        found = _BLANK.match(self.text, start)
        return found.end() if found else start

    def _refuse(self, at: int, problem: str) -> NoReturn:
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        raise NotJson(f"line {line}, column {column}: {problem}")


def _without_comments(text: str) -> str:
    """Return the JSON without comments and trailing commas; what is in strings stays."""
    pieces = re.split(f"({_STRING.pattern})", text)
    for position in range(0, len(pieces), 2):
        pieces[position] = re.sub(r"//[^\r\n]*|/\*.*?\*/", " ", pieces[position], flags=re.DOTALL)
    joined = "".join(pieces)
    pieces = re.split(f"({_STRING.pattern})", joined)
    for position in range(0, len(pieces), 2):
        pieces[position] = re.sub(r",(\s*[}\]])", r"\1", pieces[position])
    return "".join(pieces)
