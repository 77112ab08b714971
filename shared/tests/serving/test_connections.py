"""HTTP as bytes: where a request ends, what counts as its headers, and for how long a peer may say nothing."""

import json
import signal
import socket
import ssl
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest
import trustme
import uvicorn
from mcp_server_shared.callers import LOCAL
from mcp_server_shared.serving import connections
from mcp_server_shared.serving.answers import refuse
from mcp_server_shared.serving.connections import ImpatientProtocol, NetworkServer, listening_sockets
from mcp_server_shared.serving.pressure import Admission, Pressure
from notes.network import TIMEOUT_S, Served, call, command, headers_for, launched, post, served
from starlette.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio
READ = call("read_note", name="first")
BODY = json.dumps(READ).encode()
FIELDS = headers_for(READ) | {"host": "localhost", "connection": "close"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server() -> Generator[Served]:
    with served() as server:
        yield server
        assert post(server.url, READ).status_code == 200  # after all that, it still serves


def head(*more: str, first: str = "POST /mcp HTTP/1.1", without: str = "", end: str = "\r\n") -> bytes:
    fields = [f"{name}: {value}" for name, value in FIELDS.items() if name != without]
    return end.join([first, *fields, *more, "", ""]).encode()


def answered(server: Served, data: bytes) -> int:
    """Return the status that comes for some bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(data)
        return int(connection.recv(65_536).split()[1])


LENGTH = f"content-length: {len(BODY)}"
CHUNKED = "transfer-encoding: chunked"
CHUNKS = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)


def test_a_request_of_either_framing_is_answered(server: Served) -> None:
    assert answered(server, head(LENGTH) + BODY) == 200
    assert answered(server, head(CHUNKED) + CHUNKS + b"\r\n") == 200


@pytest.mark.parametrize(
    "request_",
    [
        head(LENGTH, CHUNKED) + CHUNKS + b"\r\n",
        head(CHUNKED, LENGTH) + CHUNKS + b"\r\n",
        head(CHUNKED, CHUNKED) + CHUNKS + b"\r\n",
        head("transfer-encoding: xchunked") + CHUNKS + b"\r\n",
        head("transfer-encoding: chunked, identity") + CHUNKS + b"\r\n",
        head(CHUNKED) + b"ffffffffffffffff1\r\n" + BODY,
        head(CHUNKED) + CHUNKS.replace(b"\r\n", b"\n") + b"\n",
        head(LENGTH, "content-length: 1") + BODY,
        head(LENGTH, LENGTH) + BODY,
        head(f"content-length: {len(BODY)}, {len(BODY)}") + BODY,
        head(f"content-length: +{len(BODY)}") + BODY,
        head(f"content-length : {len(BODY)}") + BODY,
        head(LENGTH, end="\n") + BODY,
        head(LENGTH, "x-folded: a\r\n b") + BODY,
        head(LENGTH, "x-control: a\0b") + BODY,
        head(LENGTH, "x-control: a\rb") + BODY,
    ],
    ids=repr,
)
def test_what_a_proxy_could_read_otherwise_is_refused(server: Served, request_: bytes) -> None:
    assert answered(server, request_) == 400


@pytest.mark.parametrize("request_", [head(LENGTH, "host: localhost"), head(LENGTH, without="host")])
def test_a_request_has_one_host(server: Served, request_: bytes) -> None:
    assert answered(server, request_ + BODY) == 421


def test_fields_after_the_body_are_no_headers(server: Served) -> None:
    assert answered(server, head(CHUNKED) + CHUNKS + b"host: evil.example\r\n\r\n") == 200
    assert answered(server, head(CHUNKED, without="host") + CHUNKS + b"host: localhost\r\n\r\n") == 421


ENDLESS = {
    "one header": (head()[:-2] + b"x-long: ", b"x" * 60_000),
    "many headers": (head()[:-2], b"a: b\r\n" * 10_000),
    "a path": (b"GET /", b"x" * 60_000),
    "fields after the body": (head(CHUNKED, without="connection") + CHUNKS, b"a: b\r\n" * 10_000),
    "an extension of a chunk": (head(CHUNKED, without="connection") + b"1;", b"x" * 60_000),
    "line ends": (b"", b"\r\n" * 30_000),
}


@pytest.mark.parametrize(("beginning", "piece"), ENDLESS.values(), ids=ENDLESS.keys())
def test_headers_without_end_take_no_memory(server: Served, beginning: bytes, piece: bytes) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        connection.sendall(beginning)
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - it is ended at some point
            for _ in range(1_000):
                connection.sendall(piece)
    assert process.memory_info().rss - before < 20_000_000


# Patience


@asynccontextmanager
async def refusing(limit: int | None = None) -> AsyncGenerator[int]:
    """Serve what refuses every request without reading its body; yield the port."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(scope, receive, send, 401, "invalid_token", "No.")

    async with listening(app, limit) as port:
        yield port


@asynccontextmanager
async def listening(app: ASGIApp, limit: int | None = None) -> AsyncGenerator[int]:
    """Serve an application; yield the port."""

    async def drained() -> None:
        """Nothing runs."""

    [bound] = listening_sockets("127.0.0.1", 0, shared=False)
    started = anyio.Event()
    config = uvicorn.Config(app, http=ImpatientProtocol, lifespan="off", log_config=None, limit_concurrency=limit)
    server = NetworkServer(config, on_started=started.set, drain=drained)
    with anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [bound])
            await started.wait()
            yield bound.getsockname()[1]
            server.should_exit = True


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /mcp HTTP/1.1\r\nhost: x\r\n",
        head("content-length: 100", without="connection") + b"{",
        head("content-length: 1", without="connection") + b"{\r\n",
    ],
    ids=["nothing", "half of the headers", "half of the body", "line ends after a request"],
)
async def test_a_peer_that_stops_in_the_middle_is_left(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)
    monkeypatch.setattr(connections, "BODY_S", 0.1)
    async with refusing() as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(sent)
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):  # noqa: PT012 - after the answer
            while True:
                await stream.receive()


