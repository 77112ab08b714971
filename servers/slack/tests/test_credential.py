"""What `check` says of the tokens."""

import pytest
from mcp_server_slack.credential import findings
from mcp_server_slack.settings import MANAGE, UPLOAD, WRITE
from mcp_server_slack.slack_api import Owner, SlackApi
from slack_gaps import BOT, STRANGER, USER
from slack_workspace import Workspace

pytestmark = pytest.mark.anyio


async def said(workspace: Workspace, tokens: dict[Owner, str], *given: str) -> list[tuple[str, str]]:
    api = SlackApi(tokens, api_url=f"{workspace.proxy.url}/api/")
    try:
        grants = {grant: grant.setting in given for grant in (WRITE, UPLOAD, MANAGE)}
        return [(finding.level, f"{finding.text} {finding.advice}") for finding in await findings(api, grants)]
    finally:
        await api.close()


async def test_it_says_whose_tokens_they_are(workspace: Workspace) -> None:
    found = await said(workspace, {"user": USER, "bot": BOT})
    assert ("ok", "The user token is alice's, in https://acme.slack.com/. ") in found
    assert ("ok", "The bot token is helper's, in https://acme.slack.com/. ") in found


async def test_it_names_the_scopes_that_are_missing(workspace: Workspace) -> None:
    found = await said(workspace, {"user": STRANGER})
    lacking = "search_messages will not work. Add the scope search:read to the user token."
    assert ("warning", lacking) in found


async def test_it_names_the_scopes_that_are_too_much_for_what_was_granted(workspace: Workspace) -> None:
    for given in ((), ("allow_write",), ("allow_write", "allow_upload", "allow_manage_channels")):
        found = await said(workspace, {"bot": BOT}, *given)
        extra = next((text for _, text in found if "may do more" in text), "")
        assert ("chat:write" in extra) == ("allow_write" not in given)
        assert ("files:write" in extra) == ("allow_upload" not in given)


async def test_it_says_how_to_supply_a_token_where_there_is_none(workspace: Workspace) -> None:
    [(level, text)] = await said(workspace, {})
    assert (level, "SLACK_BOT_TOKEN" in text) == ("problem", True)


async def test_a_token_that_slack_refuses_is_a_problem(workspace: Workspace) -> None:
    workspace.proxy.broken["auth.test"] = [500]
    [(level, text)] = await said(workspace, {"bot": BOT})
    assert (level, "The bot token" in text) == ("problem", True)
