"""The benchmark beside the npm server runs, and what it finds of sizes is a promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[3] / "tests"
TINY_ROUND = """
from statistics import median
from comparisons.slack import NPM, OURS, compare
compared = compare(1, messages=12)
assert not compared.skipped, compared.skipped
sizes = compared.samples["what happened in a channel (bytes a model reads)"]
assert median(sizes[OURS]) * 3 <= median(sizes[NPM]), sizes
"""


@pytest.mark.slow
def test_a_channel_costs_a_model_a_third_of_what_slacks_own_json_does() -> None:
    if not (TESTS / "peers/node_modules/@zencoderai").exists():
        pytest.skip("no npm server: npm ci --prefix tests/peers")
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", TINY_ROUND]
    done = subprocess.run(
        command, cwd=TESTS / "benchmarks", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
