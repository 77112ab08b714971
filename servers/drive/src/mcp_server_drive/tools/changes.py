"""What has changed in Drive. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.output import Records
from pydantic import Field

from mcp_server_drive import feed
from mcp_server_drive.drive import Drive
from mcp_server_drive.feed import Change, Changes
from mcp_server_drive.tools.arguments import Account, Cursor, Limit
from mcp_server_drive.tools.finding import COLUMNS, row


async def list_drive_changes(
    call: Call[Drive],
    since: Annotated[
        str | None,
        Field(description="next_since of an earlier call; without it, only that is given.", pattern=r"^\d{1,30}$"),
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
    account: Account = None,
) -> Records:
    """List the files that changed, were shared or went away since an earlier call."""
    token, size, skip = call.position(cursor) or (since, limit, 0)

    def work() -> tuple[Changes, str]:
        files = call.state.files(call, account)
        if token is None:
            return Changes([], None, feed.beginning(files)), ""
        return feed.changes(files, token, size), call.state.own_address(files)

    page, own = await call.in_thread(work)
    left = page.found[skip:]
    return Records(
        columns=("change", "time", *COLUMNS),
        rows=[_row(change, own) for change in left],
        facts={"next_since": page.since} if page.since else {},
        more=page.following is not None,
        resume=lambda kept: [token, size, skip + kept] if kept < len(left) else [page.following, size, 0],
    )


def _row(change: Change, own_address: str) -> list[Any]:
    if change.file is None:
        return ["gone", change.time, change.file_id, *[None] * (len(COLUMNS) - 1)]
    kind = "trashed" if change.file.told.get("trashed") else "changed"
    return [kind, change.time, *row(change.file, own_address)]
