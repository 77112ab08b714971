"""OAuth from end to end: a real authorization server, a server of ours, and clients that find their own way."""

import json
import random
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from authorization_server import SECRET, AuthorizationServer, authorization_server
from mcp import Client
from mcp.client.auth import TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from notes.client import ERAS, error_of, text_of
from notes.network import Served, call, client_of, command, environment, post, served

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

READ = call("read_note", name="first")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def issuer() -> Generator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


def free_ports() -> Iterator[int]:
    """Yield ports that nobody had a moment ago, and that no outgoing connection is given."""
    for port in random.sample(range(20_000, 32_000), 20):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


@contextmanager
def protected(
    issuer: AuthorizationServer, *more: str, transport: str = "http", path: str = "/mcp"
) -> Generator[Served]:
    """Serve notes to whoever brings a token of this issuer; its port has to be in its public URL beforehand."""
    port = next(free_ports())
    words = ["--issuer", issuer.url, "--public-url", f"http://127.0.0.1:{port}{path}", "--allow-write", *more]
    with served(*words, transport=transport, port=port) as server:
        yield server


@pytest.fixture(scope="module")
def notes(issuer: AuthorizationServer) -> Generator[Served]:
    with protected(issuer, "--stateful") as server:
        yield server


class Remembered(TokenStorage):
    """Keeps what a client's provider stores."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@pytest.mark.parametrize("era", ERAS)
async def test_a_machine_finds_its_way_from_401_to_a_tool(notes: Served, issuer: AuthorizationServer, era: str) -> None:
    provider = ClientCredentialsOAuthProvider(
        notes.url, Remembered(), client_id="machine", client_secret=SECRET, issuer=issuer.url
    )
    asked: list[tuple[str, int]] = []

    async def on_response(response: httpx2.Response) -> None:
        asked.append((response.request.url.path, response.status_code))

    async with httpx2.AsyncClient(auth=provider, event_hooks={"response": [on_response]}, timeout=60) as http:
        with anyio.fail_after(60):
            async with Client(streamable_http_client(notes.url, http_client=http), mode=era) as client:
                assert "one" in text_of(await client.call_tool("read_note", {"name": "first"}))
    assert asked[:4] == [
        ("/mcp", 401),
        ("/.well-known/oauth-protected-resource/mcp", 200),
        ("/.well-known/oauth-authorization-server", 200),
        ("/token", 200),
    ]


@pytest.mark.parametrize("era", ERAS)
async def test_scopes_are_grants(notes: Served, issuer: AuthorizationServer, era: str) -> None:
    async with client_of(notes.url, era, token=issuer.token(notes.url, "read write")) as client:
        written = await client.call_tool("write_note", {"name": "second", "text": "two"})
    async with client_of(notes.url, era, token=issuer.token(notes.url, "read")) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        refused = await client.call_tool("write_note", {"name": "second", "text": "three"})
    assert not written.is_error
    assert ("read_note" in listed, "write_note" in listed) == (True, False)
    assert error_of(refused.meta)["code"] == "permission_denied"


def test_without_a_token_the_way_to_one_is_told(notes: Served) -> None:
    response = post(notes.url, READ)
    assert response.status_code == 401
    assert (
        f'resource_metadata="{notes.origin}/.well-known/oauth-protected-resource/mcp"'
        in response.headers["www-authenticate"]
    )


def test_a_token_for_another_server_is_refused(notes: Served, issuer: AuthorizationServer) -> None:
    response = post(notes.url, READ, token=issuer.token("https://other.example/mcp"))
    assert (response.status_code, 'error="invalid_token"' in response.headers["www-authenticate"]) == (401, True)


def test_a_token_without_the_scope_to_read_is_told_which_it_takes(notes: Served, issuer: AuthorizationServer) -> None:
    response = post(notes.url, READ, token=issuer.token(notes.url, "write"))
    assert response.status_code == 403
    challenge = response.headers["www-authenticate"]
    assert ('error="insufficient_scope"' in challenge, 'scope="read write"' in challenge) == (True, True)


def test_an_expired_token_is_refused(notes: Served, issuer: AuthorizationServer) -> None:
    issuer.do("clock -3600")
    expired = issuer.token(notes.url)
    issuer.do("clock 0")
    response = post(notes.url, READ, token=expired)
    assert (response.status_code, 'error="invalid_token"' in response.headers["www-authenticate"]) == (401, True)


def test_a_key_that_is_rotated_out_counts_no_more_and_a_new_one_at_once() -> None:
    with authorization_server() as issuer, protected(issuer) as notes:
        before = issuer.token(notes.url)
        assert post(notes.url, READ, token=before).status_code == 200
        issuer.do("rotate")
        assert post(notes.url, READ, token=issuer.token(notes.url)).status_code == 200
        assert post(notes.url, READ, token=before).status_code == 401


@pytest.mark.parametrize("era", ERAS)
async def test_opaque_tokens_are_asked_about(era: str) -> None:
    with authorization_server() as issuer:
        issuer.do("opaque")
        words = ["--introspection-url", f"{issuer.url}/token/introspection", "--introspection-client=resource-server"]
        with protected(issuer, *words, "--introspection-secret", SECRET) as notes:
            token = issuer.token(notes.url)
            assert "." not in token
            async with client_of(notes.url, era, token=token) as client:
                assert "one" in text_of(await client.call_tool("read_note", {"name": "first"}))
            assert post(notes.url, READ, token=issuer.token("https://other.example/mcp")).status_code == 401
            assert post(notes.url, READ, token="made-up").status_code == 401  # noqa: S106


# The command line


def run(home: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the notes server with settings of its own, and a browser that follows every redirect."""
    browser = f"{sys.executable} {Path(__file__).with_name('browser.py')} %s"
    own = environment({"XDG_CONFIG_HOME": str(home), "BROWSER": browser, **variables})
    return subprocess.run(command(*words), env=own, capture_output=True, text=True, timeout=60, check=False)


