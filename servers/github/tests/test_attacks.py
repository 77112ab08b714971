"""What is tried against the server: other repositories, stolen tokens, redirects, outages, limits."""

import json
import logging
from typing import Any

import pytest
from github_client import EVERYTHING, Person, connected, failure, read, rows
from github_gaps import Answered
from github_sample import EXAMPLES, WRITES, Emulated
from mcp_server_shared.untrusted import read_notation
from pydantic import SecretStr

pytestmark = pytest.mark.anyio

HELLO = "alice/hello"
TOKEN = "ghp_alice"  # noqa: S105
TRAVERSALS = ["../vault", "../../alice/vault/contents/x", "..%2fvault", "%2e%2e/vault", "x/../../vault", "a\\..\\b"]
FREE_TEXT = {"body", "title", "message", "key", "description"}


def calls() -> list[tuple[str, dict[str, Any]]]:
    reads = {example.name: dict(example.arguments) for example in EXAMPLES}
    return [*reads.items(), *WRITES.items()]


@pytest.mark.parametrize("attack", TRAVERSALS)
async def test_no_argument_of_any_tool_reaches_another_repository(github: Emulated, attack: str) -> None:
    start = len(github.gaps.asked)
    repos = "alice/hello=read", "alice/sandbox", "bob/other"
    async with connected(github, Person(agrees=True), **EVERYTHING, repos=repos) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        for name, usual in calls():
            arguments = {**usual, "repo": "alice/sandbox"} if name in WRITES and "repo" in usual else usual
            for argument, schema in tools[name].input_schema["properties"].items():
                if schema.get("type") == "string" and argument not in FREE_TEXT:
                    await client.call_tool(name, {**arguments, argument: attack})
    paths = {asked.path for asked in github.gaps.asked[start:]}
    repositories = ("/repos/alice/hello", "/repos/alice/sandbox", "/repos/bob/other")
    elsewhere = {path for path in paths if not path.startswith(repositories)}
    assert {path.split("/")[1] for path in elsewhere} <= {"search", "rate_limit", "user", "notifications", "graphql"}
    assert not [path for path in paths if {"..", "."} & set(path.split("/"))]
    assert "/user/repos" not in paths


@pytest.mark.parametrize(("tool", "arguments"), calls(), ids=[name for name, _ in calls()])
async def test_a_repository_that_is_not_allowed_is_not_even_asked_for(
    github: Emulated, tool: str, arguments: dict[str, Any]
) -> None:
    argument = "name" if tool == "create_repository" else "repo"
    if argument not in arguments:
        return
    async with connected(github, Person(agrees=True), **EVERYTHING, repos=("bob/other",)) as client:
        start = len(github.gaps.asked)
        code, text = await failure(client, tool, **{**arguments, argument: "alice/vault"})
        assert (code, "--repos" in text) == ("permission_denied", True)
    assert github.gaps.asked[start:] == []


async def test_a_search_finds_nothing_outside_the_policy_nor_how_much_there_is(github: Emulated) -> None:
    async with connected(github, repos=("bob/other",)) as client:
        for what in ("issues", "code", "repositories", "commits"):
            result = await client.call_tool("search_github", {"what": what, "query": "Promise OR hello OR Add"})
            assert "alice/" not in json.dumps(result.structured_content)
            assert "total" not in (result.structured_content or {})
        code, _ = await failure(client, "search_github", what="code", query="repo:alice/vault README")
    assert code == "permission_denied"


async def test_notifications_of_other_repositories_are_left_out(github: Emulated) -> None:
    async with connected(github, repos=("bob/other",)) as client:
        assert await rows(client, "list_notifications") == []


async def test_a_renamed_repository_is_not_followed(github: Emulated) -> None:
    github.gaps.renamed["alice/older"] = github.ask("GET", "/repos/alice/vault")["id"]
    async with connected(github) as client:
        code, text = await failure(client, "read_repo_file", repo="alice/older", path="README.md")
        assert (code, "alice/vault" in text) == ("not_found", True)
    async with connected(github, repos=("alice/older",)) as client:
        code, text = await failure(client, "read_repo_file", repo="alice/older", path="README.md")
        assert (code, "vault" in text) == ("not_found", False)


async def test_a_log_is_fetched_from_another_host_without_the_token(github: Emulated) -> None:
    start = len(github.gaps.stored)
    async with connected(github) as client:
        await read(client, "read_job_log", repo=HELLO, job=7)
    [stored] = github.gaps.stored[start:]
    assert not {"authorization", "cookie"} & stored.headers.keys()
    assert TOKEN not in str(stored)


async def test_the_token_goes_to_no_host_that_a_redirect_names(github: Emulated) -> None:
    elsewhere = {"Location": f"{github.gaps.storage_url}/stolen"}
    start = len(github.gaps.stored)
    for status in (301, 302, 307, 308):
        async with connected(github) as client:
            github.gaps.outages.append(Answered(status, {"message": "Moved"}, elsewhere))
            assert (await failure(client, "read_issue", repo=HELLO, number=1))[0] in {"not_found", "unavailable"}
    assert github.gaps.stored[start:] == []


