"""A person signs in: in a browser, by a pasted address, by a code; and what is kept of it."""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3
from emulator import Emulator, emulated
from fake_google import FakeGoogle, keep_token
from mcp import Client
from mcp_server_drive import tokens
from mcp_server_drive.accounts import Account, SignedIn
from mcp_server_drive.google_api import Connections, Patience
from mcp_server_drive.server import build_server
from mcp_server_drive.settings import Settings
from mcp_server_drive.tokens import TokenStore
from mcp_server_shared.errors import ERROR_META_KEY, Unauthenticated

ME = "me@example.com"
NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}  # whoever runs the tests may have one


@pytest.fixture(scope="module")
def sign_in_service() -> Iterator[Emulator]:
    """Yield Google's sign-in as `emulate` has it: it checks PKCE, and each code is good once."""
    with emulated("google", {"google": {"users": [{"email": ME, "name": "Me"}]}}) as service:
        yield service


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def client_file(tmp_path: Path, base: str, kind: str = "installed", path: str = "/oauth2/token") -> Path:
    """Write the JSON that Google gives out for a client."""
    client = {
        "client_id": "client",
        "client_secret": "of no worth",
        "auth_uri": f"{base}/o/oauth2/v2/auth",
        "token_uri": f"{base}{path}",
        "redirect_uris": ["http://localhost"],
    }
    file = tmp_path / "client.json"
    file.write_text(json.dumps({kind: client}))
    return file


def agree(address: str) -> str:
    """Do what a person does in the browser; return the address that it ends at."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["code_challenge_method"] == "S256"
    form = urlencode({**asked, "email": ME})
    callback = address.partition("?")[0] + "/callback"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    reply = urllib3.request("POST", callback, body=form, headers=headers, redirect=False)
    assert reply.status == 302, reply.data
    return reply.headers["location"]


def auth(folder: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start the command."""
    command = [sys.executable, "-u", "-m", "mcp_server_drive", "auth", "--token-folder", str(folder), *arguments]
    inherited = {name: value for name, value in os.environ.items() if name not in {"BROWSER", "DISPLAY"}}
    variables = {**inherited, "OAUTHLIB_INSECURE_TRANSPORT": "1", "NO_COLOR": "1", **NO_KEYRING, **environment}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=variables)


def read_address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("http"):
            return line.strip()
    raise AssertionError(process.communicate())


@pytest.fixture
def google_for_others(google: FakeGoogle) -> FakeGoogle:
    """Return a Drive that takes the tokens of the other sign-in service."""
    google.oauth.trusted = {"drive.readonly"}
    return google


def test_a_pasted_address_signs_in_and_the_token_is_the_owners_alone(
    sign_in_service: Emulator, google_for_others: FakeGoogle, tmp_path: Path, folder: Path
) -> None:
    client = client_file(tmp_path, sign_in_service.url)
    arguments = ("--client", str(client), "--scope", "drive.readonly", "--headless", "--api-url", google_for_others.url)
    with auth(folder, *arguments) as process:
        ended_at = agree(read_address(process))
        out, err = process.communicate(ended_at + "\n")
    assert (process.returncode, "Signed in as me@example.com" in out) == (0, True), out + err
    kept = TokenStore(folder).load("default")
    assert kept["refresh_token"]
    assert [
        stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "default.json", folder / "oauth-client")
    ] == [
        0o700,
        0o600,
        0o600,
    ]


def test_a_browser_on_this_machine_signs_in_and_the_kept_client_is_used_again(
    sign_in_service: Emulator, google_for_others: FakeGoogle, tmp_path: Path, folder: Path
) -> None:
    browser = tmp_path / "browser.py"
    browser.write_text(
        textwrap.dedent(f"""\
        import sys
        sys.path[:0] = {sys.path!r}
        import urllib3
        from urllib.parse import parse_qs, urlencode, urlsplit
        address = sys.argv[1]
        asked = {{name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}}
        form = urlencode({{**asked, "email": {ME!r}}})
        headers = {{"content-type": "application/x-www-form-urlencoded"}}
        callback = address.partition("?")[0] + "/callback"
        reply = urllib3.request("POST", callback, body=form, headers=headers, redirect=False)
        urllib3.request("GET", reply.headers["location"])
        """)
    )
    client = client_file(tmp_path, sign_in_service.url)
    TokenStore(folder).keep_client("oauth-client", json.loads(client.read_text()))
    arguments = ("--account", "work", "--scope", "drive.readonly", "--api-url", google_for_others.url)
    with auth(folder, *arguments, BROWSER=f"{sys.executable} {browser} %s &") as process:
        out, err = process.communicate()
    assert (process.returncode, "called 'work' here" in out) == (0, True), out + err
    assert TokenStore(folder).names() == ["work"]


