"""Where each MCP client keeps its list of servers, and in what form."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mcp_server_shared.settings import application_settings

Scope = Literal["user", "project"]


@dataclass(frozen=True)
class Client:
    """One client.

    Attributes:
        name: what a person types.
        title: what a person reads.
        user: its file for all projects of this user.
        project: its file inside a project, relative to it; empty when it has none.
        servers: the member that holds the servers.
        typed: whether an entry says that it is a process.
        afterwards: what the person does next.
        graphical: whether it is started without the PATH of a shell.
    """

    name: str
    title: str
    user: Path
    project: str
    afterwards: str
    servers: str = "mcpServers"
    typed: bool = False
    graphical: bool = True

    def file(self, scope: Scope) -> Path:
        """Return the file to change.

        Raises:
            ValueError: the client has no file for a project.
        """
        if scope == "user":
            return self.user
        if not self.project:
            raise ValueError(f"{self.title} has no configuration for a project; leave --scope out")
        return Path.cwd() / self.project

    def entry(self, command: str, arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
        """Return the entry that starts a server."""
        kind = {"type": "stdio"} if self.typed else {}
        return {**kind, "command": command, "args": arguments, **({"env": environment} if environment else {})}


def known_clients() -> dict[str, Client]:
    """Return the clients by name.

    Sources: modelcontextprotocol.io/docs/develop/connect-local-servers, code.claude.com/docs/en/mcp,
    docs.cursor.com/context/mcp, code.visualstudio.com/docs/copilot/customization/mcp-servers.
    """
    home, applications = Path.home(), application_settings()
    clients = (
        Client(
            name="claude-desktop",
            title="Claude Desktop",
            user=applications / "Claude/claude_desktop_config.json",
            project="",
            afterwards="Quit Claude Desktop and start it again.",
        ),
        Client(
            name="claude-code",
            title="Claude Code",
            user=home / ".claude.json",
            project=".mcp.json",
            typed=True,
            afterwards="Start Claude Code again; /mcp lists its servers.",
            graphical=False,
        ),
        Client(
            name="cursor",
            title="Cursor",
            user=home / ".cursor/mcp.json",
            project=".cursor/mcp.json",
            afterwards="Cursor shows it under Settings, MCP.",
        ),
        Client(
            name="vscode",
            title="VS Code",
            user=applications / "Code/User/mcp.json",
            project=".vscode/mcp.json",
            servers="servers",
            typed=True,
            afterwards='In VS Code, "MCP: List Servers" starts it.',
        ),
    )
    return {client.name: client for client in clients}
