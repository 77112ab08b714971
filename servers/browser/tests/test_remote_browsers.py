"""A browser that runs elsewhere: by its debugging port, or behind a Playwright server."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from browsing import browsing
from mcp_server_web_browser.server import build_server
from mcp_server_web_browser.settings import Settings
from pydantic import SecretStr
from site_on_loopback import Site

pytestmark = pytest.mark.slow

DEBUGGED = ("--headless", "--no-sandbox", "--remote-debugging-port=0", "--no-first-run", "about:blank")


@contextmanager
def running(*command: str, says: str = r"(ws://\S+)") -> Generator[str]:
    """Run a program that prints where it can be reached; yield that."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        found = next((match[1] for line in process.stdout if (match := re.search(says, line))), None)
        assert found is not None, f"{command[0]} says no address"
        yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("kind", ["cdp_endpoint", "playwright_server"])
def test_a_page_of_a_remote_browser_is_driven_and_fenced_off(
    chromium: Path, site: Site, forbidden: Site, tmp_path: Path, kind: str
) -> None:
    if kind == "cdp_endpoint":
        command = (str(chromium), *DEBUGGED, f"--user-data-dir={tmp_path}")
    else:
        launch = tmp_path / "launch.json"
        launch.write_text(f'{{"executablePath": "{chromium}", "args": ["--no-sandbox"], "port": 0}}')
        command = (
            sys.executable,
            "-m",
            "playwright",
            "launch-server",
            "--browser",
            "chromium",
            "--config",
            str(launch),
        )
    with running(*command) as address:
        settings = Settings.model_validate({kind: SecretStr(address), "allow_host": (f"127.0.0.1:{site.port}",)})
        with browsing(lambda: build_server(settings)) as browser:
            tab = browser.open(
                site.page(f"<button onclick=\"this.textContent='Done'\">Go</button><img src={forbidden.url()}>")
            )
            assert '~ button "Done"' in tab.ok("click", target="text=Go").text
            assert forbidden.received == []


def test_a_browser_of_a_grid_is_driven_fenced_off_and_ended(chromium: Path, site: Site, forbidden: Site) -> None:
    driver = shutil.which("chromedriver")
    if driver is None:
        reason = "no WebDriver server: on Debian, apt-get install chromium-driver"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with running(driver, "--port=0", says=r"port (\d+)\.") as port:
        grid = SecretStr(f"http://127.0.0.1:{port}")
        with browsing(lambda: build_server(Settings(grid=grid, allow_host=(f"127.0.0.1:{site.port}",)))) as browser:
            tab = browser.open(
                site.page(f"<button onclick=\"this.textContent='Done'\">Go</button><img src={forbidden.url()}>")
            )
            assert '~ button "Done"' in tab.ok("click", target="text=Go").text
            assert forbidden.received == []
            [session] = sessions_of(port)
        assert session not in sessions_of(port)


def sessions_of(port: str) -> list[str]:
    with urlopen(f"http://127.0.0.1:{port}/sessions", timeout=30) as answer:
        return [session["id"] for session in json.load(answer)["value"]]


@pytest.mark.parametrize("kind", ["cdp_endpoint", "playwright_server", "grid"])
def test_a_remote_browser_that_is_not_there_is_told(site: Site, kind: str) -> None:
    nowhere = SecretStr("ws://127.0.0.1:1" if kind == "playwright_server" else "http://127.0.0.1:1")
    settings = Settings.model_validate({kind: nowhere, "allow_host": (f"127.0.0.1:{site.port}",)})
    with browsing(lambda: build_server(settings)) as browser:
        assert browser.call("open_page", url=site.page("Hello")).error == "unavailable"