def kept_in(home: Path) -> dict[str, Any]:
    """Return what the one file of logins holds, which nobody else may read."""
    [file] = (home / "mcp-servers/logins").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    return json.loads(file.read_text())


def test_a_person_logs_in_once_in_the_browser(notes: Served, issuer: AuthorizationServer, tmp_path: Path) -> None:
    first = run(tmp_path, "call", "read_note", "name=first", "--url", notes.url)
    again = run(tmp_path, "call", "read_note", "name=first", "--url", notes.url, BROWSER="true")
    assert ("one" in first.stdout, "Log in in the browser" in first.stderr) == (True, True), first.stderr
    assert ("one" in again.stdout, again.stderr) == (True, "")
    kept = kept_in(tmp_path)
    assert (kept["resource"], kept["issuer"].rstrip("/")) == (notes.url, issuer.url)


def test_a_token_that_has_ended_is_refreshed_without_a_person(notes: Served, tmp_path: Path) -> None:
    run(tmp_path, "tools", "--url", notes.url)
    [file] = (tmp_path / "mcp-servers/logins").iterdir()
    before = kept_in(tmp_path)
    file.write_text(json.dumps(before | {"expires_at": 1.0}))
    done = run(tmp_path, "tools", "--url", notes.url, BROWSER="true")
    assert (done.returncode, done.stderr) == (0, "")
    assert kept_in(tmp_path)["tokens"]["access_token"] != before["tokens"]["access_token"]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
def test_a_person_logs_in_over_every_transport(issuer: AuthorizationServer, transport: str, tmp_path: Path) -> None:
    path = "/sse" if transport == "sse" else "/ws"
    with protected(issuer, transport=transport, path=path) as notes:
        done = run(tmp_path, "call", "read_note", "name=first", "--url", notes.url)
    assert "one" in done.stdout, done.stderr


def test_a_machine_logs_in_without_a_browser(notes: Served, issuer: AuthorizationServer, tmp_path: Path) -> None:
    words = ("tools", "--url", notes.url, "--client-id", "machine", "--issuer", issuer.url)
    done = run(tmp_path, *words, BROWSER="true", MCP_CLIENT_SECRET=SECRET)
    assert (done.returncode, done.stderr) == (0, "")
    assert "read_note" in done.stdout
    assert SECRET not in json.dumps(kept_in(tmp_path))


def test_a_secret_goes_to_its_issuer_alone(notes: Served, tmp_path: Path) -> None:
    words = ("tools", "--url", notes.url, "--client-id", "machine", "--issuer", "https://elsewhere.example")
    done = run(tmp_path, *words, MCP_CLIENT_SECRET=SECRET)
    assert (done.returncode, "Logging in at 127.0.0.1" in done.stderr) == (1, True)
    assert (SECRET in done.stderr, "Traceback" in done.stderr) == (False, False)


def test_a_refused_login_is_told_in_plain_words(notes: Served, issuer: AuthorizationServer, tmp_path: Path) -> None:
    words = ("tools", "--url", notes.url, "--client-id", "machine", "--issuer", issuer.url)
    done = run(tmp_path, *words, MCP_CLIENT_SECRET="not-the-secret")  # noqa: S106
    assert (done.returncode, "invalid_client" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
