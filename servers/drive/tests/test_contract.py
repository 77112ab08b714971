"""The promises that every server makes, for this one."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle, fake_google, keep_token, native
from mcp_server_drive.__main__ import program
from mcp_server_shared.contract import Example, Subject, checks

globals().update(checks())

LINES = "".join(f"line {number} \u200b\n" for number in range(400))
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def fill(google: FakeGoogle) -> None:
    google.add("folder1", "Reports", "application/vnd.google-apps.folder")
    for number in range(40):
        google.add(f"note{number:02}", f"Meeting notes {number} \u202e", content=LINES, parents=["folder1"])
        google.write("note00", f"{number}")
    google.add("doc", "Plan", native.DOC).native = native.document(
        "doc",
        native.tab("First", [native.paragraph(f"Paragraph {number} \u2066 of it") for number in range(80)]),
        native.tab("Second", [native.paragraph("The second tab")]),
    )
    google.add("sheet", "Numbers", native.SHEET).native = native.spreadsheet(
        "sheet", Sales=[["month", "sum"], *[[f"m{n}", n * 1.5] for n in range(200)]], Costs=[["a", "b"]]
    )
    google.add("slides", "Talk", native.SLIDES).native = native.presentation(
        "slides", *[([f"Title {n}", "words " * 30], f"say {n}") for n in range(10)]
    )
    google.add("pixel", "pixel.png", "image/png", PIXEL)
    google.add("slow", "Slow")
    google.files["doc"].comments = [comment(number) for number in range(40)]
    google.slow.add("slow")


def comment(number: int) -> dict[str, Any]:
    replies = [{"author": {"displayName": "B"}, "content": "yes", "createdTime": "2026-01-01T00:00:00.000Z"}]
    return {"id": f"c{number}", "content": "Is that so? \u200b", "author": {"displayName": "A"}, "replies": replies}


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    with fake_google() as google:
        fill(google)
        yield google


@pytest.fixture(scope="module")
def subject(google: FakeGoogle, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    tokens: Path = tmp_path_factory.mktemp("tokens")
    keep_token(tokens, google.url, google.oauth, "drive.readonly", "drive.file")
    return Subject(
        program=program,
        arguments=["--api-url", google.url, "--token-folder", str(tokens)],
        examples=[
            Example("search_drive", {"name": "meeting"}, paged=True),
            Example("search_drive", {"text": "notes", "limit": 7}, paged=True),
            Example("list_drive_folder", {"folder_id": "folder1"}, paged=True),
            Example("list_drive_folder"),
            Example("get_drive_file", {"file_id": "doc"}),
            Example("get_drive_file", {"path": "/Reports"}),
            Example("read_drive_file", {"file_id": "note01"}, paged=True),
            Example("read_drive_file", {"file_id": "doc"}, paged=True),
            Example("read_drive_file", {"file_id": "sheet", "part": "Sales"}, paged=True),
            Example("read_drive_file", {"file_id": "slides", "part": "3-9"}, paged=True),
            Example("read_drive_file", {"file_id": "note01", "find": "line 1"}, paged=True),
            Example("read_drive_file", {"file_id": "pixel"}),
            Example("list_drive_revisions", {"file_id": "note00"}, paged=True),
            Example("list_drive_comments", {"file_id": "doc"}, paged=True),
            Example("list_drive_changes", {"since": "1"}, paged=True),
        ],
        resources=["gdrive:///note01", "gdrive:///doc", "gdrive:///pixel"],
        prompts=[
            Example("summarise_drive_file", {"file_id": "doc"}),
            Example("compare_drive_files", {"topic": "the plan", "file_id": "note01"}),
            Example("compare_drive_files", {"topic": "the plan"}, needs_upstream=False),
        ],
        slow=[Example("get_drive_file", {"file_id": "slow"})],
        upstream_hint="mcp-server-drive auth",
    )
