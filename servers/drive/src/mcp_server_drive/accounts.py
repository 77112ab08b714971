"""The Google accounts that the server acts as, and their tokens, each renewed by one at a time."""

# google-auth ships few types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mcp_server_shared.errors import NotFound, Unauthenticated, Unavailable

from mcp_server_drive.google_api import SIGN_IN, Connections, Pace
from mcp_server_drive.tokens import TokenStore

_LONGEST_RENEWAL_S = 20.0
_EXPIRED = (
    "It expired or was taken back: consent to an application in testing mode ends after seven days. "
    "The operator runs: mcp-server-drive auth --account {name}"
)


class CredentialSource(Protocol):
    """Where an account's credential comes from."""

    name: str

    def load(self) -> Any:
        """Return google-auth's credentials."""
        ...

    def renew(self, credentials: Any, request: Callable[..., Any], pace: Pace) -> Any:
        """Return credentials with a new token."""
        ...


class SignedIn:
    """An account that `auth` signed in; several processes may use it at the same time.

    Args:
        name: as it was called then.
        store: where it is kept.
    """

    def __init__(self, name: str, store: TokenStore) -> None:
        self.name = name
        self._store = store

    def load(self) -> Any:
        """Return google-auth's credentials."""
        return _user_credentials(self._store.load(self.name))

    def renew(self, credentials: Any, request: Callable[..., Any], pace: Pace) -> Any:
        """Return the token that another process got meanwhile, or a new one."""
        with self._store.locked(self.name, pace.remaining_s()):
            kept = self._store.load(self.name)
            latest = _user_credentials(kept)
            if latest.valid and latest.token != credentials.token:
                return latest
            latest.refresh(request)
            renewed = {"token": latest.token, "refresh_token": latest.refresh_token, "expiry": _written(latest.expiry)}
            self._store.save(self.name, kept | renewed)
            return latest


class CredentialFile:
    """A service account's key, or another credential file.

    Args:
        path: the file; None for the application default credentials.
        scopes: what tokens are asked for.
        subject: the user to act as.
    """

    name = "default"

    def __init__(self, path: Path | None, scopes: Sequence[str], subject: str | None) -> None:
        self._path = path
        self._scopes = scopes
        self._subject = subject

    def load(self) -> Any:
        """Return google-auth's credentials."""
        credentials = self._from_file(self._path) if self._path else self._from_environment()
        if self._subject is None:
            return credentials
        if not hasattr(credentials, "with_subject"):
            raise Unauthenticated("Only a service account can act as a user.", hint="Leave --impersonate out.")
        return credentials.with_subject(self._subject)

    def renew(self, credentials: Any, request: Callable[..., Any], pace: Pace) -> Any:
        """Return the same credentials with a new token."""
        credentials.refresh(request)
        return credentials

    def _from_file(self, path: Path) -> Any:
        from google.oauth2 import credentials, service_account

        try:
            info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if info.get("type") == "service_account":
                return service_account.Credentials.from_service_account_info(info, scopes=self._scopes)
            if info.get("type") == "authorized_user":
                return credentials.Credentials.from_authorized_user_info(info, scopes=self._scopes)
        except FileNotFoundError:
            raise Unauthenticated("The file that GOOGLE_APPLICATION_CREDENTIALS names is not there.") from None
        except (OSError, ValueError, AttributeError):
            raise Unauthenticated("The file that GOOGLE_APPLICATION_CREDENTIALS names is no credential file.") from None
        raise Unauthenticated(
            "The file that GOOGLE_APPLICATION_CREDENTIALS names is neither a service account's key nor a user's.",
            hint="Other kinds need --application-default; a client's file is for `mcp-server-drive auth`.",
        )

    def _from_environment(self) -> Any:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError

        try:
            return google.auth.default(scopes=self._scopes)[0]
        except DefaultCredentialsError:
            raise Unauthenticated("There are no application default credentials here.", hint=SIGN_IN) from None


