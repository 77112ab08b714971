"""Exact-match edits of text that keep everything else, to the byte: encoding, byte order mark, line endings.

An edit is written with LF, as text is read, and fits whatever ending the file's lines have. A line that stays
keeps its ending; a new one takes that of the line before it.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from mcp_server_shared.errors import InvalidArgument, Unsupported
from mcp_server_shared.untrusted import show_invisible

from mcp_server_filesystem.entries import Checkpoint, never_stop
from mcp_server_filesystem.line_differences import LineDifferences
from mcp_server_filesystem.text import encoding_of_all

LINES_SEARCHED = 20_000  # for one that is like another: 0.1 ms each
LINES_COMPARED = 100_000
NEAREST_LINES = 3
NEAREST_CHARACTERS = 80
LINE_NUMBERS_NAMED = 10
CONTEXT_LINES = 3

_LINES_AT_A_TIME = 500
_MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_NEWLINE = re.compile(r"\r?\n")


@dataclass(frozen=True)
class Edit:
    """Replace each of exactly `expected_count` occurrences of a text."""

    old_text: str
    new_text: str
    expected_count: int = 1


@dataclass(frozen=True)
class DecodedText:
    """A whole file as text, from which its bytes can be made again.

    Attributes:
        text: without the byte order mark, line endings as they are.
        mark: the byte order mark, if the file begins with one.
        codec: what the bytes after it were read with.
        errors: how bytes that do not fit it are carried through.
    """

    text: str
    mark: bytes
    codec: str
    errors: str

    @property
    def encoding(self) -> str:
        """The name that reading gives the encoding."""
        return "utf-8-sig" if self.mark and self.codec == "utf-8" else self.codec

    def encoded(self, text: str) -> bytes:
        """Return the bytes of the file with another text."""
        return self.mark + text.encode(self.codec, self.errors)


def decoded(data: bytes) -> DecodedText:
    """Read the bytes of a whole file as `read_text_file` does; raise Unsupported where they are not text."""
    encoding = encoding_of_all(data)
    if encoding is None:
        raise Unsupported("It is binary, not text.", hint="write_file can replace it as a whole.")
    codec = encoding.removesuffix("-sig")
    mark = _MARKS.get(codec, b"")
    mark = mark if data.startswith(mark) else b""
    errors = "surrogateescape" if codec == "utf-8" else "strict"
    try:
        return DecodedText(data[len(mark) :].decode(codec, errors), mark, codec, errors)
    except UnicodeDecodeError as error:
        raise Unsupported(f"It is not valid {codec}, although it began so.") from error


def apply_edits(file: DecodedText, edits: Sequence[Edit], checkpoint: Checkpoint = never_stop) -> str:
    """Return the text after the edits, each applied to what the one before it left.

    Raises:
        InvalidArgument: an old text is empty or does not occur as often as expected, or a new text has characters
            that the file's encoding lacks. The error names the edit, and lines that are near.
    """
    text = file.text
    for number, edit in enumerate(edits, 1):
        checkpoint()
        which = f"Edit {number} of {len(edits)}: " if len(edits) > 1 else ""
        _check_encodable(edit.new_text, file.encoding, which)
        text = _apply(text, edit, which, checkpoint)
    return text


def with_added(file: DecodedText, content: str) -> str:
    """Return the text with more at its end, whose LF become what ends the lines of the file, if that is one thing.

    Raises:
        InvalidArgument: the content has characters that the file's encoding lacks.
    """
    _check_encodable(content, file.encoding, "")
    newline = _only_newline(file.text)
    return file.text + (content if newline in ("\n", None) else _plain(content, cr=False).replace("\n", newline))


def _apply(text: str, edit: Edit, which: str, checkpoint: Checkpoint) -> str:
    newline = _only_newline(text)
    plain, old, new = (_plain(part, cr=newline == "\r") for part in (text, edit.old_text, edit.new_text))
    if not old:
        raise InvalidArgument(f"{which}'old_text' is empty.", hint="write_file replaces a whole file.")
    count = plain.count(old)
    if not count:
        raise _missing(_nearest(plain, old, checkpoint), which)
    if count != edit.expected_count:
        raise _too_many_or_few(plain, old, count, edit.expected_count, which)
    if newline is None:
        return _replaced_in_mixed(text, plain, old, new)
    replaced = plain.replace(old, new)
    return replaced if newline == "\n" else replaced.replace("\n", newline)


def _plain(text: str, *, cr: bool) -> str:
    """Return the text with LF for CRLF, and also for CR in a file where that ends the lines."""
    if "\r" not in text:  # far quicker to find out than to replace
        return text
    plain = text.replace("\r\n", "\n")
    return plain.replace("\r", "\n") if cr else plain


def _only_newline(text: str) -> str | None:
    """Return the one line ending of the text, or None if there are several. A lone CR counts only if all are so."""
    if "\r" not in text:
        return "\n"
    newlines = text.count("\n")
    crlf = text.count("\r\n")
    if not newlines:
        return "\r"
    return None if 0 < crlf < newlines else "\r\n" if crlf else "\n"


def _replaced_in_mixed(text: str, plain: str, old: str, new: str) -> str:
    before: list[str] = _NEWLINE.findall(text)
    after: list[str] = []
    newlines = old.count("\n")
    passed = done = 0
    for start in _occurrences(plain, old):
        first = passed + plain.count("\n", done, start)
        after += before[passed:first]
        nearest = after[-1] if after else before[0]
        after += _endings(old, new, before[first : first + newlines], nearest)
        passed, done = first + newlines, start + len(old)
    after += before[passed:]
    lines = plain.replace(old, new).split("\n")
    return "".join(part for pair in zip(lines, [*after, ""], strict=True) for part in pair)


def _endings(old: str, new: str, endings: list[str], nearest: str) -> list[str]:
    """Return an ending for each newline of `new`, which replaces `old` and its endings."""
    result: list[str] = []
    lines = LineDifferences(old.split("\n")[:-1], new.split("\n")[:-1])
    for _, old_start, old_end, new_start, new_end in lines.get_opcodes():
        if new_end - new_start == old_end - old_start:
            result += endings[old_start:old_end]
        else:
            result += [result[-1] if result else nearest] * (new_end - new_start)
    return result


def _occurrences(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def _check_encodable(text: str, encoding: str, which: str) -> None:
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        character = text[error.start]
        raise InvalidArgument(
            f"{which}The file is {encoding}, which has no character U+{ord(character):04X}; nothing was changed.",
            hint="Write it otherwise, or replace the whole file, which then becomes UTF-8, with write_file.",
        ) from error


def _too_many_or_few(plain: str, old: str, count: int, expected: int, which: str) -> InvalidArgument:
    lines = [_line_at(plain, at) for at in islice(_occurrences(plain, old), LINE_NUMBERS_NAMED)]
    where = ", ".join(map(str, lines)) + ("…" if count > len(lines) else "")
    return InvalidArgument(
        f"{which}'old_text' occurs {count:,} times (from line {where}), not {expected:,}; nothing was changed.",
        hint="Add lines around it to 'old_text' until it is unique, or set 'expected_count'.",
    )


def _missing(nearest: str, which: str) -> InvalidArgument:
    found = "The nearest lines:" if nearest else "No line is like it."
    return InvalidArgument(
        f"{which}'old_text' does not occur in the file; nothing was changed. {found}",
        untrusted=nearest,
        hint="Read the file again and copy the text exactly.",
    )


def _nearest(plain: str, old: str, checkpoint: Checkpoint) -> str:
    """Return the lines of the file that are most like the beginning of a text, with their numbers."""
    wanted = next((line for line in old.split("\n") if line.strip()), "")[:NEAREST_CHARACTERS]
    lines = [line[:NEAREST_CHARACTERS] for line in plain.split("\n", LINES_SEARCHED)[:LINES_SEARCHED]]
    near = [number for number, line in enumerate(lines) if line.strip() == wanted.strip()]
    if not near:
        near = [lines.index(line) for line in _like(wanted, lines, checkpoint)]
    if not near or not wanted:
        return ""
    return "\n".join(f"{number + 1}: {_short(lines[number])}" for number in sorted(near[:NEAREST_LINES]))


def _like(wanted: str, lines: Sequence[str], checkpoint: Checkpoint) -> list[str]:
    best: list[str] = []
    for begin in range(0, len(lines), _LINES_AT_A_TIME):
        checkpoint()
        some = {*best, *lines[begin : begin + _LINES_AT_A_TIME]}
        best = get_close_matches(wanted, some, NEAREST_LINES, cutoff=0.5)
    return best


def _short(line: str) -> str:
    while len(show_invisible(line)) > 2 * NEAREST_CHARACTERS:
        line = line[: len(line) // 2]
    return line


def _line_at(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def diff(path: str, before: str, after: str, max_characters: int) -> str:
    """Return what changed as a unified diff, its lines ended by LF, of at least `max_characters` if it is cut."""
    old, new = (_plain(text, cr=_only_newline(text) == "\r") for text in (before, after))
    parts: list[str] = []
    length = 0
    for part in _unified(path, old, new) if old != new else ():
        parts.append(part)
        length += len(part)
        if length > max_characters:
            break
    return "".join(parts)


def _unified(path: str, before: str, after: str) -> Iterator[str]:
    start, old_end, new_end = _changed(before, after)
    first = before.count("\n", 0, start)
    old, new = _lines(before[start:old_end]), _lines(after[start:new_end])
    yield f"--- {path}\n+++ {path}\n"
    if len(old) + len(new) > LINES_COMPARED:
        yield f"{_hunk(first, len(old), first, len(new))}(too much to show)\n"
        return
    for group in LineDifferences(old, new).get_grouped_opcodes(CONTEXT_LINES):
        begin, end = group[0], group[-1]
        yield _hunk(first + begin[1], end[2] - begin[1], first + begin[3], end[4] - begin[3])
        for tag, old_start, old_end, new_start, new_end in group:
            if tag == "equal":
                yield from (f" {line}\n" for line in old[old_start:old_end])
            else:
                yield from (f"-{line}\n" for line in old[old_start:old_end])
                yield from (f"+{line}\n" for line in new[new_start:new_end])


def _changed(old: str, new: str) -> tuple[int, int, int]:
    """Return where the lines that differ begin in both texts, and where they end in each, with some around them."""
    start = old.rfind("\n", 0, _common(old, new)) + 1
    for _ in range(CONTEXT_LINES):
        start = old.rfind("\n", 0, max(0, start - 1)) + 1
    same = _common(old[start:][::-1], new[start:][::-1])
    tail = old[len(old) - same :]
    end = 0
    for _ in range(CONTEXT_LINES + 1):
        end = tail.find("\n", end) + 1 or len(tail)
    return start, len(old) - same + end, len(new) - same + end


def _common(one: str, other: str) -> int:
    """Return how many characters at the beginning are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _hunk(old_start: int, old_count: int, new_start: int, new_count: int) -> str:
    # Of no lines, the one before them is named.
    return f"@@ -{old_start + (old_count > 0)},{old_count} +{new_start + (new_count > 0)},{new_count} @@\n"


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n\\ No newline at end of file"
    else:
        lines.pop()
    return lines
