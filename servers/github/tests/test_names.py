"""No name leads to another place than the one it is in, whatever is in it."""

import posixpath
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_github import names
from mcp_server_github.github_api import Repository, api_path
from mcp_server_github.names import RepoName
from mcp_server_shared.errors import InvalidArgument

HELLO = Repository(RepoName("alice", "hello"), private=False, default_branch="main")
TRAVERSALS = [
    "..",
    ".",
    "../../secret/contents/README.md",
    "a/../../../user",
    "a/./b",
    "a//b",
    "..\\..\\x",
    "a\x00b",
    "a\nb",
    "\ud800",
    "x" * 2_000,
]


def sent(path: str) -> str:
    """Return the path as it would go out, after all that requests and urllib3 do to it."""
    prepared = requests.Request("GET", f"https://api.github.com{path}").prepare()
    return urlsplit(prepared.url or "").path


@settings(deadline=None)
@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_what_is_put_into_a_path_stays_below_it(parts: list[str]) -> None:
    try:
        path = HELLO.path("contents", *parts)
    except (InvalidArgument, UnicodeEncodeError):
        return
    went = sent(path)
    assert went.startswith("/repos/alice/hello/contents/")
    assert posixpath.normpath(went) == went.rstrip("/")
    assert [unquote(part) for part in went.split("/")[5:]] == parts


@pytest.mark.parametrize("part", ["", ".", ".."])
def test_a_part_that_leads_up_is_refused(part: str) -> None:
    with pytest.raises(InvalidArgument):
        api_path("repos", part, "x")


@pytest.mark.parametrize(
    "text", [*TRAVERSALS, "alice", "alice/", "/hello", "alice/hello/../x", "a b/c", "alice/..", "al%2e/x"]
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        RepoName.of(text)


@pytest.mark.parametrize("text", TRAVERSALS)
def test_a_path_that_leads_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names.path(text)


@pytest.mark.parametrize("text", ["docs/index.md", "/docs/", "a b/ü/%2e%2e/x", "...", ".github/x", ""])
def test_a_path_is_kept_as_it_is(text: str) -> None:
    assert names.path(text) == text.strip("/")


@pytest.mark.parametrize(
    "text", [*TRAVERSALS, "", "-x", "a..b", "a b", "x.lock", "a~1", "a^", "a:b", "@", "x/", "@{1}"]
)
def test_what_is_no_ref_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names.ref(text)


@pytest.mark.parametrize("text", ["main", "feature/x-1", "v1.0", "refs/heads/main", "0123abc", "dependabot/npm/a-1.2"])
def test_a_ref_is_kept_as_it_is(text: str) -> None:
    assert names.ref(text) == text


@pytest.mark.parametrize("text", ["../../../user", "1;2", "", "0", "-1", "1e3", "\u0661"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names.number(text)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-02-30", "2026-11-20T25:00:00Z", "2026-11-20 "])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names.moment(text, "since")


@pytest.mark.parametrize("text", ["ci", "../ci.yml", "a/ci.yml", "ci.yml/../x", "%2e.yml\n"])
def test_what_is_no_workflow_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        names.workflow_file(text)
