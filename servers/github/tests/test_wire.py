"""Requests: on one thread's own connection, within the time of the call, never followed, free when nothing changed."""

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, TypeVar

import anyio
import pytest
from github_client import connected, read
from github_gaps import Answered
from github_sample import Emulated
from mcp import Client
from mcp_server_github.credentials import NoCredential, Token
from mcp_server_github.github_api import GitHub, Kept, Session
from mcp_server_github.policy import Policy
from mcp_server_github.wire import MOST_ANSWER_BYTES, Doubtful, Until, download
from mcp_server_shared.errors import NotFound, TooLarge, Unavailable

T = TypeVar("T")


def new(url: str) -> GitHub:
    return GitHub(url, Token("ghp_alice"), Policy())


def session(github: GitHub, seconds: float = 10) -> Session:
    return github.session(Until(time.monotonic() + seconds))


class Left:
    """The patience of a call that was cancelled."""

    def remaining_s(self) -> float:
        """Return what is left, which nobody wants."""
        return 10

    def checkpoint(self) -> None:
        """Say that nobody waits."""
        raise InterruptedError

    def retry_in_thread(self, attempt: Callable[[], T]) -> T:
        """Try once."""
        return attempt()


def test_threads_never_get_the_answers_of_others(github: Emulated) -> None:
    shared = new(github.url)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(number: int) -> bool:
        data = session(shared).get(f"/repos/alice/hello/issues/{number}", what="issue")
        return data["number"] == number

    try:
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, [1 + n % 30 for n in range(240)]))
    finally:
        sys.setswitchinterval(interval)


def test_a_call_that_nobody_waits_for_asks_nothing(github: Emulated) -> None:
    start = len(github.gaps.asked)
    with pytest.raises(InterruptedError):
        new(github.url).session(Left()).get("/repos/alice/hello", what="repository")
    assert github.gaps.asked[start:] == []


def test_nobody_waits_longer_than_the_call_may_take(github: Emulated) -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable):
        session(new(github.url), seconds=0.3).get("/repos/alice/hello/contents/hang", what="file")
    assert time.monotonic() - started < 15  # the server would take thirty


def test_what_has_not_changed_is_not_sent_again(github: Emulated) -> None:
    shared = new(github.url)
    first = session(shared).get("/repos/alice/hello/issues/1", what="issue")
    start = len(github.gaps.asked)
    assert session(shared).get("/repos/alice/hello/issues/1", what="issue") == first
    assert "if-none-match" in github.gaps.asked[start].headers
    github.ask("PATCH", "/repos/alice/hello/issues/1", {"labels": ["new"]})
    assert session(shared).get("/repos/alice/hello/issues/1", what="issue") != first
    github.ask("PATCH", "/repos/alice/hello/issues/1", {"labels": []})


def test_a_search_for_code_asks_for_what_was_found(github: Emulated) -> None:
    start = len(github.gaps.asked)
    list(session(new(github.url)).items("/search/code", {"q": "number"}, what="result", under="items"))
    assert "text-match" in github.gaps.asked[start].headers["accept"]


def test_what_is_kept_has_a_limit() -> None:
    kept = Kept[int]()
    for number in range(1_000):
        kept.put(str(number), number)
    assert (kept.get("0"), kept.get("999"), kept.get("999", younger_s=0)) == (None, 999, None)


