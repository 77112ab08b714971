"""What a client of the Drive server can see and do. Start reading here."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from mcp_server_shared.catalog import About
from mcp_server_shared.registry import ADDS, DESTROYS, READ_ONLY_WORLD
from mcp_server_shared.server import Server

from mcp_server_drive.accounts import Account, CredentialFile, CredentialSource, SignedIn
from mcp_server_drive.contents import Contents
from mcp_server_drive.drive import Drive
from mcp_server_drive.findings import findings, unusable
from mcp_server_drive.google_api import Connections, requests_to
from mcp_server_drive.local_folder import LocalFolder
from mcp_server_drive.prompts import compare_drive_files, summarise_drive_file
from mcp_server_drive.resources import complete_file_id, file, watch_file
from mcp_server_drive.settings import DOWNLOAD, SHARE, WRITE, Settings
from mcp_server_drive.tokens import TokenStore
from mcp_server_drive.tools.changes import list_drive_changes
from mcp_server_drive.tools.downloading import download_drive_file
from mcp_server_drive.tools.finding import list_drive_folder, search_drive
from mcp_server_drive.tools.reading import get_drive_file, list_drive_comments, list_drive_revisions, read_drive_file
from mcp_server_drive.tools.sharing import share_drive_file
from mcp_server_drive.tools.writing import (
    comment_on_drive_file,
    copy_drive_file,
    create_drive_file,
    create_drive_folder,
    move_drive_file,
    rename_drive_file,
    trash_drive_file,
    untrash_drive_file,
    update_drive_file,
    upload_drive_file,
)

ABOUT = About(
    package="mcp-server-drive",
    title="Google Drive",
    purpose="Files of Google Drive, with Docs, Sheets and Slides.",
    reading_needs="The scope drive.readonly; or drive.file alone, which shows this application's own files.",
    grants=(WRITE, SHARE, DOWNLOAD),
    never=(
        "deletes a file for good: what is removed is in the trash",
        "changes what was not read at its latest revision",
        "shows a file outside --folders, or touches one of this machine outside --local-folder",
        "loads an image or follows a link that a document names",
        "shows or logs a token",
    ),
    state="caller",
)


def sources(settings: Settings) -> Sequence[CredentialSource]:
    """Return where the credentials are, one for each account; nothing secret is read yet."""
    if settings.google_application_credentials or settings.application_default:
        path = settings.google_application_credentials
        return [CredentialFile(path, settings.scopes(), settings.impersonate)]
    store = TokenStore(settings.tokens())
    return [SignedIn(name, store) for name in settings.account or store.names()]


def build_server(settings: Settings) -> Server[Drive]:
    """Build the server; it asks Google for nothing before the first call."""
    credentials = sources(settings)

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Drive]:
        connections = Connections()
        accounts = {source.name: Account(source, connections) for source in credentials}
        yield Drive(
            accounts,
            Contents(settings.max_file_bytes),
            requests_to(settings.api_url),
            connections,
            LocalFolder(settings.local_folder),
            folders=settings.folders,
            share_domains=settings.share_domains,
            poll_s=settings.poll_s,
        )

    async def lacking(drive: Drive) -> dict[str, str]:
        writing = [name for name, entry in server.registry.tools.items() if entry.grant in {WRITE, SHARE}]
        return await unusable(drive, writing)

    server = Server(
        ABOUT,
        settings,
        opened,
        findings=partial(findings, scopes=settings.scopes()),
        unusable=lacking if settings.match_credential else None,
    )
    whom = {"account": [source.name for source in credentials]}
    server.add_tool(search_drive, title="Search Drive", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(list_drive_folder, title="List a folder", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(get_drive_file, title="Describe a file", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(read_drive_file, title="Read a file", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(list_drive_revisions, title="List revisions", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(list_drive_comments, title="List comments", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(list_drive_changes, title="List changes", annotations=READ_ONLY_WORLD, choices=whom)
    server.add_tool(create_drive_file, title="Create a file", annotations=ADDS, grant=WRITE, choices=whom)
    server.add_tool(create_drive_folder, title="Create a folder", annotations=ADDS, grant=WRITE, choices=whom)
    server.add_tool(copy_drive_file, title="Copy a file", annotations=ADDS, grant=WRITE, choices=whom)
    server.add_tool(upload_drive_file, title="Upload a file", annotations=ADDS, grant=WRITE, choices=whom)
    server.add_tool(comment_on_drive_file, title="Comment", annotations=ADDS, grant=WRITE, choices=whom)
    server.add_tool(update_drive_file, title="Change a file", annotations=DESTROYS, grant=WRITE, choices=whom)
    server.add_tool(move_drive_file, title="Move a file", annotations=DESTROYS, grant=WRITE, choices=whom)
    server.add_tool(rename_drive_file, title="Rename a file", annotations=DESTROYS, grant=WRITE, choices=whom)
    server.add_tool(trash_drive_file, title="Trash a file", annotations=DESTROYS, grant=WRITE, choices=whom)
    server.add_tool(untrash_drive_file, title="Take out of the trash", annotations=ADDS, grant=WRITE, choices=whom)
    server.add_tool(share_drive_file, title="Share", annotations=DESTROYS, grant=SHARE, choices=whom)
    server.add_tool(download_drive_file, title="Download", annotations=ADDS, grant=DOWNLOAD, choices=whom)
    completed = {"file_id": complete_file_id}
    server.add_resource("gdrive:///{file_id}", file, title="A file", complete=completed, watch=watch_file)
    server.add_prompt(summarise_drive_file, title="Summarise a file", complete=completed)
    server.add_prompt(compare_drive_files, title="Find and compare files", complete=completed)
    return server
