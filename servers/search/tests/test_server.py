"""What the server lists and costs, how it is configured, what `check` says."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_web.providers import FakeBrave, FakeWikipedia
from fake_web.server import Web
from mcp_server_search.references import LIFETIME_DAYS, References
from mcp_server_search.server import build_server
from mcp_server_search.settings import Settings
from mcp_server_shared.catalog import Finding
from mcp_server_shared.commands.tools import CHARACTERS_PER_TOKEN, tokens
from mcp_server_shared.errors import InvalidArgument, NotFound
from mcp_server_shared.settings import SettingsProblem

pytestmark = pytest.mark.anyio


def test_everything_that_can_be_listed_fits_its_budget() -> None:
    server = build_server(Settings.load(["/folder"], {"BRAVE_API_KEY": "k"}))
    assert len(server.registry.tools) == 9
    listed = sum(map(tokens, server.registry.tools.values()))
    assert listed + len(server.instructions or "") // CHARACTERS_PER_TOKEN <= 1_600


# Settings


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--searxng-url", "ftp://x.example"], "--searxng-url"),
        (["--searxng-url", "x.example"], "--searxng-url"),
        (["--brave-url", "https://"], "--brave-url"),
        (["--wikipedia-url", "file:///{language}"], "--wikipedia-url"),
        (["--allow-host", "http://x.example"], "--allow-host"),
        (["--allow-host", "10.0.0.0/99"], "--allow-host"),
        (["--block-host", "a b"], "--block-host"),
        (["--provider", "google"], "--provider"),
        (["--monthly-budget", "-1"], "--monthly-budget"),
    ],
)
def test_a_setting_that_cannot_work_is_named_at_the_start(flags: list[str], named: str) -> None:
    with pytest.raises(SettingsProblem, match=named):
        Settings.load(flags, {})


def test_the_key_can_come_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("BSA-secret\n")
    settings = Settings.load([], {"BRAVE_API_KEY_FILE": str(tmp_path / "key")})
    assert settings.chosen() == "brave"
    assert "BSA-secret" not in repr(settings)


# check


async def findings(*flags: str) -> list[Finding]:
    server = build_server(Settings.load(flags, {}))
    async with server.lifespan(server) as state:
        return await server.findings(state)


async def test_check_tries_the_provider_the_reader_and_the_folders(web: Web, tmp_path: Path) -> None:
    wikipedia = FakeWikipedia(web)
    found = await findings("--wikipedia-url", wikipedia.setting, str(tmp_path), str(tmp_path / "missing"))
    assert [finding.level for finding in found] == ["ok", "ok", "ok", "problem"]
    assert "BRAVE_API_KEY" in found[0].advice


async def test_check_says_what_it_cost_and_what_is_left(web: Web, tmp_path: Path) -> None:
    brave = FakeBrave(web)
    brave.limits = {
        "X-RateLimit-Policy": "50;w=1, 2000;w=2592000",
        "X-RateLimit-Remaining": "49, 1999",
        "X-RateLimit-Reset": "1, 99",
    }
    [first, *_] = await findings(
        "--brave-url", web.url, "--brave-api-key", "BSA-key", "--data-directory", str(tmp_path)
    )
    assert first.level == "ok"
    assert "1,999 requests are left" in first.text


async def test_check_without_a_key_names_the_setting(tmp_path: Path) -> None:
    [first, *_] = await findings("--provider", "brave", "--data-directory", str(tmp_path))
    assert (first.level, "BRAVE_API_KEY" in first.advice) == ("problem", True)


# References


async def loaded(path: Path | None = None) -> References:
    references = References(path)
    await references.load()
    return references


async def test_a_reference_belongs_to_one_address_and_one_caller() -> None:
    references = await loaded()
    reference = references.mint("https://a.example/", "me")
    references.check(reference, "https://a.example/", "me")
    for url, caller in (("https://a.example/x", "me"), ("https://a.example/", "you"), ("", "")):
        with pytest.raises(InvalidArgument):
            references.check(reference, url, caller)


@pytest.mark.parametrize("forged", ["", "A", "AAAAAAAAAAAAAA", "é", "=" * 8, "A" * 100, "\x00", "__79_A"])
async def test_a_forged_reference_is_refused(forged: str) -> None:
    with pytest.raises(InvalidArgument):
        (await loaded()).check(forged, "https://a.example/", "me")


async def test_no_character_of_a_reference_can_be_changed() -> None:
    references = await loaded()
    reference = references.mint("https://a.example/", "me")
    for place, character in enumerate(reference[:-1]):  # of the last, some bits stand for nothing
        other = "A" if character != "A" else "B"
        with pytest.raises(InvalidArgument):
            references.check(reference[:place] + other + reference[place + 1 :], "https://a.example/", "me")


async def test_a_reference_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    references = await loaded()
    reference = references.mint("https://a.example/", "me")
    now = time.time()
    monkeypatch.setattr("mcp_server_search.references.time", SimpleNamespace(time=lambda: now + LIFETIME_DAYS * 86_400))
    references.check(reference, "https://a.example/", "me")
    now += 86_400
    with pytest.raises(NotFound):
        references.check(reference, "https://a.example/", "me")


async def test_processes_of_one_operator_share_a_key_that_others_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "references.key"
    first, second = await loaded(path), await loaded(path)
    second.check(first.mint("https://a.example/", "me"), "https://a.example/", "me")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["references.key"]


async def test_without_a_place_for_the_key_references_last_as_long_as_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    references = await loaded(tmp_path / "file" / "references.key")
    references.check(references.mint("https://a.example/", "me"), "https://a.example/", "me")
