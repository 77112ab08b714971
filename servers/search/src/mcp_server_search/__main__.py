"""The command `mcp-server-search`."""

from mcp_server_shared.start import Program, start

from mcp_server_search.settings import Settings


def program() -> Program[Settings]:
    """Import the server."""
    from mcp_server_search.server import ABOUT, build_server

    return Program(ABOUT, Settings, build_server)


def main() -> None:
    """Run the command."""
    start(program)


if __name__ == "__main__":
    main()
