"""Plain text out of the little HTML that providers put into titles and snippets."""

import re
from html import unescape

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")


def plain(text: str) -> str:
    """Return a text without tags, entities and line breaks."""
    return " ".join(unescape(_TAG.sub("", text)).split())


def shortened(text: str, most: int) -> str:
    """Return at most so many characters of a text, cut between words where one ends near."""
    if len(text) <= most:
        return text
    cut = text[: max(most - 1, 0)]
    return (cut.rsplit(" ", 1)[0] if " " in cut[most // 2 :] else cut).rstrip() + "…" if most > 0 else ""
