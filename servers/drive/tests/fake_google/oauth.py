"""The fake's tokens: who a request is from and what it may, and the endpoint that gives tokens out."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fake_google.storage import OWNER

Json = dict[str, Any]
_PREFIX = "https://www.googleapis.com/auth/"
_DEVICE_SCOPES = {"drive.file", "drive.appdata"}  # the only ones of Drive that Google allows for devices


@dataclass
class Access:
    """One access token."""

    address: str
    scopes: set[str]
    expires: float


@dataclass
class OAuth:
    """The endpoints /token and /device/code.

    Attributes:
        refreshes: refresh tokens, and the scopes each is good for.
        codes: authorization codes, with what they are good for.
        granted: how many tokens were given out.
    """

    tokens: dict[str, Access] = field(default_factory=dict[str, Access])
    refreshes: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    devices: dict[str, Json] = field(default_factory=dict[str, Json])
    granted: int = 0
    subjects: list[str] = field(default_factory=list[str])  # whom service accounts asked to be
    lifetime_s: float = 3_600.0
    trusted: set[str] | None = None  # scopes of a token that somebody else gave out; None refuses such tokens

    def sign_in(self, *scopes: str, address: str = OWNER) -> str:
        """Return an access token for these scopes, by their short names."""
        token = f"access-{len(self.tokens) + 1}"
        self.tokens[token] = Access(address, set(scopes), time.time() + self.lifetime_s)
        return token

    def serves(self, path: str) -> bool:
        """Whether a path belongs to this part."""
        return path in {"/token", "/device/code"}

    def check(self, headers: Any, needed: list[str]) -> Access | tuple[int, str, str]:
        """Return what a request may, or why it is refused."""
        access = self.tokens.get(headers.get("authorization", "").removeprefix("Bearer "))
        if access is None and self.trusted is not None:
            access = Access(OWNER, self.trusted, float("inf"))
        if access is None or access.expires < time.time():
            return 401, "authError", "Invalid Credentials"
        if not {scope.removeprefix(_PREFIX) for scope in needed} & access.scopes:
            return 403, "insufficientPermissions", "Request had insufficient authentication scopes."
        return access

    def answer(self, path: str, raw: bytes) -> tuple[int, Json]:
        """Answer a request for tokens."""
        form = {name: values[0] for name, values in parse_qs(raw.decode()).items()}
        if path == "/device/code":
            return self._device_code(form)
        match form.get("grant_type"):
            case "refresh_token":
                scopes = self.refreshes.get(form["refresh_token"])
                return (400, {"error": "invalid_grant"}) if scopes is None else self._token(scopes)
            case "urn:ietf:params:oauth:grant-type:jwt-bearer":
                claims = _claims(form["assertion"])
                self.subjects.append(claims.get("sub", claims["iss"]))
                return self._token({scope.removeprefix(_PREFIX) for scope in claims["scope"].split()})
            case "urn:ietf:params:oauth:grant-type:device_code":
                device = self.devices[form["device_code"]]
                if not device["agreed"]:
                    device["agreed"] = True  # the person agrees between the first look and the second
                    return 428, {"error": "authorization_pending"}
                return self._token(device["scopes"], refresh=f"refresh-{form['device_code']}")
            case _:
                return 400, {"error": "unsupported_grant_type"}

    def _device_code(self, form: Json) -> tuple[int, Json]:
        scopes = {scope.removeprefix(_PREFIX) for scope in form["scope"].split()}
        if not scopes <= _DEVICE_SCOPES:
            return 400, {"error": "invalid_scope"}
        code = f"device-{len(self.devices) + 1}"
        self.devices[code] = {"scopes": scopes, "agreed": False}
        return 200, {
            "device_code": code,
            "user_code": "ABCD-EFGH",
            "verification_url": "https://www.google.com/device",
            "expires_in": 1800,
            "interval": 0,
        }

    def _token(self, scopes: set[str], refresh: str | None = None) -> tuple[int, Json]:
        self.granted += 1
        told: Json = {
            "access_token": self.sign_in(*scopes),
            "expires_in": int(self.lifetime_s),
            "scope": " ".join(_PREFIX + scope for scope in sorted(scopes)),
            "token_type": "Bearer",
        }
        if refresh:
            self.refreshes[refresh] = scopes
            told["refresh_token"] = refresh
        return 200, told


def _claims(assertion: str) -> Json:
    import jwt

    return jwt.decode(assertion, options={"verify_signature": False})


def keep_token(folder: Path, url: str, oauth: OAuth, *scopes: str, name: str = "default") -> None:
    """Keep a token as `auth` does."""
    folder.mkdir(mode=0o700, exist_ok=True)
    oauth.refreshes[f"refresh-{name}"] = set(scopes)
    kept = {
        "client_id": "client",
        "client_secret": "of no worth",
        "refresh_token": f"refresh-{name}",
        "token": oauth.sign_in(*scopes),
        "token_uri": f"{url}/token",
        "scopes": [f"https://www.googleapis.com/auth/{scope}" for scope in scopes],
        "granted_scopes": [f"https://www.googleapis.com/auth/{scope}" for scope in scopes],
        "expiry": "2999-01-01T00:00:00",
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(kept))
    path.chmod(0o600)
