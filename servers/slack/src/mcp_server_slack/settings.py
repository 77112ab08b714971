"""What the operator decides."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from mcp_server_shared.catalog import Grant
from mcp_server_shared.settings import ServerSettings, Source
from pydantic import Field, SecretStr, field_validator

from mcp_server_slack.channel_policy import ChannelPolicy

WRITE = Grant(
    setting="allow_write",
    allows="post, edit, schedule, react and write canvases",
    needs="chat:write; reactions:write to react, canvases:write for canvases, channels:write, groups:write, im:write "
    "and mpim:write of a user token to mark as read. Where: --write.",
)
UPLOAD = Grant(
    setting="allow_upload",
    allows="upload files of one folder",
    needs="files:write; the folder is named by --upload-folder. Where: --write.",
)
MANAGE = Grant(
    setting="allow_manage_channels",
    allows="create channels and set their topics",
    needs="channels:manage, and groups:write for private channels. Where: --write.",
)

READ_BY_DEFAULT = ("public", "private", "shared")
WRITE_BY_DEFAULT = ("public", "private")
_SLACK = ("slack.com", "slack-gov.com")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Settings(ServerSettings):
    """The credentials of the workspace, and where it may be read and written."""

    env_prefix = "SLACK"
    confirmations = ("link", "private-to-public", "delete", "replace")

    bot_token: Annotated[
        SecretStr | None,
        Source(env=("SLACK_BOT_TOKEN",)),
        Field(description="xoxb-…: sees the channels it was invited to, posts as the app."),
    ] = None
    user_token: Annotated[
        SecretStr | None,
        Source(env=("SLACK_USER_TOKEN",)),
        Field(description="xoxp-…: sees what the user sees, searches. With both, this one reads and the bot posts."),
    ] = None
    team_id: Annotated[
        str | None, Field(pattern="^[TE][A-Z0-9]+$", description="The workspace, for a token of a whole organisation.")
    ] = None
    read: Annotated[
        tuple[str, ...],
        Source(placeholder="[!]CHANNELS"),
        Field(
            description="What may be read: public, private, dm, group-dm, shared (with other companies), ids, name "
            "patterns such as eng-*; with ! in front, what may not."
        ),
    ] = READ_BY_DEFAULT
    write: Annotated[
        tuple[str, ...],
        Source(placeholder="[!][reply:]CHANNELS"),
        Field(description="Where may be written, in the same words; reply: before them allows replies alone."),
    ] = WRITE_BY_DEFAULT
    allow_write: Annotated[bool, Field(description="Also post, edit, schedule, react and write canvases.")] = False
    allow_upload: Annotated[bool, Field(description="Also upload files of --upload-folder.")] = False
    upload_folder: Annotated[Path | None, Field(description="The folder whose files may be uploaded.")] = None
    allow_manage_channels: Annotated[bool, Field(description="Also create channels and set topics.")] = False
    allow_mass_mentions: Annotated[
        bool, Field(description="Let messages mention @channel, @here, @everyone and user groups.")
    ] = False
    match_credential: Annotated[
        bool,
        Field(description="Ask for the tokens' scopes at start; hide the tools for which they do not suffice."),
    ] = False
    api_url: Annotated[
        str, Source(placeholder="URL"), Field(description="Slack's API; GovSlack has https://slack-gov.com/api/.")
    ] = "https://slack.com/api/"

    @field_validator("bot_token")
    @classmethod
    def _bot(cls, token: SecretStr | None) -> SecretStr | None:
        if token and token.get_secret_value().startswith(("xoxp-", "xoxe.xoxp-")):
            raise ValueError("must be a bot token (xoxb-…); the token of a user is --user-token")
        return _not_of_a_browser(token)

    @field_validator("user_token")
    @classmethod
    def _user(cls, token: SecretStr | None) -> SecretStr | None:
        if token and token.get_secret_value().startswith(("xoxb-", "xoxe.xoxb-")):
            raise ValueError("must be a user token (xoxp-…); the token of a bot is --bot-token")
        return _not_of_a_browser(token)

    @field_validator("read", "write")
    @classmethod
    def _policies(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        ChannelPolicy(entries, default=())
        return entries

    @field_validator("read")
    @classmethod
    def _no_replies(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if any("reply:" in entry for entry in entries):
            raise ValueError("reply: is for --write alone")
        return entries

    @field_validator("api_url")
    @classmethod
    def _of_slack(cls, url: str) -> str:
        parts = urlsplit(url)
        host = parts.hostname or ""
        slack = parts.scheme == "https" and any(host == name or host.endswith("." + name) for name in _SLACK)
        if not (slack or (parts.scheme == "http" and host in _THIS_MACHINE)):
            raise ValueError("must be an https address of slack.com or slack-gov.com, or http on this machine")
        return url if url.endswith("/") else url + "/"

    def readable(self) -> ChannelPolicy:
        """Return what may be read."""
        return ChannelPolicy(self.read, default=READ_BY_DEFAULT)

    def writable(self) -> ChannelPolicy:
        """Return where may be written, if anything may be."""
        return ChannelPolicy(self.write, default=WRITE_BY_DEFAULT)


def _not_of_a_browser(token: SecretStr | None) -> SecretStr | None:
    if token and token.get_secret_value().startswith(("xoxc-", "xoxd-")):
        raise ValueError("must not be the session of a browser (xoxc-, xoxd-); install an app and use its token")
    return token
