"""Slack's rich text: what a message is made of, so that nothing in it can turn into something else.

A text element of rich text is shown as it is: "<!channel>" in it calls nobody and an address in it leads nowhere.
Mentions and links are elements of their own, so those that are here are all there are.
"""

from collections.abc import Iterable
from typing import Any

from mcp_server_slack.answers import Answer, an_object, objects

_REFERENCES = {
    "user": ("<@", "user_id", ">"),
    "usergroup": ("<!subteam^", "usergroup_id", ">"),
    "channel": ("<#", "channel_id", ">"),
    "broadcast": ("<!", "range", ">"),
    "emoji": (":", "name", ":"),
}
_MARKS = {"bold": "*", "italic": "_", "strike": "~", "code": "`"}


def text_of_blocks(blocks: Any) -> str:
    """Return what blocks say, in Slack's text notation."""
    return "\n".join(filter(None, map(_block, objects(blocks))))


def _block(block: Answer) -> str:
    if block.get("type") == "rich_text":
        return "\n".join(map(_part, objects(block.get("elements"))))
    texts = [an_object(block.get("text")), an_object(block.get("title"))]
    texts += [*objects(block.get("fields")), *objects(block.get("elements"))]
    return "\n".join(text["text"] for text in texts if isinstance(text.get("text"), str))


def _part(part: Answer) -> str:
    inside = objects(part.get("elements"))
    match part.get("type"):
        case "rich_text_list":
            return "\n".join(_listed(part, inside))
        case "rich_text_preformatted":
            return f"```\n{_inline(inside)}\n```"
        case "rich_text_quote":
            return "\n".join("&gt; " + line for line in _inline(inside).split("\n"))
        case _:
            return _inline(inside)


def _listed(part: Answer, items: Iterable[Answer]) -> Iterable[str]:
    indent = "    " * int(part.get("indent") or 0)
    start = int(part.get("offset") or 0) + 1
    for number, item in enumerate(items, start):
        bullet = f"{number}." if part.get("style") == "ordered" else "•"
        yield f"{indent}{bullet} {_inline(objects(item.get('elements')))}"


def _inline(elements: Iterable[Answer]) -> str:
    return "".join(_styled(_element(element), an_object(element.get("style"))) for element in elements)


def _element(element: Answer) -> str:
    kind = str(element.get("type"))
    if kind == "link":
        label = f"|{escape(str(element['text']))}" if element.get("text") else ""
        return f"<{escape(str(element.get('url', '')))}{label}>"
    if kind in _REFERENCES:
        before, key, after = _REFERENCES[kind]
        return f"{before}{element.get(key)}{after}"
    return escape(str(element.get("text") or element.get("fallback") or ""))


def _styled(text: str, style: Answer) -> str:
    core = text.strip()
    if not core:
        return text
    before, _, after = text.partition(core)
    for name, mark in reversed(_MARKS.items()):
        if style.get(name):
            core = f"{mark}{core}{mark}"
    return f"{before}{core}{after}"


def escape(text: str) -> str:
    """Return plain text so that Slack's text notation reads it as such."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescaped(text: str) -> str:
    """Undo `escape`."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
