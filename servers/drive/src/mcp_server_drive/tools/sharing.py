"""Letting others see files, where the operator allows it. Names, docstrings and descriptions are prompts."""

from typing import Annotated

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_drive import sharing
from mcp_server_drive.drive import Drive
from mcp_server_drive.files import DriveFile, shown
from mcp_server_drive.sharing import Grantee, Role
from mcp_server_drive.tools.arguments import Account, FileId


async def share_drive_file(
    call: Call[Drive],
    file_id: FileId,
    role: Annotated[Role, Field(description="What they may do.")],
    email: Annotated[
        str | None, Field(description="One address,", pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)
    ] = None,
    domain: Annotated[str | None, Field(description="or a domain,", pattern=r"^[A-Za-z0-9.-]{1,255}$")] = None,
    *,
    anyone: Annotated[bool, Field(description="or whoever has the link.")] = False,
    dry_run: Annotated[bool, Field(description="Only tell what would change.")] = False,
    account: Account = None,
) -> Records:
    """Share a file or folder; a person confirms. No message is sent."""
    if [email is not None, domain is not None, anyone].count(True) != 1:
        raise InvalidArgument("Pass one of email, domain and anyone.")
    grantee = Grantee(email, domain)
    grantee.require_allowed(call.state.share_domains)

    def look() -> tuple[DriveFile, str, str | None]:
        files = call.state.files(call, account)
        file = files.get(file_id)
        return file, call.state.own_address(files), sharing.existing(files, file, grantee)

    file, own, before = await call.in_thread(look)
    external = grantee.is_external(own)
    if not dry_run:
        outside = "OUTSIDE your organisation, " if external else ""
        await call.confirm("share", f"Share {shown(file)} with {grantee}, {outside}as {role}?")

        def work() -> None:
            files = call.state.files(call, account)
            sharing.share(files, files.get(file_id), grantee, role)

        await call.in_thread(work)
    return Records(
        columns=("id", "with", "role", "role_before", "external"),
        rows=[[file.id, str(grantee), role, before, external]],
        facts={"shared": not dry_run},
    )
