"""Text out of pages and documents. Runs as a process of its own (`python -m`), since what it reads may be hostile.

It answers requests on stdin, one after another: a line of JSON, then the bytes of the page; the answer is a line of
JSON. `extractor.py` is the other side, and ends it when it takes too long.
"""

# pypdfium2 and lxml are half typed.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import codecs
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

MOST_MEMORY_BYTES = 1_500_000_000
MOST_TEXT_CHARACTERS = 10_000_000

# Labels mean to browsers what they mean in practice (encoding.spec.whatwg.org).
_AS_BROWSERS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_NO_CHARSETS = {
    "utf-8",
    "utf-7",
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "undefined",
    "mbcs",
    "oem",
}
_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]{1,40})", re.IGNORECASE)
_META_BYTES = 4_096

# What a person who looks at the page does not see, and so is not told either. Not what scripts make visible later, as
# `opacity: 0` often is.
_UNSEEN = "//template | //*[@hidden]"
_UNSEEN_STYLE = re.compile(
    r"display:none|visibility:hidden|font-size:0(?:\.0+)?(?:[a-z]{1,4}|%)?(?:[;!]|$)"
    r"|(?:left|right|top|bottom|text-indent):-\d{3,}|clip-path:inset\((?:50|100)%|clip:rect\(0",
    re.IGNORECASE,
)
_MOST_LINKS = 2_000
_MOST_LINK_CHARACTERS = 100  # of the words on it

Extract = dict[str, Any]


class Unreadable(Exception):
    """There is no text in it; the text of the exception says why."""


def decoded(body: bytes, charset: str = "") -> str:
    """Decode a page the way browsers do: its byte order mark, UTF-8 if it is that, the header, its own `meta`."""
    for mark, name in _BYTE_ORDER_MARKS.items():
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    try:
        return body.decode("utf-8")  # text in another encoding is never valid UTF-8 by chance, but for plain ASCII
    except UnicodeDecodeError:
        pass
    meta = _META_CHARSET.search(body, 0, _META_BYTES)
    for label in (charset, meta[1].decode("ascii") if meta else ""):
        if codec := _codec(label):
            return body.decode(codec, "replace")
    return body.decode("cp1252", "replace")


def _codec(label: str) -> str | None:
    """Return the codec for a label; None if it is none for text, or one that a page has no business with."""
    try:
        name = codecs.lookup(label).name
        b"x".decode(name, "ignore")  # a LookupError for what is no text encoding, such as zlib
    except (LookupError, ValueError):
        return None
    return None if name in _NO_CHARSETS else _AS_BROWSERS.get(name, name)


class _PlainText(HTMLParser):
    """All text of a page without its scripts, a line for each block; it does not mind how deep things are nested."""

    _SILENT = frozenset({"script", "style", "template", "noscript", "svg", "head"})
    _INLINE = frozenset(
        """
        a abbr b bdi bdo cite code em i kbd mark q s small span strong sub sup time u var wbr
        """.split()  # noqa: SIM905
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self._SILENT
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in self._SILENT))
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)

    def _break(self, tag: str) -> None:
        if tag not in self._INLINE and self.parts[-1:] != ["\0"]:
            self.parts.append("\0")


def plain_text(markup: str) -> str:
    """Return all text of a page, in paragraphs."""
    parser = _PlainText()
    parser.feed(markup)
    blocks = (" ".join(block.split()) for block in "".join(parser.parts).split("\0"))
    return "\n\n".join(block for block in blocks if block)


