"""What the figures should be: ratios within one run where there is something to compare with, else plain figures."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from fnmatch import fnmatchcase
from statistics import median

from comparisons import Comparison, ratio

SERVERS = "servers"  # the comparison of all servers with the empty ones


@dataclass(frozen=True)
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
    _: KW_ONLY
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


_EMPTY, _OUR_STDIO = "empty SDK server", "empty SDK server, our stdio"
_BARE, _PROMISES = "bare tool, our stdio", "the same, all promises"
_BARE_HTTP, _HTTP, _TWO_WORKERS = "bare SDK server, uvloop", "ours", "ours, 2 workers"
_FILESYSTEM, _RIPGREP = "mcp-server-filesystem", "ripgrep itself"
_POSTGRES, _RAW = "mcp-server-postgres", "raw asyncpg behind two pipes"
_BROWSER, _PLAYWRIGHT = "mcp-server-web-browser", "playwright mcp"

AIMS = (
    Aim(SERVERS, "cold start, * (ms)", "mcp-server-*", than=_EMPTY, at_most=1.10),
    Aim(SERVERS, "call p50, * (us)", _OUR_STDIO, than=_EMPTY, at_most=0.6),
    Aim(SERVERS, "calls a second, *", _OUR_STDIO, than=_EMPTY, at_least=1.7),
    Aim("promises", "*p50 (us)", _PROMISES, than=_BARE, at_most=1.15),
    Aim("http", "*(calls a second)", _HTTP, than=_BARE_HTTP, at_least=1),
    Aim("http", "*32 in flight (calls a second)", _TWO_WORKERS, than=_HTTP, at_least=1.7),
    Aim("filesystem", "search in the small files (ms)", _FILESYSTEM, than=_RIPGREP, at_most=1.3),
    Aim("filesystem", "*of the huge file* (ms)", _FILESYSTEM, at_most=50),
    Aim("filesystem", "* again (ms)", _FILESYSTEM, at_most=50),
    Aim("postgres", "SELECT 1, p50 (us)", _POSTGRES, than=_RAW, at_most=3),
    Aim("postgres", "find * (ms)", _POSTGRES, at_most=50),
    Aim("postgres", "describe * (ms)", _POSTGRES, at_most=50),
    Aim("postgres", "first rows of a big table (ms)", _POSTGRES, at_most=50),
    Aim("browser", "click, * page (ms)", _PLAYWRIGHT, than=_BROWSER, at_least=5),
    Aim("browser", "click, large page (characters)", _BROWSER, at_most=1_000),
    Aim("browser", "memory of one more page (MB)", _BROWSER, than=_PLAYWRIGHT, at_most=1),
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
                yield Judgement(aim, measure, side, ratio(values, sides[aim.than]))
