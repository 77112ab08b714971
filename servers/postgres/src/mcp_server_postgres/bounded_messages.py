"""What stands between the network and the driver, so that no value takes more memory than will be shown of it.

The driver collects a whole row before it hands it on: one cell of 200 MB would cost several times that. Here long
values are cut while they arrive, whatever statement they come from.

It also keeps to itself what the server answers to statements that the driver does not know of, since they were sent
right before one of its own, to save a round trip.
"""

import asyncio
import sys
from struct import Struct
from typing import cast

UNLIMITED = sys.maxsize
CUT_MARK = "\0"  # stands in no value: PostgreSQL's text cannot hold it

_HEADER = Struct("!cI")
_COUNT = Struct("!H")
_LENGTH = Struct("!i")
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))  # of UTF-8: a character has one byte that is none of these
_ROW = b"D"
_ERROR, _DONE, _READY = b"E", b"C", b"Z"
_SAID_BY_THE_SERVER = frozenset((_ERROR, b"N"))  # errors and notices
_ANSWERS = frozenset((_ERROR, _DONE, _READY))  # to statements that return no rows
_LONGEST_SAYING = 32_768


class BoundedMessages(asyncio.Protocol):
    """Passes the server's messages on to the driver, and of long values the beginning and how long they are.

    A value of more than `longest_value` bytes becomes its first bytes, up to a whole character, then `CUT_MARK` and the
    number of characters of the whole.

    Args:
        driver: what receives the messages.
    """

    def __init__(self, driver: asyncio.Protocol) -> None:
        self.longest_value = UNLIMITED
        self._driver = driver
        self._rest = b""  # the beginning of a header
        self._passing = 0  # bytes still to come of a message that is passed on as it is
        self._cutting: _CutRow | _CutSaying | None = None
        self._awaits_answers = False
        self.error: dict[str, str] = {}

    def expect_answers(self) -> None:
        """Keep what the server answers next, up to the end of one query of statements that return no rows.

        Then `error` holds the fields of the error that there was, by their letters; it is empty when there was none.
        https://www.postgresql.org/docs/current/protocol-error-fields.html
        """
        self._awaits_answers = True
        self.error = {}

    def data_received(self, data: bytes) -> None:
        """Take what the network brought: any number of messages, the first and the last perhaps in part."""
        data = self._rest + data
        self._rest = b""
        start, position = 0, self._passing  # from start to position is to be passed on
        if self._cutting is not None:
            start = position = self._cut(self._cutting, data, 0)
        while self._cutting is None and position + _HEADER.size <= len(data):
            kind, length = _HEADER.unpack_from(data, position)
            if self._awaits_answers and kind in _ANSWERS:
                end = position + 1 + length
                if end > len(data):
                    break
                self._pass_on(data[start:position])
                self._keep(kind, data[position + _HEADER.size : end])
                start = position = end
                continue
            cutting = self._cutter(kind, length - _LENGTH.size)
            if cutting is None:
                position += 1 + length
                continue
            self._pass_on(data[start:position])
            start = position = self._cut(cutting, data, position + _HEADER.size)
        if self._cutting is None:
            self._passing = max(0, position - len(data))
            self._rest = data[position:]
            self._pass_on(data[start:position])

    def eof_received(self) -> bool | None:
        """Tell the driver."""
        return self._driver.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the driver."""
        self._driver.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the driver."""
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        """Tell the driver."""
        self._driver.resume_writing()

    def _cutter(self, kind: bytes, length: int) -> "_CutRow | _CutSaying | None":
        if kind == _ROW and length > self.longest_value:
            return _CutRow(length, self.longest_value)
        if kind in _SAID_BY_THE_SERVER and length > _LONGEST_SAYING:
            return _CutSaying(kind, length)
        return None

    def _cut(self, cutting: "_CutRow | _CutSaying", data: bytes, position: int) -> int:
        position = cutting.take(data, position)
        self._passing = 0
        self._cutting = cutting if cutting.left else None
        if not cutting.left:
            kind, body = cutting.message()
            self._pass_on(_HEADER.pack(kind, len(body) + _LENGTH.size) + body)
        return position

    def _keep(self, kind: bytes, body: bytes) -> None:
        if kind == _READY:
            self._awaits_answers = False
        elif kind == _ERROR:
            fields = body.decode(errors="replace").split("\0")
            self.error = {field[0]: field[1:] for field in fields if field}

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._driver.data_received(data)


class _CutSaying:
    """An error or a notice, of which the first fields are kept: severity, SQLSTATE, the beginning of the text."""

    def __init__(self, kind: bytes, length: int) -> None:
        self.left = length
        self._kind = kind
        self._kept = bytearray()

    def take(self, data: bytes, position: int) -> int:
        end = min(len(data), position + self.left)
        self.left -= end - position
        self._kept += data[position : min(end, position + _LONGEST_SAYING - len(self._kept))]
        return end

    def message(self) -> tuple[bytes, bytes]:
        return self._kind, _whole_characters(self._kept) + b"\0\0"


class _CutRow:
    """A row, of whose values the beginnings are kept."""

    def __init__(self, length: int, longest_value: int) -> None:
        self.left = length
        self._longest_value = longest_value
        self._row = bytearray()
        self._number = bytearray()  # of a count or a length, the bytes that have come
        self._awaited = _COUNT.size
        self._value = bytearray()
        self._value_left = 0
        self._characters = 0

    def take(self, data: bytes, position: int) -> int:
        end = min(len(data), position + self.left)
        self.left -= end - position
        while position < end:
            position = (self._take_value if self._value_left else self._take_number)(data, position, end)
        return end

    def message(self) -> tuple[bytes, bytes]:
        return _ROW, bytes(self._row)

    def _take_number(self, data: bytes, position: int, end: int) -> int:
        taken = data[position : min(end, position + self._awaited - len(self._number))]
        self._number += taken
        if len(self._number) == self._awaited:
            self._row += self._number
            if self._awaited == _LENGTH.size:
                self._value_left = max(0, cast(int, _LENGTH.unpack(self._number)[0]))  # -1 stands for NULL
            self._awaited = _LENGTH.size
            self._number.clear()
        return position + len(taken)

    def _take_value(self, data: bytes, position: int, end: int) -> int:
        taken = data[position : min(end, position + self._value_left)]
        self._value_left -= len(taken)
        self._characters += len(taken.translate(None, _CONTINUATION_BYTES))
        self._value += taken[: self._longest_value + 1 - len(self._value)]
        if not self._value_left:
            self._put_value()
        return position + len(taken)

    def _put_value(self) -> None:
        value = bytes(self._value)
        if len(value) > self._longest_value:
            value = _whole_characters(self._value) + f"{CUT_MARK}{self._characters}".encode()
            self._row[-_LENGTH.size :] = _LENGTH.pack(len(value))
        self._row += value
        self._value.clear()
        self._characters = 0


def _whole_characters(data: bytearray) -> bytes:
    """Return the data without the part of a character that it may end in."""
    return data.decode(errors="ignore").encode()
