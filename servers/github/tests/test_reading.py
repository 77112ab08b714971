"""What the tools that read show, as it was written and no more than is asked for."""

import base64
from typing import Any

import pytest
from github_client import connected, failure, read, rows
from github_sample import Emulated
from mcp.types import ImageContent, PromptReference, ResourceTemplateReference

pytestmark = pytest.mark.anyio

HELLO = "alice/hello"


async def test_a_file_of_more_than_a_megabyte_is_read(github: Emulated) -> None:
    text = "".join(f"line {n} of a long file\n" for n in range(60_000))
    github.branch(HELLO, "large")
    github.commit(HELLO, "large.txt", text, branch="large")
    async with connected(github) as client:
        given: dict[str, Any] = {"repo": HELLO, "path": "large.txt", "ref": "large"}
        shown = await read(client, "read_repo_file", **given, first_line=59_999)
    assert '"lines":60000' in shown
    assert shown.endswith("line 59998 of a long file\nline 59999 of a long file\n\n" + shown.splitlines()[-1])


@pytest.mark.parametrize(
    ("path", "data", "code"), [("x.bin", b"\x00\x01", "unsupported"), ("latin.txt", b"\xe9t\xe9", "unsupported")]
)
async def test_what_is_no_text_is_not_shown(github: Emulated, path: str, data: bytes, code: str) -> None:
    github.branch(HELLO, f"binary-{path}")
    github.commit(HELLO, path, data, branch=f"binary-{path}")
    async with connected(github) as client:
        found, _ = await failure(client, "read_repo_file", repo=HELLO, path=path, ref=f"binary-{path}")
        address = f"repo://{HELLO}/refs/heads/binary-{path}/contents/{path}"
        resource = await client.read_resource(address)
    assert found == code
    assert base64.b64decode(getattr(resource.contents[0], "blob", "")) == data


async def test_a_folder_is_no_file_and_a_file_no_folder(github: Emulated) -> None:
    async with connected(github) as client:
        code, text = await failure(client, "read_repo_file", repo=HELLO, path="src")
        assert (code, "list_repo_tree" in text) == ("invalid_argument", True)
        code, text = await failure(client, "list_repo_tree", repo=HELLO, path="README.md")
        assert (code, "read_repo_file" in text) == ("invalid_argument", True)


async def test_lines_are_those_that_were_asked_for(github: Emulated) -> None:
    async with connected(github) as client:
        shown = await read(client, "read_repo_file", repo=HELLO, path="src/numbers.py", first_line=5, last_line=6)
    assert shown.splitlines()[2:-2] == ["def number_1() -> int:", "    return 1"]


@pytest.mark.parametrize("lines", [{"first_line": 900}, {"first_line": 9, "last_line": 3}])
async def test_lines_that_are_not_there_are_refused(github: Emulated, lines: dict[str, Any]) -> None:
    async with connected(github) as client:
        code, text = await failure(client, "read_repo_file", repo=HELLO, path="src/numbers.py", **lines)
    assert (code, "160 lines" in text) == ("invalid_argument", True)


async def test_lines_are_counted_as_git_counts_them(github: Emulated) -> None:
    github.branch(HELLO, "feeds")
    github.commit(HELLO, "feeds.txt", "one\x0c still one\u2028 and\x85 one\r one\ntwo\nthree", branch="feeds")
    async with connected(github) as client:
        given: dict[str, Any] = {"repo": HELLO, "path": "feeds.txt", "ref": "feeds"}
        shown = await read(client, "read_repo_file", **given, first_line=2, last_line=2)
    assert '"lines":3' in shown
    assert "\ntwo\n" in shown
    assert "one" not in shown


async def test_an_image_is_shown(github: Emulated) -> None:
    pixel = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
    github.branch(HELLO, "images")
    github.commit(HELLO, "pixel.gif", pixel, branch="images")
    github.commit(HELLO, "text.gif", "no image", branch="images")
    async with connected(github) as client:
        given: dict[str, Any] = {"repo": HELLO, "ref": "images"}
        result = await client.call_tool("read_repo_file", {**given, "path": "pixel.gif"})
        assert "no image" in await read(client, "read_repo_file", **given, path="text.gif")
    [image] = [part for part in result.content if isinstance(part, ImageContent)]
    assert (image.mime_type, base64.b64decode(image.data)) == ("image/gif", pixel)


