"""The commands `tools` and `call` with a server that is reached over a network."""

import subprocess
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path

import pytest
from mcp_server_shared.commands.remote_settings import RemoteSettings
from mcp_server_shared.serving.tokens import new_token
from mcp_server_shared.settings import SettingsProblem, read_settings
from notes.network import Served, command, environment, served

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["http", "sse", "websocket"])
def notes(request: pytest.FixtureRequest) -> Generator[Served]:
    with served(transport=request.param) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    token, line = new_token("alice", ["read"], None)
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(line + "\n")
    return file, token


@pytest.fixture(scope="module", params=["http", "sse", "websocket"])
def protected(request: pytest.FixtureRequest, tokens: tuple[Path, str]) -> Generator[Served]:
    with served("--tokens", str(tokens[0]), transport=request.param) as server:
        yield server


def run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the notes server, with settings of its own."""
    own = environment({"XDG_CONFIG_HOME": str(home), "BROWSER": "true", **variables})
    return subprocess.run(command(*words), env=own, capture_output=True, text=True, timeout=60, check=False)


def test_tools_shows_what_a_server_offers(notes: Served, tmp_path: Path) -> None:
    done = run(tmp_path, "tools", "--url", notes.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Notes {version('mcp-server-shared')}  protocol 2026-07-28\nOffers ")
    for part in ("Notes for tests.", "read_note name [cursor]", "note:///{name}\n    A note.", "review_note name"):
        assert part in done.stdout


def test_call_runs_a_tool_with_values_of_the_types_that_it_takes(notes: Served, tmp_path: Path) -> None:
    done = run(tmp_path, "call", "list_notes", "limit=1", "order=name", f"--url={notes.url}")
    assert (done.returncode, '["first",8]' in done.stdout, "second" in done.stdout) == (0, True, False)


def test_call_prints_why_a_tool_failed(notes: Served, tmp_path: Path) -> None:
    done = run(tmp_path, "call", "read_note", "name=frist", "--url", notes.url)
    assert (done.returncode, done.stdout, "did you mean first" in done.stderr.lower()) == (1, "", True)


def test_a_token_opens_a_protected_server(protected: Served, tokens: tuple[Path, str], tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(tokens[1] + "\n")
    words = ("call", "read_note", "name=first", "--url", protected.url)
    assert "one" in run(tmp_path, *words, MCP_BEARER_TOKEN=tokens[1]).stdout
    assert "one" in run(tmp_path, *words, MCP_BEARER_TOKEN_FILE=str(file)).stdout
    assert "one" in run(tmp_path, *words, "--bearer-token-file", str(file)).stdout


def test_a_wrong_token_is_told_in_plain_words(protected: Served, tmp_path: Path) -> None:
    done = run(tmp_path, "tools", "--url", protected.url, MCP_BEARER_TOKEN="wrong")  # noqa: S106
    assert done.returncode == 1
    assert "refused with HTTP 401: The token is unknown, has ended or is not for this server." in done.stderr
    assert ("MCP_BEARER_TOKEN_FILE" in done.stderr, "Traceback" in done.stderr) == (True, False)


def test_no_token_is_told_in_plain_words(tokens: tuple[Path, str], tmp_path: Path) -> None:
    with served("--tokens", str(tokens[0])) as notes:
        done = run(tmp_path, "tools", "--url", notes.url)
    assert (done.returncode, "wants a token" in done.stderr, "MCP_BEARER_TOKEN_FILE" in done.stderr) == (1, True, True)


def test_a_wrong_path_is_told_in_plain_words(tmp_path: Path) -> None:
    with served() as notes:
        done = run(tmp_path, "tools", "--url", f"{notes.origin}/nowhere")
    assert (done.returncode, "the endpoint is /mcp" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_nobody_there_is_told_in_plain_words(scheme: str, tmp_path: Path) -> None:
    done = run(tmp_path, "tools", "--url", f"{scheme}://127.0.0.1:1/mcp")
    assert (done.returncode, "cannot be reached" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--url", "http://mcp.example/mcp"], "https or wss"),
        (["--url", "ftp://mcp.example"], "https or wss"),
        (["--url"], "--url needs a value"),
        (["--url", "https://mcp.example", "--nonsense"], "--nonsense"),
        (["--url", "https://mcp.example", "--client-secret", "s", "--client-id", "c"], "--issuer"),
        (["--url", "https://mcp.example", "--bearer-token-file", "missing"], "No such file"),
    ],
)
def test_what_cannot_be_asked_is_refused(words: list[str], problem: str, tmp_path: Path) -> None:
    done = run(tmp_path, "tools", *words)
    assert (done.returncode, problem in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("url", "speaks"),
    [
        ("https://mcp.example/mcp", "http"),
        ("https://mcp.example/sse", "sse"),
        ("wss://mcp.example/ws", "websocket"),
        ("http://localhost:8000/", "http"),
    ],
)
def test_the_url_says_what_is_spoken(url: str, speaks: str) -> None:
    assert read_settings(RemoteSettings, ["--url", url], {})[0].speaks == speaks


def test_a_url_with_a_password_is_refused_without_being_shown() -> None:
    with pytest.raises(SettingsProblem) as caught:
        read_settings(RemoteSettings, ["--url", "https://me:hidden@mcp.example"], {})
    assert "hidden" not in str(caught.value)
