"""What keeps an embedded PostgreSQL: creates it, serves it while somebody uses it, and leaves nothing behind.

A program of its own, started by `embedded.py` with the plan as JSON on stdin, since it has to outlive a user that is
killed. It needs the standard library alone, so it runs in a bare interpreter that is quick to start and small.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def supervise(plan: dict[str, Any]) -> None:
    """Run the server as long as somebody uses it; say on stdout that it is ready, or why not."""
    if os.fork():
        os._exit(0)  # nobody's child any more: who kills the process tree of a user does not reach it
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    log = Path(plan["log"])
    try:
        _serve(plan)
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        os.write(1, (log.read_bytes()[-600:] if log.exists() else b"") + str(error).encode())
    finally:
        shutil.rmtree(plan["runtime"], ignore_errors=True)


def _serve(plan: dict[str, Any]) -> None:
    _prepare(plan)
    options: dict[str, Any] = {"cwd": "/", "env": plan["environment"], "stdout": 2, **plan["account"]}
    for command, text in plan["create"]:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, **options)  # noqa: S603
        process.communicate(text.encode(), timeout=60)
        if process.returncode:
            raise RuntimeError(f"{command[0]} failed.")
    if plan["create"]:
        Path(plan["new"]).rename(plan["data"])  # only now: what is there is complete
    postgres = subprocess.Popen(plan["serve"], stdin=subprocess.DEVNULL, **options)  # noqa: S603
    try:
        _wait_until_ready(postgres, Path(plan["data"], "postmaster.pid"))
        os.write(1, b"ready")
        os.dup2(2, 1)  # closes the pipe to the starter, who waits for that
        _wait_until_unused(plan)
    finally:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            postgres.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                postgres.wait(10)


def _prepare(plan: dict[str, Any]) -> None:
    """Make the directories, those of the server for its account alone, and turn stderr to the log."""
    os.umask(0o022)
    account = plan["account"]
    Path(plan["runtime"]).mkdir(mode=0o711 if account else 0o700)
    Path(plan["directory"]).mkdir(exist_ok=True)
    log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(log, 2)
    for source, target in plan["copies"]:
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
        for path in (Path(target), *Path(target).rglob("*")):
            os.chown(path, account["user"], account["group"], follow_symlinks=False)
    for private in plan["private"]:
        shutil.rmtree(private, ignore_errors=True)  # what an interrupted creation left
        Path(private).mkdir(mode=0o700)
        if account:
            os.chown(private, account["user"], account["group"])


def _wait_until_ready(postgres: subprocess.Popen[Any], status: Path) -> None:
    deadline = time.monotonic() + 60
    while postgres.poll() is None and time.monotonic() < deadline:
        words = status.read_text().split() if status.exists() else []
        if words[:1] == [str(postgres.pid)] and words[-1] == "ready":  # else it may be what a crash left
            return
        time.sleep(0.01)
    raise RuntimeError("It is not ready.")


def _wait_until_unused(plan: dict[str, Any]) -> None:
    if plan["use"] is None:
        os.read(plan["held"], 1)
        return
    os.close(plan["held"])  # the start lock, shared with the starter: had it died, others would have waited for this
    use = os.open(plan["use"], os.O_RDWR)
    fcntl.flock(use, fcntl.LOCK_EX)  # granted when the last user is gone, and kept until this process ends


if __name__ == "__main__":
    supervise(json.load(sys.stdin))