def from_html(body: bytes, charset: str) -> Extract:
    """Return the main text of a page as Markdown; all of its text where none of it looks like the main part."""
    import trafilatura
    from trafilatura.settings import Document

    markup = decoded(body, charset)
    tree = trafilatura.load_html(markup)
    links: list[tuple[str, str]] = []
    if tree is not None:
        _drop_unseen(tree)
        links = _links(tree)
    options: dict[str, Any] = {"favor_recall": True, "include_comments": False, "include_images": False}
    text = tree is not None and trafilatura.extract(tree, output_format="markdown", with_metadata=False, **options)
    known = trafilatura.extract_metadata(trafilatura.load_html(markup), extensive=False) if tree is not None else None
    facts = known if isinstance(known, Document) else Document()
    extract = {
        "title": facts.title or "",
        "author": facts.author or "",
        "date": facts.date or "",
        "site": facts.sitename or "",
    }
    text = text or plain_text(markup)
    if not text.strip():
        raise Unreadable("it shows nothing without its scripts" if "<script" in markup.lower() else "it is empty")
    return extract | {"text": text, "links": links, "base": _base(tree)}


def _drop_unseen(tree: Any) -> None:
    styled = [each for each in tree.xpath("//*[@style]") if _UNSEEN_STYLE.search("".join(each.get("style").split()))]
    for element in [*tree.xpath(_UNSEEN), *styled]:
        if element.getparent() is not None:  # a page that hides all of itself is shown by its scripts
            element.drop_tree()


def _links(tree: Any) -> list[tuple[str, str]]:
    """Return the links of a page in order: the words on each, and where it leads as it is written."""
    found: dict[str, str] = {}
    for element in tree.iter("a"):
        target = (element.get("href") or "").strip()
        words = " ".join(element.text_content().split())[:_MOST_LINK_CHARACTERS]
        if target and not target.startswith("#") and len(found) < _MOST_LINKS:
            found[target] = found.get(target) or words
    return [(words, target) for target, words in found.items()]


def _base(tree: Any) -> str:
    """Return what the page says its links are relative to."""
    return "" if tree is None else str(tree.xpath("string(//base/@href)"))


def from_pdf(body: bytes, charset: str) -> Extract:
    """Return the text of a PDF, each page under a heading of its number."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(body)
    except pypdfium2.PdfiumError as error:
        encrypted = "password" in str(error).lower()
        raise Unreadable("it needs a password" if encrypted else "it is no PDF that can be read") from error
    pages: list[str] = []
    room = MOST_TEXT_CHARACTERS
    for number, page in enumerate(document, 1):
        text = page.get_textpage().get_text_bounded().replace("\r\n", "\n").strip()[:room]
        room -= len(text)
        pages.append(f"## Page {number}\n\n{text}")
    facts = document.get_metadata_dict()
    date = re.sub(r"^D:(\d{4})(\d{2})(\d{2}).*", r"\1-\2-\3", facts.get("CreationDate", ""))
    if room == MOST_TEXT_CHARACTERS:
        raise Unreadable(f"its {len(pages)} pages are images without text")
    return {
        "title": facts.get("Title", ""),
        "author": facts.get("Author", ""),
        "date": date,
        "text": "\n\n".join(pages),
    }


def from_text(body: bytes, charset: str) -> Extract:
    """Return text as it is."""
    return {"text": decoded(body, charset)}


EXTRACTORS: Mapping[str, Callable[[bytes, str], Extract]] = {"html": from_html, "pdf": from_pdf, "text": from_text}


def extract(kind: str, body: bytes, charset: str) -> Extract:
    """Return the text of a page or document, or the reason why there is none under "unreadable"."""
    try:
        found = EXTRACTORS[kind](body, charset)
    except Unreadable as error:
        return {"unreadable": str(error)}
    except (MemoryError, RecursionError, ValueError) as error:
        return {"unreadable": f"it is too much or too odd to take apart ({type(error).__name__})"}
    return found | {"text": found["text"][:MOST_TEXT_CHARACTERS]}


def main() -> None:
    """Answer requests until stdin ends."""
    _limit_memory()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        body = sys.stdin.buffer.read(request["size"])
        answers.write(json.dumps(extract(request["kind"], body, request["charset"])).encode() + b"\n")
        answers.flush()


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = MOST_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, MOST_MEMORY_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    main()
