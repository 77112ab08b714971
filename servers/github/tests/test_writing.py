"""What the tools that write do, and what stands before it."""

import base64
from typing import Any, Literal

import pytest
from github_client import EVERYTHING, Person, connected, failure, read, rows
from github_gaps import thread
from github_sample import WRITES, Emulated

pytestmark = pytest.mark.anyio

HELLO = "alice/hello"
Era = Literal["legacy", "2026-07-28"]


@pytest.fixture
def writable(github: Emulated, request: pytest.FixtureRequest) -> str:
    """Return a branch of the test's own with a file of ten lines and a program."""
    name = "w-" + str(abs(hash(request.node.nodeid)))
    github.branch(HELLO, name)
    github.commit(HELLO, "notes/ten.txt", "".join(f"line {n}\n" for n in range(10)), branch=name)
    return name


def pull_of(github: Emulated, branch: str) -> dict[str, Any]:
    body = {"title": f"From {branch}", "head": branch, "base": "main"}
    return github.ask("POST", f"/repos/{HELLO}/pulls", body)


def sent(github: Emulated, since: int) -> list[str]:
    return [f"{asked.verb} {asked.path}" for asked in github.gaps.asked[since:] if asked.verb != "GET"]


async def test_an_issue_is_opened_changed_and_closed_without_losing_a_character(github: Emulated) -> None:
    text = "Promise<string> & 'a<b'\n```ts\nlet x: Map<string, number>;\n```\n"
    async with connected(github, **EVERYTHING) as client:
        [made] = await rows(client, "write_issue", repo=HELLO, title="New <one>", body=text + "⟦U+202E⟧")
        known = github.ask("GET", f"/repos/{HELLO}/issues/{made['number']}")
        assert (known["title"], known["body"]) == ("New <one>", text + "\u202e")
        [changed] = await rows(client, "write_issue", repo=HELLO, number=made["number"], state="not_planned")
    known = github.ask("GET", f"/repos/{HELLO}/issues/{made['number']}")
    assert (changed["state"], known["state_reason"], known["body"]) == ("closed", "not_planned", text + "\u202e")


async def test_a_new_issue_needs_a_title_and_a_change_something_to_change(github: Emulated) -> None:
    async with connected(github, **EVERYTHING) as client:
        assert (await failure(client, "write_issue", repo=HELLO, body="x"))[0] == "invalid_argument"
        assert (await failure(client, "write_issue", repo=HELLO, number=1))[0] == "invalid_argument"


async def test_a_comment_with_a_key_is_made_once(github: Emulated) -> None:
    async with connected(github, **EVERYTHING) as client:
        given = {"repo": HELLO, "number": 9, "body": "Once.", "key": "k1"}
        first = await rows(client, "comment_on_issue", **given)
        assert await rows(client, "comment_on_issue", **given) == first
        assert (await failure(client, "comment_on_issue", **{**given, "body": "Other."}))[0] == "conflict"
    assert [c["body"] for c in github.ask("GET", f"/repos/{HELLO}/issues/9/comments")] == ["Once."]


async def test_a_write_that_fails_is_not_repeated(github: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github.gaps, "fail_writes", True)
    async with connected(github, **EVERYTHING) as client:
        start = len(github.gaps.asked)
        assert (await failure(client, "comment_on_issue", repo=HELLO, number=2, body="x"))[0] == "unavailable"
    assert len(sent(github, start)) == 1


async def test_several_files_become_one_commit(github: Emulated, writable: str) -> None:
    files = [
        {"path": "notes/ten.txt", "edits": [{"old": "line 3\n", "new": "line three\n"}]},
        {"path": "notes/new.txt", "content": "tab\there, ⟦U+200B⟧ and <b>\n"},
        {"path": "README.md", "delete": True},
    ]
    async with connected(github, **EVERYTHING) as client:
        shown = await read(client, "edit_repo_files", repo=HELLO, branch=writable, message="Three", files=files)
    assert "-line 3\n+line three\n" in shown
    assert '"committed":true' in shown
    commit = github.ask("GET", f"/repos/{HELLO}/commits/{writable}")
    assert sorted(f["status"] for f in commit["files"]) == ["added", "modified", "removed"]
    new = github.ask("GET", f"/repos/{HELLO}/contents/notes/new.txt?ref={writable}")
    assert base64.b64decode(new["content"]).decode() == "tab\there, \u200b and <b>\n"


