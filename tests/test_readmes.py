"""What the READMEs say is so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [path for pattern in ("*.md", "shared/*.md", "servers/*/*.md") for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_into_the_repository_lead_somewhere(readme: Path) -> None:
    links: list[str] = re.findall(r"\]\(([^)#]+)[^)]*\)", readme.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (readme.parent / link).exists()] == []


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
