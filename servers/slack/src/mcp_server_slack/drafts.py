"""What is about to be written, as Slack will show it, and what is to be said against it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mcp_server_shared.errors import InvalidArgument, PermissionDenied
from mcp_server_shared.untrusted import read_notation

from mcp_server_slack import links
from mcp_server_slack.answers import Answer, objects
from mcp_server_slack.markdown import rich_text
from mcp_server_slack.rich_text import text_of_blocks

MOST_CHARACTERS = 12_000
# In every path that has them; where Slack has none, addresses are refused.
NO_UNFURLING: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False}


@dataclass(frozen=True)
class Draft:
    """A text for Slack.

    Attributes:
        blocks: what Slack shows.
        text: the same in Slack's text notation, for notifications and for readers of the API.
        mentions: who is called, "<@U0123>".
        addresses: every address in it.
        suspicions: by address, what is odd about it.
    """

    blocks: list[dict[str, Any]]
    text: str
    mentions: list[str]
    addresses: list[str]
    suspicions: dict[str, str]

    def fields(self) -> dict[str, Any]:
        """Return the text as the arguments of a method of Slack's."""
        return {"text": self.text, "blocks": self.blocks}


def draft(markdown: str, *, mass_mentions: bool, home: str) -> Draft:
    """Return Markdown as Slack will show it.

    Args:
        markdown: with `<@U0123>` for a mention.
        mass_mentions: whether it may call a channel or a group.
        home: the address of the workspace; what is below it is above suspicion.

    Raises:
        InvalidArgument: there is nothing in it.
        PermissionDenied: it calls more people than the operator allows.
    """
    markdown = read_notation(markdown)
    parts = rich_text(markdown)
    if not parts:
        raise InvalidArgument("There is nothing to write.")
    mentions = list(dict.fromkeys(_mentions(parts)))
    mass = [mention for mention in mentions if mention.startswith("<!")]
    if mass and not mass_mentions:
        raise PermissionDenied(
            "This would call a whole channel or group, which the operator does not allow.",
            hint="Leave out @channel, @here, @everyone and user groups, or put them into `code`. "
            "The operator can allow them with --allow-mass-mentions.",
        )
    blocks = [{"type": "rich_text", "elements": parts}]
    linked = list(_links(parts))
    found = dict.fromkeys([*(str(link["url"]) for link in linked), *links.addresses(markdown)])
    odd = suspicions(found, home=home)
    odd |= {str(link["url"]): "its text names another address" for link in linked if links.poses(link)}
    return Draft(blocks, text_of_blocks(blocks), mentions, list(found), odd)


def suspicions(addresses: Iterable[str], *, home: str) -> dict[str, str]:
    """Return what is odd about which addresses."""
    odd = {address: links.suspicion(address) for address in addresses if not (home and address.startswith(home))}
    return {address: what for address, what in odd.items() if what}


def _all_elements(parts: Iterable[Answer]) -> Iterable[Answer]:
    for part in parts:
        yield part
        yield from _all_elements(objects(part.get("elements")))


def _mentions(parts: Iterable[Answer]) -> Iterable[str]:
    for element in _all_elements(parts):
        match element.get("type"):
            case "user":
                yield f"<@{element['user_id']}>"
            case "broadcast":
                yield f"<!{element['range']}>"
            case "usergroup":
                yield f"<!subteam^{element['usergroup_id']}>"
            case _:
                pass


def _links(parts: Iterable[Answer]) -> Iterable[Answer]:
    return (element for element in _all_elements(parts) if element.get("type") == "link")
