"""What `check` finds out: who the server is for Google, what it may do, what it lacks and what it has too much."""

from collections.abc import Iterator, Sequence

from anyio.to_thread import run_sync
from mcp_server_shared.catalog import Finding
from mcp_server_shared.errors import ExpectedError, NotFound

from mcp_server_drive.accounts import pick
from mcp_server_drive.drive import Drive
from mcp_server_drive.files import Files
from mcp_server_drive.google_api import ApiDisabled, Patience

_PATIENCE_S = 30.0
_PREFIX = "https://www.googleapis.com/auth/"
_MEANING = {
    "drive.file": "files that this application made or was given, to read and to change",
    "drive.readonly": "everything that the account can see, to read",
    "drive": "everything that the account can see, to read and to change",
}
_NO_SUCH_ID = "0" * 44


async def findings(drive: Drive, scopes: Sequence[str]) -> list[Finding]:
    """Try every account.

    Args:
        drive: the accounts.
        scopes: what the settings need.
    """
    pick(drive.accounts, None)
    found: list[Finding] = []
    for name in drive.accounts:
        found += await run_sync(_account, drive, name, scopes)
    return found


async def unusable(drive: Drive, writing: Sequence[str]) -> dict[str, str]:
    """Say which tools no account has the scope for; `writing` are those that change something."""

    def granted() -> set[str]:
        known = (account.granted(Patience(_PATIENCE_S)) for account in drive.accounts.values())
        return {scope for scopes in known for scope in scopes or (_PREFIX + "drive",)}

    may_write = {_PREFIX + "drive", _PREFIX + "drive.file"} & await run_sync(granted)
    return {} if may_write else dict.fromkeys(writing, "It lacks the scope drive.file, or drive for all files.")


def _account(drive: Drive, name: str, scopes: Sequence[str]) -> list[Finding]:
    files = drive.files(Patience(_PATIENCE_S), name)
    try:
        found = [Finding("ok", f"Account '{name}' is {drive.own_address(files)}.")]
        found += _scopes(name, scopes, drive.accounts[name].granted(files.pace))
    except ExpectedError as error:
        return [Finding("problem", f"Account '{name}': {error.message}", error.hint)]
    return [*found, *_apis(files), *_folders(files)]


def _scopes(name: str, needed: Sequence[str], granted: Sequence[str] | None) -> Iterator[Finding]:
    if granted is None:
        yield Finding("warning", "It is not known what the credential may do.")
        return
    for scope in needed:
        yield Finding("ok", f"It needs {_short(scope)}: {_MEANING[_short(scope)]}.")
    everything = _PREFIX + "drive" in granted
    missing = [] if everything else [scope for scope in needed if scope not in granted]
    sign_in = f"mcp-server-drive auth --account {name} --scope {_short(needed[0])}"
    sign_in += " --allow-write" if len(needed) > 1 else ""
    if missing:
        yield Finding("problem", f"It lacks {', '.join(map(_short, missing))}.", sign_in)
    beyond = [scope for scope in granted if scope.startswith(_PREFIX + "drive") and scope not in needed]
    if beyond:
        yield Finding(
            "warning",
            f"It has more than it needs: {', '.join(map(_short, beyond))}.",
            f"Sign in again with less: {sign_in}. Or start with --scope drive if all of it is wanted.",
        )


def _apis(files: Files) -> Iterator[Finding]:
    """Ask each API for something that does not exist: one that is enabled says so."""
    requests = files.api.requests
    asked = {
        "Docs": requests.documents.get(documentId=_NO_SUCH_ID),
        "Sheets": requests.spreadsheets.get(spreadsheetId=_NO_SUCH_ID),
        "Slides": requests.presentations.get(presentationId=_NO_SUCH_ID),
    }
    for api, request in asked.items():
        try:
            files.api.read(request, files.pace)
        except ApiDisabled:
            yield Finding(
                "warning",
                f"The Google {api} API is not enabled in the credential's project: exports are read instead.",
                f"Enable it: https://console.cloud.google.com/apis/library/{api.lower()}.googleapis.com",
            )
        except NotFound:
            continue
        except ExpectedError as error:
            yield Finding("warning", f"The Google {api} API answers: {error.message}", error.hint)


def _folders(files: Files) -> Iterator[Finding]:
    for folder in files.folders:
        try:
            yield Finding("ok", f"Limited to the folder '{files.get(folder).name}' ({folder}).")
        except ExpectedError:
            yield Finding("problem", f"The folder {folder} is not there, or the account may not see it.")


def _short(scope: str) -> str:
    return scope.removeprefix(_PREFIX)
