"""How long contexts live, and that nothing outlives the server."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from browsing import Browser, browsing
from mcp_server_web_browser.server import build_server
from mcp_server_web_browser.settings import Settings
from playwright.sync_api import sync_playwright
from site_on_loopback import Site

Build = Callable[..., contextlib.AbstractContextManager[Browser]]


@pytest.fixture
def limited(chromium: Path, site: Site) -> Build:
    """Return what runs a browser with some settings."""

    def run(**settings: object) -> contextlib.AbstractContextManager[Browser]:
        allowed = {"executable": chromium, "allow_host": (f"127.0.0.1:{site.port}",)}
        return browsing(lambda: build_server(Settings.model_validate(allowed | settings)))

    return run


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_unused_context_expires_says_so_and_can_be_revived(limited: Build, site: Site) -> None:
    shows = site.page(
        "<script>document.write(document.cookie||'nobody'); document.cookie='who=ada;max-age=99'</script>"
    )
    with limited(idle_s=2) as browser:
        tab = browser.open(shows)
        until(lambda: browser.call("list_pages").rows == [])
        refused = tab.call("snapshot")
        assert (refused.error, "nobody used it" in refused.raw) == ("not_found", True)
        assert "who=ada" in browser.open(shows, context=tab.context).first.text


def test_a_context_ends_with_its_lifetime_though_it_is_used(limited: Build, site: Site) -> None:
    with limited(lifetime_s=5) as browser:
        tab = browser.open(site.page("Hello"))
        until(lambda: tab.call("snapshot").error == "not_found")


def test_the_page_unused_for_longest_makes_room(limited: Build, site: Site) -> None:
    with limited(max_pages=2) as browser:
        first, second = (browser.open(site.page("Hello")) for _ in range(2))
        first.see()
        browser.open(site.page("Third"))
        assert "made room" in second.call("snapshot").raw
        first.see()


def test_a_page_makes_room_for_another_of_its_context_which_goes_on(limited: Build, site: Site) -> None:
    sets = site.page("<script>document.cookie = 'who=ada; max-age=99'</script>")
    shows = site.page("<script>document.write(document.cookie)</script>")
    with limited(max_pages=1) as browser:
        tab = browser.open(sets)
        assert "who=ada" in browser.open(shows, context=tab.context).first.text
        assert "made room" in tab.call("snapshot").raw


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="platform: memory is looked up in /proc")
def test_a_browser_that_takes_too_much_memory_closes_what_was_unused_for_longest(limited: Build, site: Site) -> None:
    shows = site.page("<script>document.write(document.cookie||'nobody'); document.cookie='a=b; max-age=99'</script>")
    with limited(max_memory_mb=64, idle_s=2) as browser:
        tab = browser.open(shows)
        until(lambda: tab.call("list_pages").error == "not_found")
        assert "of memory" in tab.call("snapshot").raw
        assert "a=b" in browser.open(shows, context=tab.context).first.text


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="platform: processes are looked up in /proc")
def test_a_crashed_page_is_told_and_others_can_be_opened(limited: Build, site: Site) -> None:
    before = set(processes_of(os.getpid()))
    with limited() as browser:
        tab = browser.open(site.page("Lost"))
        for pid, command in processes_of(os.getpid()).items():
            if "--type=renderer" in command and pid not in before:
                os.kill(pid, signal.SIGKILL)
        until(lambda: tab.call("snapshot").error == "not_found")
        assert "crashed" in tab.call("snapshot").raw
        assert 'heading "Next"' in browser.open(site.page("<h1>Next</h1>")).first.text


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="platform: processes are looked up in /proc")
def test_a_browser_that_died_is_started_again(limited: Build, site: Site) -> None:
    before = set(processes_of(os.getpid()))
    with limited() as browser:
        tab = browser.open(site.page("Hello"))
        for pid in set(browsers_of(os.getpid())) - before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: tab.call("snapshot").error == "not_found")
        assert 'heading "Again"' in browser.open(site.page("<h1>Again</h1>")).first.text


def processes_of(pid: int) -> dict[int, str]:
    """Return the processes below one, with their command lines."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    below = {pid}
    while more := {child for child, parent in parents.items() if parent in below} - below:
        below |= more
    return {child: commands[child] for child in below - {pid}}


def browsers_of(pid: int) -> list[int]:
    return [child for child, command in processes_of(pid).items() if "--type=" not in command and "chromium" in command]


@pytest.fixture
def server(chromium: Path, site: Site) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the process of a server that has a page open."""
    command = [sys.executable, "-m", "mcp_server_web_browser", "--executable", str(chromium)]
    process = subprocess.Popen(
        [*command, "--allow-host", f"127.0.0.1:{site.port}", "--log-level", "error"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        for number, (method, params) in enumerate(
            (
                ("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENT}),
                ("notifications/initialized", {}),
                ("tools/call", {"name": "open_page", "arguments": {"url": site.page("Hello")}}),
            )
        ):
            request = {"jsonrpc": "2.0", "method": method, "params": params}
            is_notification = method.startswith("notifications/")
            process.stdin.write(json.dumps(request if is_notification else request | {"id": number}).encode() + b"\n")
            process.stdin.flush()
            if not is_notification:
                assert b'"result"' in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


CLIENT = {"name": "test", "version": "1"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="platform: processes are looked up in /proc")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, None], ids=str)
def test_no_browser_outlives_its_server(server: "subprocess.Popen[bytes]", end: signal.Signals | None) -> None:
    below = processes_of(server.pid)
    assert any("chromium" in command for command in below.values())
    if end is None:
        assert server.stdin is not None
        server.stdin.close()
    else:
        server.send_signal(end)
    server.wait(60)
    until(lambda: not [pid for pid in below if is_running(pid)])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="platform: processes are looked up in /proc")
def test_no_browser_outlives_its_driver(server: "subprocess.Popen[bytes]") -> None:
    below = processes_of(server.pid)
    for pid, command in below.items():
        if "run-driver" in command:
            os.kill(pid, signal.SIGKILL)
    until(lambda: not [pid for pid, command in below.items() if "chromium" in command and is_running(pid)])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="platform: processes are looked up in /proc")
def test_nothing_is_rendered_that_nobody_sees(server: "subprocess.Popen[bytes]") -> None:
    assert not [command for command in processes_of(server.pid).values() if "--top-chrome-webui" in command]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="platform: processes are looked up in /proc")
def test_what_playwright_turns_off_stays_off(chromium: Path, server: "subprocess.Popen[bytes]") -> None:
    before = set(processes_of(os.getpid()))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        plain = [command for pid, command in processes_of(os.getpid()).items() if pid not in before]
        browser.close()
    assert features_off(plain)
    assert features_off(plain) <= features_off(processes_of(server.pid).values())


def features_off(commands: Iterable[str]) -> set[str]:
    """Return what a browser among some command lines was told to do without."""
    browsers = [command for command in commands if "chromium" in command and "--type=" not in command]
    [found] = [match[1] for command in browsers if (match := re.search(r"--disable-features=(\S+)", command))]
    return set(found.split(","))


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
