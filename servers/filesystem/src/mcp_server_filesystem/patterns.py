"""What `search_content` takes for a regular expression, in the two dialects that search for it.

The accepted language is what both understand alike: groups, alternatives, classes, repetition, `^ $ . \\b \\d \\w \\s`.
A match lies within one line. Bytes that are not UTF-8 match nothing. `\\w` is a letter, digit or underscore of any
script; `\\b` and upper and lower case follow each engine's Unicode tables, which differ in rare characters.
"""

import re
from dataclasses import dataclass

from mcp_server_shared.errors import InvalidArgument

MAX_REPEAT = 1_000

_TOKEN = re.compile(
    r"""(?sx)
    \\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)
    | \[\^?\]?(?:\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)|[^]\\])*\]
    | \(\?P?<[A-Za-z_]\w*> | \(\?: | \(\?
    | \{\d+(?:,\d*)?\}\?? | [*+?]\??
    | .
    """
)
_MEMBER = re.compile(r"(?s)\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)|.")
_WHITE = r"\t\x0b\x0c\r \x85\xa0"
_PYTHON_WHITE = _WHITE + r"\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_RUST_WHITE = _WHITE.replace(r"\x85", r"\x{85}").replace(r"\xa0", r"\x{a0}") + (
    r"\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
_NEITHER = r"\n\udc80-\udcff"  # what negation must not let in: the end of the line, bytes that are not UTF-8
_CLASSES = {"d": (r"\d", r"\d"), "w": (r"\w", r"\p{L}\p{N}_"), "s": (_PYTHON_WHITE, _RUST_WHITE)}
_CONTROLS = {"t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_REWRITTEN = {
    ".": (f"[^{_NEITHER}]", "."),
    "^": ("(?:^\ufeff?)", r"(?:^\x{FEFF}?)"),
    "$": (r"(?:\r?$)", r"(?:\r?$)"),
    r"\b": (r"\b", r"\b"),
    r"\B": (r"\B", r"\B"),
    "|": ("|", "|"),
    "(": ("(?:", "(?:"),
    "(?:": ("(?:", "(?:"),
    ")": (")", ")"),
}


@dataclass(frozen=True)
class Pattern:
    """One regular expression: for Python's `re` with MULTILINE, and for ripgrep."""

    python: str
    rust: str
    ignore_case: bool

    def compiled(self) -> re.Pattern[str]:
        """Return it for text whose bytes that are not UTF-8 stand as lone surrogates."""
        return re.compile(self.python, re.MULTILINE | (re.IGNORECASE if self.ignore_case else 0))


def parse_pattern(text: str, *, literal: bool, ignore_case: bool) -> Pattern:
    """Return the pattern; raise InvalidArgument saying what it may not have."""
    if "\n" in text:
        raise InvalidArgument("The pattern has a line break; a match lies within one line.")
    if re.search("[\ud800-\udfff]", text):
        raise InvalidArgument("The pattern has bytes that are not UTF-8; they cannot be searched for.")
    parts = [_character(character) for character in text] if literal else list(_translated(text))
    pattern = Pattern("".join(part[0] for part in parts), "".join(part[1] for part in parts), ignore_case)
    try:
        pattern.compiled()
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidArgument(
            f"The pattern is no regular expression: {str(error).split(' at position')[0]}.",
            hint="Pass literal=true to search for the text as it stands.",
        ) from error
    return pattern


def _translated(text: str) -> "list[tuple[str, str]]":
    parts: list[tuple[str, str]] = []
    repeated = False
    for token in _TOKEN.findall(text):
        repeats = token[0] in "*+?" or (token[0] == "{" and len(token) > 1)
        if repeats and repeated:
            raise InvalidArgument("The pattern repeats a repetition.", hint="Put the inner one in ( ).")
        if repeats and any(int(number) > MAX_REPEAT for number in re.findall(r"\d+", token)):
            raise InvalidArgument(f"The pattern repeats more than {MAX_REPEAT:,} times.")
        parts.append((token, token) if repeats else _part(token))
        repeated = repeats
    return parts


def _part(token: str) -> tuple[str, str]:
    if token in _REWRITTEN:
        return _REWRITTEN[token]
    if token.startswith(("(?P<", "(?<")):
        return ("(?:", "(?:")
    if token == "(?":  # noqa: S105 - of a pattern
        raise InvalidArgument(
            "The pattern has a group of a kind that is not supported, as look-around or flags.",
            hint="Use ( ), (?: ) or ignore_case.",
        )
    if token[0] == "[" and len(token) > 1:
        return _class(token[1:-1])
    if token[0] == "\\" and token[1:].lower() in _CLASSES:
        return _class(token)
    return _character(_unescaped(token))


def _class(body: str) -> tuple[str, str]:
    if body.startswith(("\\D", "\\W", "\\S")) and len(body) == 2:  # noqa: PLR2004 - the shorthand alone
        body = f"^{body.lower()}"
    negated = body.startswith("^")
    if "[:" in body:
        raise InvalidArgument("The pattern has a named class, which is not supported.", hint="Use a-z, \\w or \\d.")
    members: list[str] = _MEMBER.findall(body[negated:])
    python, rust = "", ""
    while members:
        member = members.pop(0)
        if member[0] == "\\" and member[1:] in _CLASSES:
            parts = [_CLASSES[member[1:]]]
        elif members[:1] == ["-"] and len(members) > 1:
            last = members[1]
            del members[:2]
            parts = [_character(_unescaped(member)), ("-", "-"), _character(_unescaped(last))]
        else:
            parts = [_character(_unescaped(member))]
        python += "".join(part[0] for part in parts)
        rust += "".join(part[1] for part in parts)
    return (f"[^{python}{_NEITHER}]", f"[^{rust}]") if negated else (f"[{python}]", f"[{rust}]")


def _unescaped(token: str) -> str:
    if token[0] != "\\" or len(token) == 1:
        return token
    escaped = token[1:]
    if len(escaped) > 1:
        character = chr(int(escaped[1:], 16))
    elif escaped.isalnum():
        character = _CONTROLS.get(escaped, "")
    else:
        character = escaped
    if not character or character == "\n" or "\ud800" <= character <= "\udfff":
        raise InvalidArgument(
            f"The pattern has {token!r}, which is not supported.",
            hint="Of escapes there are \\b \\d \\w \\s \\t \\r \\xHH \\uHHHH; a match lies within one line.",
        )
    return character


def _character(character: str) -> tuple[str, str]:
    if character.isascii() and character.isalnum():
        return character, character
    return re.escape(character), f"\\x{{{ord(character):X}}}"