async def test_a_dry_run_shows_the_diff_and_changes_nothing(github: Emulated, writable: str) -> None:
    files = [{"path": "notes/ten.txt", "content": "other\n"}]
    async with connected(github, **EVERYTHING) as client:
        start = len(github.gaps.asked)
        shown = await read(
            client, "edit_repo_files", repo=HELLO, branch=writable, message="m", files=files, dry_run=True
        )
    assert '"committed":false' in shown
    assert "+other\n" in shown
    assert sent(github, start) == []


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ({"edits": [{"old": "line", "new": "x"}]}, "conflict"),
        ({"edits": [{"old": "not there", "new": "x"}]}, "conflict"),
        ({"edits": [{"old": "", "new": "x"}]}, "conflict"),
        ({"content": "x", "sha": "0" * 40}, "conflict"),
        ({"content": "x", "delete": True}, "invalid_argument"),
        ({}, "invalid_argument"),
        ({"path": "notes", "content": "x"}, "unsupported"),
        ({"path": "notes/ten.txt/deeper", "content": "x"}, "conflict"),
        ({"path": "gone.txt", "delete": True}, "not_found"),
        ({"path": "../vault/README.md", "content": "x"}, "invalid_argument"),
        ({"path": "a/.Git/config", "content": "x"}, "invalid_argument"),
        ({"content": "half \ud83d"}, "invalid_argument"),
    ],
)
async def test_an_edit_that_does_not_fit_is_refused_whole(
    github: Emulated, writable: str, file: dict[str, Any], code: str
) -> None:
    fitting = {"path": "fits.txt", "content": "fits"}
    files = [fitting, {"path": "notes/ten.txt", **file}]
    async with connected(github, **EVERYTHING) as client:
        start = len(github.gaps.asked)
        found, _ = await failure(client, "edit_repo_files", repo=HELLO, branch=writable, message="m", files=files)
    assert found == code
    assert sent(github, start) == []


async def test_a_branch_that_has_moved_is_left_as_it_is(github: Emulated, writable: str) -> None:
    before = github.ask("GET", f"/repos/{HELLO}/git/ref/heads/{writable}")["object"]["sha"]
    now = github.commit(HELLO, "notes/other.txt", "x", branch=writable)
    files = [{"path": "a.txt", "content": "x"}]
    async with connected(github, **EVERYTHING) as client:
        given: dict[str, Any] = {"repo": HELLO, "branch": writable, "message": "m", "files": files}
        code, text = await failure(client, "edit_repo_files", **given, expected_head=before)
    assert (code, now in text) == ("conflict", True)


@pytest.mark.parametrize("path", [".github/workflows/ci.yml", ".GitHub/Workflows/ci.yml", ".github/workflows/a/b.yml"])
async def test_a_workflow_is_refused_unless_the_operator_named_it(github: Emulated, writable: str, path: str) -> None:
    given: dict[str, Any] = {"repo": HELLO, "branch": writable, "message": "m"}
    given["files"] = [{"path": path, "content": "on: push\n"}]
    async with connected(github, **EVERYTHING, workflow_files=("release.yml",)) as client:
        code, text = await failure(client, "edit_repo_files", **given)
    assert (code, "--workflow-files" in text) == ("permission_denied", True)


async def test_a_workflow_that_the_operator_named_is_written(github: Emulated, writable: str) -> None:
    files = [{"path": ".github/workflows/ci.yml", "content": "on: push\n"}]
    async with connected(github, **EVERYTHING, workflow_files=("ci.yml",)) as client:
        await read(client, "edit_repo_files", repo=HELLO, branch=writable, message="m", files=files)


async def test_a_commit_on_the_default_branch_asks_a_person(github: Emulated) -> None:
    given: dict[str, Any] = {"repo": HELLO, "branch": "main", "message": "m"}
    given["files"] = [{"path": "asked.txt", "content": "straight to main\n"}]
    refuses, agrees = Person(agrees=False), Person(agrees=True)
    async with connected(github, refuses, allow_write=True) as client:
        await read(client, "edit_repo_files", **given, dry_run=True)
        assert refuses.asked == []
        assert (await failure(client, "edit_repo_files", **given))[0] == "confirmation_required"
    assert "straight to main" in refuses.asked[0]
    async with connected(github, agrees, allow_write=True) as client:
        assert '"committed":true' in await read(client, "edit_repo_files", **given)


