"""Where a server's time goes: what it imports to start, and what runs while it answers calls."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from client import StdioClient, server_environment
from targets import Target

KINDS = ("importtime", "py-spy")
HEAVIEST = 25
CALLS = 5_000
_PY_SPY = "py-spy==0.4.3"


class NoProfile(Exception):
    """A profile cannot be had here; the text says why."""


def profile(kind: str, target: Target, folder: Path) -> str:
    """Write a profile of a server into a folder; return what to say of it.

    Raises:
        NoProfile: the server is not in Python, does nothing without an upstream, or the profiler is not to be had.
    """
    if kind == "importtime":
        return _importtime(target, folder / f"{target.name}.importtime.txt")
    return _py_spy(target, folder / f"{target.name}.svg")


def _importtime(target: Target, file: Path) -> str:
    """Write Python's own account of the imports, and return the modules that take longest by themselves."""
    script = target.command[1:] if target.command[0] == sys.executable else target.command
    command = [sys.executable, "-X", "importtime", *script]
    said = [_stderr(command) for _ in range(2)][-1]  # the first time compiles byte-code
    imports = re.findall(r"^import time: +(\d+) \| +(\d+) \| *(\S+)$", said, re.MULTILINE)
    if not imports:
        raise NoProfile("it is no Python program")
    file.write_text(said)
    heaviest = sorted(imports, key=lambda each: -int(each[0]))[:HEAVIEST]
    lines = [f"  {int(own) / 1e3:8.1f}  {int(whole) / 1e3:8.1f}  {name}" for own, whole, name in heaviest]
    total = sum(int(own) for own, _, _ in imports) / 1e3
    head = f"{target.name}: {len(imports)} imports, {total:.0f} ms (by themselves, with what they import; all: {file})"
    return "\n".join([head, *lines])


def _stderr(command: list[str]) -> str:
    """Start a server for a client that leaves at once, and return what it wrote to stderr."""
    environment = server_environment()
    process = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
    )
    return process.stderr


def _py_spy(target: Target, file: Path) -> str:
    """Sample the stack while the server answers calls, and write a flame graph."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None or target.tool is None:
        raise NoProfile("py-spy comes by uv" if uv is None else "it has no tool that works without an upstream")
    with StdioClient(target.command, target.eras[-1]) as client:
        client.open()
        client.call(target.tool, {})
        record = ["py-spy", "record", "--pid", str(client.pid), "--rate", "500", "--nonblocking", "--output", str(file)]
        with subprocess.Popen(
            [uv, "tool", "run", "--quiet", "--from", _PY_SPY, *record],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as sampler:
            assert sampler.stdout is not None
            said = sampler.stdout.readline()  # once it samples, or that it may not
            client.call_latencies(target.tool, CALLS)
            sampler.send_signal(signal.SIGINT)
            said += sampler.stdout.read()
    if not file.exists():
        raise NoProfile(said.strip().splitlines()[-1] if said.strip() else "py-spy said nothing")
    return f"{target.name}: {CALLS} calls, {file}"
