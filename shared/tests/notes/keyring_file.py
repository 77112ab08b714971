"""A keyring in a file, for tests: `PYTHON_KEYRING_BACKEND=notes.keyring_file.FileKeyring`."""

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Keeps everything in the file that `NOTES_KEYRING` names."""

    priority = 1  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def get_password(self, service: str, username: str) -> str | None:
        """Return a secret, if there is one."""
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a secret."""
        self._write(self._read() | {f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        """Delete a secret."""
        self._write({name: secret for name, secret in self._read().items() if name != f"{service} {username}"})

    def _read(self) -> dict[str, str]:
        file = Path(os.environ["NOTES_KEYRING"])
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def _write(self, secrets: dict[str, str]) -> None:
        Path(os.environ["NOTES_KEYRING"]).write_text(json.dumps(secrets), encoding="utf-8")
