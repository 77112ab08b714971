"""A Slack for every test here: `emulate` over real HTTP, and in front of it a proxy for what it lacks."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult
from mcp_server_slack.server import build_server
from mcp_server_slack.settings import Settings
from slack_gaps import BOT, USER, SlackProxy, slack
from slack_methods import unknown_to_slack
from slack_workspace import Connect, Session, Workspace


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def workspace() -> Generator[Workspace]:
    """Yield a workspace for the tests of one module."""
    with slack() as (proxy, _):
        empty = Workspace(proxy, {}, {})
        for token in (USER, BOT):
            empty.ask("conversations.join", token, channel="C000000001")
        types = "public_channel,private_channel"
        listed = empty.ask("conversations.list", types=types, limit=100)["channels"]
        people = empty.ask("users.list", limit=100)["members"]
        yield Workspace(proxy, {c["name"]: c["id"] for c in listed}, {p["name"]: p["id"] for p in people})
        assert unknown_to_slack(proxy.spoken) == set(), "asked otherwise than Slack's own library asks"


@pytest.fixture(autouse=True)
def forgotten(request: pytest.FixtureRequest) -> None:
    """Forget what earlier tests asked, where a test has a workspace."""
    if "workspace" in request.fixturenames:
        proxy: SlackProxy = request.getfixturevalue("workspace").proxy
        proxy.asked.clear()
        for told in (proxy.turned_away, proxy.broken, proxy.external, proxy.redirects, proxy.changed, proxy.refused):
            told.clear()
        proxy.terse = False


@pytest.fixture
def connect(workspace: Workspace) -> Connect:
    """Return what connects a client to a server with some settings; `agrees` is what its user says to questions."""

    @asynccontextmanager
    async def connected(
        *, agrees: bool | None = None, tokens: str = "both", era: str = "legacy", **settings: Any
    ) -> AsyncGenerator[Session]:
        if tokens in {"both", "bot"}:
            settings["bot_token"] = BOT
        if tokens in {"both", "user"}:
            settings["user_token"] = USER
        server = build_server(Settings(api_url=f"{workspace.proxy.url}/api/", **settings))
        asked: list[str] = []

        async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
            asked.append(params.message)
            return ElicitResult(action="accept", content={"confirm": bool(agrees)})

        async with Client(server, mode=era, elicitation_callback=None if agrees is None else answer) as client:
            yield Session(client, asked)

    return connected
