"""The benchmark beside the rivals still runs; what it measures is not looked at here."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "tests" / "benchmarks"
TINY_ROUND = """
from comparisons.filesystem import NPM, OURS, compare
compared = compare(1, huge_bytes=1_000_000, large_bytes=1_000, small_files=2_000, rivals=[NPM])
assert OURS not in compared.skipped, compared.skipped
"""


@pytest.mark.slow
def test_the_comparison_runs() -> None:
    done = subprocess.run([sys.executable, "-c", TINY_ROUND], cwd=BENCHMARKS, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
