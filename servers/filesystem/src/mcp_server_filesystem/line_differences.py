"""Which lines two texts have in common, found in a time that grows with their length, whatever the lines are.

`difflib` compares every gap with every line of it, which takes minutes where long texts differ in every second line.
Here lines that each text has exactly once are matched first, in order, as far as that goes; what is left between
two of them is compared line by line only where that is short.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher

MOST_COMPARED_IN_A_GAP = 40_000  # pairs of lines
MOST_COMPARED = 4_000_000  # in all; beyond, gaps are taken for different

_Pair = tuple[int, int]  # the numbers of a line in the one text and in the other


class LineDifferences(SequenceMatcher[str]):
    """Two texts as lines; opcodes and grouped opcodes as of `SequenceMatcher`, but for how equal lines are found."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__()
        self.a, self.b = old, new
        self._left = MOST_COMPARED

    def get_matching_blocks(self) -> list[Match]:
        """Return the runs of equal lines in order, and an empty one at the end of both texts."""
        blocks: list[Match] = []
        for old, new in self._pairs():
            last = blocks[-1] if blocks else Match(-1, -1, 0)
            if (old, new) == (last.a + last.size, last.b + last.size):
                blocks[-1] = Match(last.a, last.b, last.size + 1)
            else:
                blocks.append(Match(old, new, 1))
        return [*blocks, Match(len(self.a), len(self.b), 0)]

    def _pairs(self) -> Iterator[_Pair]:
        """Yield pairs of equal lines, both numbers rising."""
        begin, end = (0, 0), (len(self.a), len(self.b))
        for pair in _anchors(self.a, self.b):
            yield from self._between(begin, pair)
            yield pair
            begin = (pair[0] + 1, pair[1] + 1)
        yield from self._between(begin, end)

    def _between(self, begin: _Pair, end: _Pair) -> Iterator[_Pair]:
        """Yield the pairs in a gap: those at its beginning, those that a comparison finds, and those at its end."""
        old, new = self.a[begin[0] : end[0]], self.b[begin[1] : end[1]]
        shorter = min(len(old), len(new))
        same = next((at for at in range(shorter) if old[at] != new[at]), shorter)
        yield from ((begin[0] + at, begin[1] + at) for at in range(same))
        shorter -= same
        same_after = next((at for at in range(shorter) if old[-at - 1] != new[-at - 1]), shorter)
        old, new = old[same : len(old) - same_after], new[same : len(new) - same_after]
        size = len(old) * len(new)
        if 0 < size <= min(MOST_COMPARED_IN_A_GAP, self._left):
            self._left -= size
            yield from ((begin[0] + same + i, begin[1] + same + j) for i, j in _longest_common(old, new))
        yield from ((end[0] - at, end[1] - at) for at in range(same_after, 0, -1))


def _longest_common(old: Sequence[str], new: Sequence[str]) -> Iterator[_Pair]:
    """Yield the most pairs of equal lines that there are, both numbers rising."""
    rows = [[0] * (len(new) + 1)]  # how many there are from a line of each text on; of the last line first
    for line in reversed(old):
        below, row = rows[-1], [0]
        for at in range(len(new) - 1, -1, -1):
            row.append(below[at + 1] + 1 if line == new[at] else max(below[at], row[-1]))
        rows.append(row[::-1])
    rows.reverse()
    i = j = 0
    while i < len(old) and j < len(new):
        if old[i] == new[j]:
            yield i, j
            i, j = i + 1, j + 1
        elif rows[i + 1][j] >= rows[i][j + 1]:
            i += 1
        else:
            j += 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[_Pair]:
    """Return the longest row of pairs, both numbers rising, of lines that each text has exactly once."""
    in_old, in_new = Counter(old), Counter(new)
    at = {line: number for number, line in enumerate(new) if in_new[line] == 1}
    pairs = [(number, at[line]) for number, line in enumerate(old) if in_old[line] == 1 and line in at]
    ends: list[int] = []  # the least number in the new text that a row of each length ends with
    last: list[int] = []  # the pair that such a row ends with
    before: list[int] = []  # of each pair, the one before it in the longest row that ends with it
    for number, (_, new_at) in enumerate(pairs):
        length = bisect_left(ends, new_at)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [new_at]
        last[length : length + 1] = [number]
    row: list[_Pair] = []
    number = last[-1] if last else -1
    while number >= 0:
        row.append(pairs[number])
        number = before[number]
    return row[::-1]
