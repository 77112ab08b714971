"""Google Docs as Markdown, every tab of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcp_server_drive.content import Content, Section, bounded, without_images

Json = Mapping[str, Any]

_HEADINGS = {"TITLE": "# ", "SUBTITLE": "## "} | {f"HEADING_{level}": "#" * level + " " for level in range(1, 7)}
_NUMBERED = {"DECIMAL", "ZERO_DECIMAL", "UPPER_ALPHA", "ALPHA", "UPPER_ROMAN", "ROMAN"}
_MARKS = (("bold", "**"), ("italic", "*"), ("strikethrough", "~~"))


def markdown(document: Json) -> Content:
    """Write a document, as documents.get answers it with the content of its tabs, as Markdown."""
    tabs = list(_tabs(document.get("tabs", ()), ""))
    alone = len(tabs) == 1
    return bounded(Section("" if alone else title, without_images(_Tab(tab).text())) for title, tab in tabs)


def _tabs(tabs: Sequence[Json], above: str) -> Iterator[tuple[str, Json]]:
    for tab in tabs:
        title = above + tab.get("tabProperties", {}).get("title", "")
        yield title, tab.get("documentTab", {})
        yield from _tabs(tab.get("childTabs", ()), f"{title} / ")


def paragraphs(document: Json) -> Iterator[str]:
    """Yield the plain text of every paragraph, in tables too: what a replacement looks at."""
    for _, tab in _tabs(document.get("tabs", ()), ""):
        yield from _plain(tab.get("body", {}).get("content", ()))
        for part in ("headers", "footers", "footnotes"):
            for segment in tab.get(part, {}).values():
                yield from _plain(segment.get("content", ()))


def _plain(content: Sequence[Json]) -> Iterator[str]:
    for element in content:
        elements = element.get("paragraph", {}).get("elements", ())
        yield "".join(one.get("textRun", {}).get("content", "") for one in elements)
        for row in element.get("table", {}).get("tableRows", ()):
            for cell in row.get("tableCells", ()):
                yield from _plain(cell.get("content", ()))
        yield from _plain(element.get("tableOfContents", {}).get("content", ()))


class _Tab:
    """One tab: paragraphs refer to its lists, images and footnotes."""

    def __init__(self, tab: Json) -> None:
        self._tab = tab
        self._footnotes: list[str] = []

    def text(self) -> str:
        body = self._blocks(self._tab.get("body", {}).get("content", ()))
        notes = [self._footnote(footnote) for footnote in self._footnotes]
        return "\n\n".join(part for part in (body, *notes) if part)

    def _blocks(self, content: Sequence[Json]) -> str:
        text = ""
        in_list = False
        for element in content:
            block = self._block(element)
            is_item = "bullet" in element.get("paragraph", {})
            if block.strip():
                between = "\n" if in_list and is_item else "\n\n"
                text += (between if text else "") + block
                in_list = is_item
        return text

    def _block(self, element: Json) -> str:
        if "paragraph" in element:
            return self._paragraph(element["paragraph"])
        if "table" in element:
            return self._table(element["table"])
        return self._blocks(element.get("tableOfContents", {}).get("content", ()))

    def _paragraph(self, paragraph: Json) -> str:
        text = "".join(self._inline(element) for element in paragraph.get("elements", ())).rstrip("\n")
        text = text.replace("\v", "\n")
        bullet = paragraph.get("bullet")
        if bullet is not None:
            level = bullet.get("nestingLevel", 0)
            return "  " * level + ("1. " if self._is_numbered(bullet, level) else "- ") + text
        heading = _HEADINGS.get(paragraph.get("paragraphStyle", {}).get("namedStyleType", ""), "")
        return heading + text if text.strip() else ""

    def _is_numbered(self, bullet: Json, level: int) -> bool:
        properties = self._tab.get("lists", {}).get(bullet.get("listId"), {}).get("listProperties", {})
        levels = properties.get("nestingLevels", ())
        return level < len(levels) and levels[level].get("glyphType") in _NUMBERED

    def _inline(self, element: Json) -> str:  # noqa: PLR0911 - a line for each kind
        match element:
            case {"textRun": run}:
                return _styled(run.get("content", ""), run.get("textStyle", {}))
            case {"inlineObjectElement": image}:
                return self._image(image.get("inlineObjectId", ""))
            case {"footnoteReference": reference}:
                self._footnotes.append(reference.get("footnoteId", ""))
                return f"[^{len(self._footnotes)}]"
            case {"person": {"personProperties": person}}:
                return person.get("name") or person.get("email", "")
            case {"richLink": {"richLinkProperties": link}}:
                return f"[{link.get('title', '')}]({link.get('uri', '')})"
            case {"dateElement": {"dateElementProperties": date}}:
                return date.get("displayText", "")
            case {"equation": _}:
                return "[equation]"
            case {"horizontalRule": _}:
                return "\n---\n"
            case _:
                return ""

    def _image(self, object_id: str) -> str:
        properties = self._tab.get("inlineObjects", {}).get(object_id, {}).get("inlineObjectProperties", {})
        embedded = properties.get("embeddedObject", {})
        what = embedded.get("title") or embedded.get("description") or ""
        return f"[image: {what}]" if what else "[image]"

    def _footnote(self, footnote_id: str) -> str:
        number = self._footnotes.index(footnote_id) + 1
        content = self._tab.get("footnotes", {}).get(footnote_id, {}).get("content", ())
        return f"[^{number}]: {self._blocks(content).strip()}"

    def _table(self, table: Json) -> str:
        rows = [
            [
                self._blocks(cell.get("content", ())).replace("|", "\\|").replace("\n", "<br>")
                for cell in row["tableCells"]
            ]
            for row in table.get("tableRows", ())
        ]
        return table_of(rows)


def _styled(text: str, style: Json) -> str:
    inner = text.strip()
    if not inner:
        return text
    before, after = text[: text.index(inner)], text[text.index(inner) + len(inner) :]
    for name, mark in _MARKS:
        if style.get(name):
            inner = f"{mark}{inner}{mark}"
    address = style.get("link", {}).get("url")
    return f"{before}[{inner}]({address}){after}" if address else f"{before}{inner}{after}"


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """Write rows of cells, which have no line breaks, as a table of Markdown."""
    width = max((len(row) for row in rows), default=0)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in rows]
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if lines else ""
