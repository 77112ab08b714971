"""Changing files. Names, docstrings, descriptions and error texts are prompts."""

from typing import Annotated, Any

from mcp_server_shared.call import Call
from mcp_server_shared.output import Document, Records
from mcp_server_shared.untrusted import read_notation, show_invisible
from pydantic import BaseModel, ConfigDict, Field

from mcp_server_filesystem.edits import Edit
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.tools.arguments import Path
from mcp_server_filesystem.writing import ABSENT, Moved, Written

Source = Annotated[str, Field(description="What; a link itself, not its target.", max_length=4_096)]
Sha256 = Annotated[str | None, Field(pattern="^[0-9a-f]{64}$", description="Fail unless the file has this hash now.")]


class EditArgument(BaseModel):
    """One edit as a model writes it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    old_text: Annotated[str, Field(min_length=1, description="Exact, with enough lines around it to be unique.")]
    new_text: Annotated[str, Field(description="What takes its place.")]
    expected_count: Annotated[int, Field(ge=1, description="How often old_text occurs.")] = 1


async def write_file(
    call: Call[Files],
    path: Path,
    content: Annotated[str, Field(description="The whole file, written exactly, as UTF-8.")],
    expected_sha256: Annotated[
        str | None,
        Field(
            pattern=f"^([0-9a-f]{{64}}|{ABSENT})$", description=f'Fail unless the file has this hash, or is "{ABSENT}".'
        ),
    ] = None,
) -> Records:
    """Create a file or replace all of it."""
    written = await call.in_thread(
        call.state.writer.write_file,
        read_notation(path),
        read_notation(content),
        expected_sha256=expected_sha256,
        checkpoint=call.checkpoint,
    )
    return _written(written, "replaced")


async def append_file(
    call: Call[Files],
    path: Path,
    content: Annotated[str, Field(min_length=1, description="What comes after the last character.")],
    expected_sha256: Sha256 = None,
) -> Records:
    """Add text to the end of a file, or create it; like edit_file it keeps encoding and line ends."""
    written = await call.in_thread(
        call.state.writer.append_file,
        read_notation(path),
        read_notation(content),
        expected_sha256=expected_sha256,
        checkpoint=call.checkpoint,
    )
    return _written(written, "appended")


async def edit_file(
    call: Call[Files],
    path: Path,
    edits: Annotated[
        list[EditArgument],
        Field(min_length=1, max_length=100, description="Applied in order, all or none."),
    ],
    dry_run: Annotated[bool, Field(description="Only show the diff.")] = False,  # noqa: FBT002 - named on the wire
    expected_sha256: Sha256 = None,
) -> Document:
    r"""Replace exact pieces of a text file; returns a diff.

    Write line ends as \n: the file keeps its own, and its encoding.
    """
    edited = await call.in_thread(
        call.state.writer.edit_file,
        read_notation(path),
        [Edit(read_notation(e.old_text), read_notation(e.new_text), e.expected_count) for e in edits],
        expected_sha256=expected_sha256,
        dry_run=dry_run,
        max_diff_characters=call.budget,
        checkpoint=call.checkpoint,
    )
    facts = {"path": edited.path, "bytes": edited.bytes, "sha256": edited.sha256, "encoding": edited.encoding}
    return Document(text=edited.diff, facts=facts | ({"dry_run": True} if dry_run else {}))


async def create_directory(call: Call[Files], path: Path) -> Records:
    """Create a directory and those missing above it."""
    created, is_new = await call.in_thread(call.state.writer.create_directory, read_notation(path))
    return _record(path=created, result="created" if is_new else "exists")


async def copy_path(
    call: Call[Files],
    source: Source,
    destination: Annotated[str, Field(description="A path that is free.", max_length=4_096)],
) -> Records:
    """Copy a file, or a directory with all in it, links as links."""
    copied = await call.in_thread(
        call.state.writer.copy, read_notation(source), read_notation(destination), checkpoint=call.checkpoint
    )
    return _record(
        path=copied.path,
        type=copied.type,
        entries=copied.entries,
        bytes=copied.bytes,
        skipped=copied.skipped,
        sha256=copied.sha256,
    )


async def move_file(
    call: Call[Files],
    source: Source,
    destination: Annotated[str, Field(description="The new path.", max_length=4_096)],
    overwrite: Annotated[bool, Field(description="Replace a file that is there.")] = False,  # noqa: FBT002
) -> Records:
    """Move or rename a file or directory."""
    moved = await call.in_thread(
        call.state.writer.move,
        read_notation(source),
        read_notation(destination),
        overwrite=overwrite,
        checkpoint=call.checkpoint,
    )
    return _moved(moved)


async def delete_path(
    call: Call[Files],
    path: Path,
    permanent: Annotated[bool, Field(description="For good; a person may have to agree.")] = False,  # noqa: FBT002
) -> Records:
    """Delete a file or directory into the trash; returns where it is, for move_file to bring it back."""
    asked = read_notation(path)
    if not permanent:
        return _moved(await call.in_thread(call.state.writer.trash, asked, checkpoint=call.checkpoint))
    doomed = await call.in_thread(call.state.writer.survey, asked, checkpoint=call.checkpoint)
    what = f"the {doomed.type} {doomed.path!r} (entries: {doomed.entries:,}, bytes: {doomed.bytes:,})"
    await call.confirm("delete", f"Delete for good: {show_invisible(what)}?")
    await call.in_thread(call.state.writer.delete, asked, doomed, checkpoint=call.checkpoint)
    return _record(path=doomed.path, result="deleted", entries=doomed.entries, bytes=doomed.bytes)


def _written(written: Written, otherwise: str) -> Records:
    result = "created" if written.created else otherwise
    return _record(path=written.path, result=result, bytes=written.bytes, sha256=written.sha256)


def _moved(moved: Moved) -> Records:
    return _record(path=moved.path, type=moved.type, sha256=moved.sha256)


def _record(**facts: Any) -> Records:
    return Records(columns=list(facts), rows=[list(facts.values())], untrusted=False)
