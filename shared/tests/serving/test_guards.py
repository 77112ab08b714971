"""What guards the endpoint guards it over every transport: tokens, Host, Origin, grants, limits, sessions."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)
from mcp_server_shared.serving.tokens import new_token
from mcp_server_shared.subscriptions import MOST_WATCHED_BY_A_CALLER
from notes.client import ERAS, error_of
from notes.network import INITIALIZE, JSON, TIMEOUT_S, Served, bearer, call, client_of, headers_for, post, served
from notes.raw_websocket import raw_websocket

pytestmark = pytest.mark.anyio
TRANSPORTS = ("http", "http --stateful", "sse", "websocket")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a file with tokens of some callers; return them, and the file's path as "file"."""
    grants = {"reader": ["read"], "writer": ["read", "write"], "scraper": ["metrics"]}
    made = {name: new_token(name, given, None) for name, given in grants.items()}
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text("\n".join(line for _, line in made.values()), encoding="utf-8")
    return {"file": str(path)} | {name: token for name, (token, _) in made.items()}


@pytest.fixture(scope="module", params=TRANSPORTS)
def server(request: pytest.FixtureRequest, tokens: dict[str, str]) -> Generator[Served]:
    transport, *flags = request.param.split()
    words = ("--allow-write", "--tokens", tokens["file"], "--max-calls-per-caller", "2", *flags)
    with served(*words, transport=transport) as server:
        yield server


def opened(server: Served, query: str = "", **headers: str) -> int:
    """Return the status of the answer to what a client sends first."""
    if server.url.startswith("ws"):
        with raw_websocket(server, query, **headers) as (_, status):
            return status
    message = call("read_note", name="first")
    asks: dict[str, Any] = {"method": "POST", "json": message, "headers": headers_for(message) | headers}
    if server.url.endswith("/sse"):
        asks = {"method": "GET", "headers": headers}
    with httpx2.Client(timeout=TIMEOUT_S) as http, http.stream(url=server.url + query, **asks) as response:
        return response.status_code


def test_a_good_token_opens_it(server: Served, tokens: dict[str, str]) -> None:
    assert opened(server, **bearer(tokens["reader"])) in {101, 200}


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic dXNlcjpwYXNz"])
def test_nothing_else_does(server: Served, header: str | None) -> None:
    assert opened(server, **({"authorization": header} if header else {})) == 401


@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
async def test_the_log_has_neither_tokens_nor_results(transport: str, tokens: dict[str, str]) -> None:
    words = ("--tokens", tokens["file"], "--log-level", "debug", "--log-results", "none")
    with served(*words, transport=transport) as server:
        assert opened(server, "?access_token=secret-in-the-address", **bearer("secret-in-the-header")) == 401
        async with client_of(server.url, token=tokens["reader"]) as client:
            await client.call_tool("read_note", {"name": "first"})
    log = "".join(server.lines)
    assert '"target":"read_note"' in log
    assert [word for word in ("secret-in", tokens["reader"], "one\\", '"error"') if word in log] == []


def test_a_token_in_the_address_does_not(server: Served, tokens: dict[str, str]) -> None:
    assert opened(server, f"?access_token={tokens['reader']}") == 401


def test_a_token_that_may_not_read_does_not(server: Served, tokens: dict[str, str]) -> None:
    assert opened(server, **bearer(tokens["scraper"])) == 403


@pytest.mark.parametrize(
    ("header", "status"),
    [({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403), ({"origin": "null"}, 403)],
    ids=str,
)
def test_a_page_that_rebinds_a_name_or_comes_from_elsewhere_is_refused(
    server: Served, tokens: dict[str, str], header: dict[str, str], status: int
) -> None:
    assert opened(server, **bearer(tokens["reader"]), **header) == status


@pytest.mark.parametrize("era", ERAS)
async def test_a_caller_sees_and_may_call_what_its_token_grants(
    server: Served, tokens: dict[str, str], era: str
) -> None:
    arguments = {"name": "first", "text": "one"}
    async with client_of(server.url, era, token=tokens["reader"]) as client:
        assert "write_note" not in [tool.name for tool in (await client.list_tools()).tools]
        refused = await client.call_tool("write_note", arguments)
    async with client_of(server.url, era, token=tokens["writer"]) as client:
        assert "write_note" in [tool.name for tool in (await client.list_tools()).tools]
        assert not (await client.call_tool("write_note", arguments)).is_error
    assert error_of(refused.meta)["code"] == "permission_denied"


@pytest.mark.parametrize("era", ERAS)
async def test_one_caller_has_so_many_calls_at_a_time(server: Served, tokens: dict[str, str], era: str) -> None:
    async with client_of(server.url, era, token=tokens["writer"]) as client, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.call_tool, "wait")
        while not (result := await client.call_tool("running")).is_error:
            pass
        assert error_of(result.meta)["code"] == "rate_limited"
        async with client_of(server.url, era, token=tokens["reader"]) as other:
            assert not (await other.call_tool("running")).is_error
        tasks.cancel_scope.cancel()


