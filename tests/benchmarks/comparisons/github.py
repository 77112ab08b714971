"""Two questions about a repository, many calls at once, long logs: this server beside PyGithub and the official server.

All ask the same emulator, through a proxy that counts the requests. PyGithub asks for the same without shaping
anything, each thread with a client of its own, so the difference is what this server costs. The official server runs
against real GitHub alone: its bytes are computed from the fields of its types, its time and requests are not known.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from client import ServerFailed, StdioClient

TESTS = Path(__file__).parents[2]
sys.path += [str(TESTS), str(TESTS.parent / "servers/github/tests")]

from emulator import emulated  # noqa: E402
from github_gaps import Gaps, gaps_filled  # noqa: E402
from github_questions import REPO, RUN, Questions, prepared  # noqa: E402
from github_sample import SEED, Emulated, fill  # noqa: E402

from comparisons import Comparison, taken_in_turn  # noqa: E402

OURS, PYGITHUB, OFFICIAL = "mcp-server-github", "PyGithub itself", "official server (bytes by its source)"
ABOUT, FAILURE = "what is this pull request about", "why did CI fail"
AGAIN = f"{ABOUT}, asked again"
SMALL = "a list of issues"
IN_FLIGHT, UPSTREAM_S, REPEATED = 64, 0.2, 20
LOG_LINES = (1_000, 10_000, 100_000)
_OFFICIAL_TOOLS = 48_000  # its default toolsets as its repository has them, without the icons
_FIRST_LOG = 970
_BESIDE = f"{IN_FLIGHT} calls in flight, upstream {UPSTREAM_S} s"

# PyGithub in a process of its own, as ours is: url, what to do, argument. It prints the seconds that each time took.
_RAW = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
import requests
from github import Auth, Github

url, job, argument = sys.argv[1:]
REPO = "alice/hello"
THREADS = '''query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) {
    pullRequest(number: $number) { reviewThreads(first: 50) { nodes { id isResolved path line } } } } }'''

def client():
    auth = Auth.Token("ghp_alice")
    return Github(auth=auth, base_url=url, seconds_between_requests=None, seconds_between_writes=None, retry=None)

def about():
    pull = repository.get_pull(int(argument))
    seen = [*pull.get_files(), *pull.get_reviews()]
    commit = repository.get_commit(pull.head.sha)
    seen += [*commit.get_check_runs(), *commit.get_combined_status().statuses]
    github.requester.graphql_query(THREADS, {"owner": "alice", "name": "hello", "number": int(argument)})

def failure():
    runs = f"/repos/{REPO}/actions/runs/{argument}/jobs"
    for job in github.requester.requestJsonAndCheck("GET", runs)[1]["jobs"]:
        if job["conclusion"] == "failure":
            log(job["id"])

def log(number=argument):
    path = f"/repos/{REPO}/actions/jobs/{number}/logs"
    found = requests.get(url + path, headers={"Authorization": "Bearer ghp_alice"}, allow_redirects=False)
    requests.get(found.headers["Location"]).text.splitlines()

def small(given=None):
    (given or github).requester.requestJsonAndCheck("GET", f"/repos/{REPO}/issues", parameters={"per_page": 30})

github = client()
repository = github.get_repo(REPO)
seconds = []
if job == "at_once":
    clients = [client() for _ in range(int(argument))]
    with ThreadPoolExecutor(len(clients)) as pool:
        start = time.perf_counter()
        list(pool.map(small, clients))
        seconds.append(time.perf_counter() - start)
else:
    for _ in range(int(argument) + 1 if job == "small" else 1):
        start = time.perf_counter()
        {"about": about, "failure": failure, "log": log, "small": small}[job]()
        seconds.append(time.perf_counter() - start)
print(json.dumps(seconds))
"""

Figures = dict[str, float]


def compare(rounds: int, *, log_lines: tuple[int, ...] = LOG_LINES) -> Comparison:
    """Measure both questions, a small call, many calls at once and the logs of so many lines."""
    skipped: dict[str, str] = {}
    with _github(log_lines) as (gaps, questions):
        program = str(Path(sys.executable).with_name("mcp-server-github"))
        command = ("env", "GITHUB_TOKEN=ghp_alice", program, "--api-url", gaps.url)
        sides: dict[str, Callable[[], Figures]] = {
            OURS: lambda: _ours(command, gaps, questions, log_lines),
            PYGITHUB: lambda: _pygithub(gaps, questions, log_lines),
            OFFICIAL: lambda: _official(questions),
        }
        samples = taken_in_turn(sides, rounds, skipped)
    return Comparison(OURS, samples, skipped)


