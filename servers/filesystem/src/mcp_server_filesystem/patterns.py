"""What `search_content` takes for a regular expression, in the two dialects that search for it.

The accepted language is what both understand alike: groups, alternatives, classes, repetition, `^ $ . \\b \\d \\w \\s`.
A match lies within one line. Bytes that are not UTF-8 match nothing. `\\w` is a letter, digit or underscore of any
script; `\\b` and upper and lower case follow each engine's Unicode tables, which differ in rare characters.
"""

import re
from dataclasses import dataclass

from mcp_server_shared.errors import InvalidArgument

MAX_REPEAT = 1_000
MIN_INNER = 3  # a shorter text is in too many files to tell anything

_TOKEN = re.compile(
    r"""(?sx)
    \\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)
    | \[\^?\]?(?:\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)|[^]\\])*\]
    | \(\?P?<[A-Za-z_]\w*> | \(\?: | \(\?
    | \{\d+(?:,\d*)?\}\?? | [*+?]\??
    | .
    """
)
_LETTER = re.compile(r"\w", re.ASCII)
_MEMBER = re.compile(r"(?s)\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)|.")
_WHITE = r"\t\x0b\x0c\r \x85\xa0"
_PYTHON_WHITE = _WHITE + r"\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_RUST_WHITE = _WHITE.replace(r"\x85", r"\x{85}").replace(r"\xa0", r"\x{a0}") + (
    r"\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
)
_NEITHER = r"\n\udc80-\udcff"  # what negation must not let in: the end of the line, bytes that are not UTF-8
_CLASSES = {"d": (r"\d", r"\d"), "w": (r"\w", r"\p{L}\p{N}_"), "s": (_PYTHON_WHITE, _RUST_WHITE)}
_NOT_ASCII = re.compile(r"\\p|\\x\{[0-9A-F]{3,}\}|\\x\{[89A-F][0-9A-F]\}")  # in what ripgrep takes
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
    """One regular expression: for Python's `re` with MULTILINE, and for ripgrep.

    Attributes:
        python: as `re` takes it.
        rust: as ripgrep takes it.
        ignore_case: whether case means nothing.
        naming: as ripgrep takes it, but it also finds a match, and perhaps more, in text of one byte a character.
        inner: a text that stands inside every match, as `naming`; "" where none is known, or none is needed because
            every match begins with one.
    """

    python: str
    rust: str
    ignore_case: bool
    naming: str = ""
    inner: str = ""

    def compiled(self) -> re.Pattern[str]:
        """Return it for text whose bytes that are not UTF-8 stand as lone surrogates."""
        return re.compile(self.python, re.MULTILINE | (re.IGNORECASE if self.ignore_case else 0))


def parse_pattern(text: str, *, literal: bool, ignore_case: bool) -> Pattern:
    """Return the pattern; raise InvalidArgument saying what it may not have."""
    if "\n" in text:
        raise InvalidArgument("The pattern has a line break; a match lies within one line.")
    if re.search("[\ud800-\udfff]", text):
        raise InvalidArgument("The pattern has bytes that are not UTF-8; they cannot be searched for.")
    parts = [(character, *_character(character)) for character in text] if literal else _translated(text)
    pattern = Pattern(
        python="".join(python for _, python, _ in parts),
        rust="".join(rust for _, _, rust in parts),
        ignore_case=ignore_case,
        naming=_naming(parts, literal=literal),
        inner="" if literal else _inner_text(text),
    )
    try:
        pattern.compiled()
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidArgument(
            f"The pattern is no regular expression: {str(error).split(' at position')[0]}.",
            hint="Pass literal=true to search for the text as it stands.",
        ) from error
    return pattern


def _translated(text: str) -> "list[tuple[str, str, str]]":
    """Return the tokens of a regular expression, each as it is written, for `re` and for ripgrep."""
    tokens: list[str] = _TOKEN.findall(text)
    parts: list[tuple[str, str, str]] = []
    repeated = False
    for token in tokens:
        repeats = _repeats(token)
        if repeats and repeated:
            raise InvalidArgument("The pattern repeats a repetition.", hint="Put the inner one in ( ).")
        if repeats and any(int(number) > MAX_REPEAT for number in re.findall(r"\d+", token)):
            raise InvalidArgument(f"The pattern repeats more than {MAX_REPEAT:,} times.")
        python, rust = (token, token) if repeats else _part(token)
        parts.append((token, python, rust))
        repeated = repeats
    return parts


def _naming(parts: "list[tuple[str, str, str]]", *, literal: bool) -> str:
    """Return the pattern that names files; see `Pattern`."""
    if literal:
        return "".join(_named(rust) for _, _, rust in parts)
    named = [rust if piece in _REWRITTEN and piece != "." else _named(rust) for piece, _, rust in parts]
    for at, (piece, _, _) in enumerate(parts):
        # To ripgrep a letter that is one byte beyond ASCII is none, so a word has to begin or end in ASCII there.
        ends_word = piece == r"\b" and (_is_letter(parts[at + 1 : at + 3]) or _is_letter(parts[at - 1 : at]))
        if piece in (r"\b", r"\B") and not ends_word:
            named[at] = "(?:)"
    return "".join(named)


def _is_letter(parts: "list[tuple[str, str, str]]") -> bool:
    """Tell whether the first of some tokens is a letter of ASCII, which the next one does not repeat."""
    return bool(parts) and _LETTER.fullmatch(parts[0][0]) is not None and not any(_repeats(part[0]) for part in parts)


def _named(rust: str) -> str:
    """Return a character or class such that it also fits its byte in text of one byte a character."""
    if rust.startswith("[") or rust == ".":
        is_ascii = rust[0] == "[" and rust[1] != "^" and not _NOT_ASCII.search(rust)
        return rust if is_ascii else f"(?:{rust}|(?-u:[\\x80-\\xFF]))"
    if not _NOT_ASCII.fullmatch(rust):
        return rust
    character = chr(int(rust[3:-1], 16))
    cases = {character, character.lower(), character.upper()}
    encoded = {case.encode(codec, "ignore") for case in cases for codec in ("latin-1", "cp1252")}
    found = "".join(sorted(f"\\x{byte[0]:02X}" for byte in encoded if len(byte) == 1))
    return f"(?:{rust}|(?-u:[{found}]))" if found else rust


def _inner_text(text: str) -> str:
    """Return the longest run of characters that every match has in it, unless it begins with such a run."""
    runs: list[list[str]] = [[]]
    depth = 0
    for piece in _TOKEN.findall(text):
        if piece == "|" and not depth:
            return ""
        depth += piece.startswith("(") - (piece == ")")
        if _repeats(piece):
            del runs[-1][-1:]
        if depth or piece in _REWRITTEN or piece[0] in "(*+?{[" or piece[1:].lower() in _CLASSES:
            runs.append([])
        else:
            runs[-1].append(_named(_character(_unescaped(piece))[1]))
    longest = max(runs, key=len)
    return "".join(longest) if len(longest) >= MIN_INNER > len(runs[0]) else ""


def _repeats(token: str) -> bool:
    return token[0] in "*+?" or (token[0] == "{" and len(token) > 1)


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
