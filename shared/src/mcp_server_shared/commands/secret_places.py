"""Where the secrets of an entry are kept, instead of in it: in files for their owner alone, or in the keyring."""

from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path

from mcp_server_shared import keyrings
from mcp_server_shared.commands.private_files import write_private
from mcp_server_shared.settings import SettingsProblem


class PrivateFiles:
    """A folder that only its owner may look into.

    Args:
        folder: of one entry of one client.
    """

    kind = "_FILE"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, variable: str) -> str:
        """Return what the entry says of a secret."""
        return str(self._folder / variable)

    def keep(self, variable: str, secret: str) -> str:
        """Store a secret; return what to tell.

        Raises:
            SettingsProblem: this user may not write there.
        """
        try:
            write_private(Path(self.place(variable)), secret)
        except OSError as error:
            raise SettingsProblem(f"cannot keep {variable} in {self._folder}: {error.strerror}") from None
        return f"{variable} is in {self.place(variable)}, which only you can read."

    def forget(self, but: Container[str]) -> None:
        """Delete what was stored for the entry, but these places."""
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                if str(path) not in but:
                    path.unlink()
            if not any(self._folder.iterdir()):
                self._folder.rmdir()


class SystemKeyring:
    """The keyring of the system: that of macOS or Windows, or a Secret Service.

    Args:
        entries: what the names of one entry of one client begin with.
    """

    kind = "_KEYRING"

    def __init__(self, entries: str) -> None:
        self._entries = entries

    def place(self, variable: str) -> str:
        """Return what the entry says of a secret."""
        return f"{self._entries}/{variable}"

    def keep(self, variable: str, secret: str) -> str:
        """Store a secret; return what to tell.

        Raises:
            SettingsProblem: there is no keyring.
        """
        try:
            keyrings.keep(self.place(variable), secret)
        except keyrings.KeyringProblem as problem:
            raise SettingsProblem(f"--keyring: {problem}") from None
        return f"{variable} is in the keyring, as '{self.place(variable)}'."

    def forget(self, environment: Mapping[str, str], but: Container[str]) -> None:
        """Delete what an entry had there, by its variables, but these places.

        Raises:
            SettingsProblem: the keyring cannot be reached.
        """
        for variable, place in environment.items():
            ours = variable.endswith(self.kind) and place.startswith(f"{self._entries}/")
            if ours and place not in but:
                try:
                    keyrings.forget(place)
                except keyrings.KeyringProblem as problem:
                    raise SettingsProblem(f"delete '{place}' from the keyring yourself: {problem}") from None