async def test_the_token_is_in_no_result_error_or_log_line(github: Emulated, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected(github, Person(agrees=True), **EVERYTHING) as client:
        for name, arguments in [*calls(), ("read_issue", {"repo": HELLO, "number": 99_999})]:
            if name not in WRITES:
                assert TOKEN not in (await client.call_tool(name, arguments)).model_dump_json()
        github.gaps.outages.append(Answered(401, {"message": f"Bad credentials {TOKEN}x"}))
        await failure(client, "read_issue", repo=HELLO, number=2)
    assert f"{TOKEN}\n" not in caplog.text
    assert f"Bearer {TOKEN}" not in caplog.text
    assert "secret-signature" not in caplog.text


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("ghp_alice", "one of the scopes repo; it has read:user"),
        ("github_pat_x", "issues: write, or pull_requests: write"),
    ],
)
async def test_a_refusal_names_the_permission_that_is_missing(
    github: Emulated, monkeypatch: pytest.MonkeyPatch, token: str, words: str
) -> None:
    needed = {"X-Accepted-GitHub-Permissions": "issues=write; pull_requests=write"}
    monkeypatch.setattr(github.gaps, "refusal", Answered(403, {"message": "Resource not accessible"}, needed))
    monkeypatch.setattr(github.gaps, "scopes", "read:user")
    async with connected(github, **EVERYTHING, token=SecretStr(token)) as client:
        code, text = await failure(client, "comment_on_issue", repo=HELLO, number=1, body="x")
    assert (code, words in text) == ("permission_denied", True), text


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answered(403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "77"}), 77),
        (Answered(429, {"message": "Too many"}), 60),
        (Answered(403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0"}), 60),
    ],
)
async def test_a_rate_limit_says_when_to_come_back(github: Emulated, answer: Answered, seconds: int) -> None:
    async with connected(github) as client:
        github.gaps.outages.append(answer)
        result = await client.call_tool("read_issue", {"repo": HELLO, "number": 1})
    twin = (result.meta or {})["mcp-servers/error"]
    assert (twin["code"], twin["retry_after_s"]) == ("rate_limited", seconds)


async def test_a_short_outage_is_not_noticed_and_a_long_one_is_unavailable(github: Emulated) -> None:
    outage = Answered(503, {"message": "Service unavailable"})
    async with connected(github) as client:
        github.gaps.outages.append(outage)
        await read(client, "read_issue", repo=HELLO, number=1)
        github.gaps.outages += [outage] * 3
        assert (await failure(client, "read_issue", repo=HELLO, number=2))[0] == "unavailable"
        assert github.gaps.outages == []


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"{", b"\xff\xfe", b"[1, 2"])
async def test_an_answer_that_is_no_json_is_told_apart(github: Emulated, body: bytes) -> None:
    async with connected(github) as client:
        github.gaps.outages += [Answered(200, body)] * 3
        code, _ = await failure(client, "read_issue", repo=HELLO, number=1)
        github.gaps.outages.clear()
    assert code == "unavailable"


async def test_unknown_things_are_not_found(github: Emulated) -> None:
    async with connected(github) as client:
        for tool, arguments in {
            "read_issue": {"number": 99_999},
            "read_pull_request": {"number": 99_999},
            "read_discussion": {"number": 99_999},
            "get_commit": {"ref": "0" * 40},
            "list_repo_tree": {"path": "nowhere"},
            "read_job_log": {"job": 99_999},
        }.items():
            code, text = await failure(client, tool, repo=HELLO, **arguments)
            assert (code, HELLO in text) == ("not_found", True), tool


async def test_a_path_that_is_not_there_brings_those_like_it(github: Emulated) -> None:
    async with connected(github) as client:
        _, text = await failure(client, "read_repo_file", repo=HELLO, path="lib/numbers.py")
    assert "src/numbers.py" in text


async def test_without_a_token_public_repositories_are_read_and_what_needs_one_says_so(github: Emulated) -> None:
    async with connected(github, by="") as client:
        await read(client, "read_repo_file", repo=HELLO, path="README.md")
        assert "threads · not shown" in await read(client, "read_pull_request", repo=HELLO, number=36)
        for tool, arguments in {"read_discussion": {"number": 1}, "list_discussions": {}}.items():
            code, text = await failure(client, tool, repo=HELLO, **arguments)
            assert (code, "GITHUB_TOKEN" in text) == ("unauthenticated", True), tool


UNICODE = ["🏳️‍🌈", "e\u0301", "\u202eabc", "ﷺ" * 20, "\U000e0041", "日本語", "a\u0000b", "Ünïcödé"]


@pytest.mark.parametrize("text", UNICODE)
async def test_text_of_every_kind_comes_back_as_it_was_written(github: Emulated, text: str) -> None:
    async with connected(github, **EVERYTHING) as client:
        [made] = await rows(client, "write_issue", repo=HELLO, title="Unicode", body=f"<{text}>")
        shown = await read(client, "read_issue", repo=HELLO, number=made["number"])
    assert github.ask("GET", f"/repos/{HELLO}/issues/{made['number']}")["body"] == f"<{text}>"
    assert f"<{text}>" in read_notation(shown)
