"""An answer takes at most a third of what the official server's answers take for the same question."""

import pytest
from github_client import connected, read
from github_questions import REPO, RUN, prepared
from github_sample import Emulated

pytestmark = pytest.mark.anyio


async def test_what_a_pull_request_is_about_and_why_a_run_failed_take_a_third(github: Emulated) -> None:
    questions = prepared(github)
    async with connected(github) as client:
        about = await read(client, "read_pull_request", repo=REPO, number=questions.number)
        failure = await read(client, "read_job_log", repo=REPO, run=RUN)
    for fact in ("Take the steps apart", "can be tried alone", "steps_11.py", "failure · check 0", "4 of 4 unresolved"):
        assert fact in about, fact
    assert "expected 3, got 33" in failure
    assert len(about.encode()) * 3 <= sum(len(answer.encode()) for answer in questions.about)
    assert len(failure.encode()) * 3 <= len(questions.failure.encode())
