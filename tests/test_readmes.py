"""What the READMEs say is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from notes.network import served

ROOT = Path(__file__).parents[1]


def test_the_quick_start_opens_with_one_command_each_for_demo_and_tests() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Quick start\n")[1].split("\n## ")[0]
    fences = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert fences == ["python3 tests/bootstrap.py demo\n", "python3 tests/bootstrap.py test\n"]


def test_every_module_of_shared_is_on_the_map() -> None:
    readme = (ROOT / "shared/README.md").read_text(encoding="utf-8")
    modules = [path for path in (ROOT / "shared/src/mcp_server_shared").iterdir() if path.name[0] not in "_."]
    named = [f"`{path.stem}{'/' if path.is_dir() else ''}`" for path in modules if path.name != "py.typed"]
    assert [name for name in named if name not in readme] == []


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Install the server of the shared package's README in a folder, with a note to read."""
    source = re.findall(r"```python\n(.*?)```", (ROOT / "shared/README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    (tmp_path / "mcp_server_notes.py").write_text(source)
    (tmp_path / "mcp_server_notes-0.1.0.dist-info").mkdir()
    (tmp_path / "mcp_server_notes-0.1.0.dist-info/METADATA").write_text("Name: mcp-server-notes\nVersion: 0.1.0\n")
    (tmp_path / "hello.txt").write_text("Good morning.")
    return tmp_path


def test_the_server_in_the_readme_of_shared_works(example: Path) -> None:
    command = [sys.executable, "mcp_server_notes.py", "call", "read_note", "name=hello", "."]
    environment = os.environ | {"PYTHONPATH": str(example)}
    done = subprocess.run(command, cwd=example, env=environment, capture_output=True, text=True, check=True)
    assert "Good morning." in done.stdout


def test_the_client_in_the_readme_works(tmp_path: Path) -> None:
    source = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    [client] = [block for block in source if "from mcp import Client" in block]
    (tmp_path / "hello.txt").write_text("hello")
    with served(str(tmp_path), module="mcp_server_filesystem") as server:
        command = [sys.executable, "-c", client, server.url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    for line in (
        "mcp-server-filesystem speaks 2026-07-28",
        "file:///{+path}",
        "review_file",
        "It answered:",
        "hello.txt",
    ):
        assert line in done.stdout
