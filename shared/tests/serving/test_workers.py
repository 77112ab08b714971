"""Several workers on one port."""

import os
import re
import signal
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest
from mcp.types import ElicitRequestParams, ElicitResult
from mcp_server_shared.serving.tokens import new_token
from notes.client import structure_of, text_of
from notes.network import TIMEOUT_S, Served, call, client_of, command, launched, post, served

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="platform: it has no processes that share a port"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server() -> Generator[Served]:
    with served("--workers", "2", "--allow-write") as server:
        yield server


def metric(server: Served, pattern: str) -> float:
    """Return the number after a pattern among the metrics."""
    found = re.search(f"^{pattern} ([0-9.]+)$", httpx2.get(server.origin + "/metrics", timeout=60).text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def worker_pids(server: Served) -> list[int]:
    return [child.pid for child in psutil.Process(server.process.pid).children()]


async def test_a_cursor_of_one_worker_is_good_at_the_others(server: Served) -> None:
    for _ in range(20):  # each client has a connection of its own, and so any worker
        async with client_of(server.url) as client:
            cursor = structure_of(await client.call_tool("list_notes", {"limit": 1}))["cursor"]
        async with client_of(server.url) as client:
            assert not (await client.call_tool("list_notes", {"limit": 1, "cursor": cursor})).is_error


async def test_a_question_of_one_worker_is_answered_at_another(server: Served) -> None:
    async def decline(context: object, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="decline")

    for _ in range(10):
        async with client_of(server.url, elicitation_callback=decline) as client:
            result = await client.call_tool("delete_note", {"name": "first"})
        assert "did not agree" in text_of(result)


def test_every_worker_tells_the_numbers_of_all(server: Served) -> None:
    for _ in range(20):
        post(server.url, call("count", to=0))
    assert metric(server, r'mcp_requests_total{[^}]*target="count"}') == 20


def test_a_worker_that_dies_is_replaced() -> None:
    with served("--workers", "2") as server:
        server.logged("serves at", lines=2)  # or the one that remains may not listen yet
        before = worker_pids(server)
        os.kill(before[0], signal.SIGKILL)
        server.logged(f"worker {before[0]} ended with -9")
        assert post(server.url, call("read_note", name="first")).status_code == 200
        while len(after := worker_pids(server)) < 2:
            pass
        assert before[1] in after


@pytest.mark.slow
def test_workers_that_are_stopped_finish_the_calls_in_flight() -> None:
    with served("--workers", "2") as server, ThreadPoolExecutor(4) as pool:
        server.logged("serves at", lines=2)
        waiting = [pool.submit(post, server.url, call("wait", seconds=8)) for _ in range(4)]
        while metric(server, "mcp_requests_running") < 4:
            pass
        server.signal(signal.SIGTERM)
        assert [response.result().json()["result"]["isError"] for response in waiting] == [False] * 4
    assert sum("the notes are closed" in line for line in server.lines) == 2


def test_a_hangup_reaches_every_worker_also_one_that_still_starts(tmp_path: Path) -> None:
    level = tmp_path / "level"
    level.write_text("info", encoding="utf-8")
    with served("--workers", "3", "--log-level-file", str(level)) as server:  # the first serves
        before = worker_pids(server)
        level.write_text("debug", encoding="utf-8")
        server.signal(signal.SIGHUP)
        server.logged("the log level is debug", lines=3)
        assert worker_pids(server) == before


def test_workers_that_fail_are_replaced_once_they_can_serve_again_while_the_others_go_on(tmp_path: Path) -> None:
    token, line = new_token("ci", ["read"], None)
    tokens = tmp_path / "tokens"
    tokens.write_text(line, encoding="utf-8")
    with served("--workers", "2", "--tokens", str(tokens)) as server:
        server.logged("serves at", lines=2)
        tokens.write_text("nonsense", encoding="utf-8")
        os.kill(worker_pids(server)[0], signal.SIGKILL)
        server.logged(r"another takes its place in", lines=4)
        server.logged("a worker cannot serve: line 1 of the file of --tokens")
        assert post(server.url, call("count", to=0), token=token).status_code == 200
        tokens.write_text(line, encoding="utf-8")
        server.logged("serves at", lines=3)
    assert not any("Traceback" in line for line in server.lines)


def test_when_no_worker_can_serve_the_parent_gives_up(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(new_token("ci", ["read"], None)[1], encoding="utf-8")
    with served("--workers", "2", "--tokens", str(tokens)) as server:
        server.logged("serves at", lines=2)
        tokens.write_text("nonsense", encoding="utf-8")
        for pid in worker_pids(server):
            os.kill(pid, signal.SIGKILL)
        assert server.process.wait(TIMEOUT_S) == 1
        server.logged("as all do soon after they begin; giving up")
        server.process.returncode = 0  # it was meant to fail


def test_a_process_that_somebody_left_to_the_parent_is_none_of_its_workers() -> None:
    words = command("--transport", "http", "--port", "0", "--workers", "2")
    with launched(["sh", "-c", 'true & exec "$@"', "sh", *words], r"serves at (\S+);") as server:
        server.logged("serves at", lines=2)
        [left, one, _] = psutil.Process(server.process.pid).children()
        one.kill()
        server.logged("serves at", lines=3)
        assert not left.is_running()
        assert post(server.url, call("count", to=0)).status_code == 200


def test_no_worker_outlives_its_parent() -> None:
    with served("--workers", "2") as server:
        workers = [psutil.Process(pid) for pid in worker_pids(server)]
        server.process.kill()
        server.process.wait()
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert (len(gone), alive) == (2, [])
        server.process.returncode = 0  # it was meant to be killed
