"""`python3 tests/bootstrap.py console`: see the servers, start some, and call them by hand as a host would."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

from console.host import catalog
from console.rendering import show_missing, show_running, spinner
from console.session import Session

INTERRUPTED = 130  # as a shell has it

EPILOG = """\
SERVER is one of the catalog, with a sample upstream: real, embedded or emulated, as the list says; or the URL of any
MCP server. Without any, all servers of the catalog are started. After --, the settings of one server, which then talks
to its real upstream with your environment:

  console filesystem postgres
  console github -- --repos OWNER/NAME
  console https://mcp.example.com/mcp -- --bearer-token-file token
  echo 'list_directory path=.' | console filesystem
"""


def main() -> int:
    """Run the console; the exit code is 1 if anything failed and no person was there to see it."""
    parser = argparse.ArgumentParser(
        prog="bootstrap.py console",
        description="Use MCP servers by hand.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("servers", nargs="*", metavar="SERVER")
    words, settings = _parted(sys.argv[1:])
    servers: list[str] = parser.parse_args(words).servers
    known = catalog()
    if unknown := [name for name in servers if name not in known and not urlsplit(name).scheme]:
        parser.error(f"there is no server {unknown[0]}; there is {', '.join(known)}, or a URL")
    if settings is not None and len(servers) != 1:
        parser.error("settings after -- are for one server")
    with tempfile.TemporaryDirectory(prefix="mcp-console-") as folder, start_blocking_portal() as portal:
        session = Session(portal, Path(folder), known)
        with portal.wrap_async_context_manager(session.host):
            failed = _start(session, servers, settings)
            return session.run() or (failed if not session.terminal.is_interactive else 0)


def _start(session: Session, servers: Sequence[str], settings: list[str] | None) -> int:
    if settings is not None or any(urlsplit(name).scheme for name in servers):
        return sum(not session.start(name, settings) for name in servers)
    with spinner("Starting"):
        missing = session.portal.call(session.host.start_samples, servers or list(session.entries))
    show_running(session.host.running)
    show_missing(missing)
    return len(missing)


def _parted(words: list[str]) -> tuple[list[str], list[str] | None]:
    if "--" not in words:
        return words, None
    position = words.index("--")
    return words[:position], words[position + 1 :]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while it starts; later on, that is about the line or the call
        sys.exit(INTERRUPTED)
