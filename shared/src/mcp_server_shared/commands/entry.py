"""How a client starts this server: the command, its arguments without secrets, and the files that hold those."""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mcp_server_shared.redaction import redact_text
from mcp_server_shared.settings import Setting, application_settings

# What a program gets that was not started from a shell; macOS and most desktops add no more.
_GRAPHICAL_PATH = os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"))
_PATHS = {"DIR", "FILE", "FOLDER", "PATH"}


@dataclass(frozen=True)
class Launch:
    """What stands in an entry.

    Attributes:
        command: found by the client, or absolute.
        arguments: of the command.
        secrets: texts by the variable that the server reads them from.
    """

    command: str
    arguments: list[str]
    secrets: dict[str, str]

    def environment(self, places: Mapping[str, str], kind: str) -> dict[str, str]:
        """Return the entry's variables: the place of each secret where it has one, else the secret itself.

        Args:
            places: by variable.
            kind: what the name of a variable ends in that names such a place: "_FILE" or "_KEYRING".
        """
        return {
            f"{name}{kind}" if name in places else name: places.get(name, text) for name, text in self.secrets.items()
        }


def launch(
    package: str, settings: Sequence[Setting], given: Mapping[str, Any], *, graphical: bool, keyring: bool = False
) -> Launch:
    """Return how to start a server with these settings.

    Args:
        package: its distribution and command.
        settings: all it has.
        given: texts by field, as the command line gave them.
        graphical: whether the client is started without the PATH of a shell.
        keyring: whether the server will read secrets from the keyring of the system.
    """
    by_field = {setting.field: setting for setting in settings}
    words: list[str] = []
    secrets: dict[str, str] = {}
    for field, value in given.items():
        setting = by_field[field]
        texts: list[str] = value if setting.many else [value]
        if _holds_secret(setting, texts):
            secrets[setting.env[0]] = "\n".join(texts)
        else:
            words += [word for text in texts for word in _words(setting, _absolute(setting, text))]
    command, before = _command(package, ["--with", "keyring"] if keyring else [], graphical=graphical)
    return Launch(command, [*before, *words], secrets)


def secrets_folder(name: str, configuration: Path) -> Path:
    """Return the folder for the secrets of one entry, which only its owner may read.

    Entries of one name in several clients or projects are started with secrets of their own.
    """
    place = hashlib.sha256(str(configuration).encode()).hexdigest()[:8]
    return application_settings() / "mcp-servers" / "secrets" / f"{name}-{place}"


def names_path(setting: Setting) -> bool:
    """Whether a setting names files or folders of this machine."""
    return setting.path or (setting.positional or setting.placeholder) in _PATHS


def _holds_secret(setting: Setting, texts: Sequence[str]) -> bool:
    # A URL without a password, say, may stand where a person can read and change it.
    is_address = all(re.match(r"(\w+=)?\w+://", text) for text in texts)
    return setting.secret and not (is_address and all(redact_text(text) == text for text in texts))


def _words(setting: Setting, text: str) -> list[str]:
    if setting.positional:
        return [text]
    if setting.switch and text == "true":
        return [setting.flag]
    if setting.value_optional or text.startswith("-") or setting.switch:
        return [f"{setting.flag}={text}" if text else setting.flag]
    return [setting.flag, text]


def _absolute(setting: Setting, text: str) -> str:
    """Return a path from here as one from everywhere: a client starts its servers in a folder of its own."""
    if not names_path(setting) or not text:
        return text
    return text if Path(text).is_absolute() else str(Path.cwd() / Path(text).expanduser())


def _command(package: str, beside: list[str], *, graphical: bool) -> tuple[str, list[str]]:
    """Return uvx with the package from where this one came, or this very script where there is no uvx."""
    uvx = shutil.which("uvx")
    if uvx is None:
        return str(Path(sys.argv[0]).absolute()), []
    found = shutil.which("uvx", path=_GRAPHICAL_PATH) if graphical else uvx
    source = source_of(package)
    return "uvx" if found else uvx, [*beside, *(("--from", source) if source else ()), package]


def source_of(package: str) -> str:
    """Return what uvx takes a package from when that is not the index: a folder or a repository (PEP 610)."""
    origin = json.loads(distribution(package).read_text("direct_url.json") or "{}")
    url: str = origin.get("url", "")
    if url.startswith("file:"):
        path = unquote(urlsplit(url).path)
        return path.lstrip("/") if re.match(r"/[A-Za-z]:", path) else path
    if "vcs_info" in origin:
        folder = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
        return f"{origin['vcs_info']['vcs']}+{url}@{origin['vcs_info']['commit_id']}{folder}"
    return url
