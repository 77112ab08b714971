"""What a client of the filesystem server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp_server_shared.catalog import About, Finding
from mcp_server_shared.registry import READ_ONLY
from mcp_server_shared.server import Server

from mcp_server_filesystem.files import Files
from mcp_server_filesystem.resources import complete_path, file
from mcp_server_filesystem.settings import Settings
from mcp_server_filesystem.tools import list_allowed_directories, list_directory, read_text_file

ABOUT = About(
    package="mcp-server-filesystem",
    title="Filesystem",
    purpose="Files in the directories you name, and nothing outside them.",
    reading_needs="No credential: the operating system's permission to read the directories named.",
    state="none",
    never=(
        "reads outside the directories named, whatever links, races or odd names say",
        "opens secrets inside them that match the deny list (.env, .git, private keys, …)",
        "changes anything",
    ),
    example=("/path/to/directory",),
)


def build_server(settings: Settings) -> Server[Files]:
    """Build the server; nothing is opened before the first call."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Files]:
        files = Files(settings.directories, deny=settings.deny)
        try:
            yield files
        finally:
            files.close()

    server = Server(ABOUT, settings, opened, findings=findings)
    server.add_tool(read_text_file, title="Read a text file", annotations=READ_ONLY)
    server.add_tool(list_directory, title="List a directory", annotations=READ_ONLY)
    server.add_tool(list_allowed_directories, title="List the allowed directories", annotations=READ_ONLY)
    server.add_resource("file:///{+path}", file, title="A file", complete={"path": complete_path})
    return server


async def findings(files: Files) -> list[Finding]:
    """Try to open every directory."""
    directories = files.roots()
    if not directories:
        return [Finding("problem", "No directory is named.", "Pass one or more as arguments.")]
    return [
        Finding("ok", f"{directory.path} may be read.")
        if directory.exists
        else Finding("problem", f"{directory.path} cannot be opened.", "Create it, or correct the path.")
        for directory in directories
    ]