def test_an_address_with_another_state_is_refused(sign_in_service: Emulator, tmp_path: Path, folder: Path) -> None:
    client = client_file(tmp_path, sign_in_service.url)
    with auth(folder, "--client", str(client), "--scope", "drive.readonly", "--headless") as process:
        ended_at = agree(read_address(process))
        out, _ = process.communicate(re.sub(r"state=[^&]*", "state=planted", ended_at) + "\n")
    assert (process.returncode, TokenStore(folder).names()) == (1, []), out


def test_a_device_signs_in_by_code_with_the_one_scope_that_google_allows_for_that(
    google: FakeGoogle, tmp_path: Path, folder: Path
) -> None:
    client = client_file(tmp_path, google.url, path="/token")
    arguments = ("--client", str(client), "--device", "--api-url", google.url)
    with auth(folder, *arguments) as process:
        out, err = process.communicate()
    assert (process.returncode, "enter ABCD-EFGH" in out) == (0, True), out + err
    assert TokenStore(folder).load("default")["granted_scopes"] == ["https://www.googleapis.com/auth/drive.file"]


def test_a_client_for_websites_is_refused_with_the_right_type(tmp_path: Path, folder: Path) -> None:
    with auth(folder, "--client", str(client_file(tmp_path, "http://127.0.0.1:1", "web"))) as process:
        out, _ = process.communicate()
    assert (process.returncode, "Web application" in out) == (1, True)


def test_without_a_client_a_person_is_walked_through_making_one(folder: Path) -> None:
    with auth(folder) as process:
        out, _ = process.communicate("/nowhere.json\n")
    assert process.returncode == 1
    assert "ENDS AFTER SEVEN" in out
    assert "Desktop app" in out


def test_a_person_is_asked_again_until_the_answer_is_one_and_offered_what_the_browser_saved(
    google: FakeGoogle, tmp_path: Path, folder: Path
) -> None:
    downloads = tmp_path / "Downloads"
    downloads.mkdir()
    (tmp_path / "my notes.json").write_text("[]")
    client_file(tmp_path, google.url, path="/token").rename(downloads / "client_secret_1.json")
    answers = ["/nowhere.json", f"'{tmp_path}/my notes.json'", f"{tmp_path}/my\\ notes.json", "", "5", "two", ""]
    with auth(folder, "--headless", HOME=str(tmp_path)) as process:
        out, _ = process.communicate("\n".join([*answers, ""]))
    assert out.count("cannot be read as JSON") == 1
    assert out.count("not the JSON of a client") == 2
    assert out.count("Number [2]") == 3
    assert f"[{downloads / 'client_secret_1.json'}]" in out
    assert "scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdrive.readonly&" in out
    assert (process.returncode, "Nothing was changed." in out) == (1, True)


def test_without_accounts_the_list_says_so(folder: Path) -> None:
    with auth(folder, "--list") as process:
        assert process.communicate()[0] == "No account is signed in.\n"


def test_a_token_that_others_may_read_is_not_used(google: FakeGoogle, folder: Path) -> None:
    keep_token(folder, google.url, google.oauth, "drive.readonly")
    (folder / "default.json").chmod(0o644)
    with pytest.raises(Unauthenticated, match="Others on this machine"):
        TokenStore(folder).load("default")


def test_a_token_is_renewed_once_for_many_threads_and_kept_for_the_next_process(
    google: FakeGoogle, folder: Path
) -> None:
    keep_token(folder, google.url, google.oauth, "drive.readonly")
    expire(folder)
    accounts = [Account(SignedIn("default", TokenStore(folder)), Connections()) for _ in range(2)]
    headers: list[dict[str, str]] = [{} for _ in range(16)]

    async def all_at_once() -> None:
        threads = [
            asyncio.to_thread(accounts[number % 2].authorize, each, Patience(30)) for number, each in enumerate(headers)
        ]
        await asyncio.gather(*threads)

    asyncio.run(all_at_once())
    assert google.oauth.granted == 1
    assert len({each["authorization"] for each in headers}) == 1
    assert TokenStore(folder).load("default")["token"] == headers[0]["authorization"].removeprefix("Bearer ")


def expire(folder: Path, name: str = "default") -> None:
    store = TokenStore(folder)
    store.save(name, store.load(name) | {"expiry": "2020-01-01T00:00:00"})


