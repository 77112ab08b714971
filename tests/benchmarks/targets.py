"""What is measured: each server with its command and a call that does next to nothing."""

import sys
from dataclasses import dataclass
from pathlib import Path

from client import Era
from rivals import NODE, NODE_PACKAGES, NotInstalled, npm_server, playwright_mcp, python_with

_HERE = Path(__file__).parent
_BOTH_ERAS: tuple[Era, ...] = ("handshake", "modern")
_HANDSHAKE: tuple[Era, ...] = ("handshake",)
_FASTMCP = "fastmcp==4.2.3"

YARDSTICK = "empty SDK server"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server; `tool` is called without arguments, `None` where no tool works without an upstream."""

    name: str
    command: tuple[str, ...]
    tool: str | None = None
    eras: tuple[Era, ...] = _BOTH_ERAS


def targets(directory: Path, skipped: dict[str, str]) -> list[Target]:
    """Return all servers, the yardstick first; what cannot be had goes into `skipped`.

    Args:
        directory: an empty one, for what is installed and what the filesystem servers serve.
        skipped: names, and why in a few words.
    """
    return [*_empty(directory, skipped), *ours(directory), *_rivals(directory)]


def _empty(directory: Path, skipped: dict[str, str]) -> list[Target]:
    """Return what does nothing at all: the floor of each kit that servers are made with."""
    floors = [
        Target(name=YARDSTICK, command=_python("servers/empty_sdk.py"), tool="nothing"),
        Target(name="empty SDK server, our stdio", command=_python("servers/bare.py"), tool="nothing"),
        Target(name="empty server of ours", command=_python("servers/promising.py"), tool="nothing"),
        Target(
            name="empty TypeScript SDK server",
            command=(NODE, str(_HERE / "servers/empty_typescript.mjs"), str(NODE_PACKAGES)),
            tool="nothing",
            eras=_HANDSHAKE,
        ),
    ]
    try:
        python = python_with(_FASTMCP, directory / "fastmcp")
    except NotInstalled as reason:
        skipped["empty fastmcp server"] = str(reason)
        return floors
    fastmcp = (str(python), str(_HERE / "servers/empty_fastmcp.py"))
    return [*floors, Target(name="empty fastmcp server", command=fastmcp, tool="nothing", eras=_HANDSHAKE)]


def ours(directory: Path) -> list[Target]:
    """Return our seven servers, with no credential and no upstream."""
    served = directory / "served"
    served.mkdir(exist_ok=True)
    without_arguments = ("drive", "github", "postgres", "search", "slack", "web-browser")
    return [
        Target(
            name="mcp-server-filesystem",
            command=(_script("mcp-server-filesystem"), str(served)),
            tool="list_allowed_directories",
        ),
        *(Target(name=f"mcp-server-{name}", command=(_script(f"mcp-server-{name}"),)) for name in without_arguments),
    ]


def _rivals(directory: Path) -> list[Target]:
    """Return the servers of others that list their tools without an upstream."""
    filesystem = (*npm_server("@modelcontextprotocol/server-filesystem/dist/index.js"), str(directory / "served"))
    postgres = npm_server("@modelcontextprotocol/server-postgres/dist/index.js")
    brave = npm_server("@brave/brave-search-mcp-server/dist/index.js")
    slack = npm_server("@zencoderai/slack-mcp-server/dist/index.js")
    return [
        Target(name="npm server-filesystem", command=filesystem, tool="list_allowed_directories", eras=_HANDSHAKE),
        Target(name="npm server-postgres", command=(*postgres, "postgresql://localhost/none"), eras=_HANDSHAKE),
        Target(name="npm brave-search", command=("env", "BRAVE_API_KEY=none", *brave), eras=_HANDSHAKE),
        Target(
            name="npm slack of zencoder",
            command=("env", "SLACK_BOT_TOKEN=none", "SLACK_TEAM_ID=none", *slack),
            eras=_HANDSHAKE,
        ),
        Target(name="playwright mcp", command=playwright_mcp(), eras=_HANDSHAKE),
    ]


def _python(script: str) -> tuple[str, ...]:
    return (sys.executable, str(_HERE / script))


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
