"""Logs: one JSON object a line, no secrets, and never a wait for a host that does not read."""

import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_server_shared.logs import AUDIT_LOGGER, JsonLines, configure

TIMEOUT_S = 20
TOKEN = "ghp_" + "a1B2" * 9


def line(message: Any, *args: Any, name: str = "some.library") -> dict[str, Any]:
    record = logging.LogRecord(name, logging.INFO, __file__, 1, message, args, None)
    return json.loads(JsonLines().format(record).encode("utf-8", "backslashreplace"))


# Lines


def test_a_line_says_when_how_severe_from_where_and_what() -> None:
    said = line("%d rows", 7)
    assert (said.pop("time")[-1], said) == ("Z", {"level": "info", "logger": "some.library", "message": "7 rows"})


@given(st.text(st.characters()) | st.just("\ud800"))
def test_any_text_is_one_line_of_json(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "%s", (text,), None)
    encoded = JsonLines().format(record).encode("utf-8", "backslashreplace")
    assert b"\n" not in encoded
    assert json.loads(encoded)["message"] == text


def test_a_secret_in_a_message_is_redacted() -> None:
    assert TOKEN not in line("connecting with %s", TOKEN)["message"]


def test_a_secret_in_a_dict_that_a_library_logs_is_redacted() -> None:
    assert "hunter2" not in json.dumps(line({"password": "hunter2"}))


def test_an_audit_record_is_written_as_it_is() -> None:
    assert line({"method": "tools/call"}, name=AUDIT_LOGGER)["method"] == "tools/call"


def test_arguments_that_do_not_fit_the_text_are_logged_all_the_same() -> None:
    assert line("%d rows", "x")["message"] == "%d rows ('x',)"


def test_a_secret_in_a_traceback_is_redacted() -> None:
    error = RuntimeError(f"refused {TOKEN}")
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), (RuntimeError, error, None))
    traceback = json.loads(JsonLines().format(record))["traceback"]
    assert ("RuntimeError: refused [redacted:github-token]" in traceback, TOKEN in traceback) == (True, False)


# Where they go


@contextmanager
def configured(level: str, file: Path | None) -> Generator[None]:
    """Configure logging for a while."""
    root, sdk = logging.getLogger(), logging.getLogger("mcp")
    before = root.handlers[:], root.level, sdk.level
    configure(level, file)
    try:
        yield
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:], root.level, sdk.level = before
        logging.captureWarnings(capture=False)


def test_lines_go_to_a_file(tmp_path: Path) -> None:
    with configured("info", tmp_path / "log"):
        logging.getLogger("x").info("\ud800 written")
    assert json.loads((tmp_path / "log").read_text())["message"] == "\ud800 written"


def test_a_file_is_rotated_and_five_old_ones_are_kept(tmp_path: Path) -> None:
    with configured("info", tmp_path / "log"):
        for _ in range(8):
            logging.getLogger(AUDIT_LOGGER).info({"output": "x" * 9_000_000})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", *(f"log.{n}" for n in range(1, 6))]


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="log"), configured("info", tmp_path / "absent" / "log"):
        pass


def test_lines_below_the_level_are_left_out(tmp_path: Path) -> None:
    with configured("warning", tmp_path / "log"):
        logging.getLogger("x").info("quiet")
    assert (tmp_path / "log").read_text() == ""


def test_what_the_sdk_says_at_info_is_left_out(tmp_path: Path) -> None:
    with configured("info", tmp_path / "log"):
        logging.getLogger("mcp.server").info("processing request")
    assert (tmp_path / "log").read_text() == ""


# Stderr that nobody reads

FLOOD = """
import logging, sys
from mcp_server_shared.logs import configure
configure("info", None)
for number in range(20_000):
    logging.getLogger("x").info("%d %s", number, "x" * 100)
sys.stdout.write(".")
sys.stdout.flush()
for _ in sys.stdin:
    logging.getLogger("x").info("next")
    sys.stdout.write(".")
    sys.stdout.flush()
"""


@contextmanager
def flooding(stderr: int) -> Generator["subprocess.Popen[bytes]"]:
    """Run a process that logs 20,000 lines, then one for each line on stdin, and writes a dot when it has."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", FLOOD], stdin=pipe, stdout=pipe, stderr=stderr, bufsize=0)
    with process:
        try:
            yield process
        finally:
            process.kill()


def drained(pipe: int) -> bytes:
    """Return all that is in the pipe now."""
    taken = b""
    with suppress(BlockingIOError):
        while chunk := os.read(pipe, 1 << 20):
            taken += chunk
    return taken


@pytest.fixture(scope="module")
def flooded() -> list[str]:
    """Return the messages that a host finds which reads stderr only once the process has logged 20,000 lines."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    log = b""
    with open(read, "rb"), flooding(write) as process:  # noqa: PTH123
        os.close(write)
        assert process.stdin
        assert process.stdout
        while b"dropped" not in log:
            assert select.select([process.stdout], [], [], TIMEOUT_S)[0], "it waits for somebody to read"
            assert process.stdout.read(1) == b"."
            log += drained(read)
            process.stdin.write(b"\n")
    return [json.loads(line)["message"] for line in log.splitlines()]


def test_a_full_pipe_that_nobody_reads_does_not_stop_the_process(flooded: list[str]) -> None:
    assert flooded[0].startswith("0 ")


def test_no_line_is_torn_or_out_of_order(flooded: list[str]) -> None:
    numbers = [int(message.split()[0]) for message in flooded if message.endswith("x")]
    assert numbers == list(range(len(numbers)))


def test_dropped_lines_are_counted(flooded: list[str]) -> None:
    kept = sum(message.endswith("x") for message in flooded)
    assert flooded[-1] == f"{20_000 - kept} log lines dropped"


def test_a_host_that_closes_stderr_does_not_stop_the_process() -> None:
    read, write = os.pipe()
    with flooding(write) as process:
        os.close(write)
        os.close(read)
        output, _ = process.communicate(timeout=TIMEOUT_S)
    assert (output, process.returncode) == (b".", 0)
