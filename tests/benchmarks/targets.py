"""What is measured: each server with its command and a call that does next to nothing."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from client import Era

_HERE = Path(__file__).parent
_PEER_FILESYSTEM = _HERE.parent / "peers/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
_BOTH_ERAS: tuple[Era, ...] = ("handshake", "modern")

YARDSTICK = "empty SDK server"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server; `tool` is called without arguments, `None` where no tool works without an upstream."""

    name: str
    command: tuple[str, ...]
    tool: str | None
    eras: tuple[Era, ...] = _BOTH_ERAS


def targets(directory: Path) -> list[Target]:
    """Return all servers, the yardstick first; `directory` is what the filesystem servers serve."""
    return [
        Target(name=YARDSTICK, command=_python("servers/empty_sdk.py"), tool="nothing"),
        Target(name="empty server, our stdio", command=_python("servers/empty_shared.py"), tool="nothing"),
        Target(
            name="mcp-server-filesystem",
            command=(_script("mcp-server-filesystem"), str(directory)),
            tool="list_allowed_directories",
        ),
        Target(name="mcp-server-postgres", command=(_script("mcp-server-postgres"),), tool=None),
        Target(
            name="npm server-filesystem",
            command=(shutil.which("node") or "node", str(_PEER_FILESYSTEM), str(directory)),
            tool="list_allowed_directories",
            eras=("handshake",),
        ),
    ]


def _python(script: str) -> tuple[str, ...]:
    return (sys.executable, str(_HERE / script))


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))
