"""Long text in pieces that belong together: a comment, a file's changes. Who wrote a piece stands in its heading."""

import re
from dataclasses import dataclass
from typing import Any

RULE = "═══ "

_LIKE_A_HEADING = re.compile("^(>*═)", re.MULTILINE)


def heading(*words: object) -> str:
    """Return the line over somebody's text; nothing else begins with a double rule, so nobody can write one."""
    return RULE + " · ".join(str(word).replace("\n", " ") for word in words if word not in {None, ""}) + "\n"


def body(text: str | None) -> str:
    """Return somebody's text with each line that looks like a heading quoted by one ">" more, as mailboxes do."""
    whole = text or "(nothing)"
    return _LIKE_A_HEADING.sub(r">\1", whole if whole.endswith("\n") else f"{whole}\n")


@dataclass(frozen=True)
class Piece:
    """A part of a document that belongs together: a comment, a file's changes.

    Attributes:
        text: the rest of it.
        place: where to find it again, as JSON.
        start: how many characters of it were shown before.
    """

    text: str
    place: Any
    start: int = 0

    def at(self, taken: int) -> list[Any]:
        """Return the position after so many characters."""
        return [self.place, self.start + taken]


def from_position(text: str, place: Any, position: Any) -> Piece:
    """Return a piece from where an earlier page ended; whole unless that was within it."""
    start: int = position[1] if position and position[0] == place else 0
    return Piece(text[start:], place, start)
