"""What is on the GitHub of the tests: some of everything."""

import base64
from dataclasses import dataclass
from typing import Any

import requests
from github_description import example
from github_gaps import Gaps, remark, thread
from mcp_server_shared.contract import Example

Json = dict[str, Any]

SEED: Json = {
    "tokens": {
        "ghp_alice": {"login": "alice", "scopes": ["repo"]},
        "ghp_bob": {"login": "bob", "scopes": ["repo"]},
        "ghp_mallory": {"login": "mallory", "scopes": ["repo"]},
    },
    "github": {
        "users": [{"login": "alice"}, {"login": "bob"}, {"login": "mallory"}],
        "repos": [
            {"owner": "alice", "name": "hello", "auto_init": True, "description": "Says hello"},
            {"owner": "alice", "name": "vault", "auto_init": True, "private": True, "description": "Secrets"},
            {"owner": "bob", "name": "other", "auto_init": True},
            {"owner": "alice", "name": "sandbox", "auto_init": True},
        ],
    },
}


HELLO = {"repo": "alice/hello"}
EXAMPLES = [
    Example("get_github_context"),
    Example("search_github", {"what": "issues", "query": "Promise"}, paged=True),
    Example("search_github", {"what": "issues", "query": "Promise", "repo": "alice/hello"}, paged=True),
    Example("search_github", {"what": "code", "query": "number"}),
    Example("search_github", {"what": "repositories", "query": "hello"}),
    Example("search_github", {"what": "users", "query": "alice"}),
    Example("search_github", {"what": "commits", "query": "Add"}),
    Example("read_repo_file", {**HELLO, "path": "src/numbers.py"}, paged=True),
    Example("read_repo_file", {**HELLO, "path": "src/numbers.py", "first_line": 7}, paged=True),
    Example("read_repo_file", {**HELLO, "path": "docs/naïve.md"}),
    Example("list_repo_tree", {**HELLO, "depth": 3}),
    Example("list_repo_tree", {**HELLO, "path": "src"}),
    Example("list_commits", HELLO),
    Example("get_commit", {**HELLO, "ref": "topic", "patch": True}, paged=True),
    Example("get_commit", {**HELLO, "ref": "topic", "file": "src/new.py"}, paged=True),
    Example("compare_refs", {**HELLO, "base": "main", "head": "topic", "patch": True}, paged=True),
    Example("list_issues", HELLO, paged=True),
    Example("list_issues", {**HELLO, "state": "all"}, paged=True),
    Example("read_issue", {**HELLO, "number": 1}, paged=True),
    Example("read_issue", {**HELLO, "number": 2}),
    Example("list_pull_requests", {**HELLO, "state": "all"}),
    Example("read_pull_request", {**HELLO, "number": 36}),
    Example("read_pull_request", {**HELLO, "number": 36, "part": "diff"}, paged=True),
    Example("read_pull_request", {**HELLO, "number": 36, "part": "commits"}),
    Example("read_pull_request", {**HELLO, "number": 36, "part": "threads"}),
    Example("read_pull_request", {**HELLO, "number": 36, "part": "checks"}),
    Example("read_pull_request", {**HELLO, "number": 36, "part": "comments"}),
    Example("list_workflow_runs", HELLO, paged=True),
    Example("list_workflow_runs", {**HELLO, "run": 900}),
    Example("read_job_log", {**HELLO, "job": 7}),
    Example("read_job_log", {**HELLO, "run": 900, "tail": 100}, paged=True),
    Example("read_job_log", {**HELLO, "job": 7, "find": ["LINE 7", "line 8"], "context": 2}, paged=True),
    Example("list_releases", HELLO),
    Example("read_release", {**HELLO, "tag": "v1"}, paged=True),
    Example("list_branches", HELLO),
    Example("list_discussions", HELLO, paged=True),
    Example("read_discussion", {**HELLO, "number": 3}, paged=True),
    Example("list_notifications", paged=True),
]

# Calls that write, none of them allowed by the policy alice/hello=comment and bob/*=read.
FILES = [{"path": "a", "content": "x"}]
WRITES: dict[str, dict[str, Any]] = {
    "write_issue": {"repo": "bob/other", "title": "x"},
    "comment_on_issue": {"repo": "bob/other", "number": 1, "body": "x"},
    "review_pull_request": {"repo": "bob/other", "number": 1, "head_sha": "0" * 40, "verdict": "comment"},
    "create_branch": {**HELLO, "branch": "x"},
    "edit_repo_files": {**HELLO, "branch": "main", "message": "m", "files": FILES},
    "create_pull_request": {**HELLO, "title": "x", "head": "topic"},
    "update_pull_request": {**HELLO, "number": 36, "title": "x"},
    "merge_pull_request": {**HELLO, "number": 36, "head_sha": "0" * 40},
    "run_workflow": {**HELLO, "action": "cancel", "run": 900},
    "create_repository": {"name": "alice/new"},
    "fork_repository": {**HELLO},
}


