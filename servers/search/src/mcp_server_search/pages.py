"""Pages as they are read: fetched once, taken apart, kept for a while, and cut between paragraphs."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from mcp_server_shared.errors import TooLarge, Unsupported

from mcp_server_search.cache import Cache
from mcp_server_search.extractor import Extractor
from mcp_server_search.fetching import MOST_URL_CHARACTERS, Fetched, Fetcher
from mcp_server_search.robots import Robots

_MOST_CACHED_CHARACTERS = 30_000_000
_HEADING = re.compile(r"^(#{1,6}) +(\S.*)$")
_TEXT_TYPES = (
    "text/",
    "application/json",
    "application/xml",
    "application/yaml",
    "application/rss",
    "application/atom",
)
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_SNIFFED_BYTES = 1_024


@dataclass(frozen=True)
class Section:
    """One part of a page, from its heading to the next one, whatever its level.

    Attributes:
        number: 0 is what stands before the first heading.
        level: 1 to 6; 0 without a heading.
        start: the offset of its heading.
        end: the offset of the next one.
    """

    number: int
    level: int
    title: str
    start: int
    end: int


@dataclass(frozen=True)
class Page:
    """A page or document as text.

    Attributes:
        url: where it was found in the end, after redirects.
        kind: "html", "pdf" or "text".
        text: what it says about itself, then its main text as Markdown.
        links: the words on each and where it leads, of all of the page.
    """

    url: str
    kind: str
    text: str
    links: Sequence[tuple[str, str]] = ()

    @cached_property
    def digest(self) -> str:
        """Tells one version of a page from another."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @cached_property
    def sections(self) -> Sequence[Section]:
        """All of its text, in sections."""
        return sections_of(self.text)


def sections_of(text: str) -> list[Section]:
    """Divide Markdown at its headings; a `#` in a block of code is none."""
    heads: list[tuple[int, int, str]] = [(0, 0, "")]
    offset, fenced = 0, False
    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and (found := _HEADING.match(line.rstrip())):
            heads.append((offset, len(found[1]), found[2]))
        offset += len(line)
    if len(heads) > 1 and heads[1][0] == 0:
        del heads[0]
    ends = [start for start, _, _ in heads[1:]] + [len(text)]
    spans = zip(heads, ends, strict=True)
    return [Section(n, level, title, start, end) for n, ((start, level, title), end) in enumerate(spans)]


def end_of_piece(text: str, start: int, end: int, most: int) -> int:
    """Return where a piece of at most `most` characters ends: between paragraphs, lines or words if one is near."""
    if end - start <= most:
        return end
    for boundary in ("\n\n", "\n", " "):
        cut = text.rfind(boundary, start + most // 2, start + most)
        if cut > start:
            return min(cut + len(boundary), start + most)
    return start + most


@dataclass
class Pages:
    """Reads pages for callers; what one has read, another is not shown without reading it too."""

    fetcher: Fetcher
    extractor: Extractor
    robots: Robots | None
    max_bytes: int
    cache_s: float
    _kept: Cache[tuple[str, str], Page] = field(init=False)

    def __post_init__(self) -> None:
        """Make room."""
        self._kept = Cache(ttl_s=self.cache_s, most_characters=_MOST_CACHED_CHARACTERS)

    async def read(self, url: str, caller: str) -> Page:
        """Return the page at an address, as it was a short while ago or is now."""
        page = self._kept.get((caller, url))
        if page is None:
            page = await self._read(url)
            self._kept.put((caller, url), page, len(page.text) + sum(len(to) + len(words) for words, to in page.links))
        return page

    def kept(self, url: str, caller: str) -> Page | None:
        """Return a page that this caller has read a short while ago."""
        return self._kept.get((caller, url))

    def read_by(self, caller: str) -> list[str]:
        """Return the addresses of the pages that are still kept for a caller, the latest first."""
        return [url for reader, url in self._kept.kept() if reader == caller]

    async def close(self) -> None:
        """End the processes and connections."""
        await self.extractor.close()
        await self.fetcher.close()

    async def _read(self, url: str) -> Page:
        admit = self.robots.admit if self.robots else None
        try:
            fetched = await self.fetcher.get(url, most=self.max_bytes, admit=admit)
        except TooLarge as error:
            raise TooLarge(error.message, hint="Use another source, or the operator raises --max-page-bytes.") from None
        kind = kind_of(fetched)
        charset = re.search(r"charset\s*=\s*\"?([\w:.-]{1,40})", fetched.content_type)
        extract = await self.extractor.extract(kind, fetched.body, charset[1] if charset else "")
        return Page(fetched.url, kind, with_header(fetched.url, extract), _absolute(fetched.url, extract))


def with_header(url: str, extract: Mapping[str, Any]) -> str:
    """Return the text of a page after what it says about itself."""
    title = " ".join(extract.get("title", "").split())
    about = [", ".join(filter(None, (extract.get(key, "") for key in ("author", "site", "date"))))]
    header = [f"# {title}"] if title and not extract["text"].lstrip().startswith(f"# {title}") else []
    return "\n\n".join([*header, *filter(None, [url, *about]), extract["text"]])


def _absolute(url: str, extract: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the links that lead to other pages, each address once and whole."""
    found: dict[str, str] = {}
    for words, target in extract.get("links", ()):
        try:
            to = urldefrag(urljoin(urljoin(url, extract["base"]), target)).url
            parts = urlsplit(to)
            reaches = parts.scheme in {"http", "https"} and parts.hostname and len(to) <= MOST_URL_CHARACTERS
        except ValueError:
            continue
        if reaches and to != urldefrag(url).url:
            found.setdefault(to, words)
    return [(words, to) for to, words in found.items()]


def kind_of(fetched: Fetched) -> str:
    """Return how to take an answer apart; what it is counts more than what it says it is.

    Raises:
        Unsupported: neither a page nor text.
    """
    media_type = fetched.content_type.partition(";")[0].strip()
    head = fetched.body[:_SNIFFED_BYTES]
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    if media_type in _HTML_TYPES or (media_type in {"", "text/plain"} and b"<html" in head.lower()):
        return "html"
    is_text = media_type.startswith(_TEXT_TYPES) or media_type.endswith(("+json", "+xml")) or not media_type
    if is_text and (b"\0" not in fetched.body or head.startswith((b"\xff\xfe", b"\xfe\xff"))):
        return "text"
    raise Unsupported(
        "It is neither a page nor a PDF nor text.",
        hint="Only text can be read; use another source.",
        untrusted=media_type[:100],
    )
