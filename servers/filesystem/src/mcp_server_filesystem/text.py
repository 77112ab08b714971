"""Pages of text out of files of any size: what encoding, which lines, where to go on.

A page is at most `max_characters` long, and so is the memory it takes, times a small factor. Lines end with
LF, CRLF or CR; the text keeps them. Pages put end to end are exactly the text of the file.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from mcp_server_shared.errors import Conflict, InvalidArgument, Unsupported

from mcp_server_filesystem.line_index import LineIndex

LineEnding = Literal["lf", "crlf", "cr", "mixed", "none"]
Read = Callable[[int, int], bytes]  # (offset, size) -> bytes, fewer than size only at the end of the file
Checkpoint = Callable[[], None]

SAMPLE_BYTES = 8_192

_SCAN_BYTES = 262_144
_MOST_BYTES_A_CHARACTER = 4
_BYTE_ORDER_MARKS = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
_ONE_BYTE_CODECS = ("latin-1", "cp1252")
_CONTROLS_OF_BINARY = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b\x1a"))
_C1_BYTES = bytes(range(0x80, 0xA0))  # letters in cp1252, control characters in latin-1
_NEWLINE = re.compile(r"\r\n|\n|\r")
_UNDECODED = re.compile("[\ud800-\udfff]")
_DECODED = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")


@dataclass(frozen=True)
class Lines:
    """`count` lines from line `first` on (1 is the first line); all that follow when `count` is None."""

    first: int = 1
    count: int | None = None


ALL_LINES = Lines()


@dataclass(frozen=True)
class Tail:
    """The last `count` lines."""

    count: int


@dataclass(frozen=True)
class Position:
    """Where a page ended and the next one goes on, at no cost however far into the file. Made by a page only.

    Attributes:
        byte: offset in the file where the next page begins, or where it ends when reading backwards.
        line: number of the line there; None when reading backwards, as after `Tail`.
        count: how many lines are still wanted; None for all.
    """

    byte: int
    line: int | None
    count: int | None


@dataclass(frozen=True)
class Page:
    """A run of text as it stands in the file, its line ends included.

    Attributes:
        text: the exact text.
        encoding: how the bytes of this page were read; `cp1252` and `latin-1` are guesses, since most bytes fit.
        first_line: number of the line it begins in; None if not known (the end of a large file) or empty.
        last_line: number of the line it ends in; None if not known or empty.
        truncated: whether the budget ended it before all that was asked for.
        next: where the file goes on (backwards after `Tail`); None where it does not.
        total_lines: lines in the whole file, if this read got to know.
    """

    text: str
    encoding: str
    first_line: int | None
    last_line: int | None
    truncated: bool
    next: Position | None
    total_lines: int | None

    @property
    def line_ending(self) -> LineEnding:
        """How the lines of this page end."""
        crlf = self.text.count("\r\n")
        counts: dict[LineEnding, int] = {
            "crlf": crlf,
            "lf": self.text.count("\n") - crlf,
            "cr": self.text.count("\r") - crlf,
        }
        used: list[LineEnding] = [ending for ending, count in counts.items() if count]
        if len(used) > 1:
            return "mixed"
        return used[0] if used else "none"

    @property
    def next_line(self) -> int | None:
        """Number of the line to go on with: `last_line` again when the page ended inside it."""
        return self.next.line if self.next else None


class TextFile:
    """A file whose bytes are text.

    Args:
        read: gets its bytes.
        size: its length in bytes.
        encoding: what `detect_encoding` found.
        checkpoint: called between chunks of a long scan; raises to stop it.
        index: remembers what a long scan found.
    """

    def __init__(
        self, read: Read, size: int, encoding: str, checkpoint: Checkpoint, index: LineIndex | None = None
    ) -> None:
        self._read = read
        self._size = size
        self._encoding = encoding
        self._checkpoint = checkpoint
        self._index = index or LineIndex()
        self._codec = "utf-8" if encoding == "utf-8-sig" else encoding
        self._unit = 2 if encoding.startswith("utf-16") else 1
        mark = _BYTE_ORDER_MARKS.get(encoding, b"")
        self._start = len(mark) if mark and read(0, len(mark)) == mark else 0

    def page(self, part: Lines | Tail | Position, max_characters: int) -> Page:
        """Return the first page of `part`, or the one that goes on at a position.

        Args:
            part: what to read.
            max_characters: the budget, at least 2. Lines stay whole unless one alone is longer.

        Raises:
            InvalidArgument: a number is out of range, or the part begins after the end of the file.
            Conflict: the file became shorter than the position.
            Unsupported: the bytes are not text in the encoding that the file began with.
        """
        max_characters = max(max_characters, 2)  # CRLF is never split
        match part:
            case Lines(first, count):
                _check_range("The first line", first, least=1)
                _check_range("The number of lines", count, least=0)
                return self._forward(self._start_of_line(first), first, count, max_characters)
            case Tail(count):
                _check_range("The number of lines", count, least=0)
                return self._backward(self._size, count, max_characters)
            case Position(byte, line, count):
                if byte > self._size:
                    raise Conflict("The file became shorter since the last page.", hint="Read it from the start.")
                if line is None:
                    return self._backward(byte, count, max_characters)
                return self._forward(byte, line, count, max_characters)

    def _forward(self, byte: int, line: int, count: int | None, max_characters: int) -> Page:
        most_bytes = (max_characters + 1) * _MOST_BYTES_A_CHARACTER  # one more, to see a CRLF at the edge
        raw = self._read(byte, most_bytes)
        more = len(raw) == most_bytes
        raw = raw[: len(raw) - len(raw) % self._unit]
        text, codec = self._decoded(raw, lambda text: _head(text, count, max_characters, more=more))
        used = len(text.encode(codec))
        line_after = line + _count_newlines(text)
        last_line = line_after if _ends_inside_line(text) else line_after - 1
        left = None if count is None else count - (line_after - line)
        more = more or used < len(raw)
        return Page(
            text=text,
            encoding=self._named(codec),
            first_line=line if text else None,
            last_line=last_line if text else None,
            truncated=more and left != 0,
            next=Position(byte + used, line_after, left or None) if more else None,
            total_lines=None if more else last_line,
        )

    def _backward(self, end: int, count: int | None, max_characters: int) -> Page:
        end -= (end - self._start) % self._unit
        most_bytes = (max_characters + 1) * _MOST_BYTES_A_CHARACTER
        begin = max(self._start, end - most_bytes)
        raw = self._read(begin, end - begin)
        from_start = begin == self._start
        text, codec = self._decoded(raw, lambda text: _tail(text, count, max_characters, from_start=from_start))
        begin = end - len(text.encode(codec))
        more = begin > self._start
        lines = _count_newlines(text) + _ends_inside_line(text)
        begins_line = not text or self._starts_line(begin, text)
        left = None if count is None else count - (lines if begins_line else lines - 1)
        known = bool(text) and not more
        return Page(
            text=text,
            encoding=self._named(codec),
            first_line=1 if known else None,
            last_line=lines if known else None,
            truncated=more and left != 0,
            next=Position(begin, None, left or None) if more else None,
            total_lines=lines if not more and end == self._size else None,
        )

    def _start_of_line(self, line: int) -> int:
        at_line, byte = self._index.before(line) or (1, self._start)
        while at_line < line:
            self._checkpoint()
            self._index.add(at_line, byte)
            text = self._scanned(byte)
            if not text:
                lines = at_line - 1 if self._starts_line(byte, "") else at_line
                raise InvalidArgument(f"Line {line:,} is past the end: the file has {lines:,} lines.")
            newlines = _count_newlines(text)
            if at_line + newlines >= line:
                newlines = line - at_line
                text = text[: _end_of_line(text, newlines)]
            byte += len(text) if self._unit == 1 else len(text.encode(self._codec, "surrogatepass"))
            at_line += newlines
        return byte

    def _scanned(self, byte: int) -> str:
        """Return a chunk in which newlines can be told, never the first half of a CRLF."""
        raw = self._read(byte, _SCAN_BYTES)
        text = self._loosely_decoded(raw) if self._unit > 1 else raw.decode("latin-1")
        return text[:-1] if len(raw) == _SCAN_BYTES and text.endswith("\r") else text

    def _starts_line(self, byte: int, text: str) -> bool:
        if byte == self._start:
            return True
        before = self._loosely_decoded(self._read(byte - self._unit, self._unit))
        return before == "\n" or (before == "\r" and not text.startswith("\n"))

    def _decoded(self, raw: bytes, cut: Callable[[str], str]) -> tuple[str, str]:
        """Return the page that `cut` makes of the bytes, and the codec that gives exactly these bytes back."""
        if self._codec in _ONE_BYTE_CODECS:
            codec = _one_byte_codec(raw)
            return cut(raw.decode(codec)), codec
        page = cut(self._loosely_decoded(raw))
        if not _UNDECODED.search(page):
            return page, self._codec
        if self._unit > 1:
            raise Unsupported(f"It is not valid {self._codec}, although it began so.", hint="Read another part of it.")
        codec = _one_byte_codec(raw)
        return cut(raw.decode(codec)), codec

    def _loosely_decoded(self, raw: bytes) -> str:
        """Return the text, with lone surrogates for bytes that do not decode, as at the edges of a chunk."""
        if self._unit > 1:
            return raw[: len(raw) // 2 * 2].decode(self._codec, "surrogatepass")
        return raw.decode(self._codec, "surrogateescape")

    def _named(self, codec: str) -> str:
        return self._encoding if codec == self._codec else codec


def detect_encoding(sample: bytes, size: int) -> str | None:
    """Return the encoding that a file of `size` bytes begins with, or None if it is no text.

    Args:
        sample: the first `SAMPLE_BYTES` of the file, or all of it.
        size: length of the file in bytes.
    """
    if sample.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):  # UTF-32, which nobody uses
        return None
    for encoding, mark in _BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return encoding
    if b"\0" in sample:
        return _utf_16_without_mark(sample) if size % 2 == 0 else None
    controls = len(sample) - len(sample.translate(None, _CONTROLS_OF_BINARY))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=size <= len(sample))
    except UnicodeDecodeError:
        return _one_byte_codec(sample) if controls * 50 <= len(sample) else None
    return "utf-8" if controls * 3 <= len(sample) else None


def encoding_of_all(data: bytes) -> str | None:
    """Return the encoding of a whole file, or None if it is no text.

    What began as UTF-8 may turn out to have one byte a character; with a few bytes gone wrong it is UTF-8 all the same.
    """
    encoding = detect_encoding(data[:SAMPLE_BYTES], len(data))
    if encoding == "utf-8" and not data.isascii():
        text = data.decode("utf-8", "surrogateescape")
        if _UNDECODED.search(text) and not _DECODED.search(text):
            return _one_byte_codec(data)
    return _one_byte_codec(data) if encoding in _ONE_BYTE_CODECS else encoding


def _utf_16_without_mark(sample: bytes) -> str | None:
    """Text in Latin letters shows itself by a zero in every other byte, and none in between."""
    even, odd = sample[0::2], sample[1::2]
    if not even.count(0) and odd.count(0) * 2 >= len(odd):
        codec = "utf-16-le"
    elif not odd.count(0) and even.count(0) * 2 >= len(even):
        codec = "utf-16-be"
    else:
        return None
    text = sample.decode(codec, "replace").encode()
    return codec if text.translate(None, _CONTROLS_OF_BINARY) == text else None


def _one_byte_codec(raw: bytes) -> str:
    """Return the usual one of the encodings in which these bytes are letters; both give them back exactly."""
    if raw.translate(None, _C1_BYTES) == raw:
        return "latin-1"
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def _head(text: str, count: int | None, max_characters: int, *, more: bool) -> str:
    """Return up to `count` lines from the start of the text; `more` follows it in the file."""
    if count is not None:
        end = _end_of_line(text[: max_characters + 1], count)
        if end is not None and end <= max_characters:
            return text[:end]
    if len(text) <= max_characters and not more:
        return text
    page = text[:max_characters]
    if page.endswith("\r") and text.startswith("\n", max_characters):
        page = page[:-1]
    return page[: max(page.rfind("\n"), page.rfind("\r")) + 1] or page


def _tail(text: str, count: int | None, max_characters: int, *, from_start: bool) -> str:
    """Return up to `count` lines from the end of the text; it begins where the file does if `from_start`."""
    page = text[-max_characters:]
    if page.startswith("\n") and text[-max_characters - 1 : -max_characters] == "\r":
        page = page[1:]
    before = text[: len(text) - len(page)]
    begins_line = before.endswith(("\r", "\n")) if before else from_start
    starts = [0] * begins_line + [end.end() for end in _NEWLINE.finditer(page) if end.end() < len(page)]
    if count == 0:
        return ""
    if count is not None and len(starts) >= count:
        return page[starts[-count] :]
    return page[starts[0] :] if starts else page


def _end_of_line(text: str, number: int) -> int | None:
    """Return where the line with that number ends (0 ends at 0), or None if the text has fewer."""
    if number == 0:
        return 0
    end = next(islice(_NEWLINE.finditer(text), number - 1, None), None)
    return end.end() if end else None


def _count_newlines(text: str) -> int:
    count = text.count("\n")
    return count + text.count("\r") - text.count("\r\n") if "\r" in text else count


def _ends_inside_line(text: str) -> bool:
    return bool(text) and text[-1] not in "\r\n"


def _check_range(what: str, number: int | None, *, least: int) -> None:
    if number is not None and number < least:
        raise InvalidArgument(f"{what} is {number}; the least is {least}.")
