"""What operators and their machines ask and send: health, metrics, traces, signals."""

import re
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_server_shared.catalog import Finding
from mcp_server_shared.errors import Unavailable
from mcp_server_shared.serving.operations import Readiness
from mcp_server_shared.serving.tokens import new_token
from notes.application import running
from notes.client import error_of
from notes.network import call, client_of, post, served

pytestmark = pytest.mark.anyio
READ = call("read_note", name="first")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def status_of(readiness: Readiness) -> int:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(readiness)) as http:
        return (await http.get("http://localhost/readyz")).status_code


async def test_it_is_ready_when_the_upstream_is() -> None:
    async with running() as server:
        assert (await server.get("/readyz")).json() == {"status": "ready"}


async def fails_expectedly() -> list[Finding]:
    raise Unavailable("The database does not answer.")


async def fails_unexpectedly() -> list[Finding]:
    raise RuntimeError("secret detail")


async def finds_a_problem() -> list[Finding]:
    return [Finding("ok", "Fine."), Finding("problem", "No credential.")]


@pytest.mark.parametrize("probe", [fails_expectedly, fails_unexpectedly, finds_a_problem])
async def test_it_is_not_ready_when_the_upstream_is_not(probe: Any) -> None:
    assert await status_of(Readiness(probe)) == 503


async def test_the_upstream_is_not_asked_by_each_probe() -> None:
    asked: list[int] = []

    async def probe() -> list[Finding]:
        asked.append(1)
        return []

    readiness = Readiness(probe)
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(status_of, readiness)
    assert len(asked) == 1


async def test_what_stops_is_not_ready() -> None:
    async with running() as server:
        await server.application.drain()
        assert (await server.get("/readyz")).status_code == 503
        assert (await server.post(READ)).headers["connection"] == "close"


async def test_requests_are_counted_by_outcome() -> None:
    async with running() as server:
        await server.post(READ)
        await server.post(call("read_note", name="none"))
        await server.post(call("made up by a caller"))
        text = (await server.get("/metrics")).text
    assert 'mcp_requests_total{method="tools/call",outcome="ok",target="read_note"} 1.0' in text
    assert 'mcp_requests_total{method="tools/call",outcome="not_found",target="read_note"} 1.0' in text
    assert 'mcp_requests_total{method="tools/call",outcome="not_found",target="other"} 1.0' in text
    assert 'mcp_request_seconds_count{method="tools/call"} 3.0' in text
    assert "mcp_requests_running 0.0" in text
    assert re.search(r'mcp_http_bytes_total{direction="out"} [1-9]', text)


async def test_metrics_take_a_token_where_calls_do(tmp_path: Path) -> None:
    scraper, line = new_token("scraper", ["metrics"], None)
    reader, other = new_token("reader", ["read"], None)
    (tmp_path / "tokens").write_text(f"{line}\n{other}", encoding="utf-8")
    async with running(tokens=tmp_path / "tokens") as server:
        statuses = [
            (await server.get("/metrics", **headers)).status_code
            for headers in (
                {},
                {"authorization": f"Bearer {reader}"},
                {"authorization": f"Bearer {scraper}", "host": "10.0.0.3:8000"},
            )
        ]
    assert statuses == [401, 403, 200]


# Signals


async def test_a_stopped_server_finishes_the_calls_in_flight() -> None:
    with served() as server:
        async with client_of(server.url) as client, anyio.create_task_group() as tasks:

            async def wait() -> None:
                assert not (await client.call_tool("wait", {"seconds": 2})).is_error

            await client.list_tools()  # or the client would ask for it afterwards, to check the result
            tasks.start_soon(wait)
            while "[1]" not in post(server.url, call("running")).text:
                await anyio.lowlevel.checkpoint()
            server.signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(server.process.wait, 60) == 0
    assert '"outcome":"ok"' in server.lines[-2]
    assert "the notes are closed" in server.lines[-1]  # not sooner


@pytest.mark.parametrize("transport", ["http --stateful", "sse", "websocket"])
async def test_streams_that_do_not_end_do_not_hold_up_the_end(transport: str) -> None:
    kind, *flags = transport.split()
    with served(*flags, transport=kind) as server:
        async with client_of(server.url, "legacy") as client:
            await client.list_tools()
            server.signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(server.process.wait, 60) == 0
    server.logged("the notes are closed")


async def test_a_call_that_outlives_the_grace_is_stopped() -> None:
    with served("--shutdown-grace-s", "0") as server:
        async with client_of(server.url) as client, anyio.create_task_group() as tasks:

            async def wait() -> None:
                with pytest.raises(MCPError):
                    await client.call_tool("wait")

            tasks.start_soon(wait)
            while "[1]" not in post(server.url, call("running")).text:
                await anyio.lowlevel.checkpoint()
            server.signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(server.process.wait, 60) == 0
    server.logged("the notes are closed")


def test_a_hangup_reads_tokens_and_log_level_again(tmp_path: Path) -> None:
    (old, line), (new, other) = new_token("ci", ["read"], None), new_token("ci", ["read"], None)
    tokens, level = tmp_path / "tokens", tmp_path / "level"
    tokens.write_text(line, encoding="utf-8")
    level.write_text("info", encoding="utf-8")
    with served("--tokens", str(tokens), "--log-level-file", str(level)) as server:
        assert post(server.url, READ, token=old).status_code == 200
        tokens.write_text(other, encoding="utf-8")
        server.signal(signal.SIGHUP)
        server.logged("read 1 tokens")
        assert post(server.url, READ, token=old).status_code == 401
        assert post(server.url, READ, token=new).status_code == 200
        level.write_text("debug", encoding="utf-8")
        server.signal(signal.SIGHUP)
        server.logged("the log level is debug")


# Traces


@contextmanager
def collector() -> Generator[tuple[str, list[bytes]]]:
    """Run what takes traces at a free port."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_traces_are_exported_where_the_standard_variables_say() -> None:
    with collector() as (url, received):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
        with served(variables=variables) as server:
            assert error_of(post(server.url, call("read_note", name="none")).json()["result"]["_meta"])
        sent = b"".join(received)
    assert b"tools/call read_note" in sent
    assert b"mcp-server-shared" in sent
