"""The sources pass the linter, the formatter and the type checker; part of the one test run, so that nobody forgets."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check(*command: str) -> None:
    """Run a checker over the repository; fail with all that it says."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_ruff_has_no_complaint() -> None:
    check("ruff", "check", "--quiet")


def test_the_sources_are_formatted() -> None:
    check("ruff", "format", "--check", "--quiet")


@pytest.mark.slow
def test_pyright_has_no_complaint() -> None:
    check("pyright")
