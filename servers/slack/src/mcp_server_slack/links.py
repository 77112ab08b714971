"""Links that could carry something out: their address holds more than it takes to find a page."""

import re
from collections import Counter
from collections.abc import Mapping
from math import log2
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|]+", re.IGNORECASE)
IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?(?:[a-z]+:|//)|<\s*img\b", re.IGNORECASE)

_HOST = re.compile(r"\b(?:[\w-]+\.)+[a-z]{2,}\b", re.IGNORECASE)
_LABEL = 300  # characters of a link's text; the time that a search in it takes grows with their square
_LONG_QUERY, _LONG_PATH = 100, 200
# At least so many characters with so many bits each: a commit's hash is below, a token or encoded text above.
_QUERY_VALUE, _PATH_SEGMENT, _HOST_LABEL = (20, 3.5), (28, 4.0), (25, 3.5)


def addresses(text: str) -> list[str]:
    """Return every address of the web in a text, linked or not, in code or not."""
    return list(dict.fromkeys(address.rstrip(".,;:!?)]}*_~") for address in URL.findall(text)))


def poses(link: Mapping[str, Any]) -> bool:
    """Whether a link's text names a host that it does not lead to."""
    named = _HOST.search(str(link.get("text") or "")[:_LABEL])
    return named is not None and named[0].lower() not in str(link.get("url")).lower()


def suspicion(address: str) -> str:
    """Return what is odd about an address, in a few words; empty if nothing is."""
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host = parts.hostname or ""
    except ValueError:
        return "it cannot be read"
    query, path = unquote(f"{parts.query}#{parts.fragment}"), unquote(parts.path)
    values = [value for pair in parse_qsl(parts.query, keep_blank_values=True) for value in pair]
    values += [unquote(piece) for piece in re.split(r"[/&=]", parts.fragment)]
    if parts.username or parts.password:
        return "it holds a user name"
    if len(query) > _LONG_QUERY or len(path) > _LONG_PATH:
        return "it is long"
    dense = (
        any(_is_dense(value, *_QUERY_VALUE) for value in values)
        or any(_is_dense(segment, *_PATH_SEGMENT) for segment in path.split("/"))
        or any(_is_dense(label, *_HOST_LABEL) for label in host.split("."))
    )
    return "it holds what looks like a secret or encoded text" if dense else ""


def _is_dense(text: str, characters: int, bits: float) -> bool:
    return any(len(word) >= characters and _bits_per_character(word) >= bits for word in text.split())


def _bits_per_character(text: str) -> float:
    return -sum(n / len(text) * log2(n / len(text)) for n in Counter(text).values())
