"""`auth`: a person signs in to a Google account, and the server may act for it from then on."""

# The library ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from mcp_server_shared.errors import ExpectedError, InvalidArgument, NotFound, Unauthenticated, Unavailable

from mcp_server_drive.accounts import Account, SignedIn
from mcp_server_drive.files import Files
from mcp_server_drive.google_api import Connections, GoogleApi, Patience, requests_to
from mcp_server_drive.tokens import NAME, TokenStore, has_keyring

GUIDE = """\
This takes an OAuth client of your own, once, about five minutes:

1. Make a project:           https://console.cloud.google.com/projectcreate
2. Enable four APIs in it:   https://console.cloud.google.com/apis/library
   Google Drive API, Google Docs API, Google Sheets API, Google Slides API
3. Say who may use it:       https://console.cloud.google.com/auth/audience
   "Internal", if your organisation uses Google Workspace: nothing expires.
   "External" begins in testing mode: add yourself as a test user. What you agree to in testing mode ENDS AFTER SEVEN
   DAYS. To avoid that, press "Publish app" on the same page; for an application of your own Google need not verify
   it, it only warns you once when you sign in.
4. Make a client:            https://console.cloud.google.com/auth/clients
   of the type "Desktop app" ("TVs and limited input devices" for --device), and download its JSON.
"""
SCOPES = {
    "drive.file": "only files that this server makes, and nothing else: the smallest choice, no warning by Google",
    "drive.readonly": "read everything that you can see (with --allow-write: and change what this server made)",
    "drive": "read and change everything that you can",
}

_PREFIX = "https://www.googleapis.com/auth/"
_CLIENT_FILE = "oauth-client"
_HEADLESS_REDIRECT = "http://127.0.0.1:8765/"  # nobody listens there: the person copies the address
_WAIT_S = 600
_PATIENCE_S = 30.0
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_PENDING = {"authorization_pending", "slow_down"}


class Chosen(Protocol):
    """What the operator decided, as far as signing in needs it."""

    scope: Any
    api_url: str | None

    def scopes(self) -> list[str]:
        """Return the scopes to ask for."""
        ...

    def tokens(self) -> Path:
        """Return the folder of the tokens."""
        ...


def run(arguments: Sequence[str], load: Callable[[list[str]], Chosen]) -> int:
    """Run the command; return its exit code.

    Args:
        arguments: of the command.
        load: reads the settings of the server from flags.
    """
    from mcp_server_shared.commands.console import say

    options = _options(arguments)
    chosen = load(_flags(options))
    store = TokenStore(chosen.tokens())
    try:
        if options.list:
            if not store.names():
                say("No account is signed in.")
            for name in store.names():
                say(f"{name}: {', '.join(map(_short, store.load(name).get('granted_scopes') or ()))}")
        elif options.remove:
            store.remove(options.remove)
            say("Forgotten. To take the consent back as well: https://myaccount.google.com/connections")
        else:
            _sign_in(options, chosen, load, store)
    except ExpectedError as error:
        say(f"✗ {error.text()}")
        return 1
    except (KeyboardInterrupt, EOFError):
        say("\nNothing was changed.")
        return 1
    return 0


def _options(arguments: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="mcp-server-drive auth", add_help=False)
    parser.add_argument("--account", default="default")
    parser.add_argument("--client", type=Path)
    parser.add_argument("--scope", choices=list(SCOPES))
    parser.add_argument("--allow-write", action="store_true")
    parser.add_argument("--token-folder")
    parser.add_argument("--api-url")
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--device", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--remove", metavar="NAME")
    return parser.parse_args(arguments)


def _flags(options: Any) -> list[str]:
    named = {"--scope": options.scope, "--token-folder": options.token_folder, "--api-url": options.api_url}
    flags = [word for flag, value in named.items() if value for word in (flag, value)]
    return flags + (["--allow-write"] if options.allow_write else [])


