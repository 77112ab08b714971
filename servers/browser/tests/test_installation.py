"""Finding a browser, and installing one where there is none."""

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from mcp_server_shared.errors import Unsupported
from mcp_server_web_browser.installation import program_of
from site_on_loopback import Received, Reply, Site

COMMAND = [sys.executable, "-m", "mcp_server_web_browser"]


def run(*words: str, variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the command of this server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLAYWRIGHT_")}
    return subprocess.run(
        [*COMMAND, *words],
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def build(chromium: Path, mark: Path) -> bytes:
    """Return what Playwright downloads: an archive of programs, which leave a mark and are this machine's browser."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in ("chrome-linux64/chrome", "chrome-headless-shell-linux64/chrome-headless-shell", "ffmpeg-linux"):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, f'#!/bin/sh\n: > "{mark}"\nexec "{chromium}" "$@"\n')
    return written.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="platform: the archives of other systems are laid out differently")
def test_one_command_installs_a_browser_with_progress_and_it_is_used(
    chromium: Path, site: Site, tmp_path: Path
) -> None:
    archive = build(chromium, tmp_path / "was used")
    asked: list[str] = []

    def download(received: Received) -> Reply:
        asked.append(received.path)
        return Reply(archive, headers={"Content-Type": "application/zip"})

    site.fall_back(download)
    browsers = tmp_path / "browsers"
    variables = {"PLAYWRIGHT_DOWNLOAD_HOST": site.url("").rstrip("/"), "PLAYWRIGHT_BROWSERS_PATH": str(browsers)}
    try:
        installed = run("install-browser", variables=variables)
    finally:
        site.fall_back(None)
    assert installed.returncode == 0, installed.stdout
    assert re.search(r"100%", installed.stdout)
    assert any("chrom" in path for path in asked)
    checked = run("check", variables=variables)
    assert re.search(r"chromium \S+ starts", checked.stdout)
    assert (tmp_path / "was used").exists()


def test_where_no_browser_is_the_error_says_how_to_install_one(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as refused:
        program_of("firefox", str(tmp_path / "none"), None)
    assert "mcp-server-web-browser install-browser firefox" in refused.value.hint


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as refused:
        program_of("chromium", "", tmp_path / "chrome")
    assert str(tmp_path / "chrome") in refused.value.message


@pytest.mark.slow
@pytest.mark.skipif(bool(os.environ.get("DISPLAY")), reason="platform: there is a display here")
@pytest.mark.skipif(sys.platform != "linux", reason="platform: others always have a display")
def test_without_a_display_windows_cannot_be_shown_and_the_error_says_so(chromium: Path) -> None:
    checked = run("check", "--headed", "--executable", str(chromium), variables={})
    assert "--headed needs a display" in checked.stdout
