"""The demo of the README, as it is run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import copy_checkout
from node import installed

ROOT = Path(__file__).parents[1]
KINDS = {
    "drive": "emulated",
    "filesystem": "real",
    "github": "emulated",
    "postgres": "embedded",
    "search": "emulated",
    "slack": "emulated",
    "web-browser": "real",
}


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo of a checkout."""
    return subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=folder / "tests",
        env=os.environ | {"COLUMNS": "110"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_it_shows_all_seven_servers_and_says_what_each_talks_to() -> None:
    installed("emulate")
    done = demo(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = [line.split() for line in done.stdout.split("Together")[0].splitlines() if line[:3].lstrip()]
    assert {words[0]: words[3] for words in listed[2:]} == KINDS
    for shown in (
        "Order 140 was *charged twice*",  # Slack
        '"""Charge an order; a timeout is tried again."""',  # GitHub
        "cannot execute DELETE in a read-only transaction",
        "140,2024-11-03,358.75",  # Drive
        "+    return gateway.charge(order.total, key=order.id)",
        "⟦U+202E⟧",
        "Idempotence",  # Wikipedia
        "Explore public.orders.",
        "python3 tests/bootstrap.py console",
    ):
        assert shown in done.stdout


@pytest.mark.slow
def test_where_something_is_missing_it_says_so_and_shows_the_rest(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    for path in (*ROOT.glob("tests/*"), ROOT / "servers", ROOT / "catalog.yaml"):
        if path.name != "peers":
            (tmp_path / path.relative_to(ROOT)).symlink_to(path)
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("github", "slack"):
        assert done.stdout.count(f"! {name} is missing. There is no emulate: npm ci --prefix tests/peers") == 2
    assert "cannot execute DELETE" in done.stdout


@pytest.mark.slow
def test_in_a_fresh_clone_demo_and_console_install_what_they_need(tmp_path: Path) -> None:
    clone = copy_checkout(tmp_path / "clone")
    home = tmp_path / "home"
    home.mkdir()
    uv = Path(os.environ.get("UV") or shutil.which("uv") or ROOT / ".tools/uv/bin/uv")
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    environment = os.environ | {
        "HOME": str(home),
        "PATH": f"{uv.parent}{os.pathsep}{os.environ['PATH']}",
        "UV_CACHE_DIR": cache,  # what is downloaded is as it was before
        "npm_config_cache": str(Path("~/.npm").expanduser()),
    }

    def bootstrap(*words: str, lines: str) -> str:
        command = [sys.executable, clone / "tests/bootstrap.py", *words]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, input=lines, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    shown = bootstrap("demo", lines="")
    assert "140,2024-11-03,358.75" in shown
    assert "Done in" in shown
    assert "Call the courier" in bootstrap("console", "filesystem", lines="read_text_file path=notes.txt\n")
