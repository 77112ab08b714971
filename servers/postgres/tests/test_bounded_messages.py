"""Messages of the server, in every possible number of pieces."""

import asyncio
import struct

from hypothesis import given
from hypothesis import strategies as st
from mcp_server_postgres.bounded_messages import BoundedMessages

LIMIT = 8


class Received(asyncio.Protocol):
    """Keeps all that is passed on."""

    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def row(*values: bytes | None) -> bytes:
    fields = (struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in values)
    return message(b"D", struct.pack("!H", len(values)) + b"".join(fields))


def passed_on(data: bytes, sizes: list[int], *, limit: int = LIMIT) -> bytes:
    """Feed the data in pieces of these sizes, over and over; return what comes out."""
    received = Received()
    bounded = BoundedMessages(received)
    bounded.longest_value = limit
    feed(bounded, data, sizes)
    return received.data


def feed(bounded: BoundedMessages, data: bytes, sizes: list[int]) -> None:
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        bounded.data_received(data[position : position + size])
        position, number = position + size, number + 1


values = st.lists(st.one_of(st.none(), st.text(alphabet="aé🌸", max_size=20)), max_size=5)
pieces = st.lists(st.integers(1, 50), min_size=1, max_size=5)


def cut(value: str | None) -> bytes | None:
    data = None if value is None else value.encode()
    if data is None or len(data) <= LIMIT:
        return data
    return data[: LIMIT + 1].decode(errors="ignore").encode() + f"\0{len(value or '')}".encode()


@given(st.lists(values, max_size=5), pieces)
def test_long_values_are_cut_at_a_character_with_their_length(rows: list[list[str | None]], sizes: list[int]) -> None:
    encoded = [[None if value is None else value.encode() for value in cells] for cells in rows]
    data = message(b"T", b"columns of any length") + b"".join(row(*cells) for cells in encoded) + message(b"Z", b"I")
    short = message(b"T", b"columns of any length")
    for cells, raw in zip(rows, encoded, strict=True):
        whole = row(*raw)
        short += row(*map(cut, cells)) if len(whole) - 5 > LIMIT else whole
    assert passed_on(data, sizes) == short + message(b"Z", b"I")


@given(st.binary(max_size=40), pieces)
def test_other_messages_pass_unchanged_whatever_their_length(body: bytes, sizes: list[int]) -> None:
    data = message(b"S", body) + message(b"d", body) + message(b"Z", b"I")
    assert passed_on(data, sizes) == data


@given(pieces)
def test_without_a_limit_rows_pass_unchanged(sizes: list[int]) -> None:
    data = row(b"x" * 100, None, b"") * 3
    assert passed_on(data, sizes, limit=2**40) == data


def test_a_long_error_keeps_its_first_fields() -> None:
    body = b"SERROR\0C22012\0M" + "ü".encode() * 100_000 + b"\0\0"
    short = passed_on(message(b"E", body), [1000])
    assert len(short) < 40_000
    assert short[5:].startswith(b"SERROR\0C22012\0M")
    assert short[5:].endswith(b"\0\0")
    assert short[5:].decode()


@given(pieces)
def test_answers_to_a_query_that_the_driver_does_not_know_of_are_kept_from_it(sizes: list[int]) -> None:
    received = Received()
    bounded = BoundedMessages(received)
    bounded.expect_answers()
    done = message(b"C", b"BEGIN\0") + message(b"C", b"SET\0")
    error = message(b"E", b"SERROR\0C42704\0Mnothing of that name\0\0")
    setting, parsed = message(b"S", b"TimeZone\0UTC\0"), message(b"1", b"") + message(b"Z", b"T")
    feed(bounded, done + setting + error + message(b"Z", b"E") + parsed, sizes)
    assert received.data == setting + parsed
    assert bounded.error == {"S": "ERROR", "C": "42704", "M": "nothing of that name"}


@given(pieces)
def test_an_error_of_the_query_before_is_forgotten(sizes: list[int]) -> None:
    bounded = BoundedMessages(Received())
    for answer in (message(b"E", b"C42704\0\0"), message(b"C", b"BEGIN\0")):
        bounded.expect_answers()
        feed(bounded, answer + message(b"Z", b"I"), sizes)
    assert bounded.error == {}
