"""Who the credential is, what it may do, and what is said of that."""

import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from emulator import emulated
from github_client import EVERYTHING, connected, failure, read, rows
from github_gaps import gaps_filled
from github_sample import SEED, Emulated
from mcp import Client
from mcp_server_github.server import build_server, credential, permissions
from mcp_server_github.settings import Settings
from mcp_server_shared.catalog import Finding
from mcp_server_shared.settings import SettingsProblem

pytestmark = pytest.mark.anyio


def settings(*arguments: str, **environment: str) -> Settings:
    return Settings.load(arguments, environment)


async def found(github: Emulated, *arguments: str, **environment: str) -> list[Finding]:
    server = build_server(settings("--api-url", github.url, *arguments, **environment))
    async with server.lifespan(server) as state:
        return await server.findings(state)


async def test_check_names_the_owner_and_what_is_beyond_need(github: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github.gaps, "scopes", "repo, delete_repo, admin:org")
    found_here = await found(github, **{"GITHUB_TOKEN": "ghp_alice"})
    text = "\n".join(finding.text for finding in found_here)
    assert "alice" in text
    assert "admin:org, delete_repo" in text
    assert [finding.level for finding in found_here] == ["ok", "warning", "warning"]


async def test_check_names_the_permissions_that_are_enough_for_what_was_granted(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github.gaps, "scopes", "repo, delete_repo")
    [_, _, beyond] = await found(github, "--allow-run", **{"GITHUB_TOKEN": "ghp_alice"})
    assert "Contents, Issues, Pull requests" in beyond.advice
    assert "--allow-run: Actions: write" in beyond.advice
    assert "--allow-comment" not in beyond.advice


async def test_check_names_the_tools_that_the_credential_cannot_use(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github.gaps, "scopes", "public_repo")
    found_here = await found(github, "--allow-comment", **{"GITHUB_TOKEN": "ghp_alice"})
    unusable = {finding.text: finding.advice for finding in found_here if "will not work" in finding.text}
    assert unusable == {"list_notifications will not work.": "The token needs the scope notifications."}


async def test_check_without_a_token_says_what_one_would_add(github: Emulated) -> None:
    [answers, advice] = await found(github)
    assert (answers.level, advice.level) == ("ok", "warning")
    assert "GITHUB_TOKEN" in advice.advice


async def test_check_without_github_names_a_problem() -> None:
    server = build_server(settings("--api-url", "http://127.0.0.1:1"))
    async with server.lifespan(server) as state:
        assert [finding.level for finding in await server.findings(state)] == ["problem"]


