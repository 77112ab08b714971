"""Web search beside Brave's own server and beside httpx itself, all against the same answers on this machine.

Brave's server asks a fixed address; here a line of JavaScript leads its requests to ours. httpx makes the same requests
and parses the answers, so the difference in time is what this server costs. For some jobs the requests are counted that
reach the provider; and while it is slow to answer, whether the server answers others.
"""

import json
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from client import StdioClient

from comparisons import Comparison, Growth, taken_in_turn

OURS, BRAVE, HTTPX = "mcp-server-search", "npm brave-search-mcp-server", "httpx itself"
PEER = Path(__file__).parents[2] / "peers/node_modules/@brave/brave-search-mcp-server/dist/index.js"

SEARCHES = 30
READS = 5
PAGE_PARAGRAPHS = 3_000
CALLERS = (1, 8, 64)
DELAY_S = 0.2  # of an answer of the provider, where many wait for it

SEARCH = "web search p50 (ms)"
REPEATED = "requests for the same search three times"
PAGED = "requests to read a page in six pieces"

_LIMITS = {
    "X-RateLimit-Policy": "10000;w=1, 0;w=2592000",
    "X-RateLimit-Remaining": "9999, 0",
    "X-RateLimit-Reset": "1, 1",
}
_RESULT: dict[str, Any] = {
    "type": "search_result",
    "subtype": "generic",
    "title": "A page about <strong>cats</strong> &amp; other animals",
    "description": "What the page is about, in the usual length of a snippet, with <strong>words</strong> in bold. "
    * 3,
    "page_age": "2026-10-31T08:00:00",
    "age": "3 weeks ago",
    "language": "en",
    "family_friendly": True,
    "is_source_local": False,
    "is_source_both": False,
    "profile": {"name": "Example", "url": "https://example.org/", "long_name": "example.org", "img": "https://e.org/i"},
    "extra_snippets": ["Another part of the page, not quite as long as the first. " * 3] * 3,
}
_PARAGRAPH = "<p>Paragraph {0} has some words in it, and <a href='/{0}'>a link</a>.</p>"
_PAGE = "".join(map(_PARAGRAPH.format, range(PAGE_PARAGRAPHS)))


def compare(rounds: int, *, searches: int = SEARCHES, reads: int = READS) -> Comparison:
    """Measure with so many searches a round, and ours with so many reads of a page and with `CALLERS` waiting."""
    growth: Growth = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as directory, _answering() as answers:
        ours, theirs = _ours(answers.url, directory), _brave(answers.url)
        sides: dict[str, Callable[[], dict[str, float]]] = {
            OURS: lambda: _round(ours, "search_web", searches) | _reading(ours, answers, reads) | _jobs(ours, answers),
            BRAVE: lambda: (
                _round(theirs, "brave_web_search", searches) | _repeated(theirs, "brave_web_search", answers)
            ),
            HTTPX: lambda: {SEARCH: _httpx(answers.url, searches)},
        }
        samples = taken_in_turn(sides, rounds, skipped)
        for _ in range(rounds if OURS not in skipped else 0):
            for callers, (lists, took) in _waits(ours).items():
                growth["tools/list (ms) while so many calls wait"][OURS][callers].append(lists)
                growth[f"all found (ms), so many callers, {DELAY_S * 1e3:.0f} ms a request"][OURS][callers].append(took)
    return Comparison(OURS, samples, skipped, growth)


def _ours(url: str, directory: str) -> tuple[str, ...]:
    host = url.removeprefix("http://")
    return (
        str(Path(sys.executable).with_name("mcp-server-search")),
        *("--brave-url", url, "--brave-api-key", "key", "--cache-s", "0", "--monthly-budget", "1000000"),
        *("--data-directory", directory, "--allow-host", host, "--ignore-robots"),
    )


def _brave(url: str) -> tuple[str, ...]:
    lead = f"const real=fetch;globalThis.fetch=(a,b)=>real(String(a).replace('https://api.search.brave.com','{url}'),b)"
    node = shutil.which("node") or "node"
    return ("env", "BRAVE_API_KEY=key", node, "--import", f"data:text/javascript,{lead}", str(PEER))


