"""The official conformance suite against the shared package, and what of it every server can pass against each."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from node import NODE, installed
from notes.network import served

ROOT = Path(__file__).parents[1]
SERVERS = sorted(path.parent.name for path in ROOT.glob("servers/*/src/*/__main__.py"))
SPECS = ("2025-11-25", "2026-07-28")
BAD = {"FAILURE", "WARNING"}
TIME = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")

SAMPLING = "asks the client's model, which the specification deprecates"
LOGGING = "log messages go to the operator, not to the client; the specification deprecates them"
NOT_OFFERED = {
    "2025-11-25": {
        "logging-set-level": LOGGING,
        "tools-call-with-logging": LOGGING,
        "tools-call-sampling": SAMPLING,
        "server-sse-polling": "nothing is kept for a client that went away: it calls again",
    },
    "2026-07-28": {
        "input-required-result-basic-sampling": SAMPLING,
        "input-required-result-basic-list-roots": "the operator names directories, the client does not",
        "input-required-result-multiple-input-requests": SAMPLING,
        "input-required-result-capability-check": SAMPLING,
    },
}

# What needs none of the suite's own tools, resources and prompts. Some others seem to pass without theirs, as an error
# about an unknown tool is a text too: they say nothing.
FIXTURE_FREE = {
    "2025-11-25": {
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "tools-list",
        "resources-list",
        "prompts-list",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
    },
    "2026-07-28": {
        "server-stateless",
        "tools-list",
        "resources-list",
        "prompts-list",
        "sep-2164-resource-not-found",
        "server-sse-multiple-streams",
        "dns-rebinding-protection",
        "caching",
        "http-header-validation",
        "input-required-result-unsupported-methods",
    },
}


# Of server-stateless, these checks need the suite's tools.
NEED_FIXTURES = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-server-sends-prompts-list-changed-on-subscription",
    "sep-2575-server-sends-tools-list-changed-on-subscription",
}

Checks = dict[str, list[dict[str, Any]]]


def checks_of(url: str, spec: str, folder: Path) -> Checks:
    """Run all scenarios of one revision against a server; return what each of them checked."""
    suite = installed("@modelcontextprotocol/conformance") / "dist/index.js"
    options = ["--url", url, "--suite", "all", "--spec-version", spec, "--output-dir", str(folder)]
    subprocess.run([NODE, str(suite), "server", *options], stdout=subprocess.DEVNULL, timeout=120, check=False)
    # Each scenario has a folder: "server-", its name, and when it ran.
    found = ((TIME.sub("", path.name.removeprefix("server-")), path / "checks.json") for path in folder.iterdir())
    return {scenario: json.loads(file.read_text(encoding="utf-8")) for scenario, file in found}


def failures(checks: list[dict[str, Any]]) -> list[str]:
    """Return what a scenario has against a server; a warning counts, and so does it if nothing was checked."""
    wrong = [f"{check['id']}: {check.get('errorMessage')}" for check in checks if check["status"] in BAD]
    passed = any(check["status"] == "SUCCESS" for check in checks)
    return wrong or ([] if passed else ["nothing was checked"])


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
def test_everything_offered_passes_the_suite(spec: str, tmp_path: Path) -> None:
    with served("--stateful", module="conformance", variables={"PYTHONPATH": str(ROOT / "tests")}) as server:
        checks = checks_of(server.url, spec, tmp_path)
    failed = {scenario: wrong for scenario, found in checks.items() if (wrong := failures(found))}
    assert {scenario: wrong for scenario, wrong in failed.items() if scenario not in NOT_OFFERED[spec]} == {}
    assert failed.keys() == NOT_OFFERED[spec].keys()
    assert checks.keys() > FIXTURE_FREE[spec]


@pytest.mark.slow
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("server", SERVERS)
def test_every_server_passes_what_takes_no_fixtures(server: str, spec: str, tmp_path: Path) -> None:
    with served("--stateful", module=server) as started:
        checks = checks_of(started.url, spec, tmp_path)
    of_ours = {
        scenario: [check for check in found if check["id"] not in NEED_FIXTURES]
        for scenario, found in checks.items()
        if scenario in FIXTURE_FREE[spec]
    }
    assert of_ours.keys() == FIXTURE_FREE[spec]
    assert {scenario: wrong for scenario, found in of_ours.items() if (wrong := failures(found))} == {}
