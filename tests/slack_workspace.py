"""A Slack workspace for tests to arrange and look at, and a client of the server that works in it."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from mcp import Client
from mcp.types import CallToolResult, TextContent
from slack_gaps import ARRANGING, USER, SlackProxy

Json = dict[str, Any]


@dataclass
class Workspace:
    """A workspace to arrange, and to look at afterwards."""

    proxy: SlackProxy
    channels: dict[str, str]
    people: dict[str, str]

    def ask(self, method: str, token: str = USER, **form: Any) -> Json:
        """Ask Slack itself, past the server under test."""
        body = urlencode(form).encode()
        request = Request(f"{self.proxy.url}/api/{method}", body, {"Authorization": f"Bearer {token}", ARRANGING: "1"})  # noqa: S310
        with urlopen(request) as response:  # noqa: S310
            answer: Json = json.load(response)
        assert answer["ok"], (method, answer)
        return answer

    def post(self, channel: str, text: str, token: str = USER, **form: Any) -> str:
        """Post a message; return its ts."""
        return self.ask("chat.postMessage", token, channel=self.channels.get(channel, channel), text=text, **form)["ts"]

    def upload(self, channel: str, name: str, data: bytes, token: str = USER) -> str:
        """Share a file in a channel; return its id."""
        place = self.ask("files.getUploadURLExternal", token, filename=name, length=len(data))
        with urlopen(Request(place["upload_url"], data)):  # noqa: S310
            pass
        files = json.dumps([{"id": place["file_id"], "title": name}])
        self.ask("files.completeUploadExternal", token, files=files, channel_id=self.channels.get(channel, channel))
        return place["file_id"]

    def permalink(self, channel: str, ts: str) -> str:
        """Return the permalink of a message."""
        return f"https://acme.slack.com/archives/{self.channels.get(channel, channel)}/p{ts.replace('.', '')}"

    def messages(self, channel: str) -> list[Json]:
        """Return what is in a channel, the newest first."""
        return self.ask("conversations.history", channel=self.channels.get(channel, channel))["messages"]


@dataclass
class Session:
    """A client of the server."""

    client: Client
    asked: list[str]

    async def call(self, tool: str, **arguments: Any) -> Json:
        """Return what a tool says, structured."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        return result.structured_content

    async def rows(self, tool: str, **arguments: Any) -> list[list[Any]]:
        """Return the rows of a tool's result."""
        said = await self.call(tool, **arguments)
        return said.get("untrusted", said)["rows"]

    async def text(self, tool: str, **arguments: Any) -> str:
        """Return what a tool says as text."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        return text_of(result)

    async def refused(self, tool: str, **arguments: Any) -> tuple[str, str]:
        """Return the code and text of the error that a call ends in."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, text_of(result)
        return (result.meta or {})["mcp-servers/error"]["code"], text_of(result)


Connect = Callable[..., AbstractAsyncContextManager[Session]]


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
