"""The connection: where tokens go, what refusals mean, and what happens when Slack is slow or gone."""

import logging

import anyio
import pytest
from mcp_server_slack.settings import Settings
from mcp_server_slack.slack_api import SlackApi
from pydantic import ValidationError
from slack_gaps import BOT, PUBLIC_ONLY, STRANGER, USER
from slack_methods import unknown_to_slack
from slack_workspace import Connect, Session, Workspace

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", ["api", "files"])
async def test_no_token_follows_a_redirect_to_another_host(connect: Connect, workspace: Workspace, status: str) -> None:
    workspace.proxy.elsewhere.clear()
    if status == "api":
        workspace.proxy.redirects["conversations.info"] = workspace.proxy.elsewhere_url + "/api/conversations.info"
        async with connect() as session:
            code, _ = await session.refused("read_channel", channel=workspace.channels["general"])
    else:
        file = workspace.upload("general", "a.txt", b"x")
        workspace.proxy.changed[file] = {"url_private_download": workspace.proxy.elsewhere_url + "/files-pri/x"}
        async with connect() as session:
            code, _ = await session.refused("read_slack_file", file=file)
    assert code == "permission_denied"
    assert workspace.proxy.elsewhere == []


@pytest.mark.parametrize(
    ("url", "is_slack"),
    [
        ("https://slack.com/api/x", True),
        ("https://files.slack.com/x", True),
        ("https://acme.enterprise.slack.com/x", True),
        ("http://slack.com/x", False),
        ("https://slack.com.evil.example/x", False),
        ("https://evilslack.com/x", False),
        ("https://slack.com:8443/x", False),
        ("https://evil.example/slack.com", False),
        ("https://slack.com@evil.example/", False),
        ("https://slack-gov.com/x", False),
    ],
)
def test_only_hosts_of_slack_are_spoken_to(url: str, is_slack: bool) -> None:  # noqa: FBT001
    assert SlackApi({}, api_url="https://slack.com/api/").is_slack(url) is is_slack


async def test_a_missing_scope_becomes_advice(connect: Connect, workspace: Workspace) -> None:
    async with connect(tokens="none", user_token=STRANGER) as session:
        code, text = await session.refused("read_channel", channel=workspace.channels["general"])
    assert code == "permission_denied"
    assert "The user token lacks the scope channels:read." in text
    assert "User Token Scopes" in text


async def test_a_short_wait_is_waited_for_and_a_long_one_told(connect: Connect, workspace: Workspace) -> None:
    workspace.proxy.turned_away["conversations.history"] = [0]
    async with connect() as session:
        await session.rows("read_channel", channel="general", limit=1)
    workspace.proxy.turned_away["conversations.history"] = [600]
    async with connect() as session:
        result = await session.client.call_tool("read_channel", {"channel": "general"})
    error = (result.meta or {})["mcp-servers/error"]
    assert (error["code"], error["retryable"], error["retry_after_s"]) == ("rate_limited", True, 600)


async def test_a_write_that_was_turned_away_is_not_tried_again(connect: Connect, workspace: Workspace) -> None:
    workspace.proxy.turned_away["chat.postMessage"] = [0, 0, 0]
    async with connect(allow_write=True) as session:
        code, _ = await session.refused("post_message", channel="general", text="x")
    assert code == "rate_limited"
    assert len(workspace.proxy.forms("chat.postMessage")) == 1


async def test_too_many_requests_cost_last_replies_and_not_the_messages(connect: Connect, workspace: Workspace) -> None:
    root = workspace.post("general", "Root")
    workspace.post("general", "Reply", thread_ts=root)
    workspace.proxy.turned_away["conversations.replies"] = [600]
    async with connect() as session:
        said = await session.call("read_channel", channel="general", limit=1)
    assert [row[3] for row in said["untrusted"]["rows"]] == ["Root"]
    assert "left_out" in said


async def test_catching_up_stops_where_slack_has_had_enough_and_goes_on_from_there(
    connect: Connect, workspace: Workspace
) -> None:
    workspace.post("vendor", "News", BOT)
    async with connect(read=("vendor", "general")) as session:
        whole = await session.rows("catch_up")
        workspace.proxy.turned_away["conversations.history"] = [600] * 9
        code, _ = await session.refused("catch_up")
        assert code == "rate_limited"
        workspace.proxy.turned_away.clear()
        assert await session.rows("catch_up") == whole


