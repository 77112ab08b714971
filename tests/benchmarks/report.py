"""What was measured, as tables for people and as JSON for programs."""

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from aims import Judgement, judged
from comparisons import Comparison, ratio
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
        yardstick = sides.get(compared.yardstick, ())
        for name, values in sides.items():
            figures = "".join(map(_cell, _summary(values)))
            yield f"  {name:<42}{figures}" + (
                f"{ratio(values, yardstick):>8.2f}" if yardstick and all(yardstick) else ""
            )


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


def aims(compared: Mapping[str, Comparison]) -> str:
    """Return which aims are met, as a table."""
    lines = [f"{'aim':<98}{'figure':>10}{'limit':>10}"]
    lines += [_judged(judgement) for judgement in judged(compared)]
    return "\n".join(lines) + "\n"


def _judged(judgement: Judgement) -> str:
    aim = judgement.aim
    what = f"{aim.comparison}: {judgement.measure}, {judgement.side}{f' to {aim.than}' if aim.than else ''}"
    limit = f"<= {aim.at_most:g}" if aim.at_most is not None else f">= {aim.at_least:g}"
    return f"{what:<98}{judgement.figure:>10,.2f}{limit:>10}{'' if judgement.is_met else '  missed'}"


def as_json(compared: Mapping[str, Comparison], rounds: int) -> str:
    """Return every figure."""
    report: dict[str, Any] = {"rounds": rounds}
    for title, comparison in compared.items():
        report[title] = {
            "measures": {
                measure: {name: _named(values) | {"figures": values} for name, values in sides.items()}
                for measure, sides in comparison.samples.items()
            },
            "growth": {
                measure: {
                    name: {"curve": curve(sizes)} | {str(size): _named(values) for size, values in sizes.items()}
                    for name, sizes in sides.items()
                }
                for measure, sides in comparison.growth.items()
            },
            "skipped": comparison.skipped,
        }
    return json.dumps(report, indent=2) + "\n"


def as_page(compared: Mapping[str, Comparison], rounds: int) -> str:
    """Return everything that was printed, as a page of Markdown."""
    machine = (
        f"{platform.system()}, {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    parts = [_PAGE.format(rounds=rounds, date=time.strftime("%Y-%m-%d", time.gmtime()), machine=machine)]
    parts.append(f"## Aims\n\n```text\n{aims(compared)}```\n")
    parts += [f"## {title}\n\n```text\n{table(comparison)}```\n" for title, comparison in compared.items()]
    return "\n".join(parts)


_PAGE = """# What was measured

Written by `.venv/bin/python tests/benchmarks/run.py --page docs/benchmarks.md`, {rounds} rounds, on {date},
{machine}.

Each server is beside what it is compared with, in the same run on the same machine: the median of its figures, the
lowest and the highest, and the median of their ratios to those that were taken beside them. The ratios carry over to
other machines, the figures do not. An aim names the figure that is furthest from it. Where there is more of the data or
of the callers, the last column says how the figure grows.

The load over HTTP comes from the same processors that serve it, which two workers feel most in calls that do nothing.
"""


def _named(values: list[float]) -> dict[str, Any]:
    return dict(zip(("median", "lowest", "highest"), _summary(values), strict=True))
