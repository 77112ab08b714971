"""What was measured, as a table for people and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from comparisons import Comparison
from growth import curve


def table(compared: Comparison) -> str:
    """Return the figures of one comparison with their ratios to its yardstick, then how they grow."""
    lines = [*_measures(compared), *_growth(compared)]
    lines.append(f"\nratio: to the {compared.yardstick}")
    lines.extend(f"skipped: {name} {reason}" for name, reason in compared.skipped.items())
    return "\n".join(lines).lstrip("\n") + "\n"


def _measures(compared: Comparison) -> Iterator[str]:
    for measure, sides in compared.samples.items():
        yield f"\n{measure:<44}{'median':>10}{'lowest':>10}{'highest':>10}{'ratio':>8}"
        yardstick = median(sides[compared.yardstick]) if compared.yardstick in sides else None
        for name, values in sides.items():
            ratio = f"{median(values) / yardstick:>8.2f}" if yardstick else ""
            yield f"  {name:<42}" + "".join(map(_cell, _summary(values))) + ratio


def _growth(compared: Comparison) -> Iterator[str]:
    for measure, sides in compared.growth.items():
        for name, sizes in sides.items():
            if name == next(iter(sides)):
                yield f"\n{measure:<44}" + "".join(f"{size:>10,}" for size in sorted(sizes)) + "  grows"
            figures = "".join(_cell(median(sizes[size])) for size in sorted(sizes))
            yield f"  {name:<42}{figures}  {curve(sizes)}"


def _cell(figure: float) -> str:
    return f"{figure:>10,.{0 if figure >= 100 else 1}f}"


def _summary(values: list[float]) -> tuple[float, float, float]:
    return median(values), min(values), max(values)


def as_json(compared: Sequence[Comparison], rounds: int) -> str:
    """Return every figure of every round."""
    report: dict[str, Any] = {"rounds": rounds, "measures": {}, "growth": {}, "skipped": {}}
    for comparison in compared:
        for measure, sides in comparison.samples.items():
            report["measures"][measure] = {name: _named(values) | {"rounds": values} for name, values in sides.items()}
        for measure, sides in comparison.growth.items():
            report["growth"][measure] = {
                name: {"curve": curve(sizes)} | {str(size): _named(values) for size, values in sizes.items()}
                for name, sizes in sides.items()
            }
        report["skipped"] |= comparison.skipped
    return json.dumps(report, indent=2) + "\n"


def _named(values: list[float]) -> dict[str, Any]:
    return dict(zip(("median", "lowest", "highest"), _summary(values), strict=True))