@contextmanager
def _github(log_lines: tuple[int, ...]) -> Generator[tuple[Gaps, Questions]]:
    with emulated("github", SEED) as emulator, gaps_filled(emulator.url) as gaps:
        github = Emulated(gaps)
        fill(github)
        questions = prepared(github)
        gaps.checked = False
        for number, count in enumerate(log_lines, _FIRST_LOG):
            gaps.jobs[number] = gaps.jobs[95] | {"id": number, "run_id": number}
            lines = [f"2026-11-20T16:00:00.0000000Z step {n} of the build passed" for n in range(count)]
            lines[count // 2] = "2026-11-20T16:00:00.0000000Z ##[error]it broke"
            gaps.logs[number] = "\n".join(lines).encode()
        yield gaps, questions


def _ours(command: tuple[str, ...], gaps: Gaps, questions: Questions, log_lines: tuple[int, ...]) -> Figures:
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        ABOUT: ("read_pull_request", {"repo": REPO, "number": questions.number}),
        AGAIN: ("read_pull_request", {"repo": REPO, "number": questions.number}),
        FAILURE: ("read_job_log", {"repo": REPO, "run": RUN}),
    }
    figures: Figures = {}
    issues = {"repo": REPO, "limit": 30}
    with StdioClient(command, "handshake") as client:
        client.open()
        tools = json.loads(client.request("tools/list"))["result"]["tools"]
        client.call("list_issues", issues)  # the library is loaded, the connection open
        for name, call in calls.items():
            before = _requests(gaps)
            start = time.perf_counter()
            answer = client.call(*call)
            figures[f"{name} (ms)"] = (time.perf_counter() - start) * 1e3
            figures[f"{name} (upstream requests)"] = _requests(gaps) - before
            figures[f"{name} (bytes)"] = len(answer)
        figures[f"{SMALL}, one upstream request (ms)"] = _middle(lambda: client.call("list_issues", issues))
        for number, count in enumerate(log_lines, _FIRST_LOG):
            start = time.perf_counter()
            client.call("read_job_log", {"repo": REPO, "job": number})
            figures[f"errors in a log of {count:,} lines (ms)"] = (time.perf_counter() - start) * 1e3
        with _slow(gaps):
            beside, whole = client.answered_beside("tools/list", "list_issues", [issues] * IN_FLIGHT)
    figures[f"{_BESIDE}: all of them (ms)"] = whole * 1e3
    figures[f"{_BESIDE}: tools/list beside them (ms)"] = beside * 1e3
    figures["tools/list (bytes)"] = len(json.dumps(tools, separators=(",", ":")))
    return figures | _growth(figures, log_lines)


def _growth(figures: Figures, log_lines: tuple[int, ...]) -> Figures:
    """Return with which power of its length the time for a log grows: 0 is constant, 1 linear."""
    least, most = log_lines[0], log_lines[-1]
    times = [figures[f"errors in a log of {count:,} lines (ms)"] for count in (least, most)]
    return {"errors in a log (growth, as a power)": math.log(times[1] / times[0]) / math.log(most / least)}


def _pygithub(gaps: Gaps, questions: Questions, log_lines: tuple[int, ...]) -> Figures:
    figures: Figures = {}
    for name, job, argument in ((ABOUT, "about", questions.number), (FAILURE, "failure", RUN)):
        before = _requests(gaps)
        figures[f"{name} (ms)"] = _raw(gaps, job, argument)[0] * 1e3
        figures[f"{name} (upstream requests)"] = _requests(gaps) - before - 1  # for the repository: ours knows it
    figures[f"{SMALL}, one upstream request (ms)"] = median(_raw(gaps, "small", REPEATED)[1:]) * 1e3
    for number, count in enumerate(log_lines, _FIRST_LOG):
        figures[f"errors in a log of {count:,} lines (ms)"] = _raw(gaps, "log", number)[0] * 1e3
    with _slow(gaps):
        figures[f"{_BESIDE}: all of them (ms)"] = _raw(gaps, "at_once", IN_FLIGHT)[0] * 1e3
    return figures | _growth(figures, log_lines)


def _raw(gaps: Gaps, job: str, argument: int) -> list[float]:
    command = [sys.executable, "-c", _RAW, gaps.url, job, str(argument)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailed(done.stderr.strip().rpartition("\n")[2][:200])
    return json.loads(done.stdout)


def _official(questions: Questions) -> Figures:
    return {
        f"{ABOUT} (bytes)": sum(len(answer.encode()) for answer in questions.about),
        f"{FAILURE} (bytes)": len(questions.failure.encode()),
        "tools/list (bytes)": _OFFICIAL_TOOLS,
    }


def _requests(gaps: Gaps) -> int:
    return len(gaps.asked) + len(gaps.stored)


def _middle(work: Callable[[], object]) -> float:
    """Return the milliseconds that something takes mostly."""
    taken: list[float] = []
    for _ in range(REPEATED):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken) * 1e3


@contextmanager
def _slow(gaps: Gaps) -> Generator[None]:
    gaps.delay_s = UPSTREAM_S
    try:
        yield
    finally:
        gaps.delay_s = 0