async def test_a_body_that_never_begins_ends_its_connection_and_leaves_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "BODY_S", 0.1)
    admission, received = Admission(1, None, 1_000), list[str]()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append((await receive())["type"])

    async with listening(Pressure(app, admission)) as port, await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(head("content-length: 100", without="connection"))
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
    assert received == ["http.disconnect"]
    await admission.enter(LOCAL)


def test_a_peer_that_vanished_is_noticed() -> None:
    [bound] = listening_sockets("127.0.0.1", 0, shared=False)
    with bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for option, value in connections.KEPT_ALIVE.items():
            assert bound.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) == value


# Too many


def few_files(*arguments: str) -> list[str]:
    return ["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *command("--transport", "http", "--port", "0", *arguments)]


def test_peers_that_say_nothing_give_way_to_those_who_ask_and_leave_files_for_upstreams() -> None:
    with launched(few_files(), r"serves at (\S+);") as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, server.url, call("wait", seconds=3_600))
        while "[1]" not in post(server.url, call("running")).text:
            pass
        process = psutil.Process(server.process.pid)
        with ExitStack() as open_connections:
            for _ in range(300):
                open_connections.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            assert "[1]" in post(server.url, call("running")).text  # the call before them goes on
            assert process.num_fds() <= 200 - 64
        server.signal(signal.SIGKILL)
        assert asked.exception() is not None
        server.process.wait()
        server.process.returncode = 0  # it was meant to be killed


def test_peers_that_begin_no_encryption_give_way_too(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    both = str(tmp_path / "both.pem")
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with (
        launched(few_files("--tls-cert", both, "--tls-key", both), r"serves at (\S+);") as server,
        httpx2.Client(verify=trusting, timeout=TIMEOUT_S) as http,
        ExitStack() as open_connections,
    ):
        for _ in range(300):
            open_connections.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert http.post(server.url, json=READ, headers=headers_for(READ)).status_code == 200
        assert psutil.Process(server.process.pid).num_fds() <= 200 - 64


def test_a_server_that_stops_takes_no_more_connections_that_are_encrypted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    both = str(tmp_path / "both.pem")
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    flags = ("--tls-cert", both, "--tls-key", both)
    with served(*flags) as server, httpx2.Client(verify=trusting, timeout=None) as http, ThreadPoolExecutor(1) as pool:

        def ask(message: dict[str, Any]) -> httpx2.Response:
            return http.post(server.url, json=message, headers=headers_for(message))

        asked = pool.submit(ask, call("wait", seconds=3))
        while "[1]" not in ask(call("running")).text:
            pass
        server.signal(signal.SIGTERM)
        with pytest.raises(ConnectionRefusedError):  # noqa: PT012 - after some moments
            while True:
                with suppress(ConnectionResetError):  # one that waited to be taken
                    socket.create_connection(("127.0.0.1", server.port)).close()
        assert asked.result().json()["result"]["isError"] is False


async def test_connections_that_ask_nothing_are_not_counted_against_a_request() -> None:
    async with refusing(16) as port, AsyncExitStack() as open_connections:
        for _ in range(50):
            await open_connections.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/mcp")).status_code == 401


async def test_it_is_told_to_live_however_much_there_is_to_do() -> None:
    async with refusing(1) as port, httpx2.AsyncClient(timeout=60) as http, await anyio.connect_tcp("127.0.0.1", port):
        assert (await http.get(f"http://127.0.0.1:{port}/mcp")).status_code == 503
        assert (await http.get(f"http://127.0.0.1:{port}/healthz")).status_code == 401


def test_an_answer_leaves_in_one_piece(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_S) as connection:
        for _ in range(100):  # two pieces would sometimes be read as one
            connection.sendall(head(LENGTH, without="connection") + BODY)
            assert json.loads(connection.recv(1_000_000).partition(b"\r\n\r\n")[2])["id"] == READ["id"]