class Account:
    """One account: puts its token on requests.

    Args:
        source: its credential.
        connections: what reaches Google for a new token.
    """

    def __init__(self, source: CredentialSource, connections: Connections) -> None:
        self.name = source.name
        self._source = source
        self._connections = connections
        self._lock = threading.Lock()
        self._credentials: Any = None

    def authorize(self, headers: dict[str, str], pace: Pace) -> None:
        """Add the header, with a token that is good for a while."""
        with self._locked(pace):
            if self._credentials is None:
                self._credentials = self._source.load()
            if not self._credentials.valid:
                self._renew(pace)
            headers["authorization"] = f"Bearer {self._credentials.token}"

    def renew(self, refused: str, pace: Pace) -> None:
        """Get another token in place of one that was refused, unless somebody else just did."""
        with self._locked(pace):
            if refused == f"Bearer {self._credentials.token}":
                self._renew(pace)

    def granted(self, pace: Pace) -> list[str] | None:
        """Return the scopes that the person agreed to; None where that is not known."""
        headers: dict[str, str] = {}
        self.authorize(headers, pace)
        granted = getattr(self._credentials, "granted_scopes", None) or self._credentials.scopes
        return list(granted) if granted else None

    @contextmanager
    def _locked(self, pace: Pace) -> Generator[None]:
        if not self._lock.acquire(timeout=pace.remaining_s()):
            raise Unavailable("Another call is still renewing the token of this account.")
        try:
            yield
        finally:
            self._lock.release()

    def _renew(self, pace: Pace) -> None:
        from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
        from google.auth.transport.urllib3 import Request

        request = Request(self._connections.pool)

        def timed(*args: Any, **options: Any) -> Any:
            pace.checkpoint()
            return request(*args, **options | {"timeout": min(_LONGEST_RENEWAL_S, max(0.1, pace.remaining_s()))})

        try:
            self._credentials = self._source.renew(self._credentials, timed, pace)
        except TransportError:
            raise Unavailable("Google's sign-in service cannot be reached.", hint="Check the network.") from None
        except RefreshError as error:
            if error.retryable:
                raise Unavailable("Google's sign-in service cannot renew the token now.") from None
            # Not what it says: the answer of a token endpoint is nobody else's to read.
            raise Unauthenticated(
                f"Google no longer accepts the credential of account '{self.name}'.",
                hint=_EXPIRED.format(name=self.name) if isinstance(self._source, SignedIn) else SIGN_IN,
            ) from None
        except GoogleAuthError:
            raise Unauthenticated("This credential cannot be used.", hint=SIGN_IN) from None


def pick(accounts: Mapping[str, Any], name: str | None) -> Any:
    """Return the account of a name, or the only one.

    Raises:
        Unauthenticated: there is none.
        NotFound: there is none of that name.
    """
    if not accounts:
        raise Unauthenticated("No Google account is signed in.", hint=SIGN_IN)
    if name is not None and name not in accounts:
        raise NotFound("There is no account of that name.", hint=f"There is: {', '.join(accounts)}.")
    return accounts[name] if name is not None else next(iter(accounts.values()))


def _user_credentials(kept: dict[str, Any]) -> Any:
    from datetime import datetime

    from google.oauth2.credentials import Credentials

    expiry = kept.get("expiry")
    return Credentials(
        kept.get("token"),
        refresh_token=kept.get("refresh_token"),
        token_uri=kept.get("token_uri"),
        client_id=kept.get("client_id"),
        client_secret=kept.get("client_secret"),
        scopes=kept.get("scopes"),
        granted_scopes=kept.get("granted_scopes"),
        expiry=datetime.fromisoformat(expiry) if expiry else None,  # UTC without saying so, as google-auth has it
    )


def _written(expiry: Any) -> str | None:
    return expiry.isoformat() if expiry else None
