"""What the server keeps while it runs: the connection, what is open in the workspace, and names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mcp_server_slack.conversations import Conversations
from mcp_server_slack.people import People
from mcp_server_slack.slack_api import SlackApi


@dataclass(frozen=True)
class Workspace:
    """One Slack workspace."""

    api: SlackApi
    conversations: Conversations
    people: People = field(default_factory=People)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["Workspace"]:
        """Yield itself, and end its connection."""
        try:
            yield self
        finally:
            await self.api.close()

    async def permalinks(self, channel: str) -> str:
        """Return how the permalink of a message begins; its ts without the dot ends it."""
        identity = await self.api.identity(self.api.reader)
        return f"{identity.url}archives/{channel}/p"
