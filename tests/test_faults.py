"""A bad network, between client and server and between server and upstream: clear errors, no wedge, and it recovers."""

import asyncio
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from emulator import emulated
from fault_proxy import FAULTS, Fault, FaultProxy, fault_proxy
from mcp.shared.exceptions import MCPError
from mcp_server_postgres.embedded import EmbeddedPostgres
from notes.client import error_of
from notes.network import Served, call, client_of, command, environment, headers_for, post, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BREAKING = tuple(fault for fault in FAULTS if fault != "delay")
PATIENCE_S = 1.0
PATIENT = ("--deadline-s", "3")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# Between client and server


@pytest.fixture(scope="module")
def notes() -> Generator[Served]:
    with served() as server:
        yield server


@contextmanager
def bad_network(server: Served) -> Generator[tuple[FaultProxy, str]]:
    """Yield a proxy in front of a server, and the endpoint's URL through it."""
    with fault_proxy(partial(asyncio.open_connection, "127.0.0.1", server.port)) as proxy:
        yield proxy, f"http://127.0.0.1:{proxy.port}/mcp"


async def test_a_slow_network_loses_nothing(notes: Served) -> None:
    with bad_network(notes) as (proxy, url):
        async with client_of(url) as client:
            proxy.fault = "delay"
            results = [await client.call_tool("read_note", {"name": "first"}) for _ in range(3)]
    assert [result.is_error for result in results] == [False] * 3


@pytest.mark.parametrize("fault", BREAKING)
def test_a_call_whose_answer_cannot_arrive_is_stopped(notes: Served, fault: Fault) -> None:
    slow = call("wait", seconds=3_600 if fault == "black hole" else 0)
    with bad_network(notes) as (proxy, url):
        proxy.fault = fault
        with pytest.raises(httpx2.TransportError):
            httpx2.post(url, json=slow, headers=headers_for(slow), timeout=PATIENCE_S)
        while post(notes.url, call("running")).json()["result"]["structuredContent"]["rows"] != [[0]]:
            pass
        proxy.fault = None
        assert post(url, call("read_note", name="first")).status_code == 200


async def test_a_client_that_got_no_answer_goes_on_once_the_network_is_good_again(notes: Served) -> None:
    with bad_network(notes) as (proxy, url):
        async with client_of(url) as client:
            proxy.fault = "black hole"
            with pytest.raises(MCPError, match="imed out"):
                await client.call_tool("read_note", {"name": "first"}, read_timeout_seconds=PATIENCE_S)
            proxy.fault = None
            assert not (await client.call_tool("read_note", {"name": "first"})).is_error


@pytest.mark.parametrize("fault", ["reset", "truncate"])
def test_the_command_says_which_server_could_not_be_reached(notes: Served, fault: Fault, tmp_path: Path) -> None:
    with bad_network(notes) as (proxy, url):
        proxy.fault = fault
        own = environment({"XDG_CONFIG_HOME": str(tmp_path)})
        words = command("call", "read_note", "name=first", "--url", url)
        done = subprocess.run(words, env=own, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{proxy.port} cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


# Between server and upstream


@dataclass(frozen=True)
class Relayed:
    """A server whose upstream is behind a proxy, and a call that needs the upstream."""

    proxy: FaultProxy
    server: Served
    message: dict[str, Any]

    def result(self) -> dict[str, Any]:
        """Make the call and return its result."""
        return post(self.server.url, self.message).json()["result"]


@contextmanager
def over_postgres() -> Generator[Relayed]:
    with EmbeddedPostgres(None) as postgres:
        dsn = urlsplit(postgres.start())
        socket = f"{parse_qs(dsn.query)['host'][0]}/.s.PGSQL.5432"
        with fault_proxy(partial(asyncio.open_unix_connection, socket)) as proxy:
            url = f"postgresql://reader@127.0.0.1:{proxy.port}{dsn.path}"
            with served(*PATIENT, url, module="mcp_server_postgres") as server:
                yield Relayed(proxy, server, call("query", sql="select 1 as one"))


@contextmanager
def over_github() -> Generator[Relayed]:
    seed = {"tokens": {"t": {"login": "ada", "scopes": ["repo"]}}, "github": {"users": [{"login": "ada"}]}}
    with emulated("github", seed) as github:
        address = urlsplit(github.url)
        with fault_proxy(partial(asyncio.open_connection, address.hostname, address.port)) as proxy:
            variables = {"GITHUB_TOKEN": "t", "GITHUB_API_URL": f"http://127.0.0.1:{proxy.port}"}
            with served(*PATIENT, variables=variables, module="mcp_server_github") as server:
                yield Relayed(proxy, server, call("get_github_context"))


@pytest.fixture(scope="module", params=[over_postgres, over_github], ids=["postgres", "github"])
def relayed(request: pytest.FixtureRequest) -> Generator[Relayed]:
    with request.param() as relayed:
        yield relayed


def test_a_slow_upstream_is_waited_for(relayed: Relayed) -> None:
    relayed.proxy.fault = "delay"
    assert not relayed.result()["isError"]


@pytest.mark.parametrize("fault", BREAKING)
def test_a_bad_upstream_is_an_error_that_can_be_retried_and_then_it_works_again(relayed: Relayed, fault: Fault) -> None:
    relayed.proxy.fault = None
    assert not relayed.result()["isError"]
    relayed.proxy.fault = fault
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(relayed.result)
        assert httpx2.get(relayed.server.origin + "/healthz", timeout=60).status_code == 200
        failed = failing.result()
    error = error_of(failed["_meta"])
    assert (error["code"] in {"unavailable", "timeout"}, error["retryable"]) == (True, True), failed
    relayed.proxy.fault = None
    assert not relayed.result()["isError"]
