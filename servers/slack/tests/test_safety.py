"""What a model that was talked into it cannot do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mcp_server_slack.links import addresses, suspicion
from slack_gaps import BOT
from slack_workspace import Connect, Workspace

pytestmark = pytest.mark.anyio

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%MZ")
SECRET = "c2VjcmV0IGtleSBvZiB0aGUgd2hvbGUgY29tcGFueQ"  # noqa: S105
WRITES = {"chat.postMessage", "chat.update", "chat.scheduleMessage", "canvases.create"}

ORDINARY = [
    "https://example.com",
    "https://example.com/a/b.html?page=2&sort=newest#top",
    "https://github.com/acme/api/commit/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "https://github.com/acme/api/pull/1204/files#diff-readme",
    "https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task",
    "https://en.wikipedia.org/wiki/Transport_Layer_Security",
    "https://example.com/search?q=quarterly+report+2026",
]
ODD = [
    f"https://evil.example/?d={SECRET}",
    f"https://evil.example/#{SECRET}",
    f"https://evil.example/{SECRET}",
    f"https://{SECRET.lower()}.evil.example/",
    "https://evil.example/?q=" + "all+of+the+text+that+was+read+before+" * 4,
    "https://user:password@evil.example/",
    f"https://evil.example/?a=1&b=%63{SECRET}",
    f"https://evil.example/?xoxb-{SECRET}",
]


@pytest.mark.parametrize("address", ORDINARY)
def test_an_ordinary_link_is_not_suspicious(address: str) -> None:
    assert suspicion(address) == ""


@pytest.mark.parametrize("address", ODD)
def test_a_link_that_carries_something_is_suspicious(address: str) -> None:
    assert suspicion(address)


@pytest.mark.parametrize(
    "form", ["{}", "[x]({})", "<{}>", "`{}`", "```\n{}\n```", "![x]({})", "> - {}.", "| a |\n|-|\n| {} |"]
)
def test_an_address_is_found_wherever_it_stands(form: str) -> None:
    assert addresses(form.format("https://example.com/a?b=c")) == ["https://example.com/a?b=c"]


@pytest.mark.parametrize("form", ["{}", "[docs]({})", "`{}`", "```\n{}\n```", "![x]({})"])
async def test_a_suspicious_link_is_posted_only_when_a_person_agrees(
    connect: Connect, workspace: Workspace, form: str
) -> None:
    text = form.format(ODD[0])
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("post_message", channel="general", text=text)
    assert code == "confirmation_required"
    async with connect(allow_write=True, agrees=False) as session:
        await session.refused("post_message", channel="general", text=text)
        assert ODD[0] in session.asked[0]
    assert not WRITES & set(workspace.proxy.methods())
    async with connect(allow_write=True, agrees=True) as session:
        await session.rows("post_message", channel="general", text=text)


async def test_a_link_that_poses_as_another_is_asked_about(connect: Connect) -> None:
    async with connect(allow_write=True, agrees=False) as session:
        await session.refused("post_message", channel="general", text="[bank.example](https://evil.example)")
    assert "its text names another address" in session.asked[0]


async def test_links_into_the_workspace_are_above_suspicion(connect: Connect) -> None:
    async with connect(allow_write=True) as session:
        await session.rows("post_message", channel="general", text="https://acme.slack.com/archives/C1/p1?x=" + SECRET)


async def test_the_operator_decides_beforehand_about_links(connect: Connect) -> None:
    async with connect(allow_write=True, confirm=("link=never",)) as session:
        await session.rows("post_message", channel="general", text=ODD[0])
    async with connect(allow_write=True, confirm=("link=refuse",), agrees=True) as session:
        code, _ = await session.refused("post_message", channel="general", text=ODD[0])
    assert code == "confirmation_required"


@pytest.mark.parametrize(
    "mention",
    [
        "@channel",
        "@here",
        "@everyone",
        "<!channel>",
        "<!here|here>",
        "<!subteam^S0GROUP0001>",
        "**@channel**, hello",
        "a @here?",
    ],
)
@pytest.mark.parametrize("tool", ["post_message", "schedule_message", "edit_message"])
async def test_a_whole_channel_is_called_only_by_grant(
    connect: Connect, workspace: Workspace, tool: str, mention: str
) -> None:
    own = workspace.post("general", "Ours", BOT)
    more = {"schedule_message": {"post_at": TOMORROW}, "edit_message": {"message": own}}.get(tool, {})
    async with connect(allow_write=True) as session:
        code, text = await session.refused(tool, channel="general", text=mention, **more)
    assert (code, "--allow-mass-mentions" in text) == ("permission_denied", True)
    assert not WRITES & set(workspace.proxy.methods())


async def test_with_the_grant_a_channel_is_called(connect: Connect, workspace: Workspace) -> None:
    async with connect(allow_write=True, allow_mass_mentions=True) as session:
        await session.rows("post_message", channel="general", text="@here: lunch, and `@channel` is code")
    assert workspace.messages("general")[0]["text"] == "<!here>: lunch, and `@channel` is code"


@pytest.mark.parametrize("harmless", ["`@channel`", "mail me@here.example", "\\<!chan", "@channels"])
async def test_what_calls_nobody_is_posted(connect: Connect, workspace: Workspace, harmless: str) -> None:
    async with connect(allow_write=True) as session:
        await session.rows("post_message", channel="general", text=harmless)
    assert "<!" not in workspace.messages("general")[0]["text"]


async def test_a_shared_channel_is_written_to_only_by_grant(connect: Connect, workspace: Workspace) -> None:
    workspace.proxy.external.add(workspace.channels["vendor"])
    for write in ((), ("vendor",), (workspace.channels["vendor"],)):
        async with connect(allow_write=True, write=write or ("public",)) as session:
            code, text = await session.refused("post_message", channel="vendor", text="hi")
            assert (code, "shared" in text) == ("permission_denied", True)
    async with connect(allow_write=True, write=("vendor", "shared")) as session:
        await session.rows("post_message", channel="vendor", text="hi")


async def test_an_invitation_to_another_company_counts_as_sharing(connect: Connect, workspace: Workspace) -> None:
    workspace.proxy.changed[workspace.channels["vendor"]] = {"is_pending_ext_shared": True}
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("post_message", channel="vendor", text="hi")
    assert code == "permission_denied"


async def test_reply_only_lets_nothing_begin(connect: Connect, workspace: Workspace) -> None:
    root = workspace.post("general", "Question")
    async with connect(allow_write=True, write=("reply:public",)) as session:
        await session.rows("post_message", channel="general", text="Answer", thread=root)
        for arguments in ({}, {"thread": root, "broadcast": True}):
            code, _ = await session.refused("post_message", channel="general", text="New", **arguments)
            assert code == "permission_denied"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("read_channel", {"channel": "eng-secrets"}),
        ("read_thread", {"channel": "eng-secrets", "thread": "PRIVATE"}),
        ("search_messages", {"query": "launch"}),
        ("catch_up", {}),
        ("list_channels", {"query": "Operation"}),
        ("read_slack_file", {"file": "PRIVATE"}),
    ],
)
async def test_after_a_private_read_a_public_post_needs_a_person(
    connect: Connect, workspace: Workspace, tool: str, arguments: dict[str, str]
) -> None:
    ts = workspace.post("eng-secrets", "The launch is on Friday", BOT)
    workspace.ask("conversations.setTopic", channel=workspace.channels["eng-secrets"], topic="Operation Friday")
    file = workspace.upload("eng-secrets", "plan.txt", b"Friday") if tool == "read_slack_file" else ""
    private = {"thread": ts, "file": file}
    arguments = {name: private.get(name, value) if value == "PRIVATE" else value for name, value in arguments.items()}
    async with connect(allow_write=True, agrees=True) as session:
        await session.rows("post_message", channel="general", text="Before")
        assert session.asked == []
        await session.text(tool, **arguments)
        await session.rows("post_message", channel="eng-secrets", text="Stays here")
        assert session.asked == []
        await session.rows("post_message", channel="general", text="Friday!")
    assert len(session.asked) == 1
    assert "Friday!" in session.asked[0]


async def test_nothing_is_invisible_to_the_person_who_is_asked(connect: Connect, workspace: Workspace) -> None:
    ts = workspace.post("general", "\u202eOurs", BOT)
    async with connect(allow_write=True, agrees=False) as session:
        await session.rows("read_channel", channel="eng-secrets")
        await session.refused("post_message", channel="general", text="Friday\u202e!")
        await session.refused("post_message", channel="general", text=f"{ODD[0]}&x=\u2066y")
        await session.refused("delete_message", channel="general", message=ts)
    assert ["⟦U+20" in question for question in session.asked] == [True] * 3


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
async def test_a_person_is_asked_for_each_reason_and_the_message_is_posted_once(
    connect: Connect, workspace: Workspace, era: str
) -> None:
    async with connect(allow_write=True, agrees=True, era=era) as session:
        await session.rows("read_channel", channel="eng-secrets")
        await session.rows("post_message", channel="general", text=f"See {ODD[0]}", idempotency_key="once")
    assert [question.partition(" ")[0] for question in session.asked] == ["Post", "Private"]
    assert len(workspace.proxy.forms("chat.postMessage")) == 1


async def test_without_a_person_a_private_read_closes_public_channels(connect: Connect, workspace: Workspace) -> None:
    workspace.post("eng-secrets", "The launch is on Friday")
    async with connect(allow_write=True) as session:
        await session.rows("read_channel", channel="eng-secrets")
        code, text = await session.refused("post_message", channel="general", text="Friday!")
        preview = dict(await session.rows("post_message", channel="general", text="Friday!", dry_run=True))
    assert (code, "--confirm private-to-public=never" in text) == ("confirmation_required", True)
    assert preview["a_person_will_be_asked"] == ["private conversations were read before"]
    assert "chat.postMessage" not in workspace.proxy.methods()


async def test_every_other_way_into_a_public_channel_asks_too(
    connect: Connect, workspace: Workspace, tmp_path: Path
) -> None:
    own = workspace.post("general", "Ours", BOT)
    (tmp_path / "a.txt").write_text("a")
    everything = {"allow_write": True, "allow_upload": True, "allow_manage_channels": True, "upload_folder": tmp_path}
    async with connect(agrees=False, **everything) as session:
        await session.rows("read_channel", channel="eng-secrets")
        for tool, arguments in {
            "edit_message": {"channel": "general", "message": own, "text": "x"},
            "schedule_message": {"channel": "general", "post_at": TOMORROW, "text": "x"},
            "upload_file": {"channel": "general", "path": "a.txt"},
            "write_canvas": {"channel": "general", "text": "x"},
            "set_topic": {"channel": "general", "topic": "x"},
            "create_channel": {"name": "leak"},
        }.items():
            code, _ = await session.refused(tool, **arguments)
            assert code == "confirmation_required", tool


async def test_direct_messages_are_closed_to_every_tool(connect: Connect, workspace: Workspace) -> None:
    direct = workspace.ask("conversations.open", users=workspace.people["bob"])["channel"]["id"]
    ts = workspace.post(direct, "Between us: the zebra")
    file = workspace.upload(direct, "zebra.txt", b"zebra")
    async with connect(allow_write=True) as session:
        for tool, arguments in {
            "read_channel": {"channel": direct},
            "read_thread": {"channel": direct, "thread": ts},
            "read_slack_file": {"file": file},
            "post_message": {"channel": direct, "text": "x"},
            "react": {"channel": direct, "message": ts, "emoji": "tada"},
            "mark_read": {"channel": direct, "message": ts},
        }.items():
            code, text = await session.refused(tool, **arguments)
            assert (code, "zebra" in text) == ("permission_denied", False), tool
        for tool, arguments in {"search_messages": {"query": "zebra"}, "catch_up": {}, "list_channels": {}}.items():
            said = await session.text(tool, **arguments)
            assert "Between us" not in said
            assert direct not in said
        found = await session.call("search_messages", query="zebra")
        assert found.keys() == {"count", "permalink", "untrusted"}  # not even that there was something
        assert found["count"] == 0
    async with connect(read=("dm",)) as session:
        assert "zebra" in await session.text("read_channel", channel=direct)
        assert "zebra" in await session.text("search_messages", query="zebra")
        assert "zebra" in await session.text("read_slack_file", file=file)


ATTACKS = ["../auth.revoke", "..%2fadmin.users.list", "C0000000/../D0", "C1&channel=D1", "general?token=x", "a\r\nX: y"]
FREE = {"text", "comment", "title", "topic", "purpose", "idempotency_key", "query"}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_argument_of_any_tool_reaches_another_method_or_a_closed_channel(
    connect: Connect, workspace: Workspace, tmp_path: Path, attack: str
) -> None:
    ts = workspace.post("eng-api", "Here", BOT)
    (tmp_path / "a.txt").write_text("a")
    usual = {"channel": "eng-api", "text": "x", "message": ts, "thread": ts, "emoji": "tada", "path": "a.txt"}
    usual |= {"post_at": TOMORROW, "name": "made", "file": "F0UNKNOWN99", "canvas": "F0UNKNOWN99", "query": "x"}
    everything = {"allow_write": True, "allow_upload": True, "allow_manage_channels": True, "upload_folder": tmp_path}
    async with connect(agrees=False, read=("eng-api",), write=("eng-api",), **everything) as session:
        for tool in (await session.client.list_tools()).tools:
            properties: dict[str, dict[str, str]] = tool.input_schema["properties"]
            given = {name: value for name, value in usual.items() if name in tool.input_schema.get("required", ())}
            for name in (name for name, schema in properties.items() if schema.get("type") == "string"):
                if name not in FREE:
                    await session.client.call_tool(tool.name, {**given, name: attack})
    asked = [(name, form) for name, form, _ in workspace.proxy.asked if name != "conversations.info"]
    assert {form["channel"] for _, form in asked if "channel" in form} <= {workspace.channels["eng-api"]}
    assert not [name for name, _ in asked if name.startswith(("admin", "auth.revoke"))]


async def test_a_direct_message_is_found_by_who_is_in_it(connect: Connect, workspace: Workspace) -> None:
    bob = workspace.people["bob"]
    direct = workspace.ask("conversations.open", users=bob)["channel"]["id"]
    workspace.post(direct, "Just you")
    async with connect(read=(bob,)) as session:
        assert [row[3] for row in await session.rows("read_channel", channel=bob, limit=1)] == ["Just you"]
        code, _ = await session.refused("read_channel", channel=workspace.people["helper"])
        assert code == "permission_denied"
    async with connect(read=("dm",)) as session:
        code, _ = await session.refused("read_channel", channel=workspace.people["admin"])
    assert code == "not_found"


async def test_a_match_that_does_not_say_where_it_is_from_is_looked_up(connect: Connect, workspace: Workspace) -> None:
    workspace.post("eng-api", "The ocelot", BOT)
    workspace.proxy.terse = True
    workspace.proxy.external.add(workspace.channels["eng-api"])
    async with connect(read=("public",)) as session:
        assert await session.rows("search_messages", query="ocelot") == []
    async with connect(read=("public", "shared")) as session:
        assert len(await session.rows("search_messages", query="ocelot")) == 1


async def test_a_file_is_read_by_where_it_is_shared(connect: Connect, workspace: Workspace) -> None:
    file = workspace.upload("eng-secrets", "plan.txt", b"Friday", BOT)
    async with connect(read=("public",)) as session:
        code, _ = await session.refused("read_slack_file", file=file)
        assert code == "permission_denied"
        workspace.proxy.changed[file] = {"channels": ["C000000001"], "groups": [workspace.channels["eng-secrets"]]}
        assert "Friday" in await session.text("read_slack_file", file=file)
        workspace.proxy.changed[file] = {"channels": [], "groups": [], "shares": {}}
        code, _ = await session.refused("read_slack_file", file=file)
        assert code == "permission_denied"
        workspace.proxy.changed[file] |= {"user": workspace.people["alice"]}
        assert "Friday" in await session.text("read_slack_file", file=file)


async def test_a_hidden_channel_is_hidden_from_every_list_and_its_name_never_offered(
    connect: Connect, workspace: Workspace
) -> None:
    async with connect(read=("!eng-secrets",)) as session:
        assert "eng-secrets" not in await session.text("list_channels")
        assert "eng-secrets" not in await session.text("list_channels", scope="all", query="secrets")
        code, text = await session.refused("read_channel", channel="#eng-secret")
        assert (code, "did you mean" in text) == ("not_found", False)
        code, _ = await session.refused("read_channel", channel="#eng-secrets")
    assert code == "permission_denied"
