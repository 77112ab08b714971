"""A page as lines: what stands where, and what changed since it was last shown."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

_MOST_COMPARED = 3_000  # lines of either side; of a larger difference, the beginning is told
_ITEMS = ("row", "listitem", "article", "option", "treeitem")
_MOST_OF_ITEM = 20  # lines
_MOST_TOLD = 3  # lines in a row that are gone, or have moved
_FOCUS = " focused"
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class Line(NamedTuple):
    """One line of a page.

    Attributes:
        depth: how deep it is nested.
        text: role, name, value and states; names and values are JSON strings, so that no page can forge a line.
        reference: what the tools call its element; empty for text.
        interactive: whether one can click it or type into it.
    """

    depth: int
    text: str
    reference: str
    interactive: bool

    def shown(self) -> str:
        """Return it without its indentation."""
        return f"{self.text} [{self.reference}]" if self.reference else self.text

    def is_focused(self) -> bool:
        """Whether keys go to it; its name may say so too and does not count."""
        return _FOCUS in _QUOTED.sub("", self.text)

    def key(self) -> tuple[str, str]:
        """Return what makes it the same line; the focus wanders with every click and says nothing."""
        return self.text.replace(_FOCUS, ""), self.reference


def outline(lines: Sequence[Line]) -> str:
    """Return the text of lines, indented from the outermost of them."""
    least = min((line.depth for line in lines), default=0)
    return "\n".join(" " * (line.depth - least) + line.shown() for line in lines)


def within(lines: Sequence[Line], reference: str) -> list[Line]:
    """Return the line of an element and those inside it; none when it is not shown."""
    start = next((number for number, line in enumerate(lines) if line.reference == reference), None)
    if start is None:
        return []
    end = start + 1
    while end < len(lines) and lines[end].depth > lines[start].depth:
        end += 1
    return list(lines[start:end])


def shallow(lines: Sequence[Line], depth: int) -> list[Line]:
    """Return the lines that are nested no deeper than this."""
    least = min((line.depth for line in lines), default=0)
    return [line for line in lines if line.depth - least < depth]


def interactive(lines: Sequence[Line]) -> list[Line]:
    """Return what one can act on and the headings between, as a flat list."""
    return [
        line._replace(depth=0) for line in lines if line.interactive or line.text.startswith(("heading ", "iframe"))
    ]


def containing(lines: Sequence[Line], text: str) -> list[Line]:
    """Return the lines with this text, each with the item that it is part of, below what it is nested in."""
    wanted = text.casefold()
    kept: dict[int, Line] = {}
    above: list[int] = []
    for number, line in enumerate(lines):
        while above and lines[above[-1]].depth >= line.depth:
            above.pop()
        if wanted in line.text.casefold():
            kept |= {ancestor: lines[ancestor] for ancestor in above} | {number: line}
            kept |= _item(lines, above)
        above.append(number)
    return [kept[number] for number in sorted(kept)]


def _item(lines: Sequence[Line], above: Sequence[int]) -> dict[int, Line]:
    """Return all of the row or item that one is in, if it is a small one: its other cells, its buttons."""
    start = next((number for number in reversed(above) if lines[number].text.startswith(_ITEMS)), None)
    if start is None:
        return {}
    end = start + 1
    while end < len(lines) and lines[end].depth > lines[start].depth:
        end += 1
    return {number: lines[number] for number in range(start, end)} if end - start <= _MOST_OF_ITEM else {}


def changes(old: Sequence[Line], new: Sequence[Line]) -> list[str]:
    """Return what changed: "+" new, "-" gone, "~" the same element, now so or elsewhere; how many were made anew."""
    start = _same_length(old, new)
    end = min(_same_length(reversed(old), reversed(new)), len(old) - start, len(new) - start)
    changed_old, changed_new = old[start : len(old) - end], new[start : len(new) - end]
    is_cut = max(len(changed_old), len(changed_new)) > _MOST_COMPARED
    changed_old, changed_new = changed_old[:_MOST_COMPARED], changed_new[:_MOST_COMPARED]
    above = [*new[:start], *changed_new]
    compared = list(_compared(changed_old, changed_new, lambda number: _around(above, start + number)))
    anew = [text for mark, text in compared if mark == "="]
    told = [f"{mark} {text}" for mark, text in _abridged([each for each in compared if each[0] != "="])]
    told += ["~ … and more changes further down"] if is_cut else []
    if len(anew) > _MOST_TOLD:
        return [f"~ {len(anew)} elements were made anew, looking the same: their references are new", *told]
    return [*(f"~ {text} made anew" for text in anew), *told]


def _same_length(one: Iterable[Line], other: Iterable[Line]) -> int:
    """Return how many lines from the first on are the same."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a is not b and a.key() != b.key():
            break
        length += 1
    return length


def _around(lines: Sequence[Line], number: int) -> str:
    """Return in what a line is nested."""
    outer = (line for line in reversed(lines[:number]) if line.depth < lines[number].depth and line.reference)
    return next((line.shown() for line in outer), "the page")


def _compared(old: Sequence[Line], new: Sequence[Line], around: Callable[[int], str]) -> Iterator[tuple[str, str]]:
    """Yield what differs; ">" is an element that moved and is what it was, "=" another that looks the same."""
    was = {line.reference: line.key() for line in old if line.reference}
    still_there = {line.reference for line in new if line.reference}
    # What was made anew is compared by its looks, what is still there is itself.
    before = [line.key() if line.reference in still_there else line.key()[:1] for line in old]
    after = [line.key() if line.reference in was else line.key()[:1] for line in new]
    for tag, a, b, c, d in SequenceMatcher(None, before, after).get_opcodes():
        if tag == "equal":
            yield from (("=", line.shown()) for line in new[c:d] if line.reference and line.reference not in was)
            continue
        for line in old[a:b]:
            if line.reference not in still_there:
                yield "-", line.shown()
        for number, line in enumerate(new[c:d], c):
            known = was.get(line.reference)
            if known is None:
                yield "+", line.shown()
            elif known == line.key():
                yield ">", f"{line.shown()} moved into {around(number)}"
            else:
                yield "~", line.shown()


def _abridged(compared: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield it with what is gone or moved in few words where there is much of it."""
    for mark, group in groupby(compared, key=itemgetter(0)):
        lines = list(group)
        if mark in "->" and len(lines) > _MOST_TOLD:
            what = "more lines" if mark == "-" else "more moved"
            lines = [lines[0], (mark, f"… {len(lines) - 1} {what}")]
        yield from (("~" if mark == ">" else mark, text) for _, text in lines)
