"""The page on forking, followed word by word: from a copy to a server that lists the orders of a shop."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import ROOT, copy_checkout
from test_fork import UV, own_environment

PAGE = (ROOT / "docs/forking.md").read_text(encoding="utf-8").partition("\n## In this workspace")[0]
_STEP = re.compile(r"^(?:`(?P<path>[\w./]+)`|```(?P<kind>\w+)\n(?P<text>.*?)^```$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Written:
    """A file of the page."""

    path: str
    text: str


@dataclass(frozen=True)
class Typed:
    """Commands of the page, and lines that it says they print."""

    commands: str
    printed: list[str]


def steps() -> Iterator[Written | Typed]:
    """Yield what a reader does, in order; a fence is of the file that the last line with a path at its start names."""
    path = ""
    fences = list(_STEP.finditer(PAGE))
    for found, after in zip(fences, [*fences[1:], None], strict=True):
        if found["path"]:
            path = found["path"]
        elif found["kind"] == "sh":
            shown = after["text"].splitlines() if after and after["kind"] == "text" else []
            yield Typed(found["text"], shown)
        elif found["kind"] != "text":
            yield Written(path, found["text"])


def typed(commands: str, folder: Path) -> tuple[str, Path]:
    """Run commands as one reader's shell would; return what they print, and the folder they lead to."""
    path = f"{Path(UV).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", f"{commands}\npwd"],
        cwd=folder,
        env=own_environment() | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout[-4000:]}"
    *lines, last = done.stdout.splitlines()
    return "\n".join(lines), Path(last)


@pytest.mark.slow
def test_who_does_what_the_page_on_forking_says_has_a_server_that_keeps_the_promises(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "checkout")
    for step in steps():
        if isinstance(step, Written):
            (folder / step.path).write_text(step.text, encoding="utf-8")
            continue
        printed, folder = typed(step.commands, folder)
        for line in step.printed:
            assert re.search(re.escape(line).replace("…", ".*"), printed), f"{line}\nis not in\n{printed[-4000:]}"


def test_the_page_on_forking_has_files_and_commands() -> None:
    kinds = [type(step) for step in steps()]
    assert (kinds.count(Written), kinds.count(Typed)) == (7, 8)
