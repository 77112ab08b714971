"""What a person says of a server at some address: where it is, and what proves who they are."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from mcp_server_shared.serving.settings import is_loopback
from mcp_server_shared.settings import OperatorSettings, SettingsProblem, Source


class RemoteSettings(OperatorSettings):
    """How to reach a server and log in there; each is a flag of the commands that take `--url`."""

    url: Annotated[
        str, Source(placeholder="URL"), Field(description="Use the server at this address instead: https, or wss.")
    ]
    transport: Annotated[
        Literal["http", "sse", "websocket"] | None,
        Source(env=("MCP_URL_TRANSPORT",)),  # MCP_TRANSPORT is for serving
        Field(description="What it speaks, where its URL does not say."),
    ] = None
    bearer_token: Annotated[SecretStr | None, Field(description="Token to bring; a file keeps it out of sight.")] = None
    bearer_token_file: Annotated[Path | None, Field(description="File with the token to bring.")] = None
    client_id: Annotated[
        str | None, Field(description="OAuth client that is registered; without one, a client is registered.")
    ] = None
    client_secret: Annotated[
        SecretStr | None, Field(description="Its secret: log in as that client, without a person.")
    ] = None
    issuer: Annotated[
        str | None, Source(placeholder="URL"), Field(description="Authorization server that the client is known to.")
    ] = None
    redirect_port: Annotated[
        int, Field(ge=0, le=65_535, description="Port that the browser comes back to; 0 takes a free one.")
    ] = 0

    @field_validator("url", "issuer")
    @classmethod
    def _urls(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "https://none")
        if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname or parts.username:
            raise ValueError("must be an https or wss URL without a user name")
        if parts.scheme in {"http", "ws"} and not is_loopback(parts.hostname):
            raise ValueError("must be https or wss; http and ws are for loopback alone")
        return url

    @property
    def speaks(self) -> Literal["http", "sse", "websocket"]:
        """The transport."""
        if self.transport:
            return self.transport
        if self.url.startswith("ws"):
            return "websocket"
        return "sse" if urlsplit(self.url).path.endswith("/sse") else "http"

    @property
    def resource(self) -> str:
        """The URL as OAuth has it, where there is nothing but http."""
        return f"http{self.url[2:]}" if self.url.startswith("ws") else self.url

    def token(self) -> str | None:
        """Return the token that was given.

        Raises:
            SettingsProblem: its file cannot be read.
        """
        if self.bearer_token:
            return self.bearer_token.get_secret_value()
        if self.bearer_token_file is None:
            return None
        try:
            return self.bearer_token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsProblem(f"cannot read the file of --bearer-token-file: {reason}") from None
