"""Changing Drive: once, never over somebody else's edit, and within what the operator allows."""

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_google import FakeGoogle, Fault, native
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent
from mcp_server_drive.server import build_server
from mcp_server_drive.settings import Settings
from mcp_server_shared.errors import ERROR_META_KEY

pytestmark = pytest.mark.anyio

FOLDER = "application/vnd.google-apps.folder"
Connect = Callable[..., Client]


@pytest.fixture
def connect(google: FakeGoogle, sign_in: Callable[..., dict[str, Any]]) -> Connect:
    """Return what connects a client to a server that may write."""

    def to_server(*scopes: str, client: dict[str, Any] | None = None, **settings: Any) -> Client:
        signed_in = sign_in(google, *(scopes or ("drive",)))
        granted: dict[str, Any] = {"scope": "drive", "allow_write": True} | signed_in | settings
        return Client(build_server(Settings(**granted)), **client or {})

    return to_server


def text_of(result: CallToolResult) -> str:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return content.text


def code_of(result: CallToolResult) -> str:
    return (result.meta or {})[ERROR_META_KEY]["code"]


def row_of(result: CallToolResult) -> dict[str, Any]:
    """Return the one row of a result as a mapping."""
    assert not result.is_error, text_of(result)
    structured: dict[str, Any] = result.structured_content or {}
    body: dict[str, Any] = structured.get("untrusted") or structured
    return dict(zip(body["columns"], body["rows"][0], strict=True))


async def test_a_text_file_is_created_with_its_content(google: FakeGoogle, connect: Connect) -> None:
    async with connect() as client:
        arguments = {"name": "a.json", "content": '{"a": 1}', "type": "text"}
        made = row_of(await client.call_tool("create_drive_file", arguments))
    stored = google.files[made["id"]]
    assert (stored.name, stored.media_type, stored.content) == ("a.json", "application/json", b'{"a": 1}')


async def test_a_doc_and_a_sheet_are_converted_from_markdown_and_csv(google: FakeGoogle, connect: Connect) -> None:
    async with connect() as client:
        doc = row_of(await client.call_tool("create_drive_file", {"name": "D", "content": "# Title", "type": "doc"}))
        sheet = row_of(await client.call_tool("create_drive_file", {"name": "S", "content": "a,b", "type": "sheet"}))
    assert (doc["type"], sheet["type"]) == ("doc", "sheet")
    assert google.files[sheet["id"]].native["_rows"]["Sheet1"] == [["a", "b"]]


@pytest.mark.parametrize("status", [None, 503])
@pytest.mark.parametrize("kind", ["text", "doc"])
async def test_a_lost_answer_does_not_make_a_file_twice(
    google: FakeGoogle, connect: Connect, kind: str, status: int | None
) -> None:
    google.faults.append(Fault("drive.files.create", status=status, after=True))
    async with connect() as client:
        made = row_of(await client.call_tool("create_drive_file", {"name": "only one", "content": "x", "type": kind}))
    assert [file.id for file in google.files.values() if file.name == "only one"] == [made["id"]]


async def test_a_request_that_never_arrived_is_sent_again_under_the_same_id(
    google: FakeGoogle, connect: Connect
) -> None:
    google.faults.append(Fault("drive.files.create", status=None))
    async with connect() as client:
        row_of(await client.call_tool("create_drive_file", {"name": "only one", "content": "x", "type": "text"}))
    assert [file.name for file in google.files.values()].count("only one") == 1


async def test_where_nobody_knows_whether_a_doc_was_made_nothing_is_repeated(
    google: FakeGoogle, connect: Connect
) -> None:
    google.faults += [Fault("drive.files.create"), Fault("drive.files.list", times=9)]
    async with connect() as client:
        result = await client.call_tool("create_drive_file", {"name": "D", "content": "x"})
    assert (code_of(result), google.asked("drive.files.create")) == ("conflict", 1)
    assert "Look before" in text_of(result)


