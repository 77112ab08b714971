"""GitHub's API as the rest sees it: requests that are allowed, bounded, refused in plain words, and nothing else."""

import json
import logging
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import quote, urlsplit

from mcp_server_shared.errors import InvalidArgument, NotFound, Unauthenticated, Unavailable

from mcp_server_github.credentials import HOW_TO_AUTHENTICATE, Credential
from mcp_server_github.names import RepoName
from mcp_server_github.policy import Level, Policy
from mcp_server_github.refusals import Refusal, graphql_refusal
from mcp_server_github.wire import Patience, Redirected, Wire, new_session

if TYPE_CHECKING:
    import github
    import requests

T = TypeVar("T")

Json = dict[str, Any]
KeptAnswer = tuple[str, str, Mapping[str, str]]
"""ETag, body and headers."""
Received = tuple[int, Mapping[str, str], str]
"""Status, headers and body."""

JSON = "application/vnd.github+json"
PUSHES = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})

PER_PAGE = 30
WHOLE: Json = {"per_page": 100}
"""Of a list that is going to be read to its end: the fewest requests."""
_MATCHES = "application/vnd.github.text-match+json"  # what a search found, not only where
_API_VERSION = "2022-11-28"
_REPOSITORY_KEPT_S = 120.0
_MOST_KEPT = 200
_MOST_KEPT_CHARACTERS = 200_000
_OK = 200
_NOT_MODIFIED = 304
_BY_NUMBER = re.compile(r"/repositories/\d+")
_LEAST_REFUSAL = 400


@dataclass
class Kept(Generic[T]):
    """The things asked for last, up to a number."""

    _things: "OrderedDict[str, tuple[float, T]]" = field(default_factory=OrderedDict[str, tuple[float, T]])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str, *, younger_s: float = math.inf) -> T | None:
        """Return a thing that was put there less than so many seconds ago."""
        with self._lock:
            put_at, thing = self._things.get(key, (-math.inf, None))
            return thing if time.monotonic() - put_at < younger_s else None

    def put(self, key: str, thing: T) -> None:
        """Keep a thing; the one kept longest gives way."""
        with self._lock:
            self._things[key] = (time.monotonic(), thing)
            self._things.move_to_end(key)
            if len(self._things) > _MOST_KEPT:
                self._things.popitem(last=False)


@dataclass(frozen=True)
class Repository:
    """What is known of a repository that may be worked with."""

    name: RepoName
    private: bool
    default_branch: str

    def path(self, *parts: str | int) -> str:
        """Return the address of something in it."""
        return api_path("repos", self.name.owner, self.name.name, *parts)


@dataclass
class GitHub:
    """One GitHub for one credential: what all calls share. Calls use it by a `Session` each.

    Attributes:
        base_url: of the API.
        lockdown: whether people without push access are heard in public repositories.
        scopes: of a classic token, as GitHub told last; None for what has none.
        viewer: whose it is; None while unknown.
        repositories: those asked for lately.
        answers: with their ETags, for asking again about what has not changed is free of charge.
    """

    base_url: str
    credential: Credential
    policy: Policy
    lockdown: bool = False
    scopes: str | None = None
    viewer: str | None = None
    _threads: threading.local = field(default_factory=threading.local)
    repositories: Kept[Repository] = field(default_factory=Kept[Repository])
    answers: Kept[KeptAnswer] = field(default_factory=Kept[KeptAnswer])

    def session(self, patience: Patience) -> "Session":
        """Return the way for one call to use it."""
        return Session(self, patience)

    def client(self) -> "tuple[github.Github, requests.Session]":
        """Return this thread's client: PyGithub mixes up the answers of threads that share one."""
        if not hasattr(self._threads, "client"):
            import github

            # In every detail these would log whole addresses, of which some are signed.
            for name in ("github", "urllib3"):
                logging.getLogger(name).setLevel(logging.INFO)
            self._threads.client = github.Github(
                base_url=self.base_url,
                user_agent=f"mcp-server-github/{version('mcp-server-github')}",
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
                lazy=True,
            )
            self._threads.session = new_session()
        return self._threads.client, self._threads.session


