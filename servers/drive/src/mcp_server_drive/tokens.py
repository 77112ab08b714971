"""What `auth` got from Google, kept for the server: a file an account, readable by its owner alone.

Where the system has a keyring and the package `keyring` is installed, the secrets are there, the rest is in the file.
"""

# keyring is optional.
# pyright: reportUnknownArgumentType=false, reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import json
import os
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mcp_server_shared.errors import NotFound, Unauthenticated, Unavailable

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")

_SECRETS = ("refresh_token", "client_secret", "token")
_SERVICE = "mcp-server-drive"


class TokenStore:
    """The signed-in accounts.

    Args:
        folder: where their files are; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Return the names of the accounts; nothing secret is read for that."""
        return sorted(path.stem for path in self.folder.glob("*.json") if NAME.fullmatch(path.stem))

    def load(self, name: str) -> dict[str, Any]:
        """Return what is kept of an account.

        Raises:
            NotFound: there is none of that name.
            Unauthenticated: others on this machine may read it, or it is no longer whole.
        """
        path = self._path(name)
        try:
            if os.name == "posix" and path.stat().st_mode & 0o077:
                raise Unauthenticated(
                    f"Others on this machine may read the token of '{name}'.",
                    hint=f"The operator runs: chmod 600 {path}",
                )
            kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            others = ", ".join(self.names())
            raise NotFound(f"No account is signed in as '{name}'.", hint=others and f"There is: {others}.") from None
        except (OSError, ValueError):
            raise Unauthenticated(
                f"The token of '{name}' cannot be read.",
                hint=f"The operator runs: mcp-server-drive auth --account {name}",
            ) from None
        return kept | (self._secrets(name) if kept.get("keyring") else {})

    def save(self, name: str, kept: dict[str, Any]) -> None:
        """Keep an account, in place of what was kept under that name."""
        if kept.get("keyring"):
            import keyring

            keyring.set_password(_SERVICE, name, json.dumps({key: kept[key] for key in _SECRETS if key in kept}))
            kept = {key: value for key, value in kept.items() if key not in _SECRETS}
        self._write(self._path(name), kept)

    def keep_client(self, name: str, client: dict[str, Any]) -> None:
        """Keep the OAuth client, for further accounts."""
        self._write(self.folder / name, client)

    def _write(self, path: Path, kept: dict[str, Any]) -> None:
        """Write a file: its owner's alone from the first moment, and whole before it takes the old one's place."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=self.folder, prefix=".")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=1)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """Forget an account."""
        if self.load(name).get("keyring"):
            import keyring

            keyring.delete_password(_SERVICE, name)
        self._path(name).unlink()
        with suppress(OSError):
            self._path(name).with_suffix(".lock").unlink()

    @contextmanager
    def locked(self, name: str, timeout_s: float) -> Generator[None]:
        """Keep the other processes of this machine from renewing the same token meanwhile."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self._path(name).with_suffix(".lock"), timeout=timeout_s, mode=0o600):
                yield
        except Timeout:
            raise Unavailable("Another process is renewing the token of this account.") from None

    def _secrets(self, name: str) -> dict[str, Any]:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            raise Unauthenticated(
                f"The token of '{name}' is in the keyring, and the package keyring is not installed.",
                hint="The operator installs mcp-server-drive[keyring].",
            ) from None
        try:
            kept: str | None = keyring.get_password(_SERVICE, name)
            return json.loads(kept) if kept else {}
        except (KeyringError, ValueError):
            raise Unauthenticated(f"The keyring does not give out the token of '{name}'.") from None

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise NotFound("An account's name has lower-case letters, digits, '-', '_' and '.', 64 at most.")
        return self.folder / f"{name}.json"


def has_keyring() -> bool:
    """Whether there is a keyring to keep secrets in."""
    try:
        import keyring
        from keyring.backends import fail, null
    except ImportError:
        return False
    return not isinstance(keyring.get_keyring(), (fail.Keyring, null.Keyring))
