"""From Markdown to Slack's rich text, in which text stays text: see `rich_text.py`."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Element = dict[str, Any]

_RULE, _BULLET = "―" * 10, "• "
_STYLES = {"strong": "bold", "em": "italic", "s": "strike"}
_MOST_INDENT = 8
_SPECIAL = re.compile(
    r"<@(?P<user>[UW][A-Z0-9]{5,})(?:\|[^<>]*)?>"
    r"|<#(?P<channel>[CG][A-Z0-9]{5,})(?:\|[^<>]*)?>"
    r"|<!subteam\^(?P<usergroup>S[A-Z0-9]{5,})(?:\|[^<>]*)?>"
    r"|<!(?P<broadcast>here|channel|everyone)(?:\|[^<>]*)?>"
    r"|(?<![\w@.])@(?P<said>here|channel|everyone)\b"
    r"|(?P<url>https?://[^\s<>]*[^\s<>.,;:!?'\"()*_~\]])"
    r"|(?<![\w:]):(?P<emoji>\+1|-1|[a-z][a-z0-9_+-]{1,60}):(?![\w:])"
)
_KEYS = {"user": "user_id", "channel": "channel_id", "usergroup": "usergroup_id", "broadcast": "range", "emoji": "name"}


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def rich_text(markdown: str) -> list[Element]:
    """Return the parts of a block of rich text: sections, lists, quotes and code."""
    return _Writer().write(_parser().parse(markdown))


def images(markdown: str) -> list[str]:
    """Return the addresses of images, also of those that are defined elsewhere; a canvas' cards of people are none."""
    inside = (child for token in _parser().parse(markdown) for child in token.children or ())
    found = (str(child.attrGet("src")) for child in inside if child.type == "image")
    return [address for address in found if not address.startswith(("@", "#"))]


@dataclass
class _List:
    """A list that is being written; it continues on the same line of rich text's flat lists, or on a further one."""

    style: str
    written: int  # items so far, those before the first of them included


@dataclass
class _Writer:
    """Walks Markdown's tokens; paragraphs that follow each other share a section, as Slack's own messages have it."""

    parts: list[Element] = field(default_factory=list[Element])
    lists: list[_List] = field(default_factory=list[_List])  # those around, the innermost last
    rows: list[list[str]] = field(default_factory=list[list[str]])  # of the table around
    item: list[Element] | None = None
    quote: list[Element] | None = None
    bold: bool = False

    def write(self, tokens: Sequence["Token"]) -> list[Element]:
        handlers: dict[str, Callable[[Token], None]] = {
            "heading_open": self._heading,
            "heading_close": self._heading,
            "inline": self._words,
            "fence": self._code_block,
            "code_block": self._code_block,
            "hr": self._ruler,
            "bullet_list_open": self._begin_list,
            "ordered_list_open": self._begin_list,
            "bullet_list_close": self._end_list,
            "ordered_list_close": self._end_list,
            "list_item_open": self._begin_item,
            "list_item_close": self._end_item,
            "blockquote_open": self._begin_quote,
            "blockquote_close": self._end_quote,
            "tr_open": self._begin_row,
            "table_close": self._end_table,
        }
        for token in tokens:
            if token.type in handlers:
                handlers[token.type](token)
        return [part for part in self.parts if part["elements"]]

    def _heading(self, token: "Token") -> None:
        self.bold = token.nesting > 0

    def _words(self, token: "Token") -> None:
        if self.rows:
            self.rows[-1].append(_plain(token))
        else:
            self._paragraph(_inline(token.children or [], bold=self.bold))

    def _ruler(self, token: "Token") -> None:
        self._paragraph([_text(_RULE, {})])

    def _paragraph(self, elements: list[Element]) -> None:
        place, gap = self.quote if self.quote is not None else self.item, "\n"
        if place is None:
            if not self.parts or self.parts[-1]["type"] != "rich_text_section":
                self.parts.append({"type": "rich_text_section", "elements": []})
            place, gap = self.parts[-1]["elements"], "\n\n"
        if place and place[-1].get("text") not in {_BULLET, f"\n{_BULLET}"}:
            place.append(_text(gap, {}))
        place += elements

    def _begin_list(self, token: "Token") -> None:
        style = "bullet" if token.type.startswith("bullet") else "ordered"
        self.lists.append(_List(style, int(token.attrGet("start") or 1) - 1))

    def _end_list(self, token: "Token") -> None:
        self.lists.pop()

    def _begin_item(self, token: "Token") -> None:
        if self.quote is not None:  # a quote holds no lists: they become lines of it
            self.quote.append(_text(f"\n{_BULLET}" if self.quote else _BULLET, {}))
            return
        around, indent = self.lists[-1], min(len(self.lists) - 1, _MOST_INDENT)
        flat: Element = self.parts[-1] if self.parts else {}
        if (flat.get("type"), flat.get("style"), flat.get("indent")) != ("rich_text_list", around.style, indent):
            offset: Element = {"offset": around.written} if around.written and around.style == "ordered" else {}
            flat = {"type": "rich_text_list", "style": around.style, "indent": indent, "elements": [], **offset}
            self.parts.append(flat)
        self.item = []
        flat["elements"].append({"type": "rich_text_section", "elements": self.item})
        around.written += 1

    def _end_item(self, token: "Token") -> None:
        self.item = None

    def _begin_quote(self, token: "Token") -> None:
        if self.quote is None and not self.lists:
            self.quote = []
            self.parts.append({"type": "rich_text_quote", "elements": self.quote})

    def _end_quote(self, token: "Token") -> None:
        if not self.lists:
            self.quote = None

    def _begin_row(self, token: "Token") -> None:
        self.rows.append([])

    def _end_table(self, token: "Token") -> None:
        self._code(_table(self.rows))
        self.rows = []

    def _code_block(self, token: "Token") -> None:
        self._code(token.content.rstrip("\n"))

    def _code(self, code: str) -> None:
        self.parts.append({"type": "rich_text_preformatted", "elements": [_text(code or " ", {})]})


