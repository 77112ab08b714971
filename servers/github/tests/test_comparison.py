"""The benchmark beside PyGithub runs, and what it finds of requests and sizes is a promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3] / "tests"
TINY_ROUND = """
from comparisons.github import ABOUT, FAILURE, OFFICIAL, OURS, PYGITHUB, compare
compared = compare(1, log_lines=(100, 1_000))
assert not compared.skipped, compared.skipped
for question in (ABOUT, FAILURE):
    requests, sizes = (compared.samples[f"{question} ({unit})"] for unit in ("upstream requests", "bytes"))
    assert requests[OURS] <= requests[PYGITHUB], requests
    assert sizes[OURS][0] * 3 <= sizes[OFFICIAL][0], sizes
"""


@pytest.mark.slow
def test_a_question_takes_no_more_requests_than_the_library_and_a_third_of_the_official_bytes() -> None:
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", TINY_ROUND]
    done = subprocess.run(
        command, cwd=TESTS / "benchmarks", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