def test_an_answer_without_end_is_left(github: Emulated) -> None:
    github.gaps.outages.append(Answered(200, b"[" + b"1," * (MOST_ANSWER_BYTES // 2) + b"1]"))
    with pytest.raises(TooLarge):
        session(new(github.url)).get("/repos/alice/hello", what="repository")


def test_an_answer_without_its_body_is_asked_for_again(github: Emulated) -> None:
    github.gaps.outages.append(Answered(200, None))
    with pytest.raises(Unavailable, match="without its body"):
        session(new(github.url)).get("/repos/alice/hello", what="repository")


def test_a_write_whose_answer_never_comes_is_in_doubt(github: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github.gaps, "silent", True)
    with pytest.raises(Doubtful) as raised:
        session(new(github.url), 0.5).send("POST", "/repos/alice/hello/issues", {"title": "x"}, what="issue")
    assert not raised.value.retryable


def test_a_host_that_is_not_there_leaves_no_doubt() -> None:
    shared = new("http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="cannot be reached") as raised:
        session(shared).send("POST", "/repos/alice/hello/issues", {"title": "x"}, what="issue")
    assert raised.value.retryable
    assert "GITHUB_API_URL" in raised.value.hint


def test_a_download_is_not_followed_and_has_a_limit(github: Emulated) -> None:
    github.gaps.logs[5] = b"x" * 1_000
    patience = Until(time.monotonic() + 10)
    with (
        pytest.raises(TooLarge),
        download(f"{github.gaps.storage_url}/logs/5", patience, most_bytes=999) as pieces,
    ):
        list(pieces)
    with pytest.raises(Unavailable), download(f"{github.url}/repos/none/none", patience, most_bytes=999):
        pass


def test_a_location_that_is_no_web_address_is_not_gone_to(github: Emulated) -> None:
    github.gaps.outages.append(Answered(302, None, {"Location": "file:///etc/passwd"}))
    with pytest.raises(Unavailable):
        session(new(github.url)).location("/repos/alice/hello/actions/jobs/7/logs", what="log")


def test_a_list_is_read_page_by_page_and_from_anywhere(github: Emulated) -> None:
    shared = new(github.url)

    def places(start: int) -> list[int]:
        found = session(shared).items("/repos/alice/hello/issues", {"state": "all"}, start=start, what="issues")
        return [place for place, _ in found]

    every = places(0)
    assert every == list(range(len(every)))
    assert len(every) >= 35
    assert places(29) == every[29:]
    assert places(31) == every[31:]


def test_passwords_of_the_machine_are_not_sent(
    github: Emulated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login eve password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    nobody = GitHub(github.url, NoCredential(), Policy())
    start = len(github.gaps.asked)
    session(nobody).get("/repos/alice/hello", what="repository")
    assert "authorization" not in github.gaps.asked[start].headers


@pytest.mark.anyio
async def test_a_cancelled_call_ends_its_work(github: Emulated) -> None:
    async with connected(github) as client:
        with anyio.move_on_after(0.3):
            await read(client, "read_repo_file", repo="alice/hello", path="hang")
        await read(client, "read_repo_file", repo="alice/hello", path="README.md")


@pytest.mark.anyio
async def test_calls_that_wait_for_github_keep_nobody_else_waiting(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard = threading.Event()
    done: list[str] = []

    async def wait(client: Client) -> None:
        done.append(await read(client, "read_issue", repo="alice/hello", number=1))

    async with connected(github) as client, anyio.create_task_group() as tasks:
        monkeypatch.setattr(github.gaps, "silent_until", unheard)
        try:
            for _ in range(64):
                tasks.start_soon(wait, client)
            await client.list_tools()
            await client.list_prompts()
            assert done == []
        finally:
            unheard.set()
    assert len(done) == 64


class Enterprise(BaseHTTPRequestHandler):
    """Answers whatever is asked, and remembers where."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.asked.append(f"{self.command} {self.path}")
        known: dict[str, object] = {"data": {}, "full_name": "acme/app", "private": True, "default_branch": "main"}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def test_an_enterprise_is_asked_at_its_own_addresses() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Enterprise) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            here = session(new(f"http://localhost:{server.server_port}/api/v3"))
            here.repository("acme/app")
            here.graphql("query { viewer { login } }", {}, what="account")
        finally:
            server.shutdown()
            serving.join()
    assert Enterprise.asked == ["GET /api/v3/repos/acme/app", "POST /api/graphql"]


def test_what_moved_is_not_found(github: Emulated) -> None:
    github.gaps.outages.append(Answered(301, {"message": "Moved"}, {"Location": "https://evil.invalid/x"}))
    with pytest.raises(NotFound):
        session(new(github.url)).get("/repos/alice/hello", what="repository")
