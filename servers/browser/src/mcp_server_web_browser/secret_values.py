"""Secrets that must not be shown, in whatever encoding they come back from a page."""

import base64
import html
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, quote_plus

from mcp_server_shared.egress import destination_of
from mcp_server_shared.errors import NotFound, PermissionDenied, did_you_mean, sentence

_LEAST_CHARACTERS = 4  # a shorter one is found everywhere
_MOST_VALUES = 200
_LEAST_BASE64 = 6
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Redactor:
    """Takes known values out of text."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Learn of more values."""
        fresh = [value for value in values if len(value) >= _LEAST_CHARACTERS and value not in self._values]
        if not fresh:
            return
        self._values |= dict.fromkeys(fresh)
        while len(self._values) > _MOST_VALUES:
            del self._values[next(iter(self._values))]
        forms = {form for value in self._values for form in _forms(value)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        return self._pattern.sub("[redacted]", text) if self._pattern else text


def _forms(value: str) -> Iterator[str]:
    """Yield every way in which a value may be written in a page, a URL, a body or a header."""
    yield value
    for data in {value.encode(), value.encode("latin-1", "ignore")}:  # btoa() takes the latter
        yield from _byte_forms(data)
    yield quote(value, safe="")
    yield quote(value)
    yield quote_plus(value)
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield "".join(f"&#{ord(character)};" for character in value)
    yield value[::-1]


def _byte_forms(data: bytes) -> Iterator[str]:
    yield "".join(f"%{byte:02x}" for byte in data)
    yield "".join(f"\\x{byte:02x}" for byte in data)
    yield data.hex()
    for lead in range(3):  # where it stands decides which of three forms base64 gives it
        encoded = base64.b64encode(b"\0" * lead + data).decode().rstrip("=")
        inner = encoded[(0, 2, 3)[lead] : len(encoded) - (len(encoded) * 6 % 8 > 0)]
        if len(inner) >= _LEAST_BASE64:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


@dataclass(frozen=True)
class Secret:
    """One secret of the operator.

    Attributes:
        value: what is secret.
        origins: the pages that it is for.
        user: whose password it is, where those pages ask for one by HTTP; empty for a secret of another kind.
    """

    value: str
    origins: tuple[str, ...]
    user: str = ""


class Secrets:
    """The operator's secrets by name, read when they are first needed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._secrets: dict[str, Secret] | None = None

    def values(self) -> list[str]:
        """Return every value, to be redacted."""
        return [secret.value for secret in self._all().values()]

    def names(self) -> list[str]:
        """Return every name."""
        return list(self._all())

    def value_for(self, name: str, url: str) -> str:
        """Return a secret for a page that it is meant for.

        Raises:
            NotFound: there is no such secret.
            PermissionDenied: it is not for pages of this origin.
        """
        secrets = self._all()
        if name not in secrets:
            hint = sentence(did_you_mean(name, secrets)) or f"There is: {', '.join(secrets) or 'none'}."
            raise NotFound(f"There is no secret '{name}'.", hint=hint)
        secret = secrets[name]
        here = _origin(url)
        if here is None or here not in {_origin(origin) for origin in secret.origins}:
            raise PermissionDenied(
                f"The secret '{name}' is not for this page.",
                hint=f"It is for {', '.join(secret.origins)}. Check that the page is the right one.",
            )
        return secret.value

    @property
    def has_users(self) -> bool:
        """Whether there are passwords for pages that ask by HTTP."""
        return any(secret.user for secret in self._all().values())

    def http_credentials(self, url: str) -> dict[str, str] | None:
        """Return the login that pages of this URL's origin get who ask for one by HTTP (RFC 7617); None if none.

        As Playwright takes it, and for this origin alone: a context opened for another one could act on the login.
        """
        here = _origin(url)
        for secret in self._all().values():
            if here is not None and secret.user and here in {_origin(origin) for origin in secret.origins}:
                return {"username": secret.user, "password": secret.value, "origin": _written(*here)}
        return None

    def _all(self) -> dict[str, Secret]:
        if self._secrets is None:
            self._secrets = _read(self._path) if self._path else {}
        return self._secrets


def _origin(url: str) -> tuple[str, str, int] | None:
    from mcp_server_shared.errors import InvalidArgument

    try:
        destination = destination_of(url)
    except InvalidArgument:
        return None
    return destination.scheme, destination.host, destination.port


def _written(scheme: str, host: str, port: int) -> str:
    """Return an origin as browsers write it."""
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" if port == _DEFAULT_PORTS[scheme] else f"{scheme}://{host}:{port}"


def _read(path: Path) -> dict[str, Secret]:
    problem = f"The file of secrets, {path}, cannot be used"
    shape = 'It is TOML: [name], then origins = ["https://…"] and value = "…"; user = "…" for a password asked by HTTP.'
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not TOML"  # whose text may hold a secret
        raise NotFound(f"{problem}: {reason}.", hint=shape) from None
    found: dict[str, Secret] = {}
    for name, table in tables.items():
        entry = cast(dict[str, Any], table) if isinstance(table, dict) else {}
        value, origins, user = entry.get("value"), entry.get("origins"), entry.get("user", "")
        if not (isinstance(value, str) and isinstance(origins, list) and origins):
            raise NotFound(f"{problem}: '{name}' lacks a value or origins.", hint=shape)
        if not isinstance(user, str):
            raise NotFound(f"{problem}: the user of '{name}' is no text.", hint=shape)
        found[name] = Secret(value, tuple(str(origin) for origin in cast(list[Any], origins)), user)
    return found
