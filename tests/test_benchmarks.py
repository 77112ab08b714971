"""What the report of the benchmarks says of its figures."""

import math

import pytest
from benchmarks.growth import CONSTANT, LINEAR, LOGARITHMIC, WORSE, curve

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
