"""The operator's entries decide, the nearest one first, and no search leaves them."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_github.names import RepoName
from mcp_server_github.policy import LEVELS, Level, Policy
from mcp_server_shared.errors import ExpectedError, InvalidArgument, PermissionDenied

OWNERS, NAMES = ["acme", "Bob", "carol"], ["app", "Secret", "x.y"]
repos = st.builds(RepoName, st.sampled_from(OWNERS), st.sampled_from(NAMES))
levels = st.sampled_from(LEVELS)
exact = st.builds("{}={}".format, repos, levels)
whole = st.builds("{}/*={}".format, st.sampled_from(OWNERS), levels)
entries = st.lists(exact | whole, min_size=1, max_size=6)


@settings(deadline=None)
@given(entries, repos, levels)
def test_nothing_is_allowed_that_no_entry_names(given_entries: list[str], repo: RepoName, level: Level) -> None:
    policy = Policy.of(given_entries)
    beginnings = f"{repo.key}=", f"{repo.owner.lower()}/*="
    naming = [entry for entry in given_entries if entry.lower().startswith(beginnings)]
    if level != "none" and policy.allows(repo, level):
        assert any(LEVELS.index(entry.partition("=")[2]) >= LEVELS.index(level) for entry in naming)


@settings(deadline=None)
@given(entries, repos, levels)
def test_an_entry_for_a_repository_outweighs_that_for_its_owner(
    given_entries: list[str], repo: RepoName, level: Level
) -> None:
    assert Policy.of([*given_entries, f"{repo}={level}"]).level(repo) == level
    assert Policy.of([f"{repo}={level}", *given_entries, f"{repo.owner}/*=merge"]).level(repo) in {
        level,
        *(entry.partition("=")[2] for entry in given_entries if entry.lower().startswith(f"{repo.key}=")),
    }


@settings(deadline=None)
@given(entries, repos, levels)
def test_names_that_differ_in_case_are_the_same(given_entries: list[str], repo: RepoName, level: Level) -> None:
    policy = Policy.of(given_entries)
    shouted = RepoName(repo.owner.upper(), repo.name.upper())
    assert policy.allows(repo, level) is policy.allows(shouted, level)


@settings(deadline=None)
@given(entries, st.text(max_size=30), repos)
def test_a_search_names_nothing_but_what_is_allowed(given_entries: list[str], words: str, foreign: RepoName) -> None:
    policy = Policy.of(given_entries)
    for query in (f"{words} repo:{foreign}", f'{words} RePo:"{foreign}"', f"(repo:{foreign} OR {words})"):
        try:
            scoped = policy.scoped(query, None)
        except ExpectedError:
            continue
        assert policy.allows(foreign), scoped


def test_a_search_without_scope_is_given_all_that_is_allowed() -> None:
    policy = Policy.of(["acme/*=read", "bob/app", "acme/secret=none"])
    assert policy.scoped("leak", None) == "leak user:acme repo:bob/app"


def test_without_entries_everything_is_allowed() -> None:
    assert Policy().allows(RepoName("any", "thing"), "merge")
    assert Policy().scoped("x org:acme", None) == "x org:acme"


@pytest.mark.parametrize("scope", ["org:acme", "user:bob", "owner:bob", "enterprise:x", "saved:x", "repo:bob/app2"])
def test_a_scope_outside_is_refused(scope: str) -> None:
    with pytest.raises(PermissionDenied):
        Policy.of(["bob/app"]).scoped(f"x {scope}", None)


@pytest.mark.parametrize("entry", ["acme", "acme/*/x", "acme/x=all", "*/x", "../x", "", "acme/x=", "acme/*=read=write"])
def test_an_entry_that_cannot_be_read_is_refused(entry: str) -> None:
    with pytest.raises(InvalidArgument):
        Policy.of([entry])


@pytest.mark.parametrize("level", LEVELS)
def test_new_repositories_take_the_whole_owner(level: str) -> None:
    policy = Policy.of([f"acme/*={level}", "bob/app"])
    assert raised(lambda: policy.require_owner("acme")) is (LEVELS.index(level) < LEVELS.index("write"))
    assert raised(lambda: policy.require_owner("bob"))


def raised(check: Callable[[], None]) -> bool:
    try:
        check()
    except PermissionDenied:
        return True
    return False
