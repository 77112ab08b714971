"""What the operator decides."""

import os
from pathlib import Path
from typing import Annotated

from mcp_server_shared.catalog import Grant
from mcp_server_shared.deny import DEFAULT_DENY
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, field_validator

_WRITABLE, _READ_ONLY = ":rw", ":ro"


class Settings(ServerSettings):
    """The directories, what may be changed in them, and what stays closed."""

    env_prefix = "FILESYSTEM"
    confirmations = ("delete",)

    directories: Annotated[
        tuple[Path, ...],
        Source(positional="DIR"),
        Field(
            description="Directories that may be read, with everything below them; nothing else may. As DIR:rw one may "
            "be changed, as DIR:ro never; a directory whose own name ends so needs it once more (DIR:rw:ro)."
        ),
    ] = ()
    allow_write: Annotated[
        bool, Field(description="Whether all directories may be changed, but those named DIR:ro.")
    ] = False
    deny: Annotated[
        tuple[str, ...],
        Source(placeholder="GLOB"),
        Field(description="Files that stay closed even there, in place of the default list; 'default' adds that list."),
    ] = DEFAULT_DENY

    @field_validator("directories")
    @classmethod
    def _no_lone_suffix(cls, directories: tuple[Path, ...]) -> tuple[Path, ...]:
        # Colons separate the paths in the environment variable, so ":rw" would end up as a path of its own there.
        if {_WRITABLE, _READ_ONLY} & {f":{directory}" for directory in directories}:
            raise ValueError("takes DIR:rw and DIR:ro as arguments only; a directory of that name is ./rw")
        return directories

    @field_validator("deny")
    @classmethod
    def _with_default(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each for glob in globs for each in (DEFAULT_DENY if glob == "default" else (glob,)))

    def readable(self) -> list[str]:
        """Return the directories that may be read."""
        return [_path_and_suffix(directory)[0] for directory in self.directories]

    def writable(self) -> list[str]:
        """Return those of them that may be changed; of one that is named twice, DIR:ro decides."""
        parts = [_path_and_suffix(directory) for directory in self.directories]
        read_only = {os.path.abspath(path) for path, suffix in parts if suffix == _READ_ONLY}  # noqa: PTH100 - keeps links
        writable = [path for path, suffix in parts if suffix == _WRITABLE or (self.allow_write and not suffix)]
        return [path for path in writable if os.path.abspath(path) not in read_only]  # noqa: PTH100

    def gives(self, grant: Grant) -> bool:
        """Whether the operator gave a grant: writing as soon as one directory may be changed."""
        return super().gives(grant) or (grant.setting == "allow_write" and bool(self.writable()))


def _path_and_suffix(directory: Path) -> tuple[str, str]:
    text = str(directory)
    return (text[:-3], text[-3:]) if text.endswith((_WRITABLE, _READ_ONLY)) else (text, "")