async def test_a_ref_with_slashes_is_read(github: Emulated) -> None:
    github.branch(HELLO, "feature/with/slashes")
    async with connected(github) as client:
        given: dict[str, Any] = {"repo": HELLO, "ref": "feature/with/slashes"}
        await read(client, "read_repo_file", **given, path="README.md")
        await read(client, "get_commit", **given)
        await read(client, "list_commits", **given)
        await read(client, "list_repo_tree", **given, depth=3)


async def test_a_tree_goes_as_deep_as_is_asked(github: Emulated) -> None:
    async with connected(github) as client:
        flat = {row["path"] for row in await rows(client, "list_repo_tree", repo=HELLO)}
        deep = {row["path"] for row in await rows(client, "list_repo_tree", repo=HELLO, depth=2)}
    assert {"src", "docs", "README.md"} <= flat
    assert {"src", "src/numbers.py"} <= deep
    assert "src/numbers.py" not in flat


async def test_an_overview_has_some_of_everything(github: Emulated) -> None:
    async with connected(github) as client:
        shown = await read(client, "read_pull_request", repo=HELLO, number=36)
    for part in ("Change numbers", "topic -> main", "M src/numbers.py +2 -2", "failure · build", "pending · coverage"):
        assert part in shown, part
    assert "1 of 2 unresolved · src/numbers.py:14" in shown


async def test_the_commits_of_a_pull_request_are_listed(github: Emulated) -> None:
    async with connected(github) as client:
        shown = await read(client, "read_pull_request", repo=HELLO, number=36, part="commits")
    assert "Change src/numbers.py" in shown
    assert "Add src/new.py" in shown


async def test_branches_and_tags_are_listed_with_their_commits(github: Emulated) -> None:
    head = github.ask("GET", f"/repos/{HELLO}/git/ref/heads/topic")["object"]["sha"]
    github.ask("POST", f"/repos/{HELLO}/git/refs", {"ref": "refs/tags/v0", "sha": head})
    async with connected(github) as client:
        listed = {row["name"]: row for row in await rows(client, "list_branches", repo=HELLO, limit=100)}
        tags = {row["name"]: row["sha"] for row in await rows(client, "list_branches", repo=HELLO, tags=True)}
    assert (listed["topic"]["sha"], listed["topic"]["note"], listed["main"]["note"]) == (head, "", "default")
    assert tags["v0"] == head


async def test_a_release_is_read_with_all_its_notes(github: Emulated) -> None:
    notes = "A change of note.\n" * 100
    github.ask("POST", f"/repos/{HELLO}/releases", {"tag_name": "v2", "name": "Two", "body": notes})
    async with connected(github) as client:
        listed = await rows(client, "list_releases", repo=HELLO)
        whole = await read(client, "read_release", repo=HELLO, tag="v2")
        latest = await read(client, "read_release", repo=HELLO)
        code, _ = await failure(client, "read_release", repo=HELLO, tag="none")
    assert "(1,800 characters)" in next(row["notes"] for row in listed if row["tag"] == "v2")
    assert notes in whole
    assert "═══ release v2 · Two · release" in latest
    assert code == "not_found"


@pytest.mark.parametrize(
    "search",
    [{"what": "issues", "sort": "stars"}, {"what": "code", "sort": "updated"}, {"what": "users", "repo": HELLO}],
)
async def test_what_github_cannot_search_is_not_asked(github: Emulated, search: dict[str, Any]) -> None:
    async with connected(github) as client:
        start = len(github.gaps.asked)
        code, _ = await failure(client, "search_github", query="x", **search)
    assert (code, github.gaps.asked[start:]) == ("invalid_argument", [])


@pytest.mark.parametrize(("limit", "requests"), [(5, 1), (30, 1), (100, 1)])
async def test_a_list_takes_the_fewest_requests(github: Emulated, limit: int, requests: int) -> None:
    async with connected(github) as client:
        await rows(client, "list_commits", repo=HELLO, limit=1)
        start = len(github.gaps.asked)
        await rows(client, "list_issues", repo=HELLO, state="all", limit=limit)
    assert len(github.gaps.asked[start:]) == requests


