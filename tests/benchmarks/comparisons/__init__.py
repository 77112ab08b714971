"""What one server does beside its own rivals: a module for each server, with `compare(rounds: int) -> Comparison`."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from client import ServerFailed
from growth import Sizes

Samples = dict[str, dict[str, list[float]]]
"""Measure with its unit, as "click (ms)", then side, then its figures: one a round, or one for each portion of it."""

Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""Side, then measure, then its figures in one round."""

PORTIONS = 10

Part = TypeVar("Part")

Growth = dict[str, dict[str, Sizes]]
"""Measure with what grows, as "list (ms) of so many files", then side, then size, then one figure a round."""


@dataclass(frozen=True)
class Comparison:
    """Figures of several sides for the same work, taken in turn in one run.

    Attributes:
        yardstick: the side that ratios are to; where it has no figure, there is no ratio.
        samples: the figures; the yardstick's first.
        skipped: sides that could not run, and why in a few words.
        growth: the same work on more data or for more callers.
    """

    yardstick: str
    samples: Samples
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    growth: Growth = field(default_factory=dict[str, dict[str, Sizes]])


def ratio(figures: Sequence[float], than: Sequence[float]) -> float:
    """Return the median of the ratios of figures that were taken beside each other.

    A machine's speed changes from one second to the next, and a ratio of two medians with it. Where one side has fewer
    figures, nothing was beside the others, and the medians have to do.
    """
    if len(figures) == len(than):
        return median(figure / other for figure, other in zip(figures, than, strict=True))
    return median(figures) / median(than)


def taken_in_turn(
    sides: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int, skipped: dict[str, str]
) -> Samples:
    """Return the figures of each side, measured once a round; the first round fills caches and does not count.

    A side that fails goes into `skipped`, with its reason, and is not asked again.
    """

    def measured() -> Figures:
        sides_once = _each_once(sides, skipped).items()
        return {side: {measure: [value] for measure, value in figures.items()} for side, figures in sides_once}

    return in_rounds(measured, rounds)


def in_rounds(measured: Callable[[], Figures], rounds: int) -> Samples:
    """Return what all sides together measure in each round; the first round fills caches and does not count."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    for number in range(rounds + 1):
        for side, figures in measured().items():
            for measure, values in figures.items() if number else ():
                samples[measure][side].extend(values)
    return samples


def in_portions(sides: Mapping[str, Callable[[], Part]], skipped: dict[str, str]) -> dict[str, list[Part]]:
    """Ask all sides in turn, again and again, each time for a part of the work; return the parts of each side."""
    parts: dict[str, list[Part]] = defaultdict(list)
    for _ in range(PORTIONS):
        for side, part in _each_once(sides, skipped).items():
            parts[side].append(part)
    return {side: of_side for side, of_side in parts.items() if side not in skipped}


def _each_once(sides: Mapping[str, Callable[[], Part]], skipped: dict[str, str]) -> dict[str, Part]:
    results: dict[str, Part] = {}
    for side, asked in sides.items():
        if side in skipped:
            continue
        try:
            results[side] = asked()
        except ServerFailed as error:
            skipped[side] = str(error)
    return results
