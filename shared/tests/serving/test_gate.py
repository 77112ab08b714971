"""Host, Origin and peer: who may speak to the endpoint."""

from typing import Any

import httpx2
import pytest
from notes.application import URL, running
from notes.network import call, headers_for

pytestmark = pytest.mark.anyio
READ = call("read_note", name="first")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def status(serving: dict[str, Any], **headers: str) -> int:
    async with running(**serving) as server:
        return (await server.post(READ, **headers)).status_code


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])
async def test_loopback_answers_to_the_names_of_this_machine(host: str) -> None:
    assert await status({}, host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "evil.example:80@localhost"]
)
async def test_loopback_answers_to_no_other_name(host: str) -> None:
    assert await status({}, host=host) == 421


async def test_the_public_name_is_answered_to() -> None:
    assert await status({"public_url": "https://notes.example/mcp"}, host="notes.example") == 200


async def test_further_hosts_are_answered_to() -> None:
    assert await status({"allowed_hosts": ("notes.internal",)}, host="notes.internal:8000") == 200


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1"])
async def test_pages_of_this_machine_may_connect_to_loopback(origin: str) -> None:
    assert await status({}, origin=origin) == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://[", "file://localhost", ""]
)
async def test_other_pages_may_not(origin: str) -> None:
    assert await status({}, origin=origin) == 403


async def test_an_allowed_origin_may_connect_and_is_told_so() -> None:
    origin = "https://app.example"
    async with running(allowed_origins=(origin,)) as server:
        response = await server.post(READ, origin=origin)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, origin)
        async with server.http() as http:
            asked = {
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "mcp-method",
            }
            assert (await http.options(URL, headers=asked)).status_code == 200


@pytest.mark.parametrize(("peer", "expected"), [("10.0.0.7", 200), ("10.0.1.7", 403), ("127.0.0.1", 403)])
async def test_behind_a_proxy_only_the_proxy_may_connect(peer: str, expected: int) -> None:
    async with running(behind_proxy=("10.0.0.0/24",)) as server:
        transport = httpx2.ASGITransport(server.application, client=(peer, 1))
        async with httpx2.AsyncClient(transport=transport) as http:
            assert (await http.post(URL, json=READ, headers=headers_for(READ))).status_code == expected


async def test_health_is_told_to_everybody() -> None:
    async with running(behind_proxy=("10.0.0.0/24",)) as server:
        assert (await server.get("/healthz", host="10.1.2.3:8000")).json() == {"status": "ok"}