async def test_a_branch_brings_no_workflow_that_the_operator_did_not_name(github: Emulated) -> None:
    github.branch(HELLO, "stranger")
    head = github.commit(HELLO, ".github/workflows/steal.yml", "on: push\n", branch="stranger")
    async with connected(github, **EVERYTHING) as client:
        code, text = await failure(client, "create_branch", repo=HELLO, branch="landed", start=head)
        assert (code, "steal.yml" in text) == ("permission_denied", True)
        await rows(client, "create_branch", repo=HELLO, branch="beside", start="stranger")  # it runs here already
    async with connected(github, **EVERYTHING, workflow_files=("steal.yml",)) as client:
        [made] = await rows(client, "create_branch", repo=HELLO, branch="landed", start=head[:12])
    assert made["sha"] == head


async def test_a_merge_of_workflows_asks_for_them_apart(github: Emulated) -> None:
    github.branch(HELLO, "runs")
    head = github.commit(HELLO, ".github/workflows/new.yml", "on: push\n", branch="runs")
    given = {"repo": HELLO, "number": pull_of(github, "runs")["number"], "head_sha": head}
    person = Person(agrees=False)
    async with connected(github, person, **EVERYTHING, confirm=("merge=never",)) as client:
        assert (await failure(client, "merge_pull_request", **given))[0] == "confirmation_required"
    assert ".github/workflows/new.yml" in person.asked[0]


async def test_a_branch_and_a_pull_request_are_made_and_changed(github: Emulated) -> None:
    async with connected(github, **EVERYTHING) as client:
        [branch] = await rows(client, "create_branch", repo=HELLO, branch="made/here")
        files = [{"path": "made.txt", "content": "x\n"}]
        await read(client, "edit_repo_files", repo=HELLO, branch="made/here", message="m", files=files)
        [made] = await rows(client, "create_pull_request", repo=HELLO, title="T", head="made/here", body="<b>")
        await rows(client, "update_pull_request", repo=HELLO, number=made["number"], title="T2", draft=True)
    pull = github.ask("GET", f"/repos/{HELLO}/pulls/{made['number']}")
    assert (pull["title"], pull["body"], pull["base"]["ref"]) == ("T2", "<b>", "main")
    assert len(branch["sha"]) == 40


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_merge_asks_a_person_and_takes_the_head_that_was_read(
    github: Emulated, mode: Era, request: pytest.FixtureRequest
) -> None:
    branch = f"merge-{mode}"
    github.branch(HELLO, branch)
    head = github.commit(HELLO, f"{branch}.txt", "x", branch=branch)
    pull = pull_of(github, branch)
    given = {"repo": HELLO, "number": pull["number"], "method": "squash"}
    refuses, agrees = Person(agrees=False), Person(agrees=True)
    async with connected(github, refuses, mode=mode, **EVERYTHING) as client:
        assert (await failure(client, "merge_pull_request", **given, head_sha=head))[0] == "confirmation_required"
    async with connected(github, agrees, mode=mode, **EVERYTHING) as client:
        assert (await failure(client, "merge_pull_request", **given, head_sha="0" * 40))[0] == "conflict"
        [merged] = await rows(client, "merge_pull_request", **given, head_sha=head)
    assert merged["merged"] is True
    assert [f"Merge pull request {pull['number']} of {HELLO} at {head}" in q for q in agrees.asked] == [True]


async def test_a_review_comments_on_lines_and_settles_threads(github: Emulated) -> None:
    branch = "reviewed"
    github.branch(HELLO, branch)
    head = github.commit(HELLO, "reviewed.txt", "x\n", branch=branch)
    number = pull_of(github, branch)["number"]
    key = f"/repos/{HELLO}/{number}"
    github.gaps.threads[key] = [thread("PRRT_here", "reviewed.txt", 1, "Why?")]
    comments = [{"path": "reviewed.txt", "line": 1, "body": "A `Map<K, V>` would do."}]
    threads = [{"id": "PRRT_here", "reply": "Right.", "resolved": True}]
    async with connected(github, **EVERYTHING) as client:
        given: dict[str, Any] = {"repo": HELLO, "number": number, "verdict": "comment", "body": "Some."}
        assert (await failure(client, "review_pull_request", **given, head_sha="0" * 40))[0] == "conflict"
        await rows(client, "review_pull_request", **given, head_sha=head, comments=comments, threads=threads)
    old, new = github.gaps.threads[key]
    assert [node["body"] for node in old["comments"]["nodes"]] == ["Why?", "Right."]
    assert (old["isResolved"], new["comments"]["nodes"][0]["body"]) == (True, "A `Map<K, V>` would do.")


