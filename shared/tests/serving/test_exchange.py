"""What is answered without the SDK's own handling of a request is what that would have answered."""

import re
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import httpx2
import pytest
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.serving.streamable_http import StreamableHttp
from notes.network import ENVELOPE, INITIALIZE, JSON, MODERN, call, headers_for, request
from notes.server import Notes, Settings, build_server
from pydantic import Field
from starlette.types import ASGIApp

pytestmark = pytest.mark.anyio

HANDSHAKE = JSON | {"mcp-protocol-version": "2025-11-25"}
Region = Annotated[str, Field(description="Where.", json_schema_extra={"x-mcp-header": "Region"})]
Headers = dict[str, str] | list[tuple[str, str]]


async def deploy(call: Call[Notes], region: Region) -> Records:
    """Deploy."""
    return Records(columns=["region"], rows=[[region]])


def without(message: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a message without one of its parameters."""
    return message | {"params": {key: value for key, value in message["params"].items() if key != name}}


def of_handshake(message: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    """Return a request as a version with a handshake has it."""
    return without(message, "_meta"), HANDSHAKE


READ = call("read_note", name="first")
DEPLOY = call("deploy", region="north")
LIST = request("tools/list")
NAMELESS = request("tools/call")
OTHER_VERSION = request("tools/list", {})
OTHER_VERSION["params"]["_meta"] = ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}
CASES: dict[str, tuple[dict[str, Any], Headers]] = {
    "a call": (READ, headers_for(READ)),
    "a list": (LIST, headers_for(LIST)),
    "discovery": (request("server/discover"), headers_for(request("server/discover"))),
    "a text for an id": (request("tools/list", request_id="one"), headers_for(LIST)),
    "a failed call": (call("read_note", name="frist"), headers_for(READ)),
    "wrong arguments": (call("read_note", nome="first"), headers_for(READ)),
    "an unknown tool": (call("raed_note"), headers_for(call("raed_note"))),
    "an unknown resource": (request("resources/read", {"uri": "note:///no"}), headers_for(LIST)),
    "parameters of a wrong type": (
        request("tools/call", {"name": 1}),
        headers_for(LIST) | {"mcp-method": "tools/call"},
    ),
    "an unknown method": (request("tools/lists"), headers_for(request("tools/lists"))),
    "a method of the handshake": (INITIALIZE, headers_for(INITIALIZE)),
    "no envelope": (without(LIST, "_meta"), headers_for(LIST)),
    "an unknown version": (OTHER_VERSION, headers_for(LIST) | {"mcp-protocol-version": "2099-01-01"}),
    "another version than the header's": (OTHER_VERSION, headers_for(LIST)),
    "no header of the method": (LIST, JSON | MODERN),
    "another name than the header's": (READ, headers_for(READ) | {"mcp-name": "list_notes"}),
    "a header twice": (LIST, [*headers_for(LIST).items(), ("mcp-method", "tools/list")]),
    "an argument in a header": (DEPLOY, headers_for(DEPLOY) | {"mcp-param-region": "north"}),
    "another argument than the header's": (DEPLOY, headers_for(DEPLOY) | {"mcp-param-region": "south"}),
    "no header of an argument": (DEPLOY, headers_for(DEPLOY)),
    "a header that no argument is in": (READ, headers_for(READ) | {"mcp-param-region": "north"}),
    "a call after a handshake": of_handshake(READ),
    "an unknown tool after a handshake": of_handshake(call("raed_note")),
    "an unknown method after a handshake": of_handshake(request("tools/lists")),
    "an unknown resource after a handshake": of_handshake(request("resources/read", {"uri": "note:///no"})),
    "a method of 2026-07-28 after a handshake": of_handshake(request("server/discover")),
    "a handshake": (INITIALIZE, HANDSHAKE),
    "no version": (without(READ, "_meta"), JSON),
}


def built() -> Server[Notes]:
    """Return a server with a tool whose argument is repeated in a header."""
    server = build_server(Settings(allow_write=True, transport="http"))
    server.add_tool(deploy, title="Deploy", annotations=READ_ONLY)
    return server


@pytest.fixture
async def ours() -> AsyncGenerator[ASGIApp]:
    endpoint = StreamableHttp(built(), ServingSettings())
    async with endpoint.running():
        yield endpoint


@pytest.fixture
async def sdks() -> AsyncGenerator[ASGIApp]:
    manager = StreamableHTTPSessionManager(built(), stateless=True, json_response=True)
    async with manager.run():
        yield manager.handle_request


async def answered(app: ASGIApp, message: dict[str, Any], headers: Headers) -> tuple[int, str, Any]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as http:
        response = await http.post("http://localhost/mcp", json=message, headers=headers)
    text = re.sub("untrusted-[0-9a-f]+", "untrusted", response.text)
    return response.status_code, response.headers["content-type"], httpx2.Response(200, text=text).json()


@pytest.mark.parametrize("case", CASES)
async def test_an_answer_is_the_one_of_the_sdk(ours: ASGIApp, sdks: ASGIApp, case: str) -> None:
    assert await answered(ours, *CASES[case]) == await answered(sdks, *CASES[case])
