"""The rules of the root conftest.py, in a repository of two tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest

def test_skipped(): pytest.skip("postgres is not installed")
def test_impossible_here(): pytest.skip("platform: not on this system")
@pytest.mark.xfail
def test_known(): assert False
"""
SKIPPED_MODULE = 'import pytest\npytest.skip("no npm", allow_module_level=True)\n'
ORDER = """
import pytest

@pytest.mark.slow
def test_one(): pass
def test_two(): pass
"""


def run_of(folder: Path, source: str, *arguments: str, ci: str = "") -> tuple[int, str]:
    """Run pytest over one module under the repository's conftest; return its exit code and output."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder)
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | {"CI": ci}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_a_skip_is_a_skip_outside_ci(tmp_path: Path) -> None:
    code, output = run_of(tmp_path, SKIPS)
    assert code == 0
    assert "2 skipped, 1 xfailed" in output


def test_a_skip_is_a_failure_in_ci_unless_it_is_for_the_platform(tmp_path: Path) -> None:
    code, output = run_of(tmp_path, SKIPS, ci="true")
    assert code == 1
    assert "1 failed, 1 skipped, 1 xfailed" in output
    assert "where every test has to run: postgres is not installed" in output


def test_a_skipped_module_is_an_error_in_ci(tmp_path: Path) -> None:
    code, output = run_of(tmp_path, SKIPPED_MODULE, ci="true")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "where every test has to run: no npm" in output


def test_slow_tests_run_last(tmp_path: Path) -> None:
    _, output = run_of(tmp_path, ORDER, "-vv")
    assert output.index("test_two") < output.index("test_one")
