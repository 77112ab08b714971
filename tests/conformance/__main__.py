"""The fixture server as a command."""

from mcp_server_shared.start import Program, start

from conformance.server import ABOUT, Settings, build_server


def program() -> Program[Settings]:
    """Import the server."""
    return Program(ABOUT, Settings, build_server)


if __name__ == "__main__":
    start(program)