def _inline(tokens: Iterable["Token"], *, bold: bool) -> list[Element]:
    style: dict[str, bool] = {"bold": True} if bold else {}
    found: list[Element] = []
    link: Element | None = None
    for token in tokens:
        name = token.type.removesuffix("_open").removesuffix("_close")
        if name in _STYLES:
            style = style | {_STYLES[name]: True} if token.nesting > 0 else _without(style, _STYLES[name], bold=bold)
        elif token.type == "link_open":
            link = {"type": "link", "url": str(token.attrGet("href")), "text": ""} | ({"style": style} if style else {})
        elif token.type == "link_close" and link is not None:
            found.append(link)
            link = None
        elif token.type == "image":
            found.append({"type": "link", "url": str(token.attrGet("src")), "text": token.content or "image"})
        elif link is not None:
            link["text"] += token.content or "\n"
        elif token.type == "code_inline":
            found.append(_text(token.content, style | {"code": True}))
        elif token.type in {"softbreak", "hardbreak"}:
            found.append(_text("\n", {}))
        else:
            found += _elements(token.content, style)
    return [_link(element) for element in found]


def _link(element: Element) -> Element:
    """Return a link only where it leads to the web or to somebody's mail; others are text."""
    if element["type"] != "link" or element["url"].startswith(("https://", "http://", "mailto:")):
        return element
    return _text(f"{element['text']} ({element['url']})", element.get("style", {}))


def _without(style: dict[str, bool], name: str, *, bold: bool) -> dict[str, bool]:
    return style if bold and name == "bold" else {key: on for key, on in style.items() if key != name}


def _elements(text: str, style: dict[str, bool]) -> Iterator[Element]:
    """Yield the elements of plain text: mentions, addresses and emoji in it are ones of their own."""
    position = 0
    for found in _SPECIAL.finditer(text):
        if position < found.start():
            yield _text(text[position : found.start()], style)
        position = found.end()
        kind, value = str(found.lastgroup), str(found[str(found.lastgroup)])
        if kind == "url":
            yield {"type": "link", "url": value} | ({"style": style} if style else {})
        else:
            kind = "broadcast" if kind == "said" else kind
            yield {"type": kind, _KEYS[kind]: value}
    if position < len(text):
        yield _text(text[position:], style)


def _text(text: str, style: dict[str, bool]) -> Element:
    return {"type": "text", "text": text} | ({"style": style} if style else {})


def _plain(token: "Token") -> str:
    return "".join(child.content or (" " if child.type.endswith("break") else "") for child in token.children or [])


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
