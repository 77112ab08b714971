"""A proxy before the emulator of GitHub, for what that lacks. What it adds is made of GitHub's own examples.

It answers itself: GraphQL, the files of pull requests, review comments on lines, statuses, runs, jobs and logs (on a
storage of another host), notifications; ETags, scopes, renamed repositories, outages. All else goes to the emulator.
Each request and answer that passes is held to GitHub's description.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from github_description import example, faults_of_answer, faults_of_request

Json = dict[str, Any]


# Where the emulator is not as GitHub describes itself. Nothing of it is read by the server.
KNOWN_FAULTS = {
    *(
        f"{operation}: : '{name}' is a required property"
        for operation in ("GET /repos/{owner}/{repo}", "POST /user/repos", "POST /repos/{owner}/{repo}/forks")
        for name in ("network_count", "subscribers_count")
    ),
    "GET /repos/{owner}/{repo}/commits/{ref}/check-runs: "
    "check_runs.[].output: 'annotations_url' is a required property",
    "GET /repos/{owner}/{repo}/pulls/{pull_number}/commits: [].commit.tree: 'url' is a required property",
    "GET /search/commits: items.[].commit: 'comment_count' is a required property",
    "GET /search/commits: items.[].commit: 'tree' is a required property",
    "GET /search/issues: : 'search_type' is a required property",
    *(
        f"GET /search/{kind}: items.[]: 'score' is a required property"
        for kind in ("commits", "issues", "repositories", "users")
    ),
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews: 201 is not among its answers",
}


@dataclass(frozen=True)
class Asked:
    """One request that reached the proxy or its storage."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answered:
    """One answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict[str, str])


Route = Callable[[Asked, re.Match[str]], Answered | None]


@dataclass
class Gaps:
    """What the proxy knows that the emulator does not; tests put things there.

    Attributes:
        emulator: its URL.
        url: of the proxy.
        storage_url: of the other host that holds the logs.
        asked: every request so far.
        faults: what was said or answered that GitHub's description does not have.
        exchanged: every query of GraphQL with its variables, and the data of the answer.
        outages: answers to give instead, in turn.
        delay_s: how long each answer takes besides.
        checked: whether what passes is held to GitHub's description, which takes time.
    """

    emulator: str
    url: str = ""
    storage_url: str = ""
    asked: list[Asked] = field(default_factory=list[Asked])
    stored: list[Asked] = field(default_factory=list[Asked])
    faults: set[str] = field(default_factory=set[str])
    exchanged: list[Json] = field(default_factory=list[Json])
    outages: list[Answered] = field(default_factory=list[Answered])
    fail_writes: bool = False
    refusal: Answered | None = None
    silent: bool = False
    silent_until: threading.Event | None = None
    delay_s: float = 0
    checked: bool = True
    scopes: str = "repo, notifications"
    renamed: dict[str, int] = field(default_factory=dict[str, int])
    threads: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    discussions: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    notifications: list[Json] = field(default_factory=list[Json])
    runs: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    jobs: dict[int, Json] = field(default_factory=dict[int, Json])
    logs: dict[int, bytes] = field(default_factory=dict[int, bytes])
    statuses: dict[str, list[Json]] = field(default_factory=dict[str, list[Json]])
    dispatched: list[Asked] = field(default_factory=list[Asked])
    released: threading.Event = field(default_factory=threading.Event)

    def answer(self, asked: Asked) -> Answered:
        """Return what GitHub would say."""
        self.asked.append(asked)
        if self.outages:
            return self.outages.pop(0)
        # Where renamed repositories lead is in the headers of GitHub's answers, not in its description.
        described = self.checked and asked.path != "/graphql" and not asked.path.startswith("/repositories/")
        self.released.wait(self.delay_s)
        if self.silent_until:
            self.silent_until.wait(30)
        if self.silent:
            self.released.wait(1)
            return Answered(503, {"message": "too late"})
        if self.refusal and asked.verb != "GET":
            return self._with_headers(asked, self.refusal)
        if self.fail_writes and asked.verb != "GET" and asked.path != "/graphql":
            return Answered(502, {"message": "Bad Gateway"})
        if described:
            self.faults |= set(faults_of_request(asked.verb, asked.path, asked.query, asked.body))
        own = self._graphql(asked) if asked.path == "/graphql" else self._own(asked)
        answered = own or self._forwarded(asked)
        if described:
            self.faults |= set(faults_of_answer(asked.verb, asked.path, answered.status, answered.body))
        return self._with_headers(asked, answered)

    def _own(self, asked: Asked) -> Answered | None:
        for verb, pattern, route in ROUTES:
            match = re.fullmatch(pattern, asked.path)
            if verb == asked.verb and match and (answered := route(self, asked, match)) is not None:
                return answered
        return None

    def _forwarded(self, asked: Asked) -> Answered:
        target = urlsplit(self.emulator)
        connection = HTTPConnection(target.hostname or "", target.port)
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in asked.query.items())
        headers = {name: value for name, value in asked.headers.items() if name in {"authorization", "content-type"}}
        # Of a token it does not know, the emulator thinks it is the first one's; each has its own rate limit.
        if headers.get("authorization") == "Bearer ghp_alice":
            headers["authorization"] = f"Bearer ghp_alice{len(self.asked) // 4000 or ''}"
        body = None if asked.body is None else json.dumps(asked.body).encode()
        try:
            connection.request(asked.verb, quote(asked.path) + (f"?{query}" if query else ""), body, headers)
            response = connection.getresponse()
            text = response.read().decode().replace(self.emulator, self.url)
        finally:
            connection.close()
        kept = {name: value.replace(self.emulator, self.url) for name, value in response.getheaders()}
        kept = {name: value for name, value in kept.items() if name.lower() in {"link"} or name.lower()[:6] == "x-rate"}
        return Answered(response.status, json.loads(text) if text else None, kept)

    def get(self, path: str, asked: Asked) -> Any:
        """Return what the emulator has."""
        return self._forwarded(Asked("GET", path, {}, asked.headers, None)).body

    def _with_headers(self, asked: Asked, answered: Answered) -> Answered:
        headers = dict(answered.headers)
        if "authorization" in asked.headers and "ghp_" in asked.headers["authorization"]:
            headers |= {"X-OAuth-Scopes": self.scopes, "X-Accepted-OAuth-Scopes": "repo"}
        if asked.verb == "GET" and answered.status == 200:
            headers["ETag"] = '"' + hashlib.sha256(json.dumps(answered.body).encode()).hexdigest()[:16] + '"'
            if asked.headers.get("if-none-match") == headers["ETag"]:
                return Answered(304, None, headers)
        return Answered(answered.status, answered.body, headers)

    # What the emulator lacks

    def hang(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Answer when nobody waits any more."""
        self.released.wait(30)
        return Answered(503, {"message": "too late"})

    def moved(self, asked: Asked, match: re.Match[str]) -> Answered | None:
        """Point from the old name of a repository to its number."""
        if match[1] not in self.renamed:
            return None
        location = f"{self.url}/repositories/{self.renamed[match[1]]}{match[2] or ''}"
        return Answered(301, {"message": "Moved Permanently", "url": location}, {"Location": location})

    def contents(self, asked: Asked, match: re.Match[str]) -> Answered | None:
        """Leave out the content of a large file, as GitHub does."""
        answered = self._forwarded(asked)
        if len(str(answered.body)) < 1_000_000 or "content" not in answered.body:
            return answered
        return Answered(200, answered.body | {"content": "", "encoding": "none"})

    def files(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return the files of a pull request, from the comparison of its ends."""
        pull = self.get(f"{match[1]}/pulls/{match[2]}", asked)
        compared = self.get(f"{match[1]}/compare/{pull['base']['sha']}...{pull['head']['sha']}", asked)
        return self.paged(asked, compared["files"])

    def paged(self, asked: Asked, items: list[Any], under: str = "") -> Answered:
        """Return a page of a list as GitHub does."""
        per_page, number = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
        page = items[(number - 1) * per_page : number * per_page]
        more = len(items) > number * per_page
        link = {"Link": f'<{self.url}{asked.path}?page={number + 1}>; rel="next"'} if more else {}
        return Answered(200, {"total_count": len(items), under: page} if under else page, link)

    def tags(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return the tags of a repository; the emulator lists none."""
        refs: list[Json] = self.get(f"{match[1]}/git/matching-refs/tags", asked)
        [item] = example("tag-items")
        named = [item | {"name": ref["ref"].removeprefix("refs/tags/")} for ref in refs]
        commits = [item["commit"] | {"sha": ref["object"]["sha"]} for ref in refs]
        return self.paged(asked, [tag | {"commit": commit} for tag, commit in zip(named, commits, strict=True)])

    def combined_status(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return the statuses of a commit."""
        status = example("combined-commit-status")
        status["statuses"] = [status["statuses"][0] | given for given in self.statuses.get(match[2], [])]
        return Answered(200, status | {"total_count": len(status["statuses"]), "sha": match[2]})

    def list_notifications(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return what waits, fifty at a time at most."""
        size = min(50, int(asked.query.get("per_page", 50)))
        return self.paged(replace(asked, query=asked.query | {"per_page": str(size)}), self.notifications)

    def list_runs(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return the runs of a repository."""
        runs = self.runs.get(match[1], [])
        wanted = {"branch": "head_branch", "head_sha": "head_sha", "status": "conclusion"}
        for name, key in wanted.items():
            runs = [run for run in runs if asked.query.get(name, run[key]) == run[key]]
        return self.paged(asked, runs, "workflow_runs")

    def read_run(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return one run."""
        found = [run for run in self.runs.get(match[1], []) if run["id"] == int(match[2])]
        return Answered(200, found[0]) if found else Answered(404, {"message": "Not Found"})

    def list_jobs(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return the jobs of a run."""
        return self.paged(asked, [job for job in self.jobs.values() if job["run_id"] == int(match[2])], "jobs")

    def read_job(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Return one job."""
        job = self.jobs.get(int(match[2]))
        return Answered(200, job) if job else Answered(404, {"message": "Not Found"})

    def point_to_log(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Point to the log on the storage."""
        if int(match[2]) not in self.logs:
            return Answered(404, {"message": "Not Found"})
        return Answered(302, None, {"Location": f"{self.storage_url}/logs/{match[2]}?sig=secret-signature"})

    def dispatch(self, asked: Asked, match: re.Match[str]) -> Answered:
        """Take note of a run that is to start, to start again or to end."""
        self.dispatched.append(asked)
        kind = asked.path.rpartition("/")[2]
        if kind == "dispatches":
            return Answered(204, None)
        return Answered(202 if kind == "cancel" else 201, {})

    def merge(self, asked: Asked, match: re.Match[str]) -> Answered | None:
        """Refuse as GitHub does when the head is another one; the emulator has another status."""
        pull = self.get(f"{match[1]}/pulls/{match[2]}", asked)
        if asked.body.get("sha") not in {None, pull["head"]["sha"]}:
            return Answered(409, {"message": "Head branch was modified. Review and try the merge again."})
        return None if not pull["merged"] else Answered(405, {"message": "Pull Request is not mergeable"})

    def review(self, asked: Asked, match: re.Match[str]) -> Answered | None:
        """Keep comments on lines, which the emulator refuses, as threads."""
        comments: list[Json] = asked.body.pop("comments", [])
        key = f"{match[1]}/{match[2]}"
        for comment in comments:
            number = len(self.threads.setdefault(key, [])) + 1
            self.threads[key].append(thread(f"PRRT_{number}", comment["path"], comment["line"], comment["body"]))
        return None

    # GraphQL

    def _graphql(self, asked: Asked) -> Answered:
        if not asked.headers.get("authorization"):
            return Answered(401, {"message": "This endpoint requires you to be authenticated."})
        query, variables = asked.body["query"], asked.body["variables"]
        answer = next(answer for word, answer in GRAPHQL.items() if word in query)
        answered = answer(self, variables)
        self.exchanged.append({**asked.body, "data": answered.body.get("data")})
        return answered

    def review_threads(self, variables: Json) -> Answered:
        """Return the threads of a pull request."""
        nodes = self.threads.get(f"/repos/{variables['owner']}/{variables['name']}/{variables['number']}", [])
        threads = {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": nodes}
        return Answered(200, {"data": {"repository": {"pullRequest": {"reviewThreads": threads}}}})

    def reply_in_thread(self, variables: Json) -> Answered:
        """Add to a thread."""
        given = variables["input"]
        for found in (node for nodes in self.threads.values() for node in nodes):
            if found["id"] == given["pullRequestReviewThreadId"]:
                found["comments"]["nodes"].append(remark(2000, given["body"], by="alice"))
                return Answered(200, {"data": {"done": {"comment": {"id": "PRRC_1"}}}})
        return Answered(200, {"errors": [{"type": "NOT_FOUND", "message": "no such node"}]})

    def set_resolved(self, variables: Json) -> Answered:
        """Resolve a thread, or take it back."""
        wanted = variables["input"]["threadId"]
        for found in (node for nodes in self.threads.values() for node in nodes if node["id"] == wanted):
            found["isResolved"] = not found["isResolved"]
            return Answered(200, {"data": {"done": {"thread": {"id": wanted}}}})
        return Answered(200, {"errors": [{"type": "NOT_FOUND", "message": f"no node {wanted}"}]})

    def list_discussions(self, variables: Json) -> Answered:
        """Return the discussions of a repository."""
        found = self.discussions.get(f"{variables['owner']}/{variables['name']}", [])
        return Answered(200, {"data": {"repository": {"discussions": _connection(found, variables)}}})

    def read_discussion(self, variables: Json) -> Answered:
        """Return one discussion."""
        found = self.discussions.get(f"{variables['owner']}/{variables['name']}", [])
        one = next((d for d in found if d["number"] == variables["number"]), None)
        if one is not None:
            one = one | {"comments": _connection(one["comments"]["nodes"], {"first": 30, **variables})}
        return Answered(200, {"data": {"repository": {"discussion": one}}})

    def set_draft(self, variables: Json) -> Answered:
        """Accept that a pull request becomes a draft or ready."""
        return Answered(200, {"data": {"done": {"pullRequest": {"id": variables["input"]["pullRequestId"]}}}})


def _connection(nodes: list[Json], variables: Json) -> Json:
    start = int(variables.get("after") or 0)
    end = start + variables["first"]
    edges = [{"cursor": str(start + n + 1), "node": node} for n, node in enumerate(nodes[start:end])]
    return {"totalCount": len(nodes), "pageInfo": {"hasNextPage": end < len(nodes)}, "edges": edges, "nodes": nodes}


def thread(node_id: str, path: str, line: int, *said: str, resolved: bool = False, by: str = "bob") -> Json:
    """Return a review thread as GraphQL has it."""
    nodes = [remark(1000 + n, text, by) for n, text in enumerate(said)]
    comments = {"totalCount": len(nodes), "nodes": nodes}
    return {
        "id": node_id,
        "isResolved": resolved,
        "isOutdated": False,
        "path": path,
        "line": line,
        "pullRequest": {"number": 0},
        "comments": comments,
    }


def remark(number: int, text: str, by: str = "bob", association: str = "NONE") -> Json:
    """Return a comment as GraphQL has it."""
    return {
        "databaseId": number,
        "body": text,
        "createdAt": "2026-11-19T10:00:00Z",
        "authorAssociation": association,
        "author": {"login": by},
        "isAnswer": False,
        "replies": {"totalCount": 0, "nodes": []},
    }


REPO = r"(/repos/[^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable[[Gaps, Asked, re.Match[str]], Answered | None]]] = [
    ("GET", r".*/contents/hang", Gaps.hang),
    ("GET", r"/repos/([^/]+/[^/]+)(/.*)?", Gaps.moved),
    ("GET", REPO + r"/contents(/.*)?", Gaps.contents),
    ("GET", REPO + r"/pulls/(\d+)/files", Gaps.files),
    ("GET", REPO + r"/tags", Gaps.tags),
    ("GET", REPO + r"/commits/([^/]+)/status", Gaps.combined_status),
    ("GET", r"/notifications", Gaps.list_notifications),
    ("GET", REPO + r"/notifications", Gaps.list_notifications),
    ("GET", REPO + r"/actions/runs", Gaps.list_runs),
    ("GET", REPO + r"/actions/workflows/[^/]+/runs", Gaps.list_runs),
    ("GET", REPO + r"/actions/runs/(\d+)", Gaps.read_run),
    ("GET", REPO + r"/actions/runs/(\d+)/jobs", Gaps.list_jobs),
    ("GET", REPO + r"/actions/jobs/(\d+)", Gaps.read_job),
    ("GET", REPO + r"/actions/jobs/(\d+)/logs", Gaps.point_to_log),
    ("POST", REPO + r"/actions/workflows/([^/]+)/dispatches", Gaps.dispatch),
    ("POST", REPO + r"/actions/runs/(\d+)/(?:rerun|rerun-failed-jobs|cancel)", Gaps.dispatch),
    ("PUT", REPO + r"/pulls/(\d+)/merge", Gaps.merge),
    ("POST", REPO + r"/pulls/(\d+)/reviews", Gaps.review),
]
GRAPHQL: dict[str, Callable[[Gaps, Json], Answered]] = {
    "addPullRequestReviewThreadReply": Gaps.reply_in_thread,
    "resolveReviewThread": Gaps.set_resolved,
    "unresolveReviewThread": Gaps.set_resolved,
    "convertPullRequestToDraft": Gaps.set_draft,
    "markPullRequestReadyForReview": Gaps.set_draft,
    "reviewThreads": Gaps.review_threads,
    "discussions(": Gaps.list_discussions,
    "discussion(": Gaps.read_discussion,
}


@contextmanager
def gaps_filled(emulator: str) -> Generator[Gaps]:
    """Run the proxy and its storage on free ports."""
    gaps = Gaps(emulator)
    with _serving(_handler(gaps.answer)) as port, _serving(_handler(lambda asked: _stored(gaps, asked))) as storage:
        # Two names of one machine are two hosts.
        gaps.url, gaps.storage_url = f"http://localhost:{port}", f"http://127.0.0.1:{storage}"
        try:
            yield gaps
        finally:
            gaps.released.set()


def _stored(gaps: Gaps, asked: Asked) -> Answered:
    gaps.stored.append(asked)
    return Answered(200, gaps.logs[int(asked.path.rpartition("/")[2])])


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(answer: Callable[[Asked], Answered]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            answered = answer(Asked(self.command, unquote(parts.path), query, headers, body))
            self._send(answered)

        def _send(self, answered: Answered) -> None:
            raw = answered.body if isinstance(answered.body, bytes) else b""
            data = raw or (b"" if answered.body is None else json.dumps(answered.body).encode())
            try:
                self.send_response(answered.status)
                for name, value in {**answered.headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except OSError:  # who asked has left
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler
