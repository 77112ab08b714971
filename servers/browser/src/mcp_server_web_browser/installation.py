"""Which browser there is on this machine, and how it is installed when there is none."""

import shutil
import subprocess
import sys
from pathlib import Path

from mcp_server_shared.errors import Unsupported

_PROGRAMS = ("google-chrome-stable", "google-chrome", "chromium", "chromium-browser", "microsoft-edge")
_PLACES = (
    "/usr/bin/chromium",
    "/usr/bin/google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
)


def program_of(browser: str, bundled: str, chosen: Path | None) -> Path:
    """Return the browser's program.

    Args:
        browser: its kind, "chromium" for example.
        bundled: where Playwright's own build would be.
        chosen: what the operator named.

    Raises:
        Unsupported: there is none.
    """
    if chosen is not None:
        if not chosen.exists():
            raise Unsupported(f"There is no program {chosen}.", hint="The operator named it by --executable.")
        return chosen
    if Path(bundled).exists():
        return Path(bundled)
    found = _installed() if browser == "chromium" else None
    if found is None:
        command = "mcp-server-web-browser install-browser" + ("" if browser == "chromium" else f" {browser}")
        raise Unsupported(
            f"No {browser} is installed.",
            hint=f"The operator can: {command}. Or name one that is there by --executable.",
        )
    return found


def _installed() -> Path | None:
    on_path = filter(None, map(shutil.which, _PROGRAMS))
    return next((Path(place) for place in (*on_path, *_PLACES) if Path(place).exists()), None)


def download(browsers: list[str]) -> int:
    """Download Playwright's builds of these browsers, showing how far it is; return the exit code."""
    command = [sys.executable, "-m", "playwright", "install", *browsers]
    return subprocess.run(command, check=False).returncode  # noqa: S603