class Keyring:
    """A keyring in memory, where the package would be."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, name: str, secret: str) -> None:
        self.kept[service, name] = secret

    def get_password(self, service: str, name: str) -> str | None:
        return self.kept.get((service, name))

    def delete_password(self, service: str, name: str) -> None:
        del self.kept[service, name]


def test_in_a_keyring_the_secrets_are_not_in_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    ours = Keyring()
    for name in ("set_password", "get_password", "delete_password"):
        monkeypatch.setattr(keyring, name, getattr(ours, name))
    store = tokens.TokenStore(folder)
    store.save("default", {"refresh_token": "r", "token": "t", "client_secret": "c", "scopes": [], "keyring": True})
    assert set(json.loads((folder / "default.json").read_text())) == {"scopes", "keyring"}
    assert store.load("default")["refresh_token"] == "r"  # noqa: S105 - of no worth
    store.remove("default")
    assert ours.kept == {}


@pytest.mark.anyio
async def test_consent_that_was_taken_back_is_told_with_what_to_do(
    google: FakeGoogle, sign_in: Callable[..., dict[str, Any]]
) -> None:
    settings = Settings(**sign_in(google))
    expire(settings.token_folder)
    google.oauth.refreshes.clear()
    async with Client(build_server(settings)) as client:
        result = await client.call_tool("search_drive", {})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "unauthenticated"
    assert "mcp-server-drive auth --account default" in str(result.content)


@pytest.mark.anyio
async def test_of_several_accounts_one_has_to_be_named(
    google: FakeGoogle, sign_in: Callable[..., dict[str, Any]]
) -> None:
    sign_in(google, name="home")
    async with Client(build_server(Settings(**sign_in(google, name="work")))) as client:
        unnamed = await client.call_tool("search_drive", {})
        named = await client.call_tool("search_drive", {"account": "work"})
    assert "account" in str(unnamed.content)
    assert (unnamed.is_error, named.is_error) == (True, False)


def robot(google: FakeGoogle, path: Path) -> Path:
    """Write the key file of a service account."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65_537, 2_048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {"type": "service_account", "client_email": "robot@example.com", "private_key": key.decode()}
    path.write_text(json.dumps({**info, "token_uri": f"{google.url}/token"}))
    return path


@pytest.mark.anyio
async def test_a_service_account_acts_as_a_user(google: FakeGoogle, tmp_path: Path) -> None:
    path = robot(google, tmp_path / "robot.json")
    settings = Settings(google_application_credentials=path, impersonate="boss@example.com", api_url=google.url)
    async with Client(build_server(settings)) as client:
        result = await client.call_tool("search_drive", {})
    assert not result.is_error
    assert google.oauth.subjects == ["boss@example.com"]


@pytest.mark.anyio
async def test_the_application_default_credentials_are_those_of_gcloud(
    google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    robot(google, tmp_path / "application_default_credentials.json")
    async with Client(build_server(Settings(application_default=True, api_url=google.url))) as client:
        result = await client.call_tool("search_drive", {})
    assert not result.is_error
    assert [access.scopes for access in google.oauth.tokens.values()] == [{"drive.readonly"}]  # not all there are


@pytest.mark.anyio
async def test_without_application_default_credentials_the_error_says_so(
    google: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # no machine of Google's is looked for
    async with Client(build_server(Settings(application_default=True, api_url=google.url))) as client:
        result = await client.call_tool("search_drive", {})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "unauthenticated"
    assert "mcp-server-drive auth" in str(result.content)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", "no credential file"),
        ("[]", "no credential file"),
        ('{"type": "service_account"}', "no credential file"),
        ('{"installed": {}}', "for `mcp-server-drive auth`"),
        (None, "is not there"),
    ],
)
async def test_a_credential_file_that_is_none_is_told_what_it_should_be(
    google: FakeGoogle, tmp_path: Path, content: str | None, told: str
) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    async with Client(build_server(Settings(google_application_credentials=path, api_url=google.url))) as client:
        result = await client.call_tool("search_drive", {})
    assert (result.meta or {})[ERROR_META_KEY]["code"] == "unauthenticated"
    assert told in str(result.content)


def test_check_names_a_missing_scope_and_an_api_that_is_not_enabled(
    google: FakeGoogle, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    keep_token(folder, google.url, google.oauth, "drive.readonly")
    google.disabled.add("sheets")
    command = [
        sys.executable,
        "-m",
        "mcp_server_drive",
        "check",
        "--token-folder",
        str(folder),
        "--api-url",
        google.url,
    ]
    done = subprocess.run([*command, "--allow-write"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "It lacks drive.file" in done.stdout
    assert "Sheets API is not enabled" in done.stdout
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
