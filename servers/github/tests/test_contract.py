"""The promises that every server makes, for this one."""

import pytest
from github_sample import EXAMPLES, HELLO, Emulated
from mcp_server_github.__main__ import program
from mcp_server_shared.contract import Example, Subject, checks

globals().update(checks())


@pytest.fixture(scope="module")
def subject(github: Emulated) -> Subject:
    head = github.ask("GET", "/repos/alice/hello/git/ref/heads/topic")["object"]["sha"]
    return Subject(
        program=program,
        arguments=["--api-url", github.url],
        environment={"GITHUB_TOKEN": "ghp_alice"},
        examples=EXAMPLES,
        resources=[
            "repo://alice/hello/contents/src/numbers.py",
            "repo://alice/hello/contents/docs/na%C3%AFve.md",
            "repo://alice/hello/refs/heads/topic/contents/src/new.py",
            f"repo://alice/hello/sha/{head}/contents/src/new.py",
            "repo://alice/hello/refs/pull/36/head/contents/src/new.py",
            "repo://alice/hello/issues/1",
            "repo://alice/hello/pulls/36",
        ],
        prompts=[
            Example("review_changes", {"repository": "alice/hello", "number": "36"}),
            Example("triage_issues", {"repository": "alice/hello"}),
            Example("explain_ci_failure", {"repository": "alice/hello", "run": "900"}),
        ],
        slow=[Example("read_repo_file", {**HELLO, "path": "hang"})],
        upstream_hint="GITHUB_",
        most_tokens=(3_000, 4_500),
    )
