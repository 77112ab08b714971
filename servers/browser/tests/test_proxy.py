"""The proxy of a context, spoken to as a browser does and as nobody should."""

import asyncio
import base64
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil
import pytest
from mcp_server_shared.egress import Egress
from mcp_server_web_browser.proxy import Proxy

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def upstream() -> AsyncGenerator[tuple[int, list[bytes]]]:
    """Yield the port of a server that answers each request with its head and body, and what reached it."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], received


async def ask(proxy: Proxy, data: bytes) -> bytes:
    """Send some bytes and return everything that comes back."""
    port = int(proxy.address()["server"].rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(reader.read(-1), 10)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def listening_ports() -> set[int]:
    """Return the TCP ports at which this process listens."""
    connections = psutil.Process().net_connections("tcp")
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}


async def test_a_request_reaches_its_server_in_origin_form() -> None:
    async with upstream() as (port, received), Proxy(Egress(allowed=["127.0.0.1"])) as proxy:
        head = f"GET http://127.0.0.1:{port}/a?b HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\n\r\n"
        assert (await ask(proxy, head.encode())).endswith(b"hello")
    assert received == [b"GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]


async def test_an_origin_never_gets_the_request_that_a_browser_sends_next() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=9\r\n")
        writer.write(b"Content-Length: 2\r\n\r\nhi")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Proxy(Egress(allowed=["127.0.0.1"])) as proxy:
            answer = await ask(proxy, f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


async def test_a_tunnel_carries_bytes_both_ways() -> None:
    async with upstream() as (port, received), Proxy(Egress(allowed=["127.0.0.1"])) as proxy:
        answer = await ask(proxy, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode() + b"\x16\x03secret")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hello")
    assert received in ([b"\x16\x03secret"], [b""])


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT 127.0.0.1:{port} HTTP/1.1",
        "CONNECT localhost:{port} HTTP/1.1",
        "CONNECT [::ffff:127.0.0.1]:{port} HTTP/1.1",
        "GET http://127.0.0.1:{port}/ HTTP/1.1",
        "GET http://LOCALHOST:{port}/ HTTP/1.1",
        "GET http://127.0.0.1.:{port}/ HTTP/1.1",
        "GET http://user@127.0.0.1:{port}/ HTTP/1.1",
        "GET / HTTP/1.1",
        "GET ftp://127.0.0.1:{port}/ HTTP/1.1",
        "CONNECT 127.0.0.1 HTTP/1.1",
        "CONNECT :{port} HTTP/1.1",
        "CONNECT 127.0.0.1:99999 HTTP/1.1",
        "GET http://[::1/ HTTP/1.1",
        "GET",
        "\x00\x01\x02",
    ],
)
async def test_what_is_not_allowed_or_no_request_is_refused(line: str) -> None:
    async with upstream() as (port, received), Proxy(Egress()) as proxy:
        answer = await ask(proxy, line.format(port=port).encode() + b"\r\n\r\n")
    assert answer.split(b" ")[1] in {b"403", b"502"}
    assert received == []


async def test_a_name_is_looked_up_once_and_what_was_judged_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up, asked = socket.getaddrinfo, list[str]()

    def flipping(host: Any, *rest: Any, **options: Any) -> Any:
        if host == "flips.example":
            asked.append(host)
            host = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return look_up(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", flipping)
    async with upstream() as (port, _), Proxy(Egress(allowed=["127.0.0.1"])) as proxy:
        head = f"GET http://flips.example:{port}/ HTTP/1.1\r\n\r\n".encode()
        assert (await ask(proxy, head)).endswith(b"hello")
        assert asked == ["flips.example"]
        assert b" 403 " in await ask(proxy, head)


async def test_a_refusal_is_remembered_with_its_reason() -> None:
    async with Proxy(Egress()) as proxy:
        await ask(proxy, b"CONNECT 10.0.0.1:443 HTTP/1.1\r\n\r\n")
    assert (proxy.refusals[0].target, proxy.refusals[0].error.code) == ("10.0.0.1:443", "permission_denied")


async def test_a_head_without_end_is_cut_off() -> None:
    async with Proxy(Egress()) as proxy:
        assert await ask(proxy, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000) == b""


async def test_a_proxy_for_another_machine_asks_for_its_password() -> None:
    async with upstream() as (port, received), Proxy(Egress(allowed=["127.0.0.1"]), "127.0.0.2") as proxy:
        address = proxy.address()
        head = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n"
        for wrong in ("", "Proxy-Authorization: Basic bWNwOg==\r\n"):
            assert b" 407 " in await ask(proxy, f"{head}{wrong}\r\n".encode())
        assert received == []
        password = base64.b64encode(f"{address['username']}:{address['password']}".encode()).decode()
        assert b"hello" in await ask(proxy, f"{head}Proxy-Authorization: Basic {password}\r\n\r\n".encode())


async def test_the_end_of_the_proxy_ends_its_connections() -> None:
    async with Proxy(Egress()) as proxy:
        port = int(proxy.address()["server"].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET ")
        await writer.drain()
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_ends_with_the_proxy_however_far_it_has_come(turns: int) -> None:
    async with Proxy(Egress()) as proxy:
        port = int(proxy.address()["server"].rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port))
        for _ in range(turns):
            await asyncio.sleep(0)
    with connection, suppress(ConnectionResetError):
        connection.settimeout(0)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 1), 10) == b""


@pytest.mark.parametrize("turns", range(6))
async def test_a_proxy_whose_start_is_cancelled_leaves_no_port_open(turns: int) -> None:
    proxy, before = Proxy(Egress()), listening_ports()
    starting = asyncio.create_task(proxy.__aenter__())
    for _ in range(turns):
        await asyncio.sleep(0)
    if starting.cancel():
        await asyncio.gather(starting, return_exceptions=True)
    else:
        await proxy.__aexit__()
    assert listening_ports() == before
