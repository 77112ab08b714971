"""The file of bearer tokens."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mcp_server_shared.serving.tokens import TokenFile, new_token
from mcp_server_shared.settings import SettingsProblem

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def file_of(folder: Path, *lines: str) -> Path:
    path = folder / "tokens"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


async def test_a_token_is_known_by_its_name_and_grants(tmp_path: Path) -> None:
    token, line = new_token("ci", ["read", "write"], None)
    known = await TokenFile(file_of(tmp_path, "# ours", "", line), ["write"]).verify(token)
    assert known is not None
    assert (known.client_id, known.grants) == ("ci", {"read", "write"})


async def test_the_file_does_not_hold_the_token(tmp_path: Path) -> None:
    token, line = new_token("ci", ["read"], None)
    assert token not in line


@pytest.mark.parametrize("wrong", ["", "mcp_", "mcp_" + "A" * 43, "ü", "\udc80"])
async def test_any_other_token_is_unknown(tmp_path: Path, wrong: str) -> None:
    assert await TokenFile(file_of(tmp_path, new_token("ci", ["read"], None)[1]), []).verify(wrong) is None


@pytest.mark.parametrize(("days_left", "known"), [(0, 1), (-1, 0)])
async def test_a_token_is_good_to_the_end_of_its_last_day(tmp_path: Path, days_left: int, known: int) -> None:
    last = datetime.now(UTC).date() + timedelta(days=days_left)
    token, line = new_token("ci", ["read"], last)
    assert (await TokenFile(file_of(tmp_path, line), []).verify(token) is not None) == known


async def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server_shared.serving.tokens.LOOKED_AT_EVERY_S", -1.0)
    (old, line), (new, other) = new_token("ci", ["read"], None), new_token("ci", ["read"], None)
    path = file_of(tmp_path, line)
    tokens = TokenFile(path, [])
    file_of(tmp_path, other)
    os.utime(path, ns=(1, 1))
    assert await tokens.verify(new) is not None
    assert await tokens.verify(old) is None


@pytest.mark.parametrize("spoilt", ["ci nonsense", None])
async def test_a_change_that_cannot_be_read_changes_nothing(tmp_path: Path, spoilt: str | None) -> None:
    token, line = new_token("ci", ["read"], None)
    path = file_of(tmp_path, line)
    tokens = TokenFile(path, [])
    path.unlink() if spoilt is None else path.write_text(spoilt, encoding="utf-8")
    tokens.reload()
    assert await tokens.verify(token) is not None


HASH = "0" * 64


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ci", "line 1 of the file of --tokens: must be: name, sha256"),
        (f"c/i {HASH} never read", "letters, digits"),
        ("ci secret-token never read", "64 hexadecimal digits"),
        (f"ci {HASH} tomorrow read", "like 2027-01-31"),
        (f"ci {HASH} never reed", "there is no grant reed; there is metrics, read, write"),
        (f"ci {HASH} never read\nci {HASH[1:]}1 never read", "line 2 of the file of --tokens: the name ci is taken"),
    ],
)
def test_a_line_that_will_not_do_is_refused_without_repeating_it(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        TokenFile(file_of(tmp_path, line), ["write"])
    assert said in str(caught.value)
    assert "secret-token" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsProblem, match="cannot read the file of --tokens: No such file"):
        TokenFile(tmp_path / "none", [])


def test_tokens_are_never_alike() -> None:
    assert len({new_token("ci", ["read"], None)[0] for _ in range(100)}) == 100
