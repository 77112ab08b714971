"""The same server over every transport, as clients of both eras see it."""

import json
from collections.abc import Generator
from typing import Any
from urllib.request import Request, urlopen

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitRequestParams, ElicitResult, EmptyResult, SubscribeRequest, SubscribeRequestParams
from notes.client import ERAS, error_of, structure_of, text_of
from notes.network import INITIALIZE, JSON, Served, call, client_of, headers_for, post, served
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["http", "sse", "websocket", "http --stateful"])
def server(request: pytest.FixtureRequest) -> Generator[Served]:
    transport, *flags = request.param.split()
    with served("--allow-write", *flags, transport=transport) as server:
        yield server


@pytest.mark.parametrize("era", ERAS)
async def test_tools_are_listed_and_called(server: Served, era: str) -> None:
    async with client_of(server.url, era) as client:
        assert "read_note" in [tool.name for tool in (await client.list_tools()).tools]
        assert '"name":"first"' in text_of(await client.call_tool("read_note", {"name": "first"}))


@pytest.mark.parametrize("era", ERAS)
async def test_failures_are_error_content(server: Served, era: str) -> None:
    async with client_of(server.url, era) as client:
        result = await client.call_tool("read_note", {"name": "frist"})
    assert error_of(result.meta)["code"] == "not_found"


@pytest.mark.parametrize("era", ERAS)
async def test_a_result_is_paged(server: Served, era: str) -> None:
    async with client_of(server.url, era) as client:
        first = await client.call_tool("list_notes", {"limit": 1})
        cursor = structure_of(first)["cursor"]
        second = await client.call_tool("list_notes", {"limit": 1, "cursor": cursor})
    assert structure_of(second)["untrusted"]["rows"][0][0] == "second"


@pytest.mark.parametrize("era", ERAS)
async def test_resources_prompts_and_completion_work(server: Served, era: str) -> None:
    async with client_of(server.url, era) as client:
        assert "one" in str((await client.read_resource("note:///first")).contents)
        assert "one" in str((await client.get_prompt("review_note", {"name": "first"})).messages)


@pytest.mark.parametrize("era", ERAS)
async def test_many_calls_at_once_get_their_own_answers(server: Served, era: str) -> None:
    names = [f"{era} {number}" for number in range(30)]
    async with client_of(server.url, era) as client:

        async def write(name: str) -> None:
            result = await client.call_tool("write_note", {"name": name, "text": name})
            assert name in text_of(result)

        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(write, name)


@pytest.mark.parametrize("era", ERAS)
async def test_progress_arrives(server: Served, era: str) -> None:
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with client_of(server.url, era) as client:
        await client.call_tool("count", {"to": 3}, progress_callback=on_progress)
    assert seen == [1, 2, 3]


async def agree(context: Any, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"confirm": True})


async def test_a_person_is_asked_in_the_era_without_handshake(server: Served) -> None:
    async with client_of(server.url, elicitation_callback=agree) as client:
        await client.call_tool("write_note", {"name": "asked", "text": "x"})
        assert not (await client.call_tool("delete_note", {"name": "asked"})).is_error


async def test_a_person_is_asked_after_a_handshake_where_the_connection_lasts(server: Served) -> None:
    async with client_of(server.url, "legacy", elicitation_callback=agree) as client:
        await client.call_tool("write_note", {"name": "asked too", "text": "x"})
        result = await client.call_tool("delete_note", {"name": "asked too"})
    assert result.is_error == (server.process.args[-1] == "--allow-write" and server.url.endswith("/mcp"))  # pyright: ignore[reportIndexIssue, reportUnknownMemberType]


async def test_changes_are_reported_to_who_listens(server: Served) -> None:
    async with client_of(server.url) as client, client.listen(resource_subscriptions=["note:///first"]) as events:
        await client.call_tool("write_note", {"name": "first", "text": "one, changed"})
        async for event in events:
            assert "note:///first" in str(event)
            break