def _round(command: tuple[str, ...], tool: str, searches: int) -> dict[str, float]:
    start = time.perf_counter()
    with StdioClient(command, "handshake") as client:
        client.open()
        listed = client.request("tools/list")
        began = time.perf_counter() - start
        client.call(tool, {"query": "warm up"})
        seconds: list[float] = []
        answer = b""
        for number in range(searches):
            at = time.perf_counter()
            answer = client.call(tool, {"query": f"cats {number}"})
            seconds.append(time.perf_counter() - at)
        figures = {
            "cold start (ms)": began * 1e3,
            "tools/list (bytes)": float(len(listed)),
            SEARCH: median(seconds) * 1e3,
            "answer of ten results (characters a model reads)": float(_characters(answer)),
        }
        if (peak := client.peak_megabytes()) is not None:
            figures["peak memory (MB)"] = peak
        return figures


def _characters(answer: bytes) -> int:
    return sum(len(part.get("text", "")) for part in json.loads(answer)["result"]["content"])


def _httpx(url: str, searches: int) -> float:
    """Return the median of the milliseconds that a search takes without any server."""
    seconds: list[float] = []
    with httpx.Client(trust_env=False) as client:
        for number in range(searches + 1):
            at = time.perf_counter()
            client.get(f"{url}/res/v1/web/search", params={"q": f"cats {number}"}).json()
            seconds.append(time.perf_counter() - at)
    return median(seconds[1:]) * 1e3  # the first opens the connection


def _jobs(command: tuple[str, ...], answers: "_Web") -> dict[str, float]:
    kept = tuple("900" if word == "0" else word for word in command)  # the cache as it is by default
    with StdioClient(kept, "handshake") as client:
        client.open()
        before = answers.count
        cursor: list[str] = []
        for _ in range(6):
            page = {"url": f"{answers.url}/page/long", "max_characters": 20_000}
            told = client.call("read_page", page | ({"cursor": cursor[-1]} if cursor else {}))
            cursor += [json.loads(told.decode())["result"]["content"][0]["text"].split('"cursor":"')[1].split('"')[0]]
        pages = float(answers.count - before)
    return {PAGED: pages} | _repeated(kept, "search_web", answers)


def _repeated(command: tuple[str, ...], tool: str, answers: "_Web") -> dict[str, float]:
    with StdioClient(command, "handshake") as client:
        client.open()
        before = answers.count
        for _ in range(3):
            client.call(tool, {"query": "the same again"})
        return {REPEATED: float(answers.count - before)}


def _waits(command: tuple[str, ...]) -> dict[int, tuple[float, float]]:
    """Return for each number of callers the milliseconds of a list meanwhile, and until all were answered."""
    found: dict[int, tuple[float, float]] = {}
    with _answering(DELAY_S) as answers, StdioClient(_at(command, answers.url), "handshake") as client:
        client.open()
        client.call("search_web", {"query": "warm up"})
        for callers in CALLERS:
            wanted = [{"query": f"{number} of {callers}"} for number in range(callers)]
            seconds, took = client.list_latencies("search_web", wanted)
            found[callers] = (median(seconds) * 1e3, took * 1e3)
    return found


def _at(command: tuple[str, ...], url: str) -> tuple[str, ...]:
    """Return the command with another address of the provider."""
    at = command.index("--brave-url") + 1
    return (*command[:at], url, *command[at + 1 :])


def _reading(command: tuple[str, ...], answers: "_Web", reads: int) -> dict[str, float]:
    url = answers.url
    with StdioClient(command, "handshake") as client:
        client.open()
        start = time.perf_counter()
        client.call("read_page", {"url": f"{url}/page/first"})
        first = time.perf_counter() - start
        seconds: list[float] = []
        for number in range(reads):
            at = time.perf_counter()
            client.call("read_page", {"url": f"{url}/page/{number}"})
            seconds.append(time.perf_counter() - at)
    size = len(_PAGE) // 1_000
    return {f"first page of {size} kB (ms)": first * 1e3, f"next page of {size} kB (ms)": median(seconds) * 1e3}


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or the body would wait until the head is acknowledged
    server: "_Web"  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Answer a search or show the page."""
        with self.server.counting:
            self.server.count += 1
        time.sleep(self.server.delay_s)
        if self.path.startswith("/res/"):
            hits = [_RESULT | {"url": f"https://site{number}.example.org/page"} for number in range(10)]
            query = {"original": "q", "more_results_available": True}
            web = {"type": "search", "results": hits, "family_friendly": True}
            body, kind = json.dumps({"type": "search", "query": query, "web": web}).encode(), "application/json"
        else:
            body, kind = f"<html><title>A page</title><article>{_PAGE}</article></html>".encode(), "text/html"
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **_LIMITS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class _Web(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, delay_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.delay_s = delay_s
        self.count = 0
        self.counting = threading.Lock()


@contextmanager
def _answering(delay_s: float = 0.0) -> Generator[_Web]:
    with _Web(delay_s) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