async def test_a_key_makes_a_repeated_call_answer_what_the_first_did(google: FakeGoogle, connect: Connect) -> None:
    arguments = {"name": "N", "content": "x", "idempotency_key": "k"}
    async with connect() as client:
        rows = [row_of(await client.call_tool("create_drive_file", arguments)) for _ in range(2)]
    assert rows[0] == rows[1]
    assert google.asked("drive.files.create") == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "otherwise", "made_by"),
    [
        ("create_drive_folder", {"name": "New", "folder_id": "in"}, {"name": "Other"}, "drive.files.create"),
        ("copy_drive_file", {"file_id": "f", "folder_id": "in"}, {"name": "Other"}, "drive.files.copy"),
        ("upload_drive_file", {"local_name": "u", "folder_id": "in"}, {"folder_id": "root"}, "drive.files.create"),
        ("comment_on_drive_file", {"file_id": "f", "text": "Look."}, {"text": "Other"}, "drive.comments.create"),
    ],
)
async def test_whatever_adds_something_adds_it_once_for_a_key(
    google: FakeGoogle,
    connect: Connect,
    tmp_path: Path,
    tool: str,
    arguments: dict[str, Any],
    otherwise: dict[str, Any],
    made_by: str,
) -> None:
    google.add("in", "In", FOLDER)
    google.add("f", "f.txt", content="x")
    (tmp_path / "u").write_text("up")
    async with connect(local_folder=tmp_path) as client:
        first = row_of(await client.call_tool(tool, {**arguments, "idempotency_key": "k"}))
        again = row_of(await client.call_tool(tool, {**arguments, "idempotency_key": "k"}))
        other = await client.call_tool(tool, {**arguments, "idempotency_key": "k", **otherwise})
    assert first == again
    assert code_of(other) == "conflict"  # the same key for something else
    assert google.asked(made_by) == 1
    if "folder_id" in arguments:
        assert google.files[first["id"]].parents == ["in"]


