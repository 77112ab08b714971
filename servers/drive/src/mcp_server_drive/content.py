"""The text of a file: its parts, pages of it, places in it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from mcp_server_shared.errors import NotFound, did_you_mean

MOST_CHARACTERS = 8_000_000  # of one file; what is beyond is not read
MOST_MATCHES = 10_000

_CONTEXT = 80  # characters shown before and after what was found
_ACCEPTABLE = 0.6  # of a page: how full it must be to end where a paragraph does
_LOADING = re.compile(
    r"<(?=(?:img|picture|source|video|audio|iframe|object|embed|svg|link|style|script)\b)", re.IGNORECASE
)
_NUMBERS = re.compile(r"(\d{1,6})(?:\s*-\s*(\d{1,6}))?")


@dataclass(frozen=True)
class Section:
    """A tab, a slide, a page; its title is empty where a file has but one part without a name."""

    title: str
    text: str


@dataclass(frozen=True)
class Match:
    """A place where something was found.

    Attributes:
        offset: in the text.
        excerpt: what is there, with its surroundings.
    """

    offset: int
    excerpt: str


@dataclass(frozen=True)
class Content:
    """The text of a file at one revision.

    Attributes:
        sections: its parts in order.
        cut: whether there is more than was read.
        note: what is to be known of how it was read.
    """

    sections: Sequence[Section]
    cut: bool = False
    note: str = ""

    @cached_property
    def text(self) -> str:
        """All of it, each part under its title."""
        return "\n\n".join(f"# {s.title}\n\n{s.text}" if s.title else s.text for s in self.sections)

    def part(self, wanted: str) -> "Content":
        """Return the parts of a title, or of a number or range of numbers.

        Raises:
            NotFound: there is none; its text has the titles there are.
        """
        named = [s for s in self.sections if s.title.casefold() == wanted.strip().casefold()]
        numbers = _NUMBERS.fullmatch(wanted.strip())
        if not named and numbers:
            first, last = int(numbers[1]), int(numbers[2] or numbers[1])
            named = list(self.sections[max(0, first - 1) : last])
        if not named:
            titles = [s.title for s in self.sections]
            raise NotFound(
                "It has no such part.",
                hint=f"There are {len(titles)}; pass a title, or a number such as 1 or 2-3.",
                untrusted=did_you_mean(wanted, titles) or ", ".join(titles)[:400],
            )
        return replace(self, sections=named)

    def page(self, start: int, most: int) -> str:
        """Return at most so many characters from an offset, to the end of a paragraph, line or word if one is near."""
        end = start + most
        if end >= len(self.text):
            return self.text[start:]
        least = start + int(most * _ACCEPTABLE)
        for separator in ("\n\n", "\n", " "):
            at = self.text.rfind(separator, least, end)
            if at >= 0:
                return self.text[start : at + len(separator)]
        return self.text[start:end]

    def find(self, words: str) -> list[Match]:
        """Return the places where these words stand, in any case and with any blanks between them."""
        pattern = re.compile(r"\s+".join(map(re.escape, words.split())) or r"(?!)", re.IGNORECASE)
        return [
            Match(found.start(), self.text[max(0, found.start() - _CONTEXT) : found.end() + _CONTEXT])
            for found in islice(pattern.finditer(self.text), MOST_MATCHES)
        ]


def bounded(sections: Iterable[Section]) -> Content:
    """Return the content that sections make up, as much as is kept of one file."""
    kept: list[Section] = []
    room = MOST_CHARACTERS
    for section in sections:
        kept.append(Section(section.title, section.text[:room]))
        if len(section.text) > room:
            return Content(kept, cut=True)
        room -= len(section.text)
    return Content(kept)


def without_images(markdown: str) -> str:
    """Return Markdown that makes nobody's client load an image: each is an ordinary link, or its text alone."""
    return _LOADING.sub("&lt;", markdown.replace("![", "\\!["))