@dataclass
class Session:
    """GitHub for one call, in one thread at a time.

    Attributes:
        seen: the repositories that something was read of.
        unknown_seen: whether something was read of a repository that may be private or public.
        withheld: the contributions that lockdown kept from being shown.
    """

    github: GitHub
    patience: Patience
    seen: dict[str, Repository] = field(default_factory=dict[str, Repository])
    unknown_seen: bool = False
    withheld: set[str] = field(default_factory=set[str])

    # Repositories

    def repository(self, text: str, level: Level = "read", *, anew: bool = False) -> Repository:
        """Return a repository that the operator allows this for; nothing is asked of GitHub about any other.

        Args:
            text: "owner/name".
            level: what is going to be done.
            anew: whether to ask even when it is known: before a write, whether it is private counts as of now.

        Raises:
            InvalidArgument, PermissionDenied, NotFound: no name, not allowed, not there or not visible.
        """
        name = RepoName.of(text)
        self.github.policy.require(name, level)
        known = None if anew else self.github.repositories.get(name.key, younger_s=_REPOSITORY_KEPT_S)
        repository = known or self._asked(name)
        self.seen[name.key] = repository
        return repository

    def _asked(self, name: RepoName) -> Repository:
        data = self.get(api_path("repos", name.owner, name.name), what=f"repository {name}")
        if str(data["full_name"]).lower() != name.key:
            raise NotFound(f"The repository {name} is another one now.", hint="Find its new name with search_github.")
        repository = Repository(name, private=bool(data["private"]), default_branch=str(data["default_branch"]))
        self.github.repositories.put(name.key, repository)
        return repository

    def saw(self, data: Json) -> bool:
        """Take note of a repository inside an answer; whether the operator allows it to be read."""
        name = RepoName.of(str(data["full_name"]))
        if not self.github.policy.allows(name):
            return False
        private = bool(data.get("private", True))  # unless GitHub says otherwise
        self.seen[name.key] = Repository(name, private=private, default_branch=str(data.get("default_branch", "")))
        return True

    @property
    def saw_private(self) -> bool:
        """Whether something may be private that was read."""
        unknown = self.unknown_seen and self.github.credential.kind != "none"
        return unknown or any(repository.private for repository in self.seen.values())

    @property
    def saw_public(self) -> bool:
        """Whether something was read that anybody may have written."""
        return self.unknown_seen or any(not repository.private for repository in self.seen.values())

    def withholds(self, repository: Repository, item: Json) -> bool:
        """Whether lockdown keeps an issue, a comment, a review or the like from being shown; counts those it does."""
        if not self.github.lockdown or repository.private or item.get("author_association") in PUSHES:
            return False
        author: Json = item.get("user") or {}
        withheld = author.get("login") != self.viewer()
        if withheld:
            self.withhold(item)
        return withheld

    def withhold(self, item: Json) -> None:
        """Count what is not shown, once."""
        self.withheld.add(str(item.get("node_id") or item.get("id") or f"#{len(self.withheld)}"))

    def viewer(self) -> str:
        """Return who the credential belongs to; "" for nobody, and for an App."""
        if self.github.viewer is None:
            of_a_person = self.github.credential.kind not in {"none", "GitHub App", "installation token"}
            self.github.viewer = str(self.get("/user", what="account of this token")["login"]) if of_a_person else ""
        return self.github.viewer

    # Requests

    def get(self, path: str, parameters: Json | None = None, *, what: str) -> Any:
        """Return what GitHub has there; asked again when it was turned away, and free when nothing has changed."""
        return self._got(path, parameters or {}, what)[0]

    def items(
        self, path: str, parameters: Json | None = None, *, start: int = 0, what: str, under: str = ""
    ) -> "Items":
        """Return a list from some item on; GitHub is asked for its pages one by one, as they are needed.

        Args:
            path: of the list.
            parameters: which of it, and as "per_page" how many at a time.
            start: the first item's place in the whole list.
            what: what it is a list of, for errors.
            under: the key of the items, where the list is not the whole answer.
        """
        asked = {"per_page": PER_PAGE, **(parameters or {})}

        def fetch(number: int) -> tuple[Any, bool]:
            data, headers = self._got(path, {**asked, "page": number}, what)
            return data, 'rel="next"' in headers.get("link", "")

        return Items(fetch, start, under, asked["per_page"])

    def _got(self, path: str, parameters: Json, what: str) -> tuple[Any, Mapping[str, str]]:
        key = json.dumps([path, parameters], sort_keys=True)
        kept = self.github.answers.get(key)
        known = {"If-None-Match": kept[0]} if kept else {}

        def attempt() -> Received:
            received = self._accepted("GET", path, parameters, None, what, headers=known)
            if received[0] == _OK and not received[2]:  # what is left of an answer that was cut in its headers
                raise Unavailable("GitHub's answer came without its body.", hint="Try again.")
            return received

        status, headers, text = self.patience.retry_in_thread(attempt)
        if kept and status == _NOT_MODIFIED:
            return _parsed(kept[1]), kept[2]
        if "etag" in headers and len(text) <= _MOST_KEPT_CHARACTERS:
            self.github.answers.put(key, (headers["etag"], text, headers))
        return _parsed(text), headers

    def send(self, verb: str, path: str, body: Json | None = None, *, what: str) -> Any:
        """Change something at GitHub, once: never repeated, whatever comes of it."""
        return _parsed(self._accepted(verb, path, {}, body, what)[2])

    def location(self, path: str, *, what: str) -> str:
        """Return where GitHub points to for a download."""
        try:
            self._refused("GET", what, self._request("GET", path, {}, None))
        except Redirected as redirected:
            parts = urlsplit(redirected.location)
            if parts.scheme == urlsplit(self.github.base_url).scheme or parts.scheme == "https":
                return redirected.location
        raise Unavailable(f"GitHub does not say where {what} is.", hint="Try again.")

    def graphql(self, query: str, variables: Json, *, what: str, writes: bool = False) -> Json:
        """Return what GraphQL answers; for what REST has no answer for."""
        if self.github.credential.kind == "none":
            raise Unauthenticated(f"GitHub shows {what} to nobody without a token.", hint=HOW_TO_AUTHENTICATE)

        def attempt() -> Json:
            client, _ = self.github.client()
            body = {"query": query, "variables": variables}
            data = _parsed(self._accepted("POST", client.requester.graphql_url, {}, body, what)[2])
            if errors := data.get("errors"):
                raise graphql_refusal(errors, what, self.github.credential.kind)
            return cast(Json, data["data"])

        return attempt() if writes else self.patience.retry_in_thread(attempt)

    def _accepted(
        self,
        verb: str,
        path: str,
        parameters: Json,
        body: Json | None,
        what: str,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
    ) -> Received:
        try:
            received = self._request(verb, path, parameters, body, headers=headers, authorization=authorization)
        except Redirected as redirected:
            raise self._moved(what, redirected.location) from redirected
        return self._refused(verb, what, received)

    def _refused(self, verb: str, what: str, received: Received) -> Received:
        status, headers, text = received
        if status >= _LEAST_REFUSAL:
            raise Refusal(status, headers, _object(text), what, verb, self.github.credential.kind).expected()
        return received

    def _moved(self, what: str, location: str) -> NotFound:
        """Return the error for what has another place now; it is named if it may be read, and not gone to."""
        hint = "Find its new name with search_github."
        base = urlsplit(self.github.base_url)
        there = urlsplit(location)
        number = _BY_NUMBER.match(there.path.removeprefix(base.path))
        if number and there.netloc == base.netloc:
            status, _, text = self._request("GET", number[0], {}, None)
            now = str(_object(text).get("full_name", ""))
            if status < _LEAST_REFUSAL and self.github.policy.allows(RepoName.of(now)):
                hint = f"The repository is {now} now."
        return NotFound(f"The {what} has moved.", hint=hint)

    def _request(
        self,
        verb: str,
        path: str,
        parameters: Json,
        body: Json | None,
        *,
        headers: Mapping[str, str] | None = None,
        authorization: str | None = None,
    ) -> Received:
        """Make one request through PyGithub; a redirect to another repository is told apart, never followed."""
        if authorization is None:
            authorization = self.github.credential.authorization(self._as_app)
        client, session = self.github.client()
        parts = urlsplit(self.github.base_url)
        wire = Wire(session, f"{parts.scheme}://{parts.netloc}", self.patience)
        sent = {
            "Accept": _MATCHES if path == "/search/code" else JSON,
            "X-GitHub-Api-Version": _API_VERSION,
            **(headers or {}),
        }
        sent |= {"Authorization": authorization} if authorization else {}
        status, received, text = client.requester.requestJson(verb, path, parameters, sent, body, cast(Any, wire))
        self.github.scopes = received.get("x-oauth-scopes", self.github.scopes)
        return status, received, text

    def _as_app(self, verb: str, path: str, body: Any, authorization: str) -> Any:
        what = "installation of the GitHub App"
        return _parsed(self._accepted(verb, path, {}, body, what, authorization=authorization)[2])


