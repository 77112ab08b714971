"""Who the server is to GitHub: the holder of a token, an installation of an App, or nobody."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp_server_shared.errors import NotFound, Unauthenticated

HOW_TO_AUTHENTICATE = "Set GITHUB_TOKEN, or GITHUB_TOKEN_FILE to the path of a file that holds the token."

_RENEWED_BEFORE = timedelta(minutes=2)
_LONG_AGO = datetime.fromtimestamp(0, UTC)

Ask = Callable[[str, str, Any, str], Any]
"""Makes one request: verb, path, body, Authorization."""


@dataclass
class NoCredential:
    """Nobody: GitHub shows what is public, 60 requests an hour."""

    kind = "none"

    def authorization(self, ask: Ask) -> str:
        """Return the header's value."""
        return ""


@dataclass
class Token:
    """A classic token, a fine-grained one, or what an OAuth app was given."""

    secret: str = field(repr=False)

    @property
    def kind(self) -> str:
        """What the token says of itself by how it begins."""
        kinds = {"ghp_": "classic token", "github_pat_": "fine-grained token", "gho_": "OAuth token"}
        kinds |= {"ghs_": "installation token", "ghu_": "user token of an App"}
        return next((kind for prefix, kind in kinds.items() if self.secret.startswith(prefix)), "token")

    def authorization(self, ask: Ask) -> str:
        """Return the header's value."""
        return f"Bearer {self.secret}"


@dataclass
class App:
    """An installation of a GitHub App, with no more of its permissions than the grants need.

    Attributes:
        permissions: those asked for, "contents" → "read" or "write".
    """

    app_id: str
    private_key: str = field(repr=False)
    installation_id: int | None
    permissions: dict[str, str]
    kind = "GitHub App"
    held: dict[str, str] = field(default_factory=dict[str, str])
    _token: str = field(default="", repr=False)
    _expires: datetime = _LONG_AGO
    _renewing: threading.Lock = field(default_factory=threading.Lock)

    def authorization(self, ask: Ask) -> str:
        """Return the header's value, with a token of an hour that is renewed in time."""
        with self._renewing:
            if datetime.now(UTC) > self._expires - _RENEWED_BEFORE:
                self._renew(ask)
            return f"Bearer {self._token}"

    def _renew(self, ask: Ask) -> None:
        as_app = f"Bearer {self._signed()}"
        installation = self._installation(ask, as_app)
        self.held = _common(installation.get("permissions", {}), self.permissions)
        path = f"/app/installations/{installation['id']}/access_tokens"
        made = ask("POST", path, {"permissions": self.held}, as_app)
        self._token, self._expires = made["token"], datetime.fromisoformat(made["expires_at"])

    def _signed(self) -> str:
        from github.Auth import AppAuth
        from jwt.exceptions import InvalidKeyError

        try:
            return AppAuth(self.app_id, self.private_key).create_jwt()
        except InvalidKeyError as error:
            raise Unauthenticated(
                "The private key of the GitHub App is not usable.",
                hint="GITHUB_APP_PRIVATE_KEY is the whole PEM file that GitHub made, line breaks and all.",
            ) from error

    def _installation(self, ask: Ask, as_app: str) -> dict[str, Any]:
        if self.installation_id is not None:
            with suppress(NotFound):
                return ask("GET", f"/app/installations/{self.installation_id}", None, as_app)
        known = ask("GET", "/app/installations", None, as_app)
        if self.installation_id is not None or len(known) != 1:
            ids = ", ".join(str(one["id"]) for one in known) or "none"
            raise Unauthenticated(
                f"The GitHub App has no single installation to act for (there are: {ids}).",
                hint="Name it in GITHUB_APP_INSTALLATION_ID, or install the App on the account.",
            )
        return known[0]


def _common(held: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    order = ("read", "write", "admin")
    return {name: min(held[name], level, key=order.index) for name, level in wanted.items() if name in held}


Credential = NoCredential | Token | App
