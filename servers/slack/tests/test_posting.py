"""Writing to Slack, by grant: what arrives there, and what never does."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from slack_gaps import BOT
from slack_workspace import Connect, Workspace

pytestmark = pytest.mark.anyio


async def test_a_message_arrives_as_rich_text_with_unfurling_off(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True) as session:
        [[channel, ts, permalink]] = await session.rows("post_message", channel="#general", text="**Hi** <!chan & co")
    [form] = workspace.proxy.forms("chat.postMessage")
    assert (form["unfurl_links"], form["unfurl_media"]) == ("false", "false")
    assert json.loads(form["blocks"])[0]["elements"][0]["elements"] == [
        {"type": "text", "text": "Hi", "style": {"bold": True}},
        {"type": "text", "text": " <!chan & co"},
    ]
    newest = workspace.messages("general")[0]
    assert (newest["ts"], newest["text"]) == (ts, "*Hi* &lt;!chan &amp; co")
    assert permalink == workspace.permalink("general", ts)
    assert channel == workspace.channels["general"]


async def test_the_bot_posts_and_the_user_reads(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True) as session:
        await session.rows("post_message", channel="general", text="From the app")
        await session.rows("read_channel", channel="general", limit=1)
    assert workspace.messages("general")[0]["user"] == workspace.people["helper"]
    owners = {name: auth for name, _, auth in workspace.proxy.asked}
    assert owners["chat.postMessage"] == f"Bearer {BOT}"
    assert owners["conversations.history"] != f"Bearer {BOT}"


async def test_a_dry_run_shows_what_would_be_posted_where_and_posts_nothing(
    connect: Connect, workspace: Workspace
) -> None:
    bob = workspace.people["bob"]
    async with connect(allow_write=True) as session:
        text = f"<@{bob}> see [the page](https://example.com/a)"
        shown = dict(await session.rows("post_message", channel="eng-api", text=text, dry_run=True))
    assert shown["text"] == f"<@{bob}|bob> see the page (https://example.com/a)"
    assert (shown["audience"], shown["shared_with_other_companies"]) == ("public, 4 members", False)
    assert shown["mentions"] == [f"<@{bob}>"]
    assert "chat.postMessage" not in workspace.proxy.methods()


async def test_a_reply_to_a_reply_goes_to_its_thread(connect: Connect, workspace: Workspace) -> None:
    root = workspace.post("general", "Root")
    reply = workspace.post("general", "Reply", thread_ts=root)
    async with connect(allow_write=True) as session:
        link = f"{workspace.permalink('general', reply)}?thread_ts={root}&cid={workspace.channels['general']}"
        await session.rows("post_message", channel="general", text="Again", thread=link, broadcast=True)
    [form] = workspace.proxy.forms("chat.postMessage")
    assert (form["thread_ts"], form["reply_broadcast"]) == (root, "true")


async def test_a_reply_to_nothing_is_refused(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("post_message", channel="general", text="x", thread="1600000000.000000")
    assert code == "not_found"
    assert "chat.postMessage" not in workspace.proxy.methods()


async def test_a_repeated_key_posts_once(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True) as session:
        first = await session.rows("post_message", channel="general", text="Once", idempotency_key="k1")
        again = await session.rows("post_message", channel="general", text="Once", idempotency_key="k1")
        code, _ = await session.refused("post_message", channel="general", text="Other", idempotency_key="k1")
    assert first == again
    assert code == "conflict"
    assert len(workspace.proxy.forms("chat.postMessage")) == 1


async def test_a_failure_while_posting_is_not_tried_again(connect: Connect, workspace: Workspace) -> None:
    workspace.proxy.broken["chat.postMessage"] = [502]
    async with connect(allow_write=True) as session:
        code, text = await session.refused("post_message", channel="general", text="x", idempotency_key="k2")
        assert (code, "unknown whether" in text) == ("unavailable", True)
        code, text = await session.refused("post_message", channel="general", text="x", idempotency_key="k2")
    assert (code, "Look whether" in text) == ("conflict", True)
    assert len(workspace.proxy.forms("chat.postMessage")) == 1


async def test_a_message_of_ours_is_edited_and_deleted(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True, agrees=True) as session:
        [[_, ts, _]] = await session.rows("post_message", channel="general", text="Frist")
        await session.rows("edit_message", channel="general", message=ts, text="First")
        assert workspace.messages("general")[0]["text"] == "First"
        await session.rows("delete_message", channel="general", message=workspace.permalink("general", ts))
    assert session.asked == ["Delete this message in #general?\n\nFirst"]
    assert ts not in {message["ts"] for message in workspace.messages("general")}


async def test_nothing_is_deleted_when_the_person_says_no(connect: Connect, workspace: Workspace) -> None:
    ts = workspace.post("general", "Stays", BOT)
    async with connect(allow_write=True, agrees=False) as session:
        code, _ = await session.refused("delete_message", channel="general", message=ts)
    assert code == "confirmation_required"
    assert ts in {message["ts"] for message in workspace.messages("general")}


@pytest.mark.parametrize("tool", ["edit_message", "delete_message"])
async def test_what_others_wrote_is_left_alone(connect: Connect, workspace: Workspace, tool: str) -> None:
    ts = workspace.post("general", "Alice's")
    arguments = {"text": "Mine"} if tool == "edit_message" else {}
    async with connect(allow_write=True, confirm=("never",)) as session:
        code, text = await session.refused(tool, channel="general", message=ts, **arguments)
    assert (code, "Somebody else" in text) == ("permission_denied", True)
    assert not {"chat.update", "chat.delete"} & set(workspace.proxy.methods())


async def test_an_edit_adds_no_link(connect: Connect, workspace: Workspace) -> None:
    ts = workspace.post("general", "See <https://example.com/a>", BOT)
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("edit_message", channel="general", message=ts, text="https://example.com/b")
        await session.rows("edit_message", channel="general", message=ts, text="Read https://example.com/a")
    assert code == "permission_denied"


async def test_a_message_is_scheduled_listed_and_cancelled(connect: Connect, workspace: Workspace) -> None:
    when = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%MZ")
    async with connect(allow_write=True) as session:
        [[_, scheduled, at]] = await session.rows("schedule_message", channel="general", text="Later", post_at=when)
        listed = await session.rows("scheduled_messages")
        assert [scheduled, workspace.channels["general"], at, "Later"] in listed
        await session.rows("scheduled_messages", cancel=scheduled)
        assert await session.rows("scheduled_messages") == []
        code, _ = await session.refused("scheduled_messages", cancel=scheduled)
    assert code == "conflict"
    [form] = workspace.proxy.forms("chat.scheduleMessage")
    assert (form["unfurl_links"], form["unfurl_media"]) == ("false", "false")


async def test_what_is_scheduled_for_a_closed_channel_is_neither_shown_nor_cancelled(
    connect: Connect, workspace: Workspace
) -> None:
    when = int((datetime.now(UTC) + timedelta(days=2)).timestamp())
    secrets = workspace.channels["eng-secrets"]
    made = workspace.ask("chat.scheduleMessage", BOT, channel=secrets, text="The merger", post_at=when)
    scheduled = made["scheduled_message_id"]
    for closed in ({"write": ("public",)}, {"read": ("public",)}):
        async with connect(allow_write=True, **closed) as session:
            assert "merger" not in await session.text("scheduled_messages")
    async with connect(allow_write=True, write=("public",)) as session:
        code, text = await session.refused("scheduled_messages", cancel=scheduled)
        assert (code, "merger" in text) == ("permission_denied", False)
    async with connect(allow_write=True) as session:
        assert "merger" in await session.text("scheduled_messages")
        code, _ = await session.refused("post_message", channel="general", text="A merger!")
        assert code == "confirmation_required"  # what it showed is private
        await session.rows("scheduled_messages", cancel=scheduled)


async def test_nothing_is_scheduled_in_the_past(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("schedule_message", channel="general", text="x", post_at="2020-01-01")
    assert code == "invalid_argument"


async def test_a_reaction_comes_and_goes_however_often_it_is_asked_for(connect: Connect, workspace: Workspace) -> None:
    ts, general = workspace.post("general", "Nice"), workspace.channels["general"]
    async with connect(allow_write=True) as session:
        reaction = {"channel": "general", "message": ts, "emoji": ":tada:"}
        assert await session.rows("react", **reaction) == [[general, True]]
        assert await session.rows("react", **reaction) == [[general, False]]
        assert await session.rows("react", **reaction, remove=True) == [[general, True]]


async def test_a_channel_is_marked_as_read_for_the_user(connect: Connect, workspace: Workspace) -> None:
    ts = workspace.post("general", "Read this", BOT)
    async with connect(allow_write=True) as session:
        await session.rows("mark_read", channel="general", message=ts)
    info = workspace.ask("conversations.info", channel=workspace.channels["general"])
    assert info["channel"]["last_read"] == ts


async def test_a_file_of_the_folder_is_uploaded_with_its_comment(
    connect: Connect, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "report.txt").write_text("All is well.")
    async with connect(allow_upload=True, upload_folder=tmp_path) as session:
        [[_, file, size]] = await session.rows(
            "upload_file", channel="general", path="report.txt", comment="The **report**"
        )
        assert "All is well." in await session.text("read_slack_file", file=file)
    assert size == 12
    [form] = workspace.proxy.forms("files.completeUploadExternal")
    assert "initial_comment" not in form
    assert json.loads(form["blocks"])[0]["type"] == "rich_text"


@pytest.mark.parametrize("path", ["../secret.txt", "/etc/hosts", "link.txt", "sub/../../secret.txt", "nul\0.txt", "."])
async def test_no_other_file_is_uploaded(connect: Connect, workspace: Workspace, tmp_path: Path, path: str) -> None:
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    async with connect(allow_upload=True, upload_folder=folder) as session:
        code, _ = await session.refused("upload_file", channel="general", path=path)
    assert code in {"permission_denied", "not_found", "invalid_argument"}
    assert "files.getUploadURLExternal" not in workspace.proxy.methods()


async def test_an_upload_without_a_folder_says_who_can_name_one(connect: Connect) -> None:
    async with connect(allow_upload=True) as session:
        code, text = await session.refused("upload_file", channel="general", path="a.txt")
    assert (code, "--upload-folder" in text) == ("not_found", True)


async def test_the_comment_of_a_file_holds_no_link(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    async with connect(allow_upload=True, upload_folder=tmp_path) as session:
        comment = "see https://example.com"
        code, _ = await session.refused("upload_file", channel="general", path="a.txt", comment=comment)
    assert code == "permission_denied"


async def test_a_canvas_is_made_changed_and_replaced(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True, agrees=True) as session:
        [[canvas]] = await session.rows("write_canvas", channel="general", title="Plan", text="# Plan\n")
        await session.rows("write_canvas", canvas=canvas, text="- more\n")
        assert "# Plan\n- more\n" in await session.text("read_canvas", canvas=canvas)
        assert session.asked == []
        await session.rows("write_canvas", canvas=canvas, text="Anew", mode="replace")
    assert workspace.proxy.canvases[canvas] == "Anew"
    assert session.asked == [f"Replace everything in the canvas {canvas}?"]


@pytest.mark.parametrize(
    "text",
    [
        "![chart](https://example.com/?d=secret)",
        "![chart](//example.com/?d=secret)",
        "![chart][1]\n\n[1]: https://example.com/?d=secret",
        "[![chart]( <https://example.com/?d=secret> )](https://example.com)",
        '<img src="https://example.com/?d=secret">',
    ],
)
async def test_a_canvas_holds_no_image(connect: Connect, workspace: Workspace, text: str) -> None:
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("write_canvas", channel="general", text=text)
    assert code == "permission_denied"
    assert "canvases.create" not in workspace.proxy.methods()


async def test_a_canvas_that_is_shared_where_one_may_not_write_is_left_alone(
    connect: Connect, workspace: Workspace
) -> None:
    canvas = workspace.ask("canvases.create", document_content='{"type": "markdown", "markdown": "x"}')["canvas_id"]
    workspace.proxy.changed[canvas] = {"channels": [workspace.channels["general"], workspace.channels["eng-secrets"]]}
    async with connect(allow_write=True, write=("general",)) as session:
        code, _ = await session.refused("write_canvas", canvas=canvas, text="y")
    assert code == "permission_denied"


async def test_a_channel_of_an_odd_name_and_a_topic_of_nothing_are_refused(
    connect: Connect, workspace: Workspace
) -> None:
    async with connect(allow_manage_channels=True) as session:
        code, text = await session.refused("create_channel", name="Été")
        assert (code, "lower-case" in text) == ("invalid_argument", True)
        code, _ = await session.refused("set_topic", channel="general")
    assert code == "invalid_argument"


async def test_a_channel_is_created_and_gets_a_topic(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_manage_channels=True) as session:
        [[channel, name]] = await session.rows("create_channel", name="#new-things")
        await session.rows("set_topic", channel=channel, topic="A <b> & c", purpose="Why")
    info = workspace.ask("conversations.info", BOT, channel=channel)["channel"]
    assert (name, info["topic"]["value"]) == ("new-things", "A &lt;b&gt; &amp; c")
