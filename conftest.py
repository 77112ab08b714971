"""Rules for every test of the repository.

- A skip says why. In CI (`CI` is set) it is a failure, unless the reason begins with "platform:", which is for what
  this machine can never have, as another operating system or Python version.
- Fast tests run first, those marked `slow` last.
- No test fails for the time that it takes: hypothesis would, where a machine is busy.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import hypothesis
import pytest

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

ReportT = TypeVar("ReportT", pytest.TestReport, pytest.CollectReport)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow tests last; the order is kept otherwise."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into a failure, in CI."""
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into an error, in CI."""
    return _judged((yield))


def _judged(report: ReportT) -> ReportT:
    skipped = report.skipped and not hasattr(report, "wasxfail")
    reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
    if skipped and os.environ.get("CI") and not reason.startswith("platform:"):  # noqa: TID251
        report.outcome = "failed"
        report.longrepr = f"Skipped in CI, where every test has to run: {reason}"
    return report
