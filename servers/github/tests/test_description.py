"""What the server asks of GitHub, and what the tests answer it, is as GitHub describes it."""

from typing import Any

import pytest
from github_client import EVERYTHING, connected, failure, read, rows
from github_description import faults_of_answer, faults_of_request
from github_gaps import GRAPHQL, thread
from github_graphql import faults_of_graphql
from github_sample import Emulated


def test_an_unknown_operation_or_parameter_is_noticed() -> None:
    assert list(faults_of_request("GET", "/repos/a/b/isues", {}, None)) == [
        "GET /repos/a/b/isues is no operation of GitHub's"
    ]
    assert list(faults_of_request("GET", "/repos/a/b/issues", {"stat": "open"}, None)) == [
        "GET /repos/{owner}/{repo}/issues: no parameter stat"
    ]


def test_a_body_that_is_not_as_described_is_noticed() -> None:
    assert list(faults_of_request("POST", "/repos/a/b/issues", {}, {"body": "no title"})) == [
        "POST /repos/{owner}/{repo}/issues: : 'title' is a required property"
    ]
    answer = {"content": 1, "sha": "a", "size": "large", "node_id": "n", "url": "u", "encoding": "base64"}
    faults = list(faults_of_answer("GET", "/repos/a/b/git/blobs/abc", 200, answer))
    assert all(fault.startswith("GET /repos/{owner}/{repo}/git/blobs/{file_sha}: ") for fault in faults)
    assert len(faults) == 2


def test_an_unknown_field_a_wrong_variable_and_a_wrong_answer_of_graphql_are_noticed() -> None:
    query = 'query($number: Int!) { repository(owner: "a", name: "b") { issue(number: $number) { title } } }'
    right: dict[str, Any] = {"repository": {"issue": {"title": "T"}}}
    asked: dict[str, Any] = {"query": query, "variables": {"number": 1}, "data": right}
    assert faults_of_graphql([asked, {**asked, "data": None}]) == []
    wrong: dict[str, Any] = {
        "query": query.replace("title", "tittle"),
        "variables": {"number": "one"},
        "data": {"repository": {"issue": {}}},
    }
    for part, value in wrong.items():
        assert len(faults_of_graphql([{**asked, part: value}])) == 1, part


@pytest.mark.anyio
async def test_what_is_asked_by_graphql_is_as_github_describes_it(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = github.ask("GET", "/repos/alice/hello/pulls/36")["head"]["sha"]
    github.branch("alice/hello", "drafted", "topic")
    draft = {"title": "Drafted", "head": "drafted", "base": "main", "draft": True}
    drafted: int = github.ask("POST", "/repos/alice/hello/pulls", draft)["number"]
    kept = [thread("PRRT_described", "src/new.py", 7, "Why?")]
    monkeypatch.setitem(github.gaps.threads, "/repos/alice/hello/36", kept)
    start = len(github.gaps.exchanged)
    async with connected(github, **EVERYTHING) as client:
        hello = {"repo": "alice/hello"}
        await read(client, "list_discussions", **hello)
        await read(client, "read_discussion", **hello, number=3)
        await failure(client, "read_discussion", **hello, number=99_999)
        for resolved in (True, False):
            threads = [{"id": "PRRT_described", "reply": "Right.", "resolved": resolved}]
            await rows(client, "review_pull_request", **hello, number=36, head_sha=head, threads=threads)
        await rows(client, "update_pull_request", **hello, number=36, draft=True)
        await rows(client, "update_pull_request", **hello, number=drafted, draft=False)
    exchanged = github.gaps.exchanged[start:]
    mutations = {word for word in GRAPHQL if any(word in one["query"] for one in exchanged)}
    assert mutations == set(GRAPHQL)
    assert faults_of_graphql(exchanged) == []