async def test_content_is_replaced_at_the_revision_that_was_read_and_at_no_other(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("t", "t.txt", content="first")
    async with connect() as client:
        arguments = {"file_id": "t", "expected_revision": "t-r1"}
        done = row_of(await client.call_tool("update_drive_file", {**arguments, "content": "second"}))
        stale = await client.call_tool("update_drive_file", {**arguments, "content": "third"})
    assert (done["revision"], google.files["t"].content) == ("t-r2", b"second")
    assert (code_of(stale), "t-r2" in text_of(stale)) == ("conflict", True)


async def test_an_edit_at_the_same_moment_is_told_and_kept(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="first")
    update = google.drive_files_update

    def interrupted(request: Any) -> Any:
        google.write("t", "somebody else's")
        return update(request)

    google.drive_files_update = interrupted  # type: ignore[method-assign]
    async with connect() as client:
        arguments = {"file_id": "t", "expected_revision": "t-r1", "content": "mine"}
        result = await client.call_tool("update_drive_file", arguments)
        theirs = await client.call_tool("read_drive_file", {"file_id": "t", "revision": "t-r2"})
    assert (code_of(result), "t-r2" in text_of(result)) == ("conflict", True)
    assert "somebody else's" in text_of(theirs)


async def test_a_text_file_is_edited_in_places_that_are_unique(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="one two two")
    async with connect() as client:
        arguments = {"file_id": "t", "expected_revision": "t-r1"}
        twice = await client.call_tool("update_drive_file", {**arguments, "edits": [edit("two", "2")]})
        row_of(
            await client.call_tool("update_drive_file", {**arguments, "edits": [edit("one", "1"), edit("1 t", "_")]})
        )
    assert "2 times" in text_of(twice)
    assert google.files["t"].content == b"_wo two"


def edit(old: str, new: str) -> dict[str, str]:
    return {"old_text": old, "new_text": new}


async def test_a_doc_is_edited_under_the_revision_that_docs_itself_checks(google: FakeGoogle, connect: Connect) -> None:
    google.add("d", "D", native.DOC).native = native.document("d", native.tab("T", [native.paragraph("old words")]))
    async with connect() as client:
        arguments = {"file_id": "d", "expected_revision": "1", "edits": [edit("old", "new")]}
        row_of(await client.call_tool("update_drive_file", arguments))
        text = text_of(await client.call_tool("read_drive_file", {"file_id": "d"}))
    assert "new words" in text


async def test_an_edit_of_a_doc_that_somebody_was_faster_with_changes_nothing(
    google: FakeGoogle, connect: Connect
) -> None:
    file = google.add("d", "D", native.DOC)
    file.native = native.document("d", native.tab("T", [native.paragraph("old words")]))
    batch = google.docs_documents_batchUpdate

    def late(request: Any) -> Any:
        native.edit(file, {"replaceAllText": {"containsText": {"text": "words"}, "replaceText": "letters"}})
        google.touch(file)
        return batch(request)

    google.docs_documents_batchUpdate = late  # type: ignore[method-assign]
    async with connect() as client:
        arguments = {"file_id": "d", "expected_revision": "1", "edits": [edit("old", "new")]}
        result = await client.call_tool("update_drive_file", arguments)
    assert code_of(result) == "conflict"
    assert "old letters" in str(file.native)


async def test_a_range_of_a_sheet_is_written_as_values(google: FakeGoogle, connect: Connect) -> None:
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", Tab=[["a", "b"]])
    async with connect() as client:
        arguments = {"file_id": "s", "expected_revision": "1", "range": "Tab!B2", "content": '=1+1,"x,y"\n'}
        row_of(await client.call_tool("update_drive_file", arguments))
    assert google.files["s"].native["_rows"]["Tab"] == [["a", "b"], ["", "=1+1", "x,y"]]


async def test_only_what_ends_a_line_in_csv_ends_a_row(google: FakeGoogle, connect: Connect) -> None:
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", Tab=[])
    content = 'one\u2028line,a\x0bb\r\n"two\nlines",c\x85d\n'
    async with connect() as client:
        arguments = {"file_id": "s", "expected_revision": "1", "range": "Tab!A1", "content": content}
        row_of(await client.call_tool("update_drive_file", arguments))
    assert google.files["s"].native["_rows"]["Tab"] == [["one\u2028line", "a\x0bb"], ["two\nlines", "c\x85d"]]


async def test_what_is_quoted_from_a_doc_as_markdown_is_refused_with_how_to_quote(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("d", "D", native.DOC).native = native.document("d", native.tab("T", [native.paragraph("old words")]))
    async with connect() as client:
        arguments = {"file_id": "d", "expected_revision": "1", "edits": [edit("**old** words", "new")]}
        result = await client.call_tool("update_drive_file", arguments)
    assert code_of(result) == "not_found"
    assert "without marks of Markdown" in text_of(result)


async def test_what_cannot_be_replaced_says_what_can(google: FakeGoogle, connect: Connect) -> None:
    google.add("p", "p.png", "image/png", b"x")
    async with connect() as client:
        arguments = {"file_id": "p", "expected_revision": "p-r1", "content": "text"}
        result = await client.call_tool("update_drive_file", arguments)
    assert code_of(result) == "unsupported"
    assert google.files["p"].content == b"x"


async def test_a_file_is_moved_renamed_copied_trashed_and_taken_back(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "F", FOLDER)
    google.add("t", "t.txt", content="x")
    async with connect() as client:
        moved = row_of(await client.call_tool("move_drive_file", {"file_id": "t", "folder_id": "f"}))
        renamed = row_of(
            await client.call_tool("rename_drive_file", {"file_id": "t", "name": "u\u27e6U+200B\u27e7.txt"})
        )
        copied = row_of(await client.call_tool("copy_drive_file", {"file_id": "t", "name": "copy"}))
        trashed = row_of(await client.call_tool("trash_drive_file", {"file_id": "t"}))
        back = row_of(await client.call_tool("untrash_drive_file", {"file_id": "t"}))
    assert moved["parents"] == ["f"]
    assert renamed["name"] == "u\u200b.txt"
    assert google.files[copied["id"]].content == b"x"
    assert ("trashed" in trashed["labels"], "trashed" in back["labels"]) == (True, False)


async def test_a_lost_answer_to_a_move_is_looked_up_not_repeated(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "F", FOLDER)
    google.add("t", "t.txt")
    google.faults.append(Fault("drive.files.update", status=None, after=True))
    async with connect() as client:
        moved = row_of(await client.call_tool("move_drive_file", {"file_id": "t", "folder_id": "f"}))
    assert (moved["parents"], google.asked("drive.files.update")) == (["f"], 1)


async def test_a_move_that_did_not_happen_is_not_reported_as_one(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "F", FOLDER)
    google.add("t", "t.txt")
    google.faults.append(Fault("drive.files.update"))
    async with connect() as client:
        result = await client.call_tool("move_drive_file", {"file_id": "t", "folder_id": "f"})
    assert (code_of(result), google.files["t"].parents) == ("conflict", ["root-id"])


async def test_a_comment_whose_answer_was_lost_is_found_and_not_made_twice(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("t", "t.txt")
    google.faults.append(Fault("drive.comments.create", status=None, after=True))
    async with connect() as client:
        made = row_of(await client.call_tool("comment_on_drive_file", {"file_id": "t", "text": "Really?"}))
    assert [one["id"] for one in google.files["t"].comments] == [made["comment_id"]]


async def test_a_comment_is_replied_to_and_settled(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="x")
    async with connect() as client:
        made = row_of(await client.call_tool("comment_on_drive_file", {"file_id": "t", "text": "Is this right?"}))
        settled = {"file_id": "t", "text": "It is.", "reply_to": made["comment_id"], "resolve": True}
        replied = row_of(await client.call_tool("comment_on_drive_file", settled))
        listed = row_of(await client.call_tool("list_drive_comments", {"file_id": "t"}))
        nowhere = await client.call_tool("comment_on_drive_file", {**settled, "reply_to": "none"})
        alone = await client.call_tool("comment_on_drive_file", {"file_id": "t", "text": "x", "resolve": True})
    assert (made["reply_id"], replied["comment_id"]) == (None, made["comment_id"])
    assert (listed["resolved"], listed["replies"][0][2]) == (True, "It is.")
    assert (code_of(nowhere), code_of(alone)) == ("not_found", "invalid_argument")


async def test_a_reply_whose_answer_was_lost_is_found_and_not_made_twice(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="x")
    google.faults.append(Fault("drive.replies.create", status=None, after=True))
    async with connect() as client:
        made = row_of(await client.call_tool("comment_on_drive_file", {"file_id": "t", "text": "Look"}))
        reply = {"file_id": "t", "text": "Seen", "reply_to": made["comment_id"]}
        row_of(await client.call_tool("comment_on_drive_file", reply))
    assert [one["content"] for one in google.files["t"].comments[0]["replies"]] == ["Seen"]


async def test_a_folder_is_trashed_only_after_a_person_agreed(google: FakeGoogle, connect: Connect) -> None:
    google.add("f", "Everything", FOLDER)
    async with connect() as client:
        nobody = await client.call_tool("trash_drive_file", {"file_id": "f"})
    asked: list[str] = []
    async with connect(client=answering(asked, agree=True)) as client:
        agreed = await client.call_tool("trash_drive_file", {"file_id": "f"})
    assert code_of(nobody) == "confirmation_required"
    assert row_of(agreed)["id"] == "f"
    assert "Everything" in asked[0]


def answering(asked: list[str], *, agree: bool) -> dict[str, Any]:
    """Return the options of a client whose person always answers the same."""

    async def answer(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": agree})

    return {"elicitation_callback": answer}


# Uploads and downloads


async def test_a_large_upload_goes_in_pieces_and_resumes_after_failures(
    google: FakeGoogle, connect: Connect, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 80_000
    (tmp_path / "big.bin").write_bytes(data)
    google.faults += [
        Fault("drive.files.create", status=None, after=True, skip=1),
        Fault("drive.files.create", status=503, skip=3),
    ]
    async with connect(local_folder=tmp_path) as client:
        made = row_of(await client.call_tool("upload_drive_file", {"local_name": "big.bin"}))
    assert google.files[made["id"]].content == data
    assert [file.name for file in google.files.values()].count("big.bin") == 1


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", ".hidden", "link", "sub", "missing", "a\\b", "C:x"])
async def test_nothing_outside_the_local_folder_is_uploaded(
    google: FakeGoogle, connect: Connect, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret").write_text("secret")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "sub").mkdir()
    (inside / ".hidden").write_text("hidden")
    (inside / "link").symlink_to(tmp_path / "secret")
    async with connect(local_folder=inside) as client:
        result = await client.call_tool("upload_drive_file", {"local_name": name})
    assert code_of(result) in {"invalid_argument", "not_found"}
    assert google.asked("drive.files.create") == 0


async def test_a_file_is_saved_and_never_over_another(google: FakeGoogle, connect: Connect, tmp_path: Path) -> None:
    google.add("t", "../a/b.txt", content="content")
    async with connect(allow_download=True, local_folder=tmp_path) as client:
        saved = row_of(await client.call_tool("download_drive_file", {"file_id": "t"}))
        again = await client.call_tool("download_drive_file", {"file_id": "t"})
    assert (tmp_path / saved["local_name"]).read_text() == "content"
    assert Path(saved["local_name"]).name == saved["local_name"]
    assert code_of(again) == "conflict"


async def test_a_doc_is_saved_in_a_format_of_choice(google: FakeGoogle, connect: Connect, tmp_path: Path) -> None:
    google.add("d", "Doc", native.DOC, exports={"application/pdf": b"%PDF"})
    async with connect(allow_download=True, local_folder=tmp_path) as client:
        saved = row_of(await client.call_tool("download_drive_file", {"file_id": "d", "format": "pdf"}))
        wrong = await client.call_tool("download_drive_file", {"file_id": "d", "format": "csv"})
    assert (tmp_path / "Doc.pdf").read_bytes() == b"%PDF"
    assert saved["local_name"] == "Doc.pdf"
    assert code_of(wrong) == "unsupported"
    assert [name for name in os.listdir(tmp_path) if name != "tokens"] == ["Doc.pdf"]  # noqa: PTH208


async def test_a_download_that_breaks_leaves_no_file(google: FakeGoogle, connect: Connect, tmp_path: Path) -> None:
    google.add("t", "t.txt", content="x" * 5_000)
    local = tmp_path / "local"
    local.mkdir()
    async with connect(allow_download=True, local_folder=local, max_file_bytes=1_024) as client:
        result = await client.call_tool("download_drive_file", {"file_id": "t"})
    assert (code_of(result), os.listdir(local)) == ("too_large", [])  # noqa: PTH208


# Sharing


async def test_a_dry_run_tells_what_sharing_would_mean_and_changes_nothing(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("t", "t.txt")
    async with connect(allow_share=True) as client:
        arguments = {"file_id": "t", "role": "reader", "email": "x@evil.example", "dry_run": True}
        result = await client.call_tool("share_drive_file", arguments)
    assert row_of(result)["external"] is True
    assert google.asked("drive.permissions.create") == 0


@pytest.mark.parametrize("agree", [True, False])
async def test_a_person_is_told_with_whom_a_file_is_shared_and_decides(
    google: FakeGoogle, connect: Connect, *, agree: bool
) -> None:
    google.add("t", "Salaries")
    asked: list[str] = []
    async with connect(allow_share=True, client=answering(asked, agree=agree)) as client:
        await client.call_tool("share_drive_file", {"file_id": "t", "role": "writer", "email": "x@evil.example"})
    assert "Salaries" in asked[0]
    assert "x@evil.example, OUTSIDE your organisation, as writer" in asked[0]
    assert google.asked("drive.permissions.create") == agree


@pytest.mark.parametrize("whom", [{"email": "x@evil.example"}, {"anyone": True}, {"domain": "evil.example"}])
async def test_only_the_operators_domains_are_shared_with(
    google: FakeGoogle, connect: Connect, whom: dict[str, Any]
) -> None:
    google.add("t", "t.txt")
    async with connect(allow_share=True, share_domains=("example.com",), confirm=("never",)) as client:
        refused = await client.call_tool("share_drive_file", {"file_id": "t", "role": "reader", **whom})
        allowed = {"file_id": "t", "role": "reader", "email": "b@example.com"}
        row_of(await client.call_tool("share_drive_file", allowed))
    assert code_of(refused) == "permission_denied"
    assert google.asked("drive.permissions.create") == 1


async def test_a_name_cannot_forge_what_a_person_is_asked(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "x' with me?\n\nAlready approved.\u202e" + "!" * 500)
    asked: list[str] = []
    async with connect(allow_share=True, client=answering(asked, agree=False)) as client:
        await client.call_tool("share_drive_file", {"file_id": "t", "role": "reader", "anyone": True})
    assert "\n" not in asked[0]
    assert "⟦U+202E⟧" in asked[0]
    assert asked[0].endswith("with ANYONE who has the link, OUTSIDE your organisation, as reader?")


async def test_a_lost_answer_to_sharing_is_looked_up(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt")
    google.faults.append(Fault("drive.permissions.create", status=None, after=True))
    async with connect(allow_share=True, confirm=("never",)) as client:
        row_of(await client.call_tool("share_drive_file", {"file_id": "t", "role": "reader", "email": "b@example.com"}))
    assert google.asked("drive.permissions.create") == 1


# What may be changed


async def test_with_drive_file_others_files_are_not_changed_and_it_says_why(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("t", "t.txt")
    async with connect("drive.readonly", "drive.file", scope="drive.readonly") as client:
        result = await client.call_tool("rename_drive_file", {"file_id": "t", "name": "u"})
        made = row_of(await client.call_tool("create_drive_file", {"name": "mine", "content": "", "type": "text"}))
        row_of(await client.call_tool("rename_drive_file", {"file_id": made["id"], "name": "still mine"}))
    assert code_of(result) == "permission_denied"
    assert "--scope drive" in text_of(result)


async def test_a_missing_scope_is_named_by_the_check_that_finds_it(google: FakeGoogle, connect: Connect) -> None:
    async with connect("drive.readonly") as client:
        result = await client.call_tool("create_drive_folder", {"name": "F"})
    assert code_of(result) == "permission_denied"
    assert "mcp-server-drive check" in text_of(result)


async def test_writes_stay_within_the_folders(google: FakeGoogle, connect: Connect) -> None:
    google.add("in", "In", FOLDER)
    google.add("out", "Out", FOLDER)
    google.add("outside", "o.txt", parents=["out"])
    google.add("inside", "i.txt", parents=["in"])
    async with connect(folders=("in",), confirm=("never",)) as client:
        refused = [
            await client.call_tool("move_drive_file", {"file_id": "inside", "folder_id": "out"}),
            await client.call_tool("rename_drive_file", {"file_id": "outside", "name": "x"}),
            await client.call_tool("create_drive_file", {"name": "x", "content": "", "folder_id": "out"}),
            await client.call_tool("copy_drive_file", {"file_id": "inside", "folder_id": "out"}),
            await client.call_tool("trash_drive_file", {"file_id": "in"}),
        ]
        made = row_of(await client.call_tool("create_drive_file", {"name": "x", "content": "", "type": "text"}))
        copied = row_of(await client.call_tool("copy_drive_file", {"file_id": "inside"}))
    assert [code_of(result) for result in refused] == [*["not_found"] * 4, "permission_denied"]
    assert (made["parents"], copied["parents"]) == (["in"], ["in"])


async def test_tools_that_the_credential_cannot_use_are_not_listed_if_the_operator_wants_that(
    google: FakeGoogle, connect: Connect
) -> None:
    async with connect("drive.readonly", match_credential=True) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        refused = await client.call_tool("create_drive_folder", {"name": "F"})
    assert "search_drive" in listed
    assert "create_drive_folder" not in listed
    assert "drive.file" in text_of(refused)


async def test_an_image_stays_byte_for_byte(google: FakeGoogle, connect: Connect, tmp_path: Path) -> None:
    pixel = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA=")
    (tmp_path / "p.gif").write_bytes(pixel)
    async with connect(local_folder=tmp_path) as client:
        made = row_of(await client.call_tool("upload_drive_file", {"local_name": "p.gif"}))
    assert (google.files[made["id"]].content, made["type"]) == (pixel, "image")