async def test_notifications_come_in_pages_of_fifty_and_none_is_left_out(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [github.gaps.notifications[0] | {"id": str(n), "reason": f"reason {n}"} for n in range(130)]
    monkeypatch.setattr(github.gaps, "notifications", every)
    async with connected(github) as client:
        first = await client.call_tool("list_notifications", {"limit": 100})
        second = await rows(client, "list_notifications", limit=100, cursor=(first.structured_content or {})["cursor"])
    assert len(second) == 30
    assert second[0]["reason"] == "reason 100"


async def test_the_changes_of_one_file_are_shown_alone(github: Emulated) -> None:
    async with connected(github) as client:
        shown = await read(client, "read_pull_request", repo=HELLO, number=36, file="src/numbers.py")
        nothing = await read(client, "read_pull_request", repo=HELLO, number=36, file="src/absent.py")
    assert "+    return 33\n" in shown
    assert "src/new.py" not in shown
    assert "═" not in nothing


async def test_pull_requests_are_not_among_issues(github: Emulated) -> None:
    async with connected(github) as client:
        numbers = [row["number"] for row in await rows(client, "list_issues", repo=HELLO, limit=100, state="all")]
    assert 36 not in numbers
    assert len(numbers) == len(set(numbers)) >= 35


async def test_what_is_open_resolved_or_failed_comes_first(github: Emulated) -> None:
    async with connected(github) as client:
        threads = await read(client, "read_pull_request", repo=HELLO, number=36, part="threads")
        checks = await read(client, "read_pull_request", repo=HELLO, number=36, part="checks")
    assert threads.index("PRRT_new") < threads.index("PRRT_old")
    assert checks.index("failure · build") < checks.index("success · lint")


async def completed(github: Emulated, address: str, argument: str, value: str, **others: str) -> list[str]:
    async with connected(github) as client:
        reference = ResourceTemplateReference(uri=address)
        result = await client.complete(reference, {"name": argument, "value": value}, others or None)
    return result.completion.values


async def test_names_are_completed(github: Emulated) -> None:
    at = "repo://{owner}/{repo}"
    there = {"owner": "alice", "repo": "hello"}
    file = at + "/contents/{+path}"
    assert "alice" in await completed(github, file, "owner", "al")
    assert set(await completed(github, file, "repo", "", owner="alice")) >= {"hello", "vault"}
    assert await completed(github, file, "repo", "o", owner="bob") == ["other"]
    assert await completed(github, file, "path", "src/nu", **there) == ["src/numbers.py"]
    assert await completed(github, file, "path", "sr", **there) == ["src/"]
    of_branch = at + "/refs/heads/{branch}/contents/{+path}"
    assert "topic" in await completed(github, of_branch, "branch", "to", **there)
    assert await completed(github, of_branch, "path", "src/ne", branch="topic", **there) == ["src/new.py"]
    assert await completed(github, file, "path", "../", **there) == []
    assert await completed(github, at + "/issues/{number}", "number", "3", **there) != []


async def test_prompts_complete_failed_runs_and_labels(github: Emulated) -> None:
    github.ask("POST", f"/repos/{HELLO}/labels", {"name": "urgent", "color": "ff0000"})
    asked = {"explain_ci_failure": ("run", "90"), "triage_issues": ("label", "urg")}
    found: dict[str, list[str]] = {}
    async with connected(github) as client:
        for prompt, (argument, value) in asked.items():
            reference = PromptReference(name=prompt)
            result = await client.complete(reference, {"name": argument, "value": value}, {"repository": HELLO})
            found[prompt] = result.completion.values
    assert "900" in found["explain_ci_failure"]
    assert found["triage_issues"] == ["urgent"]


async def test_a_prompt_completes_the_repositories_that_are_allowed(github: Emulated) -> None:
    async with connected(github, repos=("alice/hello", "bob/*")) as client:
        reference = PromptReference(name="review_changes")
        result = await client.complete(reference, {"name": "repository", "value": ""})
    assert "alice/hello" in result.completion.values
    assert "alice/vault" not in result.completion.values