async def listed(github: Emulated) -> set[str]:
    async with connected(github, **EVERYTHING, match_credential=True) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_tools_that_the_scopes_do_not_allow_are_hidden_on_request(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {"write_issue", "merge_pull_request", "list_notifications"} <= await listed(github)
    monkeypatch.setattr(github.gaps, "scopes", "read:user")
    reading = await listed(github)
    assert not {"write_issue", "merge_pull_request", "list_notifications"} & reading
    assert "read_repo_file" in reading


async def test_lists_do_not_wait_for_a_github_that_does_not_answer(
    github: Emulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard = threading.Event()
    monkeypatch.setattr(github.gaps, "silent_until", unheard)
    try:
        assert "write_issue" in await listed(github)
        assert not unheard.is_set()
    finally:
        unheard.set()


async def test_a_hidden_tool_names_the_scope(github: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github.gaps, "scopes", "")
    async with connected(github, **EVERYTHING, match_credential=True) as client:
        await client.list_tools()
        code, text = await failure(client, "write_issue", repo="alice/hello", title="x")
    assert (code, "public_repo" in text) == ("permission_denied", True)


async def test_the_context_says_who_and_what(github: Emulated) -> None:
    async with connected(github, repos=("alice/hello=comment",)) as client:
        facts = {row["what"]: row["value"] for row in await rows(client, "get_github_context")}
    assert (facts["login"], facts["credential"], facts["scopes"]) == ("alice", "classic token", "repo, notifications")
    assert "alice/hello=comment" in facts["repositories"]
    assert facts["allowed"] == "read"
    async with connected(github, allow_comment=True, lockdown=True) as client:
        facts = {row["what"]: row["value"] for row in await rows(client, "get_github_context")}
    assert facts["allowed"] == "read; open and edit issues, comment and review"
    assert "withheld" in facts["lockdown"]


# A GitHub App

KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
).decode()
INSTALLATION = {"installation_id": 100, "account": "alice", "repository_selection": "all"}
APP = {
    "app_id": 4711,
    "slug": "helper",
    "name": "Helper",
    "private_key": PEM,
    "permissions": {"contents": "read", "issues": "write", "metadata": "read", "pull_requests": "read"},
    "installations": [INSTALLATION],
}


@pytest.mark.parametrize("installation", ["", "100"])
async def test_an_app_acts_as_its_installation_with_no_more_than_it_needs(installation: str) -> None:
    seed = {**SEED, "github": {**SEED["github"], "apps": [APP]}}
    with emulated("github", seed) as emulator, gaps_filled(emulator.url) as gaps:
        given = {"GITHUB_APP_ID": "4711", "GITHUB_APP_PRIVATE_KEY": PEM}
        given |= {"GITHUB_APP_INSTALLATION_ID": installation} if installation else {}
        server = build_server(settings("--api-url", gaps.url, "--allow-comment", **given))
        async with Client(server) as client:
            await read(client, "read_repo_file", repo="alice/vault", path="README.md")
            await rows(client, "write_issue", repo="alice/vault", title="By an App")
        [asked] = [asked for asked in gaps.asked if asked.path.endswith("/access_tokens")]
        assert ("/app/installations" in {asked.path for asked in gaps.asked}) is (not installation)
    assert asked.body["permissions"] == {
        "contents": "read",
        "issues": "write",
        "metadata": "read",
        "pull_requests": "read",
    }


async def test_an_app_without_that_installation_says_which_there_are() -> None:
    with emulated("github", {**SEED, "github": {**SEED["github"], "apps": [APP]}}) as emulator:
        given = {"GITHUB_APP_ID": "4711", "GITHUB_APP_PRIVATE_KEY": PEM, "GITHUB_APP_INSTALLATION_ID": "7"}
        async with Client(build_server(settings("--api-url", emulator.url, **given))) as client:
            code, text = await failure(client, "read_issue", repo="alice/hello", number=1)
    assert (code, "there are: 100" in text) == ("unauthenticated", True)


async def test_a_key_that_is_none_says_so(github: Emulated) -> None:
    given = {"GITHUB_APP_ID": "4711", "GITHUB_APP_PRIVATE_KEY": "no key"}
    async with Client(build_server(settings("--api-url", github.url, **given))) as client:
        code, text = await failure(client, "read_issue", repo="alice/hello", number=1)
    assert (code, "GITHUB_APP_PRIVATE_KEY" in text, "no key" in text) == ("unauthenticated", True, False)


# Settings


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://api.github.com"),
        ({"GITHUB_HOST": "github.com"}, "https://api.github.com"),
        ({"GITHUB_HOST": "https://git.example.com/"}, "https://git.example.com/api/v3"),
        ({"GITHUB_HOST": "octo.ghe.com"}, "https://api.octo.ghe.com"),
        ({"GITHUB_API_URL": "https://git.example.com/api/v3/"}, "https://git.example.com/api/v3"),
    ],
)
def test_the_address_of_the_api_follows_from_the_host(given: dict[str, str], url: str) -> None:
    assert settings(**given).base_url() == url


def test_a_repository_that_is_none_is_told_with_the_name_of_the_flag() -> None:
    with pytest.raises(SettingsProblem, match=r"^--repos \(or GITHUB_REPOS\) must be owner/name, not 'alice'\.$"):
        settings(GITHUB_REPOS="alice")


@pytest.mark.parametrize(
    "given",
    [
        {"GITHUB_API_URL": "http://git.example.com/api/v3"},
        {"GITHUB_API_URL": "https://user:pass@git.example.com"},
        {"GITHUB_API_URL": "https://git.example.com/?x=1"},
        {"GITHUB_HOST": "git.example.com/x"},
        {"GITHUB_HOST": "user@git.example.com"},
        {"GITHUB_REPOS": "alice"},
        {"GITHUB_REPOS": "alice/x=admin"},
        {"GITHUB_WORKFLOW_FILES": "../x.yml"},
        {"GITHUB_APP_ID": "1"},
        {"GITHUB_APP_ID": "1", "GITHUB_APP_PRIVATE_KEY": "x", "GITHUB_TOKEN": "y"},
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(SettingsProblem):
        settings(**given)


def test_a_greater_grant_gives_the_lesser() -> None:
    merge = settings("--allow-merge")
    assert permissions(merge)["issues"] == permissions(merge)["contents"] == "write"
    assert permissions(settings())["contents"] == "read"


def test_a_credential_does_not_show_its_secret() -> None:
    shown = repr(credential(settings(**{"GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_secret"})))
    assert "ghp_secret" not in shown
