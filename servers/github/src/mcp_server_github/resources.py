"""Files, issues and pull requests as resources: what a person attaches to a conversation."""

from collections.abc import Callable, Mapping

from mcp_server_shared.call import Call
from mcp_server_shared.errors import ExpectedError, Unsupported
from mcp_server_shared.output import Blob, Document
from mcp_server_shared.registry import Completer

from mcp_server_github import completions, contents, issues, names, pull_requests, refs
from mcp_server_github.documents import Piece
from mcp_server_github.github_api import GitHub, Session
from mcp_server_github.tools.answers import ask, document

Completions = Callable[[Session, str, Mapping[str, str]], list[str]]


async def file(call: Call[GitHub], owner: str, repo: str, path: str) -> Document | Blob:
    """A file of the default branch."""
    return await _file(call, f"{owner}/{repo}", path)


async def file_of_branch(call: Call[GitHub], owner: str, repo: str, branch: str, path: str) -> Document | Blob:
    """A file of a branch."""
    return await _file(call, f"{owner}/{repo}", path, f"refs/heads/{names.ref(branch, 'branch')}")


async def file_of_tag(call: Call[GitHub], owner: str, repo: str, tag: str, path: str) -> Document | Blob:
    """A file of a tag."""
    return await _file(call, f"{owner}/{repo}", path, f"refs/tags/{names.ref(tag, 'tag')}")


async def file_of_commit(call: Call[GitHub], owner: str, repo: str, sha: str, path: str) -> Document | Blob:
    """A file of a commit."""
    return await _file(call, f"{owner}/{repo}", path, names.sha(sha, "sha"))


async def file_of_pull_request(call: Call[GitHub], owner: str, repo: str, number: str, path: str) -> Document | Blob:
    """A file as a pull request has it."""
    return await _file(call, f"{owner}/{repo}", path, number=names.number(number))


async def issue(call: Call[GitHub], owner: str, repo: str, number: str) -> Document:
    """An issue with its comments."""
    return await read_issue(call, f"{owner}/{repo}", names.number(number))


async def pull_request(call: Call[GitHub], owner: str, repo: str, number: str) -> Document:
    """An overview of a pull request: text, files, checks, reviews, open threads."""
    return await read_overview(call, f"{owner}/{repo}", names.number(number))


async def read_issue(call: Call[GitHub], repo: str, number: int) -> Document:
    """Return the beginning of an issue."""

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        found = issues.read_issue(session, repository, number)
        pieces = issues.pieces(session, repository, found, None)
        return document(pieces, call.budget, {"number": number}, session)

    return await ask(call, work)


async def read_overview(call: Call[GitHub], repo: str, number: int) -> Document:
    """Return the overview of a pull request."""

    def work(session: Session) -> Document:
        repository = session.repository(repo)
        pull = pull_requests.read_pull_request(session, repository, number)
        pieces = pull_requests.overview(session, repository, pull, None)
        return document(pieces, call.budget, pull_requests.facts(pull), session)

    return await ask(call, work)


async def _file(
    call: Call[GitHub], repo: str, path: str, ref: str = "", *, number: int | None = None
) -> Document | Blob:
    def work(session: Session) -> Document | Blob:
        repository = session.repository(repo)
        if number is None:
            at = refs.named(session, repository, ref)
        else:
            pull = pull_requests.read_pull_request(session, repository, number)
            refs.require_heard(session, repository, pull, f"pull request {number}")
            at = str(pull["head"]["sha"])
        read = contents.read_file(session, repository, names.path(path), at)
        try:
            return document([Piece(read.text(), 0)], call.budget, {"sha": read.sha}, session)
        except Unsupported:
            return Blob(data=read.data, mime_type="application/octet-stream")

    return await ask(call, work)


def _completer(find: Completions) -> Completer:
    async def complete(call: Call[GitHub], value: str, others: Mapping[str, str]) -> list[str]:
        try:
            return await call.in_thread(find, call.state.session(call), value, others)
        except ExpectedError:  # what cannot be looked up completes to nothing
            return []

    return complete


COMPLETE = {name: _completer(find) for name, find in completions.BY_NAME.items()}
