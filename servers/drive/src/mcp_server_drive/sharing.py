"""Sharing files: with whom, as what, and what that would mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mcp_server_shared.errors import Conflict, DeadlineExceeded, PermissionDenied

from mcp_server_drive.files import ALL_DRIVES, DriveFile, Files
from mcp_server_drive.google_api import Doubtful

Role = Literal["reader", "commenter", "writer"]


@dataclass(frozen=True)
class Grantee:
    """Who is to have access: one address, a domain, or (without either) anyone who has the link."""

    address: str | None = None
    domain: str | None = None

    def permission(self, role: Role) -> dict[str, str]:
        """Return the permission as the API has it."""
        if self.address:
            return {"type": "user", "role": role, "emailAddress": self.address}
        return (
            {"type": "domain", "role": role, "domain": self.domain} if self.domain else {"type": "anyone", "role": role}
        )

    def __str__(self) -> str:
        return self.address or (f"everybody at {self.domain}" if self.domain else "ANYONE who has the link")

    def is_external(self, own_address: str) -> bool:
        """Whether it is nobody of the account's own domain."""
        wanted = self.domain or (self.address or "").rpartition("@")[2]
        return wanted.lower() != own_address.rpartition("@")[2].lower()

    def require_allowed(self, domains: Sequence[str]) -> None:
        """Refuse whom the operator does not allow."""
        wanted = (self.domain or (self.address or "").rpartition("@")[2]).lower()
        if domains and wanted not in {domain.lower() for domain in domains}:
            raise PermissionDenied(
                "The operator allows sharing with certain domains alone.", hint=f"They are: {', '.join(domains)}."
            )


def existing(files: Files, file: DriveFile, grantee: Grantee) -> str | None:
    """Return the role that somebody has already."""
    wanted = grantee.permission("reader")
    for told in files.permissions(file):
        same = told.get("emailAddress", "").lower() == (grantee.address or "").lower()
        if told.get("type") == wanted["type"] and same and told.get("domain") == grantee.domain:
            return told.get("role")
    return None


def share(files: Files, file: DriveFile, grantee: Grantee, role: Role) -> None:
    """Give access; nobody is sent a message."""
    quiet: dict[str, Any] = {"sendNotificationEmail": False} if grantee.address else {}
    request = files.api.requests.permissions.create(
        fileId=file.id, body=grantee.permission(role), fields="id", **quiet, **ALL_DRIVES
    )
    try:
        files.api.send(request, files.pace)
    except (Doubtful, DeadlineExceeded) as lost:
        if existing(files, files.get(file.id), grantee) != role:
            raise Conflict(
                "Google's answer was lost; it may have been carried out.", hint="get_drive_file names who has access."
            ) from lost