@dataclass(frozen=True)
class Emulated:
    """GitHub as the tests see it: the gaps, and requests as anybody."""

    gaps: Gaps

    @property
    def url(self) -> str:
        """Where it is."""
        return self.gaps.url

    def ask(self, verb: str, path: str, body: Json | None = None, *, by: str = "alice") -> Any:
        """Make a request of the test's own, past the server under test."""
        headers = {"Authorization": f"Bearer ghp_{by}"}
        response = requests.request(verb, self.gaps.emulator + path, json=body, headers=headers, timeout=10)
        assert response.status_code < 300, f"{verb} {path}: {response.status_code} {response.text}"
        return response.json() if response.text else None

    def commit(self, repo: str, path: str, text: str | bytes, *, branch: str = "main", by: str = "alice") -> str:
        """Put a file into a repository; returns the commit's hash."""
        data = text.encode() if isinstance(text, str) else text
        body: Json = {"message": f"Add {path}", "content": base64.b64encode(data).decode(), "branch": branch}
        known = requests.get(f"{self.gaps.emulator}/repos/{repo}/contents/{path}?ref={branch}", timeout=10)
        if known.status_code == 200:
            body |= {"sha": known.json()["sha"], "message": f"Change {path}"}
        return self.ask("PUT", f"/repos/{repo}/contents/{path}", body, by=by)["commit"]["sha"]

    def branch(self, repo: str, name: str, start: str = "main") -> str:
        """Make a branch; returns the commit it begins at."""
        sha = self.ask("GET", f"/repos/{repo}/git/ref/heads/{start}")["object"]["sha"]
        self.ask("POST", f"/repos/{repo}/git/refs", {"ref": f"refs/heads/{name}", "sha": sha})
        return sha


def fill(github: Emulated) -> None:
    """Make files, issues, a pull request with everything on it, runs, discussions, notifications."""
    hello = "alice/hello"
    code = "".join(f"def number_{n}() -> int:\n    return {n}\n\n\n" for n in range(40))
    github.commit(hello, "src/numbers.py", code)
    github.commit(hello, "docs/naïve.md", "# Naïve\n\nPromise<string> & a<b \u202ehidden\n")
    for n in range(35):
        issue = {"title": f"Issue {n}: Promise<string> is lost", "body": f"Steps {n}:\n```\na<b\n```\n" * 5}
        github.ask("POST", f"/repos/{hello}/issues", issue, by="bob" if n % 2 else "alice")
    for n in range(5):
        github.ask("POST", f"/repos/{hello}/issues/1/comments", {"body": f"Comment {n}: me too\n" * 20}, by="bob")
    github.branch(hello, "topic")
    changed = code.replace("return 3\n", "return 33\n").replace("return 30\n", "return 300\n")
    github.commit(hello, "src/numbers.py", changed, branch="topic")
    head = github.commit(hello, "src/new.py", code, branch="topic")
    pull = {"title": "Change numbers", "body": "Makes three thirty-three.", "head": "topic", "base": "main"}
    number = github.ask("POST", f"/repos/{hello}/pulls", pull)["number"]
    github.ask("POST", f"/repos/{hello}/pulls/{number}/reviews", {"event": "COMMENT", "body": "Why?"}, by="bob")
    output = {"title": "2 tests failed", "summary": "test_three, test_thirty"}
    for name, conclusion in (("build", "failure"), ("lint", "success")):
        run = {"name": name, "head_sha": head, "status": "completed", "conclusion": conclusion, "output": output}
        github.ask("POST", f"/repos/{hello}/check-runs", run)
    release = {"tag_name": "v1", "name": "One", "body": "First.\n" * 200}
    github.ask("POST", f"/repos/{hello}/releases", release)
    fill_gaps(github.gaps, number, head)


def fill_gaps(gaps: Gaps, pull: int, head: str) -> None:
    """Put into the proxy what the emulator cannot hold."""
    gaps.statuses[head] = [{"state": "pending", "context": "coverage", "description": "waits"}]
    gaps.threads[f"/repos/alice/hello/{pull}"] = [
        thread("PRRT_old", "src/new.py", 7, "Is this needed?", resolved=True),
        thread("PRRT_new", "src/numbers.py", 14, "Why 33?\n" * 30, "Because."),
    ]
    run = example("workflow-run-paginated")["workflow_runs"][0]
    runs = [run | {"id": 900 + n, "run_number": n, "display_title": f"Change {n}"} for n in range(12)]
    gaps.runs["/repos/alice/hello"] = [r | {"conclusion": "failure", "status": "completed"} for r in runs]
    job = example("job") | {"created_at": "2020-01-20T17:42:40Z"}  # which the example lacks
    step = {"name": "Test", "status": "completed", "conclusion": "failure", "number": 4}
    gaps.jobs[7] = job | {"id": 7, "run_id": 900, "name": "build", "conclusion": "failure", "steps": [step]}
    gaps.jobs[8] = job | {"id": 8, "run_id": 900, "name": "lint", "conclusion": "success", "steps": []}
    stamp = "2026-11-20T16:00:00.0000000Z "
    lines = [f"{stamp}\x1b[36mline {n}\x1b[0m of the build, which goes on for a while" for n in range(1, 400)]
    lines[300] = f"{stamp}##[error]test_three: expected 3, got 33"
    gaps.logs[7] = "\n".join(lines).encode() + b"\n"
    gaps.discussions["alice/hello"] = [discussion(n) for n in range(1, 26)]
    item = example("thread-items")[0]
    hello = item["repository"] | {"full_name": "alice/hello", "private": False}
    url = "https://api.github.com/repos/alice/hello/issues/1"
    subject = {"title": "Issue 0", "url": url, "latest_comment_url": url, "type": "Issue"}
    gaps.notifications = [item | {"id": str(n), "repository": hello, "subject": subject} for n in range(12)]


def discussion(number: int) -> Json:
    """Return a discussion as GraphQL has it."""
    nodes = [remark(number * 100 + n, f"Answer {n} to {number}\n" * 20) for n in range(4)]
    nodes[0] |= {"isAnswer": True, "replies": {"totalCount": 1, "nodes": [remark(number * 100 + 50, "Thanks.")]}}
    return remark(number, f"How do I say hello in {number} ways?") | {
        "number": number,
        "title": f"Question {number}",
        "updatedAt": "2026-11-19T10:00:00Z",
        "isAnswered": True,
        "category": {"name": "Q&A"},
        "comments": {"totalCount": len(nodes), "nodes": nodes},
    }
