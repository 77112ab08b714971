"""What the operator writes, and which directories may be read and changed by it."""

import pytest
from mcp_server_filesystem.server import WRITE
from mcp_server_filesystem.settings import Settings
from mcp_server_shared.deny import DEFAULT_DENY
from mcp_server_shared.settings import SettingsProblem


def load(*arguments: str, **environment: str) -> Settings:
    return Settings.load(arguments, environment)


@pytest.mark.parametrize(
    ("arguments", "readable", "writable"),
    [
        (["/a", "/b"], ["/a", "/b"], []),
        (["/a", "/b:rw"], ["/a", "/b"], ["/b"]),
        (["/a", "/b:ro", "--allow-write"], ["/a", "/b"], ["/a"]),
        (["/x:rw:ro"], ["/x:rw"], []),
        (["/x:rw:rw"], ["/x:rw"], ["/x:rw"]),
        (["/a/rw"], ["/a/rw"], []),
        (["/a:rw", "/a:ro"], ["/a", "/a"], []),
        (["/a:ro", "/a/:rw", "/b/../a", "--allow-write"], ["/a", "/a/", "/b/../a"], []),
        (["/a", "/a:rw"], ["/a", "/a"], ["/a"]),
    ],
)
def test_directories_may_be_changed_as_far_as_the_operator_says(
    arguments: list[str], readable: list[str], writable: list[str]
) -> None:
    settings = load(*arguments)
    assert (settings.readable(), settings.writable()) == (readable, writable)


@pytest.mark.parametrize(("arguments", "given"), [(["/a"], False), (["/a:rw"], True), (["/a", "--allow-write"], True)])
def test_writing_is_granted_as_soon_as_one_directory_may_be_changed(arguments: list[str], given: bool) -> None:  # noqa: FBT001
    assert load(*arguments).gives(WRITE) is given


def test_the_environment_names_directories_and_allows_writing() -> None:
    settings = load(FILESYSTEM_DIRECTORIES="/a:/b", FILESYSTEM_ALLOW_WRITE="true")
    assert settings.writable() == ["/a", "/b"]


def test_a_suffix_in_the_environment_is_refused_rather_than_taken_for_a_directory() -> None:
    with pytest.raises(SettingsProblem, match="as arguments only"):
        load(FILESYSTEM_DIRECTORIES="/a:/b:rw")


def test_denied_globs_replace_the_default_list_or_add_to_it() -> None:
    assert load("--deny", "*.x").deny == ("*.x",)
    assert load("--deny", "*.x", "--deny", "default").deny == ("*.x", *DEFAULT_DENY)
