"""What a tool, resource or prompt returns, and how it becomes content: bounded, marked, whole in either form.

A result of records has two forms, each complete alone: `structuredContent`, and `content` whose first line
is the same facts as compact JSON, then the columns, then a line of JSON for each row. A document (bulk text)
has `content` alone: a line of facts, then the text. Text by third parties stands between the delimiters of
`untrusted.py` in content, and under a key named `untrusted` in structured form: exact, but for the rare string that
JSON cannot carry or that holds the notation itself, which is in this notation.
"""

import base64
import json
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from mcp.types import (
    BlobResourceContents,
    EmbeddedResource,
    PromptMessage,
    TextContent,
    TextResourceContents,
)
from pydantic_core import PydanticSerializationError, to_json

from mcp_server_shared.errors import TooLarge
from mcp_server_shared.untrusted import mark, new_nonce, show_invisible

LABELS_META_KEY = "mcp-servers/labels"

Confidentiality = Literal["private", "public"]

BYTES_A_CHARACTER = 40  # what is not text may have this many bytes for each character of the budget

_DELIMITERS = 100  # characters of the two delimiters, the line breaks around them, and some to spare

# One shape for every result of records, so that a list of tools stays small.
RECORDS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "truncated": {"type": "boolean"},
        "cursor": {"type": "string"},
        "untrusted": {"type": "object"},
    },
    "required": ["count"],
}


