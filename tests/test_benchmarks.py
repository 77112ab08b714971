"""What the report of the benchmarks says of its figures."""

import math
import sys
from fnmatch import filter as filter_names
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "benchmarks"))  # where its modules look for each other

from benchmarks.aims import AIMS, Judgement, judged
from benchmarks.comparisons import Comparison, ServerFailed, in_portions, ratio
from benchmarks.growth import CONSTANT, LINEAR, LOGARITHMIC, WORSE, curve
from benchmarks.report import table

SIZES = (1_000, 10_000, 100_000)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        (CONSTANT, [7.0, 7.1, 6.9]),
        (CONSTANT, [7.0, 6.0, 9.9]),
        (LOGARITHMIC, [math.log(size) for size in SIZES]),
        (LOGARITHMIC, [1.0, 2.0, 4.0]),
        (LINEAR, [size / 1_000 for size in SIZES]),
        (LINEAR, [500 + size for size in SIZES]),
        (LINEAR, [10.0, 9.0, 40.0]),
        (WORSE, [size * math.log(size) ** 3 for size in SIZES]),
        (WORSE, [size**2 for size in SIZES]),
    ],
)
def test_a_curve_is_named_by_the_steps_between_its_figures(name: str, figures: list[float]) -> None:
    assert curve({size: [figure] for size, figure in zip(SIZES, figures, strict=True)}) == name


def test_each_figure_is_the_median_of_its_rounds() -> None:
    assert curve({1: [1.0, 1.0, 90.0], 10: [1.0, 1.1, 1.0], 100: [0.0, 1.2, 1.1]}) == CONSTANT


def judgement_of(measure: str, samples: dict[str, dict[str, list[float]]]) -> Judgement:
    """Return what is said of the one aim for such a measure of the browser servers."""
    found = judged({"browser": Comparison("mcp-server-web-browser", samples)})
    return next(judgement for judgement in found if judgement.measure.endswith(measure))


def test_an_aim_is_judged_by_the_figure_that_is_furthest_from_it() -> None:
    clicks = {
        "click, small page (ms)": {"mcp-server-web-browser": [10.0, 10.0, 90.0], "playwright mcp": [60.0]},
        "click, large page (ms)": {"mcp-server-web-browser": [10.0], "playwright mcp": [40.0]},
    }
    judgement = judgement_of("page (ms)", clicks)
    assert (judgement.measure, judgement.figure, judgement.is_met) == ("click, large page (ms)", 4.0, False)


@pytest.mark.parametrize(("megabytes", "is_met"), [(20.0, True), (20.1, False)])
def test_an_aim_is_met_at_its_limit_and_missed_beyond(megabytes: float, is_met: bool) -> None:  # noqa: FBT001
    pages = {"memory of one more page (MB)": {"mcp-server-web-browser": [megabytes], "playwright mcp": [20.0]}}
    assert judgement_of("page (MB)", pages).is_met == is_met


def test_nothing_is_said_of_an_aim_whose_yardstick_could_not_run() -> None:
    samples = {"click, large page (ms)": {"mcp-server-web-browser": [10.0]}}
    assert not list(judged({"browser": Comparison("mcp-server-web-browser", samples)}))


def test_every_aim_was_judged_in_the_run_that_the_page_records() -> None:
    page = (Path(__file__).parents[1] / "docs/benchmarks.md").read_text(encoding="utf-8")
    table = page.partition("## Aims")[2].partition("## ")[0]
    for aim in AIMS:
        what = f"{aim.comparison}: {aim.measure}, {aim.side}{f' to {aim.than}' if aim.than else ''} *"
        assert filter_names(table.splitlines(), what), what


def test_a_side_that_fails_is_asked_no_more_and_has_no_figure() -> None:
    asked: list[str] = []

    def failing() -> int:
        asked.append("failing")
        raise ServerFailed("left")

    skipped: dict[str, str] = {}
    parts = in_portions({"good": lambda: 1, "failing": failing}, skipped)
    assert (parts, skipped, asked) == ({"good": [1] * 10}, {"failing": "left"}, ["failing"])


def test_figures_are_compared_with_those_that_were_taken_beside_them() -> None:
    slow_at_first = [20.0, 20.0, 20.0, 10.0, 10.0]
    twice_as_long = [40.0, 40.0, 20.0, 20.0, 20.0]
    assert ratio(twice_as_long, slow_at_first) == 2


def test_medians_are_compared_where_a_side_has_fewer_figures() -> None:
    assert ratio([30.0, 30.0], [10.0, 10.0, 90.0]) == 3


def test_no_ratio_is_told_to_a_yardstick_that_was_nothing_once() -> None:
    overtaken = {"overtaken": {"ours": [0.0, 3.0], "rival": [4.0, 6.0]}}
    assert table(Comparison("ours", overtaken)).splitlines()[2].split() == ["rival", "5.0", "4.0", "6.0"]
