"""Files and canvases: where they are shared decides who may read them."""

import codecs
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass

from mcp_server_shared.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge, Unsupported

from mcp_server_slack.answers import Answer, an_object, strings
from mcp_server_slack.channels import Channel, channel_of
from mcp_server_slack.conversations import Conversations
from mcp_server_slack.slack_api import Read, SlackApi

_ID = re.compile(r"F[A-Z0-9]{7,20}")
_PERMALINK = re.compile(r"https://[a-z0-9.-]+/(?:files/[UWB][A-Z0-9]+|docs/T[A-Z0-9]+)/(F[A-Z0-9]+)(?:[/?#].*)?")
_MOST_CHANNELS = 10
_LARGEST = 50_000_000
_CHUNK = 65_536
_TEXT = re.compile(
    r"text/.*|application/(?:json|xml|javascript|x-javascript|x-sh|x-yaml|yaml|toml|sql|x-ndjson|x-httpd-php|x-python)"
)
_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


@dataclass(frozen=True)
class SlackFile:
    """A file that may be read.

    Attributes:
        url: where its bytes are.
        place: the most public conversation that it is shared in and that may be read; None for one's own.
    """

    id: str
    mime_type: str
    size: int
    url: str
    place: Channel | None

    @property
    def is_text(self) -> bool:
        """Whether its bytes are text."""
        return _TEXT.fullmatch(self.mime_type) is not None

    @property
    def is_image(self) -> bool:
        """Whether a model can look at it."""
        return self.mime_type in _IMAGES


def file_id(text: str) -> str:
    """Return the id of a file that an argument names.

    Raises:
        InvalidArgument: it is neither an id nor a permalink.
    """
    text = text.strip()
    found = _PERMALINK.fullmatch(text)
    if not found and not _ID.fullmatch(text):
        raise InvalidArgument("This names no file.", hint="Give its id (F0123ABCD) or its permalink.")
    return found[1] if found else text


async def find(read: Read, conversations: Conversations, file: str, *, own: str) -> SlackFile:
    """Return a file that may be read: it is shared where one may read, or it belongs to `own` and is shared nowhere.

    Raises:
        PermissionDenied: it is shared only where the operator keeps the server out.
    """
    raw = await _info(read, file)
    allowed = [channel for channel in await _channels(read, raw) if conversations.readable.allows(channel)]
    if not allowed and (_places(raw) or raw.get("user") != own):
        raise PermissionDenied(
            "The operator does not let this server read the conversations that this file is shared in.",
            hint="The operator can, with --read.",
        )
    return SlackFile(
        id=file,
        mime_type=str(raw.get("mimetype") or ""),
        size=int(raw.get("size") or 0),
        url=_url(raw),
        place=min(allowed, key=lambda channel: channel.kind != "public", default=None),
    )


async def shared_in(read: Read, file: str) -> list[Channel]:
    """Return the conversations that a file is shared in.

    Raises:
        PermissionDenied: there are some that the token does not see, or too many to look at.
    """
    raw = await _info(read, file)
    seen = await _channels(read, raw)
    if len(seen) < len(_places(raw)):
        raise PermissionDenied("This file is also shared where this server cannot look.")
    return seen


async def _info(read: Read, file: str) -> Answer:
    return an_object((await read("files.info", file=file)).get("file"))


async def _channels(read: Read, raw: Answer) -> list[Channel]:
    found: list[Channel] = []
    for channel in _places(raw)[:_MOST_CHANNELS]:
        with suppress(NotFound, PermissionDenied):  # the token itself does not see every place
            found.append(channel_of((await read("conversations.info", channel=channel))["channel"]))
    return found


def _places(raw: Answer) -> list[str]:
    listed = [place for key in ("channels", "groups", "ims") for place in strings(raw.get(key))]
    shares = an_object(raw.get("shares"))
    return list(dict.fromkeys([*listed, *an_object(shares.get("public")), *an_object(shares.get("private"))]))


def _url(raw: Answer) -> str:
    url = str(raw.get("url_private_download") or raw.get("url_private") or "")
    return "" if raw.get("is_external") or raw.get("mode") == "external" else url


async def text_of(api: SlackApi, file: SlackFile, start: int, most: int) -> tuple[str, bool]:
    """Return so many characters of a text file from one on, and whether there are more; never holding all of it."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    passed, kept = 0, ""
    async for chunk in _bytes(api, file):
        text = decoder.decode(chunk)
        kept += text[max(0, start - passed) :]
        passed += len(text)
        if len(kept) > most:
            return kept[:most], True
    kept += decoder.decode(b"", final=True)[max(0, start - passed) :]
    return kept[:most], len(kept) > most


async def bytes_of(api: SlackApi, file: SlackFile, most: int) -> bytes:
    """Return a whole file.

    Raises:
        TooLarge: it has more bytes than these.
    """
    data = bytearray()
    async for chunk in _bytes(api, file):
        data += chunk
        if len(data) > most:
            raise TooLarge(f"The file has more than {most:,} bytes.")
    return bytes(data)


async def _bytes(api: SlackApi, file: SlackFile) -> AsyncGenerator[bytes]:
    if not file.url:
        raise Unsupported("This file is not kept in Slack.", hint="Follow the link in its message.")
    if file.size > _LARGEST:
        raise TooLarge(f"The file has {file.size:,} bytes; at most {_LARGEST:,} are read.")
    async with api.download(file.url) as response:
        if response.content_type == "text/html" and file.mime_type != "text/html":
            raise PermissionDenied(
                "Slack answered with a page for signing in instead of the file.",
                hint="The token needs the scope files:read.",
            )
        async for chunk in response.content.iter_chunked(_CHUNK):
            yield chunk