async def waiting_are(client: Client, number: int) -> None:
    """Return when so many calls of 'wait' run."""
    while (await client.call_tool("running")).structured_content != {
        "count": 1,
        "columns": ["waiting"],
        "rows": [[number]],
    }:
        pass


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("transport", ["http", "sse", "websocket"])
async def test_a_client_that_leaves_stops_its_call(transport: str, era: str) -> None:
    with served(transport=transport) as server:
        async with client_of(server.url) as watcher:
            async with client_of(server.url, era) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "wait")
                await waiting_are(watcher, 1)
                tasks.cancel_scope.cancel()
            await waiting_are(watcher, 0)


# What is particular to one transport


@pytest.fixture(scope="module")
def http() -> Generator[Served]:
    with served() as server:
        yield server


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_without_sessions_there_is_nothing_but_post(http: Served, method: str) -> None:
    response = httpx2.request(method, http.url, headers=JSON, timeout=60)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_a_wrong_path_is_told_the_right_one(http: Served) -> None:
    response = httpx2.get(http.origin + "/nowhere", timeout=60)
    assert (response.status_code, "/mcp" in response.text) == (404, True)


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-28"])
def test_an_answer_without_progress_is_plain_json(http: Served, version: str) -> None:
    response = post(http.url, call("read_note", name="first"), **{"mcp-protocol-version": version})
    assert response.headers["content-type"] == "application/json"
    assert "one" in json.dumps(response.json())


@pytest.mark.parametrize("body", [{"jsonrpc": "2.0", "method": "notifications/initialized"}, INITIALIZE])
def test_what_is_no_call_is_answered_too(http: Served, body: dict[str, Any]) -> None:
    response = httpx2.post(http.url, json=body, headers=JSON, timeout=60)
    assert response.status_code == (200 if "id" in body else 202)


def test_blanks_around_the_value_of_a_header_do_not_count(http: Served) -> None:
    message = call("read_note", name="first")
    headers = headers_for(message) | {"mcp-name": "  read_note \t"}
    with urlopen(Request(http.url, json.dumps(message).encode(), headers), timeout=60) as response:  # noqa: S310
        assert response.status == 200


async def test_a_subscription_is_refused_where_nothing_could_be_told(http: Served) -> None:
    async with client_of(http.url, "legacy") as client:
        request = SubscribeRequest(params=SubscribeRequestParams(uri="note:///first"))
        with pytest.raises(MCPError, match="carries no notifications"):
            await client.session.send_request(request, EmptyResult)


def test_a_path_can_be_chosen() -> None:
    with served("--path", "/notes/here") as server:
        assert server.url.endswith("/notes/here")
        assert post(server.url, call("read_note", name="first")).status_code == 200


@pytest.fixture(scope="module")
def websocket() -> Generator[Served]:
    with served("--max-message-bytes", "2000", transport="websocket") as server:
        yield server


def test_a_websocket_without_the_subprotocol_is_refused(websocket: Served) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(websocket.url, proxy=None):
        pass
    assert caught.value.response.status_code == 400


@pytest.mark.parametrize(
    ("text", "code"), [("{", -32700), ("[]", -32600), ('{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600)]
)
def test_what_is_no_message_is_answered_on_a_websocket(websocket: Served, text: str, code: int) -> None:
    with connect(websocket.url, subprotocols=["mcp"], proxy=None) as socket:  # pyright: ignore[reportArgumentType]
        socket.send(text)
        assert json.loads(socket.recv(timeout=60))["error"]["code"] == code


def test_a_websocket_with_a_message_too_large_is_closed(websocket: Served) -> None:
    with connect(websocket.url, subprotocols=["mcp"], proxy=None) as socket:  # pyright: ignore[reportArgumentType]
        socket.send("x" * 3000)
        with pytest.raises(Exception, match="1009"):
            socket.recv(timeout=60)


def test_a_plain_request_to_a_websocket_is_told_to_upgrade(websocket: Served) -> None:
    assert httpx2.get(websocket.url.replace("ws://", "http://"), timeout=60).status_code == 426