def _sign_in(options: Any, chosen: Chosen, load: Callable[[list[str]], Chosen], store: TokenStore) -> None:
    from mcp_server_shared.commands.console import say

    if not NAME.fullmatch(options.account):
        raise InvalidArgument("An account's name has lower-case letters, digits, '-', '_' and '.', 64 at most.")
    client = _client(options.client, store)
    if options.scope is None and not options.device:
        options.scope = _ask_scope(chosen.scope)
        chosen = load(_flags(options))
    scopes = [_PREFIX + "drive.file"] if options.device else chosen.scopes()
    if options.device:
        token = _by_device(client, scopes)
    else:
        token = _by_browser(client, scopes, headless=options.headless, again=_has_refresh_token(store, options.account))
    kept = {**_client_facts(client), **token, "keyring": has_keyring()}
    if not kept.get("refresh_token"):
        kept["refresh_token"] = store.load(options.account)["refresh_token"]
    store.save(options.account, kept)
    address = _address(chosen.api_url, store, options.account)
    say(f"✓ Signed in as {address}; called '{options.account}' here.")
    missing = set(scopes) - set(token["granted_scopes"])
    if missing:
        say(f"! You did not agree to {', '.join(map(_short, missing))}: sign in again and tick it, or do without.")
    say("  The token is in " + ("the keyring." if kept["keyring"] else f"{store.folder}, readable by you alone."))
    say("  Next: mcp-server-drive check")


def _client(path: Path | None, store: TokenStore) -> dict[str, Any]:
    """Return the OAuth client, imported from its JSON the first time."""
    known = store.folder / _CLIENT_FILE
    if path is None and known.exists():
        return json.loads(known.read_text(encoding="utf-8"))
    client = {"installed": _asked_client() if path is None else _read_client(path)}
    store.keep_client(_CLIENT_FILE, client)
    return client


def _asked_client() -> dict[str, Any]:
    """Walk a person through making a client, and ask for its JSON until it is one."""
    from mcp_server_shared.commands.console import say

    say(GUIDE)
    downloaded = _downloaded()
    while True:
        answer = input(f"Where is the JSON?{f' [{downloaded}]' if downloaded else ''} ").strip().strip("'\"")
        path = Path(answer.replace("\\ ", " ")).expanduser() if answer else downloaded  # as a terminal takes a drop
        if path is None:
            continue
        try:
            return _read_client(path)
        except InvalidArgument as error:
            say(f"✗ {error.text()}")


def _downloaded() -> Path | None:
    """Return the client's JSON that a browser saved last, by the name that Google gives it."""
    try:
        return max((Path.home() / "Downloads").glob("client_secret*.json"), key=lambda path: path.stat().st_mtime)
    except (OSError, ValueError, RuntimeError):
        return None


def _read_client(path: Path) -> dict[str, Any]:
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InvalidArgument(
            f"{path} cannot be read as JSON.", hint="Download it again from the page of step 4."
        ) from None
    client: Any = told.get("installed") if isinstance(told, dict) else None
    if not isinstance(client, dict) or not {"client_id", "client_secret", "auth_uri", "token_uri"} <= client.keys():
        raise InvalidArgument(
            "This is not the JSON of a client for desktop applications or devices.",
            hint="A client of the type 'Web application' does not work here; make one as step 4 says.",
        )
    return client


def _ask_scope(default: str) -> str:
    from mcp_server_shared.commands.console import say

    say("What may the server do?")
    choices = list(SCOPES)
    for number, scope in enumerate(choices, 1):
        say(f"  {number}. {scope}: {SCOPES[scope]}")
    usual = choices.index(default) + 1
    while True:
        answer = input(f"Number [{usual}]: ").strip() or str(usual)
        if answer.isdecimal() and 0 < int(answer) <= len(choices):
            return choices[int(answer) - 1]


def _by_browser(client: dict[str, Any], scopes: list[str], *, headless: bool, again: bool) -> dict[str, Any]:
    """Sign in with a browser, of this machine or another; the code is bound to this process (PKCE)."""
    from google_auth_oauthlib.flow import InstalledAppFlow
    from oauthlib.oauth2 import OAuth2Error

    flow = InstalledAppFlow.from_client_config(client, scopes, autogenerate_code_verifier=True)
    # Without a consent screen Google gives no refresh token; with one, consumer accounts lose those they gave before.
    asked: dict[str, Any] = {} if again else {"prompt": "consent"}
    try:
        if headless or not _has_browser():
            _paste(flow, asked)
        else:
            flow.run_local_server(
                host="127.0.0.1",
                port=0,
                authorization_prompt_message="Sign in in the browser. If it does not open, visit:\n\n{url}\n",
                success_message="Signed in. You can close this window.",
                timeout_seconds=_WAIT_S,
                **asked,
            )
    except Warning as changed:  # the person agreed to less than was asked for
        flow.oauth2session.token = getattr(changed, "token", {})
    except OAuth2Error as error:
        raise Unauthenticated("Google did not sign you in.", untrusted=error.description or error.error or "") from None
    except AttributeError:  # how the library says that nobody came
        raise Unavailable("Nobody signed in within ten minutes.") from None
    token: dict[str, Any] = flow.oauth2session.token
    return _token(token, scopes)