@pytest.mark.parametrize(
    "review",
    [
        {},
        {"threads": [{"id": "PRRT_new"}]},
        {"threads": [{"id": "PRRT_new", "resolved": True}], "body": "Lost?"},
        {"threads": [{"id": "PRRT_new", "resolved": True}], "comments": [{"path": "a", "line": 1, "body": "Lost?"}]},
    ],
)
async def test_nothing_that_is_said_in_a_review_is_dropped(github: Emulated, review: dict[str, Any]) -> None:
    start = len(github.gaps.asked)
    async with connected(github, **EVERYTHING) as client:
        given: dict[str, Any] = {"repo": HELLO, "number": 36, "head_sha": "0" * 40, **review}
        assert (await failure(client, "review_pull_request", **given))[0] == "invalid_argument"
    assert sent(github, start) == []


async def test_a_thread_of_another_pull_request_is_not_touched(github: Emulated) -> None:
    branch = "foreign"
    github.branch(HELLO, branch)
    head = github.commit(HELLO, "foreign.txt", "x\n", branch=branch)
    number = pull_of(github, branch)["number"]
    github.gaps.threads["/repos/alice/vault/1"] = [thread("PRRT_vault", "a", 1, "?")]
    async with connected(github, **EVERYTHING) as client:
        threads = [{"id": "PRRT_vault", "reply": "x", "resolved": True}]
        given: dict[str, Any] = {"repo": HELLO, "number": number, "head_sha": head, "threads": threads}
        assert (await failure(client, "review_pull_request", **given))[0] == "not_found"
    assert github.gaps.threads["/repos/alice/vault/1"][0]["isResolved"] is False


async def test_an_approval_asks_a_person(github: Emulated) -> None:
    person = Person(agrees=False)
    head = github.ask("GET", f"/repos/{HELLO}/pulls/36")["head"]["sha"]
    async with connected(github, person, **EVERYTHING) as client:
        given: dict[str, Any] = {"repo": HELLO, "number": 36, "head_sha": head, "verdict": "approve"}
        assert (await failure(client, "review_pull_request", **given))[0] == "confirmation_required"
    assert len(person.asked) == 1


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"action": "start", "workflow": "ci.yml", "inputs": {"a": "b"}}, "/actions/workflows/ci.yml/dispatches"),
        ({"action": "rerun", "run": 900}, "/actions/runs/900/rerun"),
        ({"action": "rerun_failed", "run": 900}, "/actions/runs/900/rerun-failed-jobs"),
        ({"action": "cancel", "run": 900}, "/actions/runs/900/cancel"),
    ],
)
async def test_a_workflow_is_run_when_a_person_agrees(github: Emulated, arguments: dict[str, Any], path: str) -> None:
    async with connected(github, Person(agrees=True), **EVERYTHING) as client:
        await rows(client, "run_workflow", repo=HELLO, **arguments)
    assert github.gaps.dispatched[-1].path == f"/repos/{HELLO}{path}"
    async with connected(github, Person(agrees=False), **EVERYTHING) as client:
        assert (await failure(client, "run_workflow", repo=HELLO, **arguments))[0] == "confirmation_required"


async def test_repositories_are_created_and_forked_when_a_person_agrees(github: Emulated) -> None:
    async with connected(github, Person(agrees=True), **EVERYTHING) as client:
        [made] = await rows(client, "create_repository", name="alice/made")
        [forked] = await rows(client, "fork_repository", repo="bob/other")
    assert github.ask("GET", "/repos/alice/made")["private"] is True
    assert (made["repo"], forked["repo"]) == ("alice/made", "alice/other")


async def test_the_levels_of_the_policy_bind_the_tools_that_write(github: Emulated) -> None:
    policy = ("alice/hello=comment", "bob/*=read")
    start = len(github.gaps.asked)
    async with connected(github, Person(agrees=True), **EVERYTHING, repos=policy) as client:
        for tool, arguments in WRITES.items():
            code, text = await failure(client, tool, **arguments)
            assert (code, "--repos" in text) == ("permission_denied", True), f"{tool}: {text}"
    assert sent(github, start) == []
