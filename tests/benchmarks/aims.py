"""What the figures should be: ratios within one run where there is something to compare with, else plain figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median

from comparisons import Comparison

SERVERS = "servers"  # the comparison of all servers with the empty ones


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One figure and how large, or small, it may be.

    Attributes:
        comparison: where the figure is from.
        measure: its name there; with `*`, each that fits.
        side: whose figure; with `*`, each that fits.
        than: the side whose figure it is divided by; empty for the plain figure.
        at_most: the limit, or
        at_least: the limit.
    """

    comparison: str
    measure: str
    side: str
    than: str = ""
    at_most: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Judgement:
    """An aim and the figure that is furthest from it."""

    aim: Aim
    measure: str
    side: str
    figure: float

    @property
    def is_met(self) -> bool:
        """Whether the aim is met."""
        if self.aim.at_most is not None:
            return self.figure <= self.aim.at_most
        return self.figure >= (self.aim.at_least or 0)


def _both_eras(measure: str) -> tuple[str, str]:
    return measure.format("handshake"), measure.format("modern")


AIMS = (
    *(
        Aim(comparison=SERVERS, measure=measure, side="mcp-server-*", than="empty SDK server", at_most=1.10)
        for measure in _both_eras("cold start, {} (ms)")
    ),
    *(
        Aim(
            comparison=SERVERS,
            measure=measure,
            side="empty SDK server, our stdio",
            than="empty SDK server",
            at_most=0.6,
        )
        for measure in _both_eras("call p50, {} (us)")
    ),
    *(
        Aim(
            comparison=SERVERS,
            measure=measure,
            side="empty SDK server, our stdio",
            than="empty SDK server",
            at_least=1.7,
        )
        for measure in _both_eras("calls a second, 32 in flight, {}")
    ),
    Aim(
        comparison="promises",
        measure="*p50 (us)",
        side="the same, all promises",
        than="bare tool, our stdio",
        at_most=1.15,
    ),
    Aim(comparison="http", measure="*(calls a second)", side="ours", than="bare SDK server, uvloop", at_least=1.0),
    *(
        Aim(
            comparison="http",
            measure=f"{call}, 32 in flight (calls a second)",
            side="ours, 2 workers",
            than="ours",
            at_least=1.7,
        )
        for call in ("no-op", "no-op of 2026", "read of 4 kB")
    ),
    Aim(
        comparison="filesystem",
        measure="search in the small files (ms)",
        side="mcp-server-filesystem",
        than="ripgrep itself",
        at_most=1.3,
    ),
    *(
        Aim(comparison="filesystem", measure=measure, side="mcp-server-filesystem", at_most=50)
        for measure in ("*of the huge file* (ms)", "*again (ms)")
    ),
    Aim(
        comparison="postgres",
        measure="SELECT 1, p50 (us)",
        side="mcp-server-postgres",
        than="raw asyncpg behind two pipes",
        at_most=3,
    ),
    *(
        Aim(comparison="postgres", measure=measure, side="mcp-server-postgres", at_most=50)
        for measure in ("find * (ms)", "describe * (ms)", "first rows of a big table (ms)")
    ),
    *(
        Aim(
            comparison="browser",
            measure=f"click, {page} page (ms)",
            side="playwright mcp",
            than="mcp-server-web-browser",
            at_least=5,
        )
        for page in ("small", "middle", "large", "huge")
    ),
    Aim(
        comparison="browser",
        measure="click, large page (characters)",
        side="mcp-server-web-browser",
        at_most=1_000,
    ),
    Aim(
        comparison="browser",
        measure="memory of one more page (MB)",
        side="mcp-server-web-browser",
        than="playwright mcp",
        at_most=1.0,
    ),
)


def judged(compared: Mapping[str, Comparison]) -> Iterator[Judgement]:
    """Yield each aim that something was measured for, with the figure that is furthest from it."""
    for aim in AIMS:
        if aim.comparison in compared:
            figures = list(_figures(aim, compared[aim.comparison]))
            if figures:
                worst = max if aim.at_most is not None else min
                yield worst(figures, key=lambda judgement: judgement.figure)


def _figures(aim: Aim, comparison: Comparison) -> Iterator[Judgement]:
    for measure, sides in comparison.samples.items():
        for side, values in sides.items():
            if not (fnmatchcase(measure, aim.measure) and fnmatchcase(side, aim.side)):
                continue
            if not aim.than:
                yield Judgement(aim, measure, side, median(values))
            elif aim.than in sides:
                yield Judgement(aim, measure, side, median(values) / median(sides[aim.than]))
