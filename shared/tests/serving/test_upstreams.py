"""Callers with an upstream credential of their own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_server_shared.serving import upstreams
from mcp_server_shared.serving.tokens import new_token
from mcp_server_shared.serving.upstreams import read_callers
from mcp_server_shared.settings import SettingsProblem
from notes.application import Running, running
from notes.issuer import AUDIENCE, serving_issuer
from notes.network import call
from notes.server import Settings
from pydantic import SecretStr

pytestmark = pytest.mark.anyio
LIST = call("list_notes")
NAMES = ("alice", "bob", "stranger")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    made = {name: new_token(name, ["read", "write"], None) for name in NAMES}
    (tmp_path / "tokens").write_text("\n".join(line for _, line in made.values()), encoding="utf-8")
    return {name: token for name, (token, _) in made.items()}


def settings_of(folder: Path, name: str, text: str) -> None:
    (folder / "callers").mkdir(exist_ok=True)
    (folder / "callers" / f"{name}.toml").write_text(text, encoding="utf-8")


@asynccontextmanager
async def two_callers(folder: Path) -> AsyncGenerator[Running]:
    settings_of(folder, "a", 'token = "alice"\n[settings]\nmore_notes = 1')
    settings_of(folder, "b", 'token = "bob"\n[settings]\nmore_notes = 5')
    async with running(tokens=folder / "tokens", callers=folder / "callers") as server:
        yield server


async def total(server: Running, token: str) -> int:
    return (await server.post(LIST, token)).json()["result"]["structuredContent"]["total"]


async def test_each_caller_is_served_with_its_own_settings(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with two_callers(tmp_path) as server:
        assert [await total(server, tokens[name]) for name in ("alice", "bob", "alice")] == [3, 7, 3]


async def test_no_caller_sees_what_another_wrote(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with two_callers(tmp_path) as server:
        await server.post(call("write_note", name="secret", text="x"), tokens["alice"])
        assert [await total(server, tokens[name]) for name in ("alice", "bob")] == [4, 7]


async def test_a_caller_without_settings_is_refused(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with two_callers(tmp_path) as server:
        response = await server.post(LIST, tokens["stranger"])
    assert (response.status_code, response.json()["error"]) == (403, "access_denied")


async def test_many_first_requests_of_one_caller_open_one_server(tmp_path: Path, tokens: dict[str, str]) -> None:
    async with two_callers(tmp_path) as server:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(server.post, call("write_note", name=str(number), text="x"), tokens["alice"])
        assert await total(server, tokens["alice"]) == 13


async def test_the_longest_idle_makes_room(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "MOST_OPEN", 1)
    async with two_callers(tmp_path) as server:
        await server.post(call("write_note", name="kept in memory", text="x"), tokens["alice"])
        assert await total(server, tokens["bob"]) == 7
        assert await total(server, tokens["alice"]) == 3  # opened anew


async def test_who_is_being_served_is_not_closed_for_others(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "MOST_OPEN", 1)
    async with two_callers(tmp_path) as server, anyio.create_task_group() as tasks:
        await total(server, tokens["alice"])
        tasks.start_soon(server.post, call("wait"), tokens["alice"])
        while "[1]" not in (await server.post(call("running"), tokens["alice"])).text:
            pass
        assert (await server.post(LIST, tokens["bob"])).status_code == 503
        tasks.cancel_scope.cancel()


async def test_an_idle_server_is_closed(
    tmp_path: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstreams, "IDLE_S", 0.0)
    monkeypatch.setattr(upstreams, "LOOKED_AT_EVERY_S", 0.001)
    async with two_callers(tmp_path) as server:
        await server.post(call("write_note", name="kept in memory", text="x"), tokens["alice"])
        while (notes := await total(server, tokens["alice"])) != 3:
            assert notes == 4
            await anyio.sleep(0.005)  # idle


async def test_a_caller_of_the_issuer_has_settings_by_subject(tmp_path: Path) -> None:
    settings_of(tmp_path, "a", 'subject = "alice"\n[settings]\nmore_notes = 2')
    with serving_issuer() as issuer:
        async with running(issuer=issuer.url, public_url=AUDIENCE, callers=tmp_path / "callers") as server:
            assert await total(server, issuer.token()) == 4
            assert (await server.post(LIST, issuer.token(sub="mallory"))).status_code == 403


async def test_a_token_named_like_a_subject_is_not_it(tmp_path: Path, tokens: dict[str, str]) -> None:
    settings_of(tmp_path, "a", 'subject = "alice"\n[settings]\nmore_notes = 2')
    async with running(tokens=tmp_path / "tokens", callers=tmp_path / "callers") as server:
        assert (await server.post(LIST, tokens["alice"])).status_code == 403


# The files


def own(folder: Path, text: str, **operator: Any) -> Settings:
    settings_of(folder, "a", text)
    [found] = read_callers(folder / "callers", Settings(**operator))
    return Settings(**operator).with_own(found.values, "a.toml")


def test_the_operators_secrets_are_not_a_callers(tmp_path: Path) -> None:
    settings = own(tmp_path, 'token = "alice"\n[settings]\nmore_notes = 1', api_token="operator", allow_write=True)  # noqa: S106
    assert (settings.api_token, settings.allow_write) == (None, True)


def test_a_secret_may_be_in_a_file_beside(tmp_path: Path) -> None:
    (tmp_path / "callers").mkdir()
    (tmp_path / "callers" / "alice-token").write_text("hers\n", encoding="utf-8")
    settings = own(tmp_path, 'token = "alice"\n[settings]\napi_token_file = "alice-token"')
    assert settings.api_token == SecretStr("hers")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("token =", "a.toml: Invalid value"),
        ("", "must have token = … or subject = …"),
        ('token = "a"\nsubject = "b"', "must have token = … or subject = …"),
        ('token = "a"\n[setings]', "and nothing else"),
        ('token = "a"\n[settings]\nmore_note = 1', "did you mean more_notes?"),
        ('token = "a"\n[settings]\nmore_notes = "hunter2"', "more_notes must be a whole number"),
        ('token = "a"\n[settings]\nmax_calls = 1', "max_calls is no setting of this server"),
        ('token = "a"\n[settings]\napi_token_file = "none"', "cannot read the file"),
    ],
)
def test_a_file_that_will_not_do_is_refused_without_its_values(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        own(tmp_path, text)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_two_files_for_one_caller_are_refused(tmp_path: Path) -> None:
    settings_of(tmp_path, "a", 'token = "alice"')
    settings_of(tmp_path, "b", 'token = "alice"')
    with pytest.raises(SettingsProblem, match="for the same caller"):
        read_callers(tmp_path / "callers", Settings())
