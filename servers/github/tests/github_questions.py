"""Two questions that people ask, with everything in place to answer them: for budgets and benchmarks."""

from dataclasses import dataclass

from github_description import example
from github_gaps import thread
from github_sample import Emulated
from official_answers import failed_jobs, pull_request

REPO = "alice/hello"
RUN = 950
_FILES, _CHECKS, _LOG_LINES = 12, 8, 3_000


@dataclass(frozen=True)
class Questions:
    """What to ask of our server, and what the official one's answers would be.

    Attributes:
        number: of the pull request.
        about: the official answers to "what is this pull request about".
        failure: the official answer to "why did CI fail".
        branch: of the pull request.
    """

    number: int
    about: list[str]
    failure: str
    branch: str


def prepared(github: Emulated, branch: str = "asked-about") -> Questions:
    """Make a pull request of a usual size, with checks, reviews and threads, and a run that failed."""
    head = github.branch(REPO, branch)
    for n in range(_FILES):
        text = "".join(f"def step_{n}_{m}(value: int) -> int:\n    return value + {m}\n\n\n" for m in range(15))
        head = github.commit(REPO, f"src/{branch}/steps_{n}.py", text, branch=branch)
    words = "Steps were one long function. Each is one of its own now, and can be tried alone.\n\nCloses #1.\n"
    body = {"title": "Take the steps apart", "body": words, "head": branch, "base": "main"}
    number: int = github.ask("POST", f"/repos/{REPO}/pulls", body)["number"]
    for n in range(_CHECKS):
        conclusion = "failure" if n == 0 else "success"
        run = {"name": f"check {n}", "head_sha": head, "status": "completed", "conclusion": conclusion}
        github.ask("POST", f"/repos/{REPO}/check-runs", run | {"output": {"title": "Ran", "summary": "Done."}})
    for n in range(2):
        review = {"event": "COMMENT", "body": f"Looks right to me, but see my question {n}."}
        github.ask("POST", f"/repos/{REPO}/pulls/{number}/reviews", review, by="bob")
    threads = [thread(f"PRRT_{n}", f"src/{branch}/steps_{n}.py", 4, f"Why {n}?", "Because.") for n in range(4)]
    github.gaps.threads[f"/repos/{REPO}/{number}"] = threads
    pull = github.ask("GET", f"/repos/{REPO}/pulls/{number}")
    ends = f"{pull['base']['sha']}...{pull['head']['sha']}"
    files = github.ask("GET", f"/repos/{REPO}/compare/{ends}")["files"]
    runs = github.ask("GET", f"/repos/{REPO}/commits/{head}/check-runs")["check_runs"]
    reviews = github.ask("GET", f"/repos/{REPO}/pulls/{number}/reviews")
    return Questions(number, pull_request(pull, files, runs, reviews, threads), _failed_run(github), branch)


def _failed_run(github: Emulated) -> str:
    stamp = "2026-11-20T16:00:00.0000000Z "
    lines = [f"{stamp}collected test number {n} of the suite, passed in 0.0{n % 10} s" for n in range(_LOG_LINES)]
    lines[-40] = f"{stamp}##[error]test_steps.py:17: expected 3, got 33"
    log = "\n".join(lines) + "\n"
    step = {"name": "Test", "status": "completed", "conclusion": "failure", "number": 5}
    job = example("job") | {"created_at": "2020-01-20T17:42:40Z", "run_id": RUN}
    github.gaps.jobs[95] = job | {"id": 95, "name": "test", "conclusion": "failure", "steps": [step]}
    github.gaps.jobs[96] = job | {"id": 96, "name": "lint", "conclusion": "success", "steps": []}
    github.gaps.logs[95] = log.encode()
    jobs = [github.gaps.jobs[95], github.gaps.jobs[96]]
    return failed_jobs(RUN, jobs, {95: log})
