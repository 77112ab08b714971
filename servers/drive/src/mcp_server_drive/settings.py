"""What the operator decides."""

import re
from pathlib import Path
from typing import Annotated, Literal

from mcp_server_shared.catalog import Grant
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, field_validator

Scope = Literal["drive.file", "drive.readonly", "drive"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SCOPES = "https://www.googleapis.com/auth/"

WRITE = Grant(
    setting="allow_write",
    allows="create and change files",
    needs="The scope drive.file, which covers files that this application made or was given; for all others, --scope "
    "drive, and the right to edit them.",
)
SHARE = Grant(
    setting="allow_share",
    allows="share files with others",
    needs="The same scope as --allow-write, and the right to share the file. A person confirms each time.",
)
DOWNLOAD = Grant(
    setting="allow_download",
    allows="save files of Drive on this machine",
    needs="--local-folder, the one directory it may write to; no further scope.",
)


class Settings(ServerSettings):
    """The accounts, and how much of them may be seen and changed."""

    env_prefix = "DRIVE"
    confirmations = ("trash", "share")

    account: Annotated[
        tuple[str, ...],
        Source(placeholder="NAME"),
        Field(description="Signed-in accounts to use, by the names that `auth` gave them; without it, all."),
    ] = ()
    google_application_credentials: Annotated[
        Path | None,
        Source(env=("GOOGLE_APPLICATION_CREDENTIALS",)),
        Field(description="A service account's key file, or another credential file of Google's, instead of `auth`."),
    ] = None
    application_default: Annotated[
        bool, Field(description="Use the application default credentials, as gcloud or the machine supplies them.")
    ] = False
    impersonate: Annotated[
        str | None,
        Source(placeholder="EMAIL"),
        Field(description="Act as this user, where the service account has domain-wide delegation."),
    ] = None
    scope: Annotated[
        Scope,
        Field(
            description="What it may see: files made by or opened with this application, everything, or everything "
            "with the right to change it."
        ),
    ] = "drive.readonly"
    folders: Annotated[
        tuple[str, ...],
        Source(placeholder="ID"),
        Field(description="Only these folders or shared drives, with all that is in them."),
    ] = ()
    allow_write: Annotated[bool, Field(description="Also create and change files.")] = False
    allow_share: Annotated[bool, Field(description="Also share files; a person confirms.")] = False
    share_domains: Annotated[
        tuple[str, ...],
        Source(placeholder="DOMAIN"),
        Field(description="Share with addresses of these domains alone, and with nobody by link."),
    ] = ()
    allow_download: Annotated[bool, Field(description="Also save files in --local-folder.")] = False
    local_folder: Annotated[
        Path | None, Field(description="The one directory of this machine for uploads and downloads.")
    ] = None
    max_file_bytes: Annotated[
        int, Field(ge=1_024, le=2**40, description="Largest file that is read, uploaded or downloaded, in bytes.")
    ] = 104_857_600
    poll_s: Annotated[
        float, Field(ge=0.05, le=3_600, description="Seconds between looks at the changes of Drive while watched.")
    ] = 20.0
    token_folder: Annotated[Path, Field(description="Where `auth` keeps what it got, readable by the owner alone.")] = (
        Path("~/.config/mcp-server-drive")
    )
    match_credential: Annotated[
        bool, Field(description="Ask once, at the start, what the credential may do, and list no other tools.")
    ] = False
    api_url: Annotated[
        str | None,
        Source(placeholder="URL"),
        Field(pattern="^https?://[^/?#]+/?$", description="Another host for Google's APIs, such as a gateway."),
    ] = None

    @field_validator("folders")
    @classmethod
    def _ids(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ID.fullmatch(folder) for folder in folders):
            raise ValueError("must be ids: the last part of a folder's address in the browser")
        return folders

    def scopes(self) -> list[str]:
        """Return the scopes that the grants need, in full."""
        writes = self.allow_write or self.allow_share
        names = [self.scope, *(["drive.file"] if writes and self.scope == "drive.readonly" else [])]
        return [_SCOPES + name for name in names]

    def tokens(self) -> Path:
        """Return the folder of the tokens, absolute."""
        return self.token_folder.expanduser().absolute()
