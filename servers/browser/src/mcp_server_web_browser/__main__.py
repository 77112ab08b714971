"""The command `mcp-server-web-browser`."""

from mcp_server_shared.start import Program, start

from mcp_server_web_browser.settings import Settings


def program() -> Program[Settings]:
    """Import the server."""
    from mcp_server_web_browser.server import ABOUT, build_server

    return Program(ABOUT, Settings, build_server)


def install_browser(arguments: list[str]) -> int:
    """Download Playwright's build of a browser: chromium (unless named), firefox or webkit."""
    from mcp_server_web_browser.installation import download

    return download(arguments or ["chromium"])


def main() -> None:
    """Run the command."""
    start(program, install_browser=install_browser)


if __name__ == "__main__":
    main()
