"""What a client of the Slack server can see and do. Start reading here."""

from mcp_server_shared.catalog import About
from mcp_server_shared.registry import ADDS, DESTROYS, READ_ONLY_WORLD
from mcp_server_shared.server import Server

from mcp_server_slack.conversations import Conversations
from mcp_server_slack.credential import findings, unusable
from mcp_server_slack.prompts import draft_reply, summarise_channel
from mcp_server_slack.resources import complete_channel, slack_channel, slack_thread
from mcp_server_slack.settings import MANAGE, UPLOAD, WRITE, Settings
from mcp_server_slack.slack_api import Owner, SlackApi
from mcp_server_slack.tools.catching_up import catch_up
from mcp_server_slack.tools.channels import create_channel, list_channels, set_topic
from mcp_server_slack.tools.files import read_canvas, read_slack_file
from mcp_server_slack.tools.posting import (
    delete_message,
    edit_message,
    mark_read,
    post_message,
    react,
    schedule_message,
    scheduled_messages,
)
from mcp_server_slack.tools.reading import read_channel, read_thread
from mcp_server_slack.tools.searching import find_slack_users, search_messages
from mcp_server_slack.tools.uploading import upload_file, write_canvas
from mcp_server_slack.workspace import Workspace

ADDS_TO_THE_WORLD = ADDS.model_copy(update={"open_world_hint": True})
DESTROYS_IN_THE_WORLD = DESTROYS.model_copy(update={"open_world_hint": True})

ABOUT = About(
    package="mcp-server-slack",
    title="Slack",
    purpose="One Slack workspace, read-only until told otherwise.",
    reading_needs="A bot or user token with channels:read, channels:history and users:read; groups:read and "
    "groups:history for private channels; files:read, canvases:read; search:read of a user token to search.",
    grants=(WRITE, UPLOAD, MANAGE),
    state="caller",
    never=(
        "reads direct messages unless --read names them",
        "posts to channels shared with other companies unless --write names shared",
        "mentions @channel, @here, @everyone or a user group unless --allow-mass-mentions",
        "lets Slack unfurl a link, edits or deletes what others wrote, or uses the session of a browser",
        "sends a token to any other host than Slack's",
    ),
)


def build_server(settings: Settings) -> Server[Workspace]:
    """Build the server; it connects on the first call."""
    tokens: dict[Owner, str] = {}
    if settings.user_token:
        tokens["user"] = settings.user_token.get_secret_value()
    if settings.bot_token:
        tokens["bot"] = settings.bot_token.get_secret_value()

    def workspace() -> Workspace:
        api = SlackApi(tokens, api_url=settings.api_url, team_id=settings.team_id)
        return Workspace(api, Conversations(settings.readable(), settings.writable(), api.scopes))

    server = Server(
        ABOUT,
        settings,
        lambda: workspace().open(),
        findings=lambda state: findings(state.api, {grant: settings.gives(grant) for grant in ABOUT.grants}),
        unusable=(lambda state: unusable(state.api)) if settings.match_credential else None,
    )
    server.add_tool(list_channels, title="List channels", annotations=READ_ONLY_WORLD)
    server.add_tool(read_channel, title="Read channel", annotations=READ_ONLY_WORLD)
    server.add_tool(read_thread, title="Read thread", annotations=READ_ONLY_WORLD)
    server.add_tool(search_messages, title="Search messages", annotations=READ_ONLY_WORLD)
    server.add_tool(catch_up, title="Catch up", annotations=READ_ONLY_WORLD)
    server.add_tool(find_slack_users, title="Find Slack users", annotations=READ_ONLY_WORLD)
    server.add_tool(read_slack_file, title="Read Slack file", annotations=READ_ONLY_WORLD)
    server.add_tool(read_canvas, title="Read canvas", annotations=READ_ONLY_WORLD)
    adds, destroys = ADDS_TO_THE_WORLD, DESTROYS_IN_THE_WORLD
    server.add_tool(post_message, title="Post message", annotations=adds, grant=WRITE)
    server.add_tool(edit_message, title="Edit message", annotations=destroys, grant=WRITE)
    server.add_tool(delete_message, title="Delete message", annotations=destroys, grant=WRITE)
    server.add_tool(schedule_message, title="Schedule message", annotations=adds, grant=WRITE)
    server.add_tool(scheduled_messages, title="Scheduled messages", annotations=destroys, grant=WRITE)
    server.add_tool(react, title="React", annotations=adds, grant=WRITE)
    server.add_tool(mark_read, title="Mark read", annotations=adds, grant=WRITE)
    server.add_tool(write_canvas, title="Write canvas", annotations=destroys, grant=WRITE)
    server.add_tool(upload_file, title="Upload file", annotations=adds, grant=UPLOAD)
    server.add_tool(create_channel, title="Create channel", annotations=adds, grant=MANAGE)
    server.add_tool(set_topic, title="Set topic", annotations=destroys, grant=MANAGE)
    names = {"channel": complete_channel}
    server.add_resource("slack:///{channel}", slack_channel, title="A channel", complete=names)
    server.add_resource("slack:///{channel}/{thread}", slack_thread, title="A thread", complete=names)
    server.add_prompt(summarise_channel, title="Summarise a channel", complete=names)
    server.add_prompt(draft_reply, title="Draft a reply")
    return server
