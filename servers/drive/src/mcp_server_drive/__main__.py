"""The command `mcp-server-drive`."""

from mcp_server_shared.start import Program, start

from mcp_server_drive.settings import Settings


def program() -> Program[Settings]:
    """Import the server."""
    from mcp_server_drive.server import ABOUT, build_server

    return Program(ABOUT, Settings, build_server)


def auth(arguments: list[str]) -> int:
    """Sign in to a Google account, step by step; also --list, --remove NAME.

    Options: --account NAME, --client JSON, --scope SCOPE, --allow-write, --headless, --device, --token-folder DIR.
    """
    from mcp_server_drive.sign_in import run

    return run(arguments, Settings.load)


def main() -> None:
    """Run the command."""
    start(program, auth=auth)


if __name__ == "__main__":
    main()