def _has_browser() -> bool:
    import webbrowser

    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def _paste(flow: Any, asked: dict[str, Any]) -> None:
    from mcp_server_shared.commands.console import say

    flow.redirect_uri = _HEADLESS_REDIRECT
    url, _ = flow.authorization_url(access_type="offline", **asked)
    say(f"Visit this address in any browser and sign in:\n\n{url}\n")
    say("It ends at a page that cannot be reached. Copy that page's whole address here.")
    address = input("Address: ").strip()
    if "code=" not in address and "error=" not in address:
        raise InvalidArgument("That is not the address of the page where it ended.", hint="It has code=… in it.")
    flow.fetch_token(authorization_response=address.replace("http://", "https://", 1))


def _by_device(client: dict[str, Any], scopes: list[str]) -> dict[str, Any]:
    """Sign in on another device by a code; of Drive, Google allows the scope drive.file alone for that."""
    from mcp_server_shared.commands.console import say

    told = client["installed"]
    identity = {"client_id": told["client_id"]}
    begun = _ask(told["token_uri"].removesuffix("/token") + "/device/code", identity | {"scope": " ".join(scopes)})
    if "device_code" not in begun:
        raise Unauthenticated(
            "Google does not offer this client to sign in by code.",
            hint="It has to be of the type 'TVs and limited input devices'.",
            untrusted=str(begun.get("error", "")),
        )
    say(f"Visit {begun['verification_url']} on any device and enter {begun['user_code']}")
    until = time.monotonic() + float(begun["expires_in"])
    interval = float(begun["interval"])
    wanted = identity | {"client_secret": told["client_secret"], "device_code": begun["device_code"]}
    while time.monotonic() < until:
        time.sleep(interval)
        answer = _ask(told["token_uri"], wanted | {"grant_type": _DEVICE_GRANT})
        if "access_token" in answer:
            return _token(answer, scopes)
        if answer.get("error") not in _PENDING:
            raise Unauthenticated("Google did not sign you in.", untrusted=str(answer.get("error", "")))
        interval += 5 * (answer["error"] == "slow_down")
    raise Unavailable("The code has expired.", hint="Start again.")


def _ask(url: str, form: dict[str, str]) -> dict[str, Any]:
    import urllib3

    try:
        reply = Connections().pool.request("POST", url, fields=form, encode_multipart=False, timeout=_PATIENCE_S)
        return reply.json()
    except (urllib3.exceptions.HTTPError, ValueError):
        raise Unavailable("Google's sign-in service cannot be reached.", hint="Check the network.") from None


def _token(told: dict[str, Any], scopes: list[str]) -> dict[str, Any]:
    """Return what is kept of a token endpoint's answer."""
    from datetime import UTC, datetime, timedelta

    granted: Any = told.get("scope") or scopes
    expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=int(told.get("expires_in", 0)))
    return {
        "token": told["access_token"],
        "refresh_token": told.get("refresh_token"),
        "scopes": scopes,
        "granted_scopes": granted.split() if isinstance(granted, str) else list(granted),
        "expiry": expiry.isoformat(),
    }


def _client_facts(client: dict[str, Any]) -> dict[str, Any]:
    return {name: client["installed"].get(name) for name in ("client_id", "client_secret", "token_uri")}


def _has_refresh_token(store: TokenStore, name: str) -> bool:
    try:
        return bool(store.load(name).get("refresh_token"))
    except (NotFound, Unauthenticated):
        return False


def _address(api_url: str | None, store: TokenStore, name: str) -> str:
    connections = Connections()
    api = GoogleApi(requests_to(api_url), connections, Account(SignedIn(name, store), connections))
    return Files(api, Patience(_PATIENCE_S)).own_address()


def _short(scope: str) -> str:
    return scope.removeprefix(_PREFIX)
