"""Reads results and errors as they are on the wire, and fails the check where they are not what was agreed."""

import json
import re
from dataclasses import dataclass
from typing import Any, cast, get_args

from mcp_server_shared.contract.connection import Connection, Message
from mcp_server_shared.errors import ERROR_META_KEY, MAX_ERROR_CHARACTERS, ErrorCode
from mcp_server_shared.output import LABELS_META_KEY, carriable, compact
from mcp_server_shared.untrusted import mark, read_notation, unmark

_MARKED = re.compile(r"<untrusted-([0-9a-f]{12})>\n.*\n</untrusted-\1>", re.DOTALL)
_NOT_FOR_A_MODEL = ("Traceback (most recent call last)", 'File "', "pydantic", "errors.pydantic.dev", "object at 0x")


@dataclass(frozen=True)
class Failure:
    """What a failed request says.

    Attributes:
        code: the word of the fixed list.
        text: what a model reads.
    """

    code: str
    text: str


def failure(result: Message) -> Failure:
    """Read error content."""
    assert result.get("isError") is True, f"it succeeded: {_short(result)}"
    assert [part["type"] for part in result["content"]] == ["text"], f"not one text: {_short(result)}"
    assert "structuredContent" not in result, f"an error with structured content: {_short(result)}"
    return _failure(result["content"][0]["text"], result.get("_meta", {}))


def protocol_failure(answer: Message) -> Failure:
    """Read the error of a request whose result has no room for error content."""
    assert "error" in answer, f"it succeeded: {_short(answer)}"
    error = answer["error"]
    return _failure(error["message"], error.get("data") or {})


def _failure(text: str, carrier: Message) -> Failure:
    twin = carrier.get(ERROR_META_KEY)
    assert isinstance(twin, dict), f"no machine-readable twin beside: {text[:300]}"
    twin = cast(Message, twin)
    assert twin.get("code") in get_args(ErrorCode), f"{twin.get('code')!r} is no error code: {text[:300]}"
    assert isinstance(twin.get("retryable"), bool), f"'retryable' is missing beside: {text[:300]}"
    assert isinstance(twin.get("retry_after_s", 0.0), int | float), f"'retry_after_s' is no number beside: {text[:300]}"
    assert text.strip(), "the error has no text"
    assert len(text) <= MAX_ERROR_CHARACTERS, f"{len(text)} characters of error: {text[:300]}"
    unfit = [words for words in _NOT_FOR_A_MODEL if words in text]
    assert not unfit, f"{unfit} in an error text: {text[:600]}"
    return Failure(twin["code"], text)


@dataclass(frozen=True)
class Reading:
    """A successful result, read from its text alone.

    Attributes:
        text: the whole text.
        facts: its first line.
        body: what follows, without its delimiters.
        nonce: that of the delimiters; None without them.
        structured: the other form, None when the result has one form.
        labels: integrity and confidentiality.
    """

    text: str
    facts: Message
    body: str
    nonce: str | None
    structured: Message | None
    labels: Message

    @property
    def cursor(self) -> str | None:
        """Where the result goes on."""
        return self.facts.get("cursor")

    def records(self) -> Message:
        """Return what the structured form should be, according to the text."""
        columns, *rows = [json.loads(line) for line in self.body.split("\n")]
        body = {"columns": columns, "rows": rows}
        return carriable(self.facts | (body if self.nonce is None else {"untrusted": body}))

    def parts(self) -> list[Any]:
        """Return the rows of a result of records, the text of a document as one item."""
        return [self.body] if self.structured is None else rows_of(self.structured)


def rows_of(structured: Message) -> list[Any]:
    """Return the rows of a structured form."""
    return structured.get("untrusted", structured)["rows"]


def reading(result: Message) -> Reading:
    """Read a successful result of one text."""
    assert not result.get("isError"), f"it failed: {result['content'][0]['text']}"
    texts = [part["text"] for part in result["content"] if part["type"] == "text"]
    assert len(texts) == 1, f"not one text: {_short(result)}"
    return read_text(texts[0], result.get("structuredContent"), result.get("_meta", {}))


def read_text(text: str, structured: Message | None, meta: Message) -> Reading:
    """Read a text of facts, then a body with or without delimiters."""
    first_line, _, rest = text.partition("\n")
    try:
        facts = json.loads(read_notation(first_line))
    except ValueError:
        facts = None
    assert isinstance(facts, dict), f"the first line is not a JSON object of facts: {first_line[:300]}"
    marked = _MARKED.fullmatch(rest)
    body = unmark(rest) if marked else rest
    if marked:
        assert mark(body, marked[1]) == rest, f"the marked text is not what its own text would be marked as: {rest}"
    labels = meta.get(LABELS_META_KEY, {})
    return Reading(text, cast(Message, facts), body, marked and marked[1], structured, labels)


def pages(connection: Connection, tool: str, arguments: dict[str, Any]) -> list[Reading]:
    """Call a tool and follow the cursors to the end."""
    read = [reading(connection.call(tool, arguments))]
    while (cursor := read[-1].cursor) is not None:
        read.append(reading(connection.call(tool, {**arguments, "cursor": cursor})))
        assert len(read) < 1_000, f"{tool} has no end: 1,000 pages and a cursor"
    return read


def size(value: Any) -> int:
    """Return the characters of a text or of a structured form."""
    return len(value if isinstance(value, str) else compact(value))


def _short(message: Message) -> str:
    return compact(message)[:600]