async def test_names_that_cannot_be_had_are_left_ids(connect: Connect, workspace: Workspace) -> None:
    workspace.post("general", "Hello")
    workspace.proxy.turned_away["users.info"] = [600]
    async with connect() as session:
        [row] = await session.rows("read_channel", channel="general", limit=1)
    assert row[2] == workspace.people["alice"]


async def test_a_gateway_that_fails_once_is_asked_again(connect: Connect, workspace: Workspace) -> None:
    workspace.proxy.broken["conversations.info"] = [502]
    async with connect() as session:
        await session.rows("read_channel", channel=workspace.channels["general"], limit=1)


async def test_a_slack_that_is_down_is_unavailable() -> None:
    api = SlackApi({"bot": BOT}, api_url="http://127.0.0.1:9/api/")
    try:
        with pytest.raises(Exception, match="cannot be reached"):
            await api.read("auth.test")
    finally:
        await api.close()


async def test_no_token_reaches_logs_or_errors(
    connect: Connect, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    workspace.proxy.broken["conversations.info"] = [500, 500, 500]
    async with connect() as session:
        _, text = await session.refused("read_channel", channel=workspace.channels["general"])
        await session.rows("list_channels")
    for token in (BOT, USER):
        assert token not in caplog.text
        assert token not in text


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("user_token", "xoxc-1-2-3"),
        ("bot_token", "xoxd-1-2-3"),
        ("bot_token", "xoxp-1-2-3"),
        ("user_token", "xoxb-1-2-3"),
        ("api_url", "https://evil.example/api/"),
        ("api_url", "http://slack.com/api/"),
        ("api_url", "https://slack.com.evil.example/api/"),
        ("read", ("reply:public",)),
        ("write", ("two words",)),
        ("team_id", "../T1"),
    ],
)
def test_what_cannot_be_right_is_refused_at_start_without_being_repeated(setting: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{setting: value})  # pyright: ignore[reportArgumentType]
    assert str(value) not in str(refused.value)


def test_a_method_or_an_argument_that_slack_does_not_have_is_noticed() -> None:
    right = {("chat.postMessage", "thread_ts"), ("users.lookupByEmail", "email"), ("auth.test", "team_id")}
    wrong = {("chat.postMessage", "thread"), ("chat.post", "text"), ("conversations.setTopic", "purpose")}
    assert unknown_to_slack(right | wrong) == wrong


async def test_calls_that_wait_for_slack_keep_nobody_else_waiting(connect: Connect, workspace: Workspace) -> None:
    workspace.post("general", "Root")
    done: list[object] = []

    async def wait(session: Session) -> None:
        done.append(await session.rows("read_channel", channel=workspace.channels["general"], limit=1))

    async with connect() as session, anyio.create_task_group() as tasks:
        workspace.proxy.answering.clear()
        try:
            for _ in range(64):
                tasks.start_soon(wait, session)
            await session.client.list_tools()
            await session.client.list_prompts()
            assert done == []
        finally:
            workspace.proxy.answering.set()
    assert len(done) == 64


async def test_a_token_without_the_right_to_list_private_channels_lists_the_others(
    connect: Connect, workspace: Workspace
) -> None:
    async with connect(tokens="none", bot_token=PUBLIC_ONLY) as session:
        names = [row[1] for row in await session.rows("list_channels")]
        assert "eng-api" in names
        assert "eng-secrets" not in names
        await session.rows("read_channel", channel="#eng-api")


async def test_match_credential_hides_what_the_tokens_cannot_do(connect: Connect) -> None:
    everything = {"match_credential": True, "allow_write": True}
    async with connect(tokens="none", user_token=STRANGER, **everything) as session:
        listed = {tool.name for tool in (await session.client.list_tools()).tools}
        code, text = await session.refused("read_channel", channel="general")
    assert listed == {"find_slack_users"}
    assert (code, "channels:history" in text) == ("permission_denied", True)
    async with connect(tokens="bot", **everything) as session:
        listed = {tool.name for tool in (await session.client.list_tools()).tools}
    assert "search_messages" not in listed
    assert {"read_channel", "post_message"} <= listed
