"""What the operator decides."""

from pathlib import Path
from typing import Annotated

from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field

from mcp_server_filesystem.deny import DEFAULT_DENY


class Settings(ServerSettings):
    """The directories, and what stays closed inside them."""

    env_prefix = "FILESYSTEM"

    directories: Annotated[
        tuple[Path, ...],
        Source(positional="DIR"),
        Field(description="Directories that may be read, with everything below them; nothing else may."),
    ] = ()
    deny: Annotated[
        tuple[str, ...],
        Source(placeholder="GLOB"),
        Field(description="Files that stay closed even there; given, it replaces the default list."),
    ] = DEFAULT_DENY