SHARE = [f"note:///{number}" for number in range(MOST_WATCHED_BY_A_CALLER)]


async def test_one_caller_watches_so_many_resources_and_leaves_the_others_theirs(
    server: Served, tokens: dict[str, str]
) -> None:
    async with (
        client_of(server.url, token=tokens["reader"]) as client,
        client_of(server.url, token=tokens["writer"]) as other,
        client.listen(resource_subscriptions=SHARE),
        other.listen(resource_subscriptions=["note:///more"]),
    ):
        one_more = client.listen(resource_subscriptions=["note:///more"])
        with pytest.raises(MCPError, match=f"At most {MOST_WATCHED_BY_A_CALLER} resources are watched for one caller"):
            await one_more.__aenter__()


async def test_a_handshake_era_caller_has_its_share_of_watched_resources_back_when_it_gives_them_up(
    tokens: dict[str, str],
) -> None:
    async def ask(client: Client, request: SubscribeRequest | UnsubscribeRequest) -> None:
        await client.session.send_request(request, EmptyResult)

    more = SubscribeRequest(params=SubscribeRequestParams(uri="note:///more"))
    with served("--tokens", tokens["file"], transport="websocket") as server:
        for _ in range(2):  # with the connection, all are given up
            async with client_of(server.url, "legacy", token=tokens["reader"]) as client:
                for uri in SHARE:
                    await ask(client, SubscribeRequest(params=SubscribeRequestParams(uri=uri)))
                with pytest.raises(MCPError, match="for one caller"):
                    await ask(client, more)
                await ask(client, UnsubscribeRequest(params=UnsubscribeRequestParams(uri=SHARE[0])))
                await ask(client, more)


# Whose connection it is


PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}


def test_nobody_else_may_use_a_session(tokens: dict[str, str]) -> None:
    with served("--stateful", "--tokens", tokens["file"]) as server, httpx2.Client(timeout=TIMEOUT_S) as http:
        begun = http.post(server.url, json=INITIALIZE, headers=JSON | bearer(tokens["reader"]))
        headers = JSON | {"mcp-session-id": begun.headers["mcp-session-id"]}
        statuses = [
            http.post(server.url, json=PING, headers=headers | bearer(tokens[name])).status_code
            for name in ("writer", "reader")
        ]
    assert statuses == [404, 200]


def test_nobody_else_may_speak_on_a_stream(tokens: dict[str, str]) -> None:
    with (
        served("--tokens", tokens["file"], transport="sse") as server,
        httpx2.Client(timeout=TIMEOUT_S) as http,
        http.stream("GET", server.url, headers=bearer(tokens["reader"])) as events,
    ):
        lines = (line.removeprefix("data: ") for line in events.iter_lines() if line.startswith("data: "))
        address = server.origin + next(lines)
        statuses = [
            http.post(address, json=PING, headers=JSON | bearer(tokens[name])).status_code
            for name in ("writer", "reader")
        ]
        assert '"id":2' in next(lines)
    assert statuses == [404, 202]


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
def test_what_is_open_ends_with_its_token(transport: str, tmp_path: Path) -> None:
    (token, line), (_, other) = new_token("gone", ["read"], None), new_token("other", ["read"], None)
    path = tmp_path / "tokens"
    path.write_text(line, encoding="utf-8")
    with served("--tokens", str(path), transport=transport) as server:
        if transport == "websocket":
            with raw_websocket(server, **bearer(token)) as (connection, status):
                path.write_text(other, encoding="utf-8")
                while connection.recv(1_000):
                    pass
            assert status == 101
        elif transport == "sse":
            with (
                httpx2.Client(timeout=TIMEOUT_S) as http,
                http.stream("GET", server.url, headers=bearer(token)) as events,
            ):
                path.write_text(other, encoding="utf-8")
                assert "event: endpoint" in list(events.iter_lines())
        else:
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(post, server.url, call("wait"), token=token)
                while "[1]" not in post(server.url, call("running"), token=token).text:
                    pass
                path.write_text(other, encoding="utf-8")
                ended = waiting.result()
            assert (ended.status_code, ended.json()["error"]) == (401, "invalid_token")
