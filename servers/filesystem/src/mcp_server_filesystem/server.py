"""What a client of the filesystem server can see and do. Start reading here."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp_server_shared.catalog import About, Finding, Grant
from mcp_server_shared.registry import ADDS, DESTROYS, READ_ONLY
from mcp_server_shared.server import Server

from mcp_server_filesystem.files import Files, runs_as_root
from mcp_server_filesystem.prompts import complete_directory, complete_file, explore_directory, review_file
from mcp_server_filesystem.resources import complete_path, file, watch_file
from mcp_server_filesystem.settings import Settings
from mcp_server_filesystem.tools.listing import (
    directory_tree,
    get_file_info,
    list_allowed_directories,
    list_directory,
)
from mcp_server_filesystem.tools.reading import read_media_file, read_multiple_files, read_text_file
from mcp_server_filesystem.tools.searching import search_content, search_files
from mcp_server_filesystem.tools.writing import (
    append_file,
    copy_path,
    create_directory,
    delete_path,
    edit_file,
    move_file,
    write_file,
)

WRITE = Grant(
    setting="allow_write",
    allows="change files",
    needs="The operating system's permission to write in the directories named DIR:rw, or in all with --allow-write.",
)

ADDS_ONCE = ADDS.model_copy(update={"idempotent_hint": True})
REPLACES = DESTROYS.model_copy(update={"idempotent_hint": True})

ABOUT = About(
    package="mcp-server-filesystem",
    title="Filesystem",
    purpose="Files in the directories you name, and nothing outside them.",
    reading_needs="No credential: the operating system's permission to read the directories named.",
    grants=(WRITE,),
    state="none",
    never=(
        "reads or writes outside the directories named, whatever links, races or odd names say",
        "opens secrets inside them that match the deny list (.env, .git, private keys, …)",
        "changes anything in a directory that was not opened for writing",
    ),
    example=("/path/to/directory",),
)


def build_server(settings: Settings) -> Server[Files]:
    """Build the server; nothing is opened before the first call."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Files]:
        files = Files(settings.readable(), writable=settings.writable(), deny=settings.deny)
        try:
            yield files
        finally:
            files.close()

    server = Server(ABOUT, settings, opened, findings=findings)
    server.add_tool(read_text_file, title="Read a text file", annotations=READ_ONLY)
    server.add_tool(read_multiple_files, title="Read several text files", annotations=READ_ONLY)
    server.add_tool(read_media_file, title="Look at an image or listen to a sound", annotations=READ_ONLY)
    server.add_tool(list_directory, title="List a directory", annotations=READ_ONLY)
    server.add_tool(directory_tree, title="Show a tree", annotations=READ_ONLY)
    server.add_tool(search_files, title="Find files by name", annotations=READ_ONLY)
    server.add_tool(search_content, title="Search in files", annotations=READ_ONLY)
    server.add_tool(get_file_info, title="Describe a file", annotations=READ_ONLY)
    server.add_tool(list_allowed_directories, title="List the allowed directories", annotations=READ_ONLY)

    server.add_tool(write_file, title="Write a file", annotations=REPLACES, grant=WRITE)
    server.add_tool(append_file, title="Add to a file", annotations=ADDS, grant=WRITE)
    server.add_tool(edit_file, title="Edit a file", annotations=DESTROYS, grant=WRITE)
    server.add_tool(create_directory, title="Create a directory", annotations=ADDS_ONCE, grant=WRITE)
    server.add_tool(copy_path, title="Copy a file or directory", annotations=ADDS, grant=WRITE)
    server.add_tool(move_file, title="Move a file or directory", annotations=DESTROYS, grant=WRITE)
    server.add_tool(delete_path, title="Delete a file or directory", annotations=DESTROYS, grant=WRITE)

    completed = {"path": complete_path}
    server.add_resource("file:///{+path}", file, title="A file", complete=completed, watch=watch_file)
    server.add_prompt(explore_directory, title="Explore a directory", complete={"path": complete_directory})
    server.add_prompt(review_file, title="Review a file", complete={"path": complete_file})
    return server


async def findings(files: Files) -> list[Finding]:
    """Try to open every directory."""
    directories = files.roots()
    if not directories:
        return [Finding("problem", "No directory is named.", "Pass one or more as arguments.")]
    found = [
        Finding("ok", f"{directory.path} may be {'read and changed' if directory.writable else 'read'}.")
        if directory.exists
        else Finding("problem", f"{directory.path} cannot be opened.", "Create it, or correct the path.")
        for directory in directories
    ]
    if runs_as_root():
        found.append(
            Finding(
                "warning",
                "It runs as root, who may read and change everything.",
                "Run it as a user who may only read these directories, and write where that is granted.",
            )
        )
    return found
