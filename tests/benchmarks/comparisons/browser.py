"""The browser server beside `playwright mcp`, which the playwright package brings: time and answer of each action."""

import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

from client import ServerFailed, StdioClient

from comparisons import Comparison, taken_in_turn

OURS, RIVAL = "mcp-server-web-browser", "playwright mcp"
CLICKS = 5
TIMEOUT_S = 300.0
FURTHER = 8  # pages, for what one more takes
# A click changes the text beside the button: the rival mints another reference for a button that is renamed.
SMALL = """<!doctype html><title>Small</title><script>n = 0</script>
<p>Nothing</p><button onclick="this.previousElementSibling.textContent = 'Done ' + (++n)">Go</button>"""


def _shop(products: int) -> str:
    rows = "".join(
        f"<li><span>Product {n}</span> <a href='#{n}'>Details {n}</a> "
        f"<button onclick=\"this.parentElement.firstChild.textContent='Bought {n}, '+(++n)\">Buy {n}</button></li>"
        for n in range(products)
    )
    return f"<!doctype html><title>Shop</title><script>n = 0</script><h1>Shop</h1><ul>{rows}</ul>"


# Some 250, 2,500 and 25,000 nodes; and one button of each.
PAGES = {"small": (SMALL, "Go"), "middle": (_shop(62), "Buy 30"), "large": (_shop(625), "Buy 300")}
PAGES["huge"] = (_shop(6_250), "Buy 300")


@dataclass(frozen=True)
class Side:
    """How one server is started and spoken to; `beside` opens another page in the context of one that is open."""

    command: list[str]
    open: Callable[[StdioClient, str], str]
    beside: Callable[[StdioClient, str, str], str]
    click: Callable[[StdioClient, str, str], str]
    snapshot: Callable[[StdioClient, str], str]
    evaluate: Callable[[StdioClient, str], str]


def compare(rounds: int) -> Comparison:
    """Measure both sides in turn, in the same Chromium."""
    skipped: dict[str, str] = {}
    with both_sides(skipped) as (sides, site):
        asked = {name: partial(_measure, side, site) for name, side in sides.items()}
        return Comparison(OURS, taken_in_turn(asked, rounds, skipped), skipped)


@contextmanager
def both_sides(skipped: dict[str, str]) -> Generator[tuple[dict[str, Side], str]]:
    """Serve the pages; yield who opens them, nobody where there is no Chromium, and the address they are at."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        skipped |= {OURS: "no Chromium on PATH", RIVAL: "no Chromium on PATH"}
        yield {}, ""
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, (html, _) in PAGES.items():
            Path(folder, f"{name}.html").write_text(html)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        site = f"127.0.0.1:{server.server_address[1]}"
        yield {OURS: _ours(chromium, site), RIVAL: _rival(chromium, folder)}, f"http://{site}"
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base's
        pass


def _measure(side: Side, site: str) -> dict[str, float]:
    figures: dict[str, float] = {}
    started = time.perf_counter()
    with StdioClient(side.command, "handshake", TIMEOUT_S) as client:
        client.open()
        page = side.open(client, f"{site}/small.html")
        figures["first page after start (ms)"] = milliseconds_since(started)
        figures["memory of all its processes (MB)"] = memory_mb(client.pid)
        for size, (_, button) in PAGES.items():
            page = side.open(client, f"{site}/{size}.html")
            started = time.perf_counter()
            lines = side.snapshot(client, page)
            figures[f"snapshot, {size} page (ms)"] = milliseconds_since(started)
            figures[f"snapshot, {size} page (characters)"] = len(lines)
            reference = reference_of(lines, button)
            took: list[float] = []
            answer = ""
            for _ in range(CLICKS):
                started = time.perf_counter()
                answer = side.click(client, page, reference)
                took.append(milliseconds_since(started))
            figures[f"click, {size} page (ms)"] = median(took)
            figures[f"click, {size} page (characters)"] = len(answer)
        started = time.perf_counter()
        side.evaluate(client, page)
        figures["evaluate (ms)"] = milliseconds_since(started)
        before = memory_mb(client.pid)
        for _ in range(FURTHER):
            side.beside(client, page, f"{site}/middle.html")
        figures["memory of one more page (MB)"] = (memory_mb(client.pid) - before) / FURTHER
    return figures


def milliseconds_since(started: float) -> float:
    """Return how long ago that was, of `time.perf_counter`."""
    return (time.perf_counter() - started) * 1_000


def reference_of(lines: str, button: str) -> str:
    """Return what a snapshot of either side calls a button."""
    found = re.search(rf'button "{re.escape(button)}"[^\n]*?\[(?:ref=)?(\w+)\]', lines)
    if found is None:
        raise ServerFailed(f"shows no button {button}")
    return found[1]


def memory_mb(pid: int) -> float:
    """Return the proportional memory of a process and those below it; 0 where the system does not tell."""
    total, below = 0.0, [pid]
    while below:
        each = Path(f"/proc/{below.pop()}")
        try:
            total += int(re.findall(r"^Pss:\s+(\d+)", (each / "smaps_rollup").read_text(), re.MULTILINE)[0]) / 1_024
            for task in (each / "task").iterdir():
                below += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue
    return total


def _text(client: StdioClient, tool: str, **arguments: Any) -> str:
    message = json.loads(client.call(tool, arguments))
    return "".join(part.get("text", "") for part in message["result"]["content"])


def _ours(chromium: str, site: str) -> Side:
    command = [sys.executable, "-m", "mcp_server_web_browser", "--executable", chromium, "--allow-scripts"]

    def opened(client: StdioClient, url: str) -> str:
        return json.loads(_text(client, "open_page", url=url).partition("\n")[0])["page"]

    def beside(client: StdioClient, page: str, url: str) -> str:
        context = json.loads(_text(client, "list_pages", page=page).splitlines()[3])[1]
        return json.loads(_text(client, "open_page", url=url, context=context).partition("\n")[0])["page"]

    limits = ["--max-output-characters", "1000000", "--max-pages", "500", "--max-memory-mb", "100000"]
    return Side(
        command=[*command, "--allow-host", site, *limits, "--log-level", "error"],
        open=opened,
        beside=beside,
        click=lambda client, page, reference: _text(client, "click", page=page, target=reference),
        snapshot=lambda client, page: _text(client, "snapshot", page=page),
        evaluate=lambda client, page: _text(client, "evaluate", page=page, function="() => 1"),
    )


def _rival(chromium: str, folder: str) -> Side:
    spec = find_spec("playwright")
    driver = Path(((spec and spec.submodule_search_locations) or [""])[0]) / "driver"
    command = [str(driver / "node"), str(driver / "package/cli.js"), "mcp", "--headless", "--isolated", "--no-sandbox"]

    def beside(client: StdioClient, _: str, url: str) -> str:
        return _text(client, "browser_tabs", action="new", url=url)

    return Side(
        command=[*command, "--executable-path", chromium, "--output-dir", folder],
        open=lambda client, url: _text(client, "browser_navigate", url=url),
        beside=beside,
        click=lambda client, page, reference: _text(client, "browser_click", target=reference, element="button"),
        snapshot=lambda client, page: _text(client, "browser_snapshot"),
        evaluate=lambda client, page: _text(client, "browser_evaluate", function="() => 1"),
    )
