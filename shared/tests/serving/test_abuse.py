"""Bad input and bad peers over real sockets: each gets a clear answer or an end, and nothing wedges."""

import collections
import itertools
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest
import trustme
from mcp_server_shared.serving.tokens import new_token
from notes.client import error_of, structure_of
from notes.network import (
    INITIALIZE,
    JSON,
    MODERN,
    Served,
    call,
    client_of,
    command,
    environment,
    headers_for,
    post,
    request,
    served,
)
from notes.raw_websocket import frame, raw_websocket

pytestmark = pytest.mark.anyio
READ = call("read_note", name="first")
LIMIT = 100_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["stateless", "stateful"])
def server(request: pytest.FixtureRequest) -> Generator[Served]:
    flags = ["--stateful"] if request.param == "stateful" else []
    with served("--max-message-bytes", str(LIMIT), *flags) as server:
        yield server
        assert post(server.url, READ).status_code == 200  # after all that, it still serves


def raw(server: Served, data: bytes) -> bytes:
    """Send bytes and return what comes until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass
        return received


BODIES: dict[str, Any] = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
    "a batch": b"[]",
    "a text": b'"ping"',
    "no method": b'{"jsonrpc":"2.0","id":1}',
    "another version": b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "an id of the wrong type": b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "params of the wrong type": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
    "deep nesting": b"[" * 50_000,
    "a huge number": b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"n":' + b"9" * 50_000 + b"}}",
}


@pytest.mark.parametrize("headers", [JSON, JSON | MODERN], ids=["legacy", "2026-07-28"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_what_is_no_request_is_a_client_error(server: Served, headers: dict[str, str], body: bytes) -> None:
    response = httpx2.post(server.url, content=body, headers=headers, timeout=60)
    assert 400 <= response.status_code < 500 or "error" in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize("name", ["[]", "{}", "[[]]", "5", "true"])
def test_a_name_of_the_wrong_type_is_a_wrong_parameter(server: Served, name: str) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%b}}' % name.encode()
    begun = httpx2.post(server.url, json=INITIALIZE, headers=JSON, timeout=60)
    session = {name: value for name, value in begun.headers.items() if name == "mcp-session-id"}
    answered = httpx2.post(server.url, content=body, headers=JSON | session, timeout=60)
    assert '"code":-32602' in answered.text


@pytest.mark.parametrize(
    "change",
    [
        {"content-type": "text/plain"},
        {"accept": "text/html"},
        {"mcp-protocol-version": "1999-01-01"},
        {"mcp-method": "tools/list"},
        {"mcp-name": "another"},
    ],
    ids=str,
)
def test_headers_that_do_not_fit_are_a_client_error(server: Served, change: dict[str, str]) -> None:
    assert 400 <= post(server.url, READ, **change).status_code < 500


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST /mcp HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nA" * 10,
    ],
    ids=repr,
)
def test_what_is_no_http_ends_the_connection(server: Served, data: bytes) -> None:
    assert not raw(server, data).startswith(b"HTTP/1.1 2")


def memory_of(server: Served) -> int:
    return psutil.Process(server.process.pid).memory_info().rss


def test_bodies_of_100_mb_take_no_memory(server: Served) -> None:
    before = memory_of(server)
    chunk = b"x" * 1_000_000

    def send(number: int) -> int:
        declared = {"content-length": "100000000"} if number % 2 else {}
        try:
            return httpx2.post(
                server.url, content=(chunk for _ in range(100)), headers=JSON | declared, timeout=60
            ).status_code
        except httpx2.HTTPError:  # it answered and closed before we had sent it all
            return 413

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {413}
    assert memory_of(server) - before < 60_000_000


def test_connections_that_say_nothing_do_not_hold_up_others(server: Served) -> None:
    with ExitStack() as open_connections:
        for number in range(200):
            connection = open_connections.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            if number % 2:
                connection.sendall(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        assert post(server.url, READ).status_code == 200


def test_readers_that_do_not_read_do_not_hold_up_others(server: Served) -> None:
    body = json.dumps(call("read_note", name="first")).encode()
    fields = {**headers_for(READ), "host": "localhost", "content-length": str(len(body))}
    head = "POST /mcp HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    before = memory_of(server)
    with ExitStack() as open_connections:
        for _ in range(50):
            connection = open_connections.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", server.port))
            connection.setblocking(False)  # noqa: FBT003
            try:
                for _ in range(200):
                    connection.sendall(head.encode() + body)
            except BlockingIOError:  # it takes no more while we read nothing
                pass
        assert post(server.url, READ).status_code == 200
    assert memory_of(server) - before < 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_who_asks_without_end_and_reads_nothing_is_held_back(transport: str) -> None:
    listing = request("tools/list")
    with served("--max-calls", "4", transport=transport) as server, ExitStack() as open_connections:
        before = memory_of(server)
        if transport == "websocket":
            connection, _ = open_connections.enter_context(raw_websocket(server))
            connection.settimeout(2)
            endless = (frame(json.dumps(listing)) for _ in itertools.count())
            with pytest.raises(TimeoutError):
                collections.deque(map(connection.sendall, endless), maxlen=0)
        else:
            http = open_connections.enter_context(httpx2.Client(timeout=60))
            events = open_connections.enter_context(http.stream("GET", server.url))
            lines = events.iter_lines()  # kept, or the stream would end here
            address = next(line for line in lines if line.startswith("data: ")).removeprefix("data: ")
            while (status := http.post(server.origin + address, json=listing, headers=JSON).status_code) == 202:
                pass
            assert status == 429
        assert memory_of(server) - before < 30_000_000
        assert httpx2.get(server.origin.replace("ws://", "http://") + "/healthz", timeout=60).status_code == 200


@pytest.mark.slow
def test_pings_of_who_reads_no_answers_are_not_kept() -> None:
    ping = b"\x89\xfd" + bytes(4) + b"x" * 125
    with served(transport="websocket") as server, raw_websocket(server) as (connection, _):
        before = memory_of(server)
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            collections.deque(map(connection.sendall, itertools.repeat(ping * 500)), maxlen=0)
        assert memory_of(server) - before < 30_000_000
        assert httpx2.get(server.origin.replace("ws://", "http://") + "/healthz", timeout=60).status_code == 200


def test_who_sends_pings_and_reads_their_answers_later_is_served_then() -> None:
    ping, count = b"\x89\xfd" + bytes(4) + b"x" * 125, 20_000
    with (
        served(transport="websocket") as server,
        raw_websocket(server) as (connection, _),
        ThreadPoolExecutor(1) as pool,
    ):
        sending = pool.submit(connection.sendall, ping * count + frame(json.dumps(INITIALIZE)))
        received = b""
        while b"protocolVersion" not in received[-1_000:]:
            received += connection.recv(65_536)
        sending.result()
    assert received.count(b"x" * 125) == count


def test_what_is_said_to_a_stream_that_ends_is_accepted_or_not_found() -> None:
    listing = request("tools/list")
    with served(transport="sse") as server, httpx2.Client(timeout=60) as http:
        for _ in range(5):
            with http.stream("GET", server.url) as events:
                lines = events.iter_lines()
                address = next(line for line in lines if line.startswith("data: ")).removeprefix("data: ")
            while (status := http.post(server.origin + address, json=listing, headers=JSON).status_code) == 202:
                pass
            assert status == 404
    assert not any("Traceback" in line for line in server.lines)


def test_peers_that_break_off_leave_nothing(server: Served) -> None:
    def open_files() -> int:
        return psutil.Process(server.process.pid).num_fds()

    post(server.url, READ)
    before = open_files()
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")  # a reset
    while open_files() > before + 2:
        post(server.url, READ)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["http", "websocket", "sse"])
async def test_many_clients_at_once_get_their_own_answers(transport: str) -> None:
    with served("--allow-write", transport=transport) as server:
        at_once = anyio.CapacityLimiter(20)
        answered: set[int] = set()

        async def one_client(number: int) -> None:
            async with at_once, client_of(server.url, ("legacy", "2026-07-28")[number % 2]) as client:
                result = await client.call_tool("write_note", {"name": f"of {number}", "text": "x" * number})
                assert [f"of {number}", number] in structure_of(result)["rows"]
                answered.add(number)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(one_client, number)
        assert len(answered) == 50


@pytest.mark.slow
async def test_500_callers_at_once_get_their_own_answers_in_bounded_memory(tmp_path: Path) -> None:
    made = {f"caller-{number}": new_token(f"caller-{number}", ["read", "write"], None) for number in range(500)}
    (tmp_path / "tokens").write_text("\n".join(line for _, line in made.values()), encoding="utf-8")
    refused: collections.Counter[str] = collections.Counter()
    no_tls = ssl.create_default_context()  # which takes long to make

    async def ask(http: httpx2.AsyncClient, message: dict[str, Any], token: str) -> dict[str, Any]:
        """Ask until there is room, each time when the error says."""
        while True:
            response = await http.post(server.url, json=message, headers=headers_for(message, token))
            result = response.json()["result"]
            if not result["isError"]:
                return result["structuredContent"]
            error = error_of(result["_meta"])
            refused[error["code"]] += 1
            await anyio.sleep(error["retry_after_s"])

    async def one_caller(name: str, token: str) -> None:
        async with httpx2.AsyncClient(
            verify=no_tls, timeout=60
        ) as http:  # one for all would look through 500 connections
            await ask(http, call("wait", seconds=0.1), token)
            for length in range(3):
                written = await ask(http, call("write_note", name=name, text="x" * length), token)
                assert written["rows"] == [[name, length]]

    with served("--allow-write", "--max-calls", "64", "--tokens", str(tmp_path / "tokens")) as server:
        before = memory_of(server)
        async with anyio.create_task_group() as tasks:
            for name, (token, _) in made.items():
                tasks.start_soon(one_caller, name, token)
        assert memory_of(server) - before < 100_000_000
    assert set(refused) == {"rate_limited"}


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_is_served_and_a_renewed_certificate_taken(tmp_path: Path, authority: trustme.CA) -> None:
    def issue() -> bytes:
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
        return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())

    trusting = ssl.create_default_context()
    trusting.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    first = issue()
    with served("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")) as server:

        def presented() -> bytes | None:
            plain = socket.create_connection(("127.0.0.1", server.port))
            with trusting.wrap_socket(plain, server_hostname="localhost") as connection:
                return connection.getpeercert(binary_form=True)

        assert server.url.startswith("https://")
        with httpx2.Client(verify=trusting) as http:
            assert http.post(server.url, json=READ, headers=headers_for(READ)).status_code == 200
        assert presented() == first
        second = issue()
        os.kill(server.process.pid, 1)
        while presented() != second:
            pass


def test_a_client_that_does_not_trust_the_certificate_gets_nothing(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    both = str(tmp_path / "both.pem")
    with served("--tls-cert", both, "--tls-key", both) as server, pytest.raises(httpx2.ConnectError):
        httpx2.post(server.url, json=READ, timeout=60)


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "cert.pem"
    bad.write_text("none", encoding="utf-8")
    words = command("--transport", "http", "--port", "0", "--tls-cert", str(bad), "--tls-key", str(bad))
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "--tls-cert and --tls-key cannot be used" in done.stderr) == (2, True)
