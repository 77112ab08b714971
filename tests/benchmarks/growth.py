"""How a figure grows with the data or with the callers, in one word."""

from collections.abc import Mapping
from itertools import pairwise
from statistics import median

Sizes = dict[int, list[float]]
"""How much there was, each with one figure a round; each size so many times the one before, as 1, 10 and 100."""

CONSTANT, LOGARITHMIC, LINEAR, WORSE = "constant", "logarithmic", "linear", "worse than linear"
_NOISE = 1.5


def curve(sizes: Mapping[int, list[float]]) -> str:
    """Name the curve through the medians of three sizes or more.

    Equal steps at equal factors are a logarithm, steps that grow by the factor a line. Less than half as much again
    over the whole range counts as constant, and steps are compared with as much patience: the machine is not quiet.
    """
    (first, last), figures = (min(sizes), max(sizes)), [median(sizes[size]) for size in sorted(sizes)]
    factor = (last / first) ** (1 / (len(figures) - 1))
    if figures[-1] < _NOISE * figures[0]:
        return CONSTANT
    if figures[-1] > _NOISE * factor * figures[-2]:
        return WORSE
    steps = [after - before for before, after in pairwise(figures)]
    return LOGARITHMIC if steps[-1] <= factor**0.5 * steps[-2] else LINEAR
