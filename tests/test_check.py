"""`check` of every server, by whoever runs it: a person, a script."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import catalog
import pytest

# Nothing of these is there, so that each server has something to complain of, and nothing outside is asked.
AMISS = {
    "web-browser": ["--executable", "/nonexistent/chromium"],
    "drive": ["--token-folder", "/nonexistent"],
    "filesystem": ["/nonexistent"],
    "github": ["--api-url", "http://127.0.0.1:1"],
    "postgres": ["postgresql://reader@127.0.0.1:1/none"],
    "search": ["/nonexistent", "--provider", "none"],
    "slack": [],
}
every_server = pytest.mark.parametrize("server", catalog.servers(), ids=lambda server: server.about.name)


def check(server: catalog.CataloguedServer, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `check` where no credential of this machine can be found."""
    module = server.about.package.replace("-", "_")
    command = [sys.executable, "-m", module, "check", *AMISS[server.about.name], *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@every_server
def test_a_script_gets_every_tool_and_each_problem(server: catalog.CataloguedServer, tmp_path: Path) -> None:
    done = check(server, tmp_path, "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["usable"]) == (1, "", False)
    assert report["server"] == server.about.package
    program = server.program
    registered = program.build_server(program.settings_type.load(AMISS[server.about.name], {})).registry.tools
    tools = {tool["name"]: tool for tool in report["tools"]}
    assert tools.keys() == registered.keys()
    for grant, tool in ((entry.grant, tools[name]) for name, entry in registered.items()):
        assert tool["listed"] == (grant is None or grant.flag not in tool["why_not"])
        assert tool["listed"] or (grant is not None and grant.needs in tool["why_not"])
    problems = [finding for finding in report["findings"] if finding["level"] == "problem"]
    assert [finding for finding in problems if not finding["text"]] == []
    assert problems


@every_server
def test_a_person_reads_what_to_do_about_a_problem(server: catalog.CataloguedServer, tmp_path: Path) -> None:
    done = check(server, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    [first, *_] = [position for position, line in enumerate(lines) if line.startswith("✗ ")]
    assert lines[first + 1].startswith("  "), "a problem has advice below it"