@dataclass(kw_only=True, slots=True)
class Records:
    """Rows of one shape.

    Attributes:
        columns: a name for each column, or a pair of name and type.
        rows: JSON values, one for each column.
        facts: what else is to be said, by us and so trusted; keys must not clash with those of `RECORDS_SCHEMA`.
        more: whether there are further rows after these.
        resume: the position after the first n rows, a JSON value; None where a result cannot be continued.
        untrusted: whether third parties wrote any of it.
        confidentiality: who may see it; None for what `About` says of everything the server reads.
    """

    columns: Sequence[Any]
    rows: Sequence[Sequence[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    more: bool = False
    resume: Callable[[int], Any] | None = None
    untrusted: bool = True
    confidentiality: Confidentiality | None = None


@dataclass(kw_only=True, slots=True)
class Document:
    """Bulk text by third parties.

    Attributes:
        text: exact.
        facts: the metadata, for the first line.
        next: the position after this text, a JSON value; None at the end.
        shorter: the same document with its first n characters at most, asked for when it does not fit the budget;
            without it, such a document is cut and cannot be continued.
        confidentiality: as in `Records`.
    """

    text: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    next: Any = None
    shorter: "Callable[[int], Awaitable[Document]] | None" = None
    confidentiality: Confidentiality | None = None


@dataclass(kw_only=True, slots=True)
class Media:
    """An image or a sound by third parties.

    Attributes:
        data: the whole file.
        mime_type: "image/…" or "audio/…".
        facts: the metadata, for the text beside it.
        confidentiality: as in `Records`.
    """

    data: bytes
    mime_type: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    confidentiality: Confidentiality | None = None


@dataclass(kw_only=True, slots=True)
class Blob:
    """The bytes of a resource that is not text."""

    data: bytes
    mime_type: str
    confidentiality: Confidentiality | None = None


@dataclass(frozen=True)
class Said:
    """One message of a prompt, in our own words or the user's."""

    text: str
    role: Literal["user", "assistant"] = "user"


@dataclass(frozen=True)
class Attached:
    """One message of a prompt that carries a resource."""

    uri: str
    document: Document


Output = Records | Document | Media


@dataclass(slots=True)
class Rendering:
    """How one call's output becomes content.

    Attributes:
        budget: most characters of `content` text and of `structuredContent`, each.
        structured: whether a result of records has its structured form.
        confidentiality: the label of an output that has none of its own.
        mint: makes a cursor of a position.
    """

    budget: int
    structured: bool
    confidentiality: Confidentiality
    mint: Callable[[Any], str]

    async def tool_result(self, output: Output) -> dict[str, Any]:
        """Render what a tool returned, as a `CallToolResult` is on the wire: the SDK checks it there.

        A model of it would be built and taken apart again on every call, rows and all.
        """
        if isinstance(output, Document):
            return self._result(output, [text_block(await self._document_text(output))])
        if isinstance(output, Media):
            return self._result(output, self._media_blocks(output))
        columns = compact(output.columns)
        rows = self._rows_that_fit(output, columns)
        facts = self._records_facts(output, len(rows))
        first, lines = compact(facts), "\n".join([columns, *rows])
        shown = mark(lines, new_nonce()) if output.untrusted else show_invisible(lines)
        result = self._result(output, [text_block(f"{show_invisible(first)}\n{shown}")])
        if self.structured:
            body = {"columns": list(output.columns), "rows": [list(row) for row in output.rows[: len(rows)]]}
            body = body if _is_carriable(lines) else carriable(body)
            facts = facts if _is_carriable(first) else carriable(facts)
            result["structuredContent"] = facts | ({"untrusted": body} if output.untrusted else body)
        return result

    async def _document_text(self, document: Document) -> str:
        """Render a document: a line of facts, then the marked text, as much as fits the budget."""
        facts, kept = self._fit(document)
        while kept < len(document.text) and document.shorter:
            document = await document.shorter(kept)
            facts, kept = self._fit(document)
        if kept < len(document.text):
            facts = dict(document.facts) | {"truncated": True}  # its cursor would skip the rest of the text
        return f"{show_invisible(compact(facts))}\n{mark(document.text[:kept], new_nonce())}"

    async def resource_contents(self, uri: str, output: Document | Blob) -> TextResourceContents | BlobResourceContents:
        """Render what a resource returned; text has its marks and so is plain, whatever it was before."""
        labels = self._labels(output)
        if isinstance(output, Document):
            text = await self._document_text(output)
            return TextResourceContents(uri=uri, text=text, mime_type="text/plain", _meta=labels)
        blob = self._base64(output.data)
        return BlobResourceContents(uri=uri, blob=blob, mime_type=output.mime_type, _meta=labels)

    async def prompt_messages(self, messages: Sequence[Said | Attached]) -> list[PromptMessage]:
        """Render the messages of a prompt."""
        return [await self._prompt_message(message) for message in messages]

    async def _prompt_message(self, message: Said | Attached) -> PromptMessage:
        if isinstance(message, Said):
            return PromptMessage(role=message.role, content=TextContent(type="text", text=message.text))
        contents = await self.resource_contents(message.uri, message.document)
        return PromptMessage(role="user", content=EmbeddedResource(type="resource", resource=contents))

    def _result(self, output: Output, blocks: list[dict[str, Any]]) -> dict[str, Any]:
        return complete(blocks, self._labels(output))

    def _media_blocks(self, media: Media) -> list[dict[str, Any]]:
        kind = "image" if media.mime_type.startswith("image/") else "audio"
        data = {"type": kind, "data": self._base64(media.data), "mimeType": media.mime_type}
        return [text_block(show_invisible(compact(dict(media.facts)))), data]

    def _base64(self, data: bytes) -> str:
        most = self.budget * BYTES_A_CHARACTER
        if len(data) > most:
            raise TooLarge(f"It has {len(data):,} bytes; at most {most:,} are served.")
        return base64.b64encode(data).decode()

    def _labels(self, output: Output | Blob) -> dict[str, Any]:
        untrusted = output.untrusted if isinstance(output, Records) else True
        return labels(untrusted=untrusted, confidentiality=output.confidentiality or self.confidentiality)

    def _records_facts(self, records: Records, kept: int) -> dict[str, Any]:
        facts: dict[str, Any] = {"count": kept, **records.facts}
        if kept < len(records.rows) or records.more:
            facts |= self._continuation(records.resume, kept)
        return facts

    def _continuation(self, resume: Callable[[int], Any] | None, kept: int) -> dict[str, Any]:
        return {"truncated": True} | ({"cursor": self.mint(resume(kept))} if resume else {})

    def _rows_that_fit(self, records: Records, columns: str) -> list[str]:
        """Return the rows that there is room for beside the facts and the line of columns, each as a line of JSON."""
        room = self.budget - 2 * _DELIMITERS - _length(dict(records.facts)) - _length(records.columns, columns)
        lines: list[str] = []
        lengths: list[int] = []  # of the first row, of the first two rows…
        for row in records.rows:
            lines.append(compact(row))
            lengths.append((lengths[-1] if lengths else 0) + _length(row, lines[-1]) + 1)
            if lengths[-1] > room:
                break
        kept = bisect_right(lengths, room)
        while kept and (kept < len(records.rows) or records.more):
            beside = room - len(compact(self._continuation(records.resume, kept)))
            if lengths[kept - 1] <= beside:
                break
            kept = min(kept - 1, bisect_right(lengths, beside))
        if room < 0 or (records.rows and not kept):
            raise TooLarge(
                f"Not even one row fits the {self.budget:,} characters of the output budget.",
                hint="Ask for fewer columns or shorter values.",
            )
        return lines[:kept]

    def _fit(self, document: Document) -> tuple[dict[str, Any], int]:
        """Return the facts of a document and how many of its characters fit beside them."""
        facts: dict[str, Any] = dict(document.facts)
        if document.next is not None:
            facts |= {"truncated": True, "cursor": self.mint(document.next)}
        return facts, _characters_within(document.text, self.budget - len(show_invisible(compact(facts))) - _DELIMITERS)


def _length(value: Any, line: str | None = None) -> int:
    """Return how many characters a row or the facts, as JSON the `line`, take in either form, at most."""
    line = compact(value) if line is None else line
    shown = show_invisible(line)
    return len(shown) if _is_carriable(line) else max(len(shown), len(compact(carriable(value))))


def _characters_within(text: str, room: int) -> int:
    """Return how many characters of the text take at most `room` once the invisible ones are shown."""
    if len(show_invisible(text)) <= room:
        return len(text)
    low, high = 0, max(0, min(len(text), room))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(show_invisible(text[:middle])) <= room else (low, middle - 1)
    if low == 0:
        raise TooLarge("The output budget has no room for any of the text.")
    return low


def complete(blocks: list[dict[str, Any]], meta: dict[str, Any], *, is_error: bool = False) -> dict[str, Any]:
    """Return a `CallToolResult` as it is on the wire; the SDK leaves out what an era does not know."""
    return {"content": blocks, "isError": is_error, "_meta": meta, "resultType": "complete"}


def text_block(text: str) -> dict[str, Any]:
    """Return a `TextContent` as it is on the wire."""
    return {"type": "text", "text": text}


def labels(*, untrusted: bool, confidentiality: str) -> dict[str, Any]:
    """Return the part of `_meta` that says whose words a result holds and who may see them."""
    integrity = "untrusted" if untrusted else "trusted"
    return {LABELS_META_KEY: {"integrity": integrity, "confidentiality": confidentiality}}


_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact(value: Any) -> str:
    """Return JSON without blanks, every character as itself.

    Raises:
        ValueError: for a number that JSON does not have.
    """
    try:
        text = to_json(value, inf_nan_mode="constants").decode()
    except PydanticSerializationError:  # a lone surrogate
        return _COMPACT.encode(value)
    return _COMPACT.encode(value) if "NaN" in text or "Infinity" in text else text


def _is_carriable(text: str) -> bool:
    """Whether JSON can carry a text as it is, and nothing in it would be taken for the notation of what it cannot."""
    if text.isascii():  # which a string knows of itself
        return True
    try:
        text.encode()  # faster than a search, and text is long
    except UnicodeEncodeError:
        return False
    return "⟦U+" not in text


def carriable(value: Any) -> Any:
    """Return the value with strings that JSON cannot carry, or that hold the notation itself, in this notation.

    So what a model writes back as it read it means the same, from either form.
    """
    if isinstance(value, str):
        return value if _is_carriable(value) else show_invisible(value)
    if isinstance(value, dict):
        return {carriable(key): carriable(item) for key, item in cast(dict[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [carriable(item) for item in cast(Sequence[Any], value)]
    return value
