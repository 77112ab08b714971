"""Web sites on loopback, and browsers that may reach one of them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import HIDDEN, Browser, Show, Tab, browsing
from mcp_server_web_browser.server import build_server
from mcp_server_web_browser.settings import GRANTS, Settings
from site_on_loopback import Site, serving


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the browser of this machine."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        reason = "no Chromium: on Debian, apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Path(found)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """Yield a site that the browsers may reach, by its address and as localhost."""
    with serving("127.0.0.1") as site:
        yield site


@pytest.fixture(scope="session")
def forbidden() -> Iterator[Site]:
    """Yield a site that they may not reach."""
    with serving("127.0.0.2") as site:
        yield site


@pytest.fixture(scope="session")
def browser(chromium: Path, site: Site) -> Iterator[Browser]:
    """Yield a browser as it is by default, allowed to reach the site."""
    hosts = (f"127.0.0.1:{site.port}", f"localhost:{site.port}")
    with browsing(lambda: build_server(Settings(executable=chromium, allow_host=hosts))) as browser:
        yield browser


@pytest.fixture(scope="session")
def upload_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that uploads come from: a file, and ways out of it."""
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "letter.txt").write_text("Dear Ada")
    (folder.parent / "outside.txt").write_text("not yours")
    (folder / "link.txt").symlink_to(folder.parent / "outside.txt")
    (folder / "way").symlink_to(folder.parent)
    return folder


@pytest.fixture(scope="session")
def granted(
    chromium: Path, site: Site, upload_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """Yield a browser with every grant; uploads and forms that go elsewhere need nobody's consent."""
    secrets = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    secrets.write_text(
        f'[shop]\norigins = ["{site.url("")}"]\nvalue = "{HIDDEN}"\n'
        '[other]\norigins = ["https://other.example"]\nvalue = "for the other one"\n'
    )
    given = {
        "executable": chromium,
        "allow_host": (f"127.0.0.1:{site.port}", f"localhost:{site.port}"),
        "upload_dir": upload_dir,
        "secrets_file": secrets,
        "confirm": ("never",),
    }
    settings = Settings.model_validate(given | {grant.setting: True for grant in GRANTS})
    with browsing(lambda: build_server(settings)) as browser:
        yield browser


@pytest.fixture
def show_granted(granted: Browser, site: Site) -> Iterator[Show]:
    """Return what opens a page in the browser with every grant."""
    yield from _showing(granted, site)


@pytest.fixture
def show(browser: Browser, site: Site) -> Iterator[Show]:
    """Return what opens a page with some HTML; it is closed after the test."""
    yield from _showing(browser, site)


def _showing(browser: Browser, site: Site) -> Iterator[Show]:
    opened: list[Tab] = []

    def show(html: str, **headers: str) -> Tab:
        opened.append(browser.open(site.page(html, **headers)))
        return opened[-1]

    yield show
    for tab in opened:
        browser.call("close_page", page=tab.context)