class Items:
    """A list of GitHub's, read item by item, each with its place in the whole list."""

    def __init__(self, fetch: Callable[[int], tuple[Any, bool]], start: int, under: str, size: int) -> None:
        self._fetch = fetch
        self._size = size  # of a page
        self._under = under
        self._place = start
        self._page: list[Json] = []
        self._more = True
        self.total: int | None = None

    def __iter__(self) -> Iterator[tuple[int, Json]]:
        """Yield place and item."""
        while self._more:
            number, skipped = divmod(self._place, self._size)
            data, self._more = self._fetch(number + 1)
            self.total = data.get("total_count") if self._under else None
            self._page = (data[self._under] if self._under else data)[skipped:]
            while self._page:
                self._place += 1
                yield self._place - 1, self._page.pop(0)

    @property
    def more(self) -> bool:
        """Whether there are items after the one that was yielded last."""
        return bool(self._page) or self._more


def api_path(*parts: str | int) -> str:
    """Return the path of a request: each part is one segment, whatever is in it, and none leads up."""
    segments = [quote(str(part), safe="") for part in parts]
    if {"", ".", ".."} & set(segments):
        raise InvalidArgument("A name in this request is empty or leads elsewhere.")
    return "/" + "/".join(segments)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise Unavailable(
            "GitHub's answer is not JSON; is a proxy in between?", hint="Check GITHUB_API_URL."
        ) from error


def _object(text: str) -> Json:
    """Return the JSON object of a refusal; empty when something in between answered with a page of its own."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return {}
    return cast(Json, parsed) if isinstance(parsed, dict) else {}
