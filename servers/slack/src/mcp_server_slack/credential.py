"""What the tokens may do, and what of it is needed: for `check` and `--match-credential`."""

from collections.abc import Mapping

from mcp_server_shared.catalog import Finding, Grant
from mcp_server_shared.errors import ExpectedError

from mcp_server_slack.slack_api import HOW_TO_SUPPLY, NO_TOKEN, Identity, Owner, SlackApi

# Alternatives are separated by "|": one of them is enough.
_HISTORY = "channels:history|groups:history|im:history|mpim:history"
_CHANNELS = "channels:read|groups:read|im:read|mpim:read"
_MARKING = "channels:write|groups:write|im:write|mpim:write|channels:manage"
_READS: dict[str, tuple[str, ...]] = {
    "list_channels": (_CHANNELS,),
    "read_channel": (_CHANNELS, _HISTORY),
    "read_thread": (_CHANNELS, _HISTORY),
    "search_messages": ("search:read",),
    "catch_up": (_CHANNELS, _HISTORY),
    "find_slack_users": ("users:read",),
    "read_slack_file": ("files:read",),
    "read_canvas": ("files:read", "canvases:read"),
    "mark_read": (_MARKING,),
}
_WRITES: dict[str, tuple[str, ...]] = {
    "post_message": ("chat:write",),
    "edit_message": ("chat:write",),
    "delete_message": ("chat:write",),
    "schedule_message": ("chat:write",),
    "scheduled_messages": ("chat:write",),
    "react": ("reactions:write",),
    "write_canvas": ("canvases:write",),
    "upload_file": ("files:write",),
    "create_channel": ("channels:manage|channels:write|groups:write",),
    "set_topic": ("channels:manage|channels:write|channels:write.topic|groups:write|groups:write.topic",),
}
_READING = "reading"
_GRANTED_BY = {
    "upload_file": "allow_upload",
    "create_channel": "allow_manage_channels",
    "set_topic": "allow_manage_channels",
}


async def unusable(api: SlackApi) -> dict[str, str]:
    """Return the tools that the tokens cannot use, and what each lacks."""
    lacking: dict[str, str] = {}
    both: list[tuple[Owner, dict[str, tuple[str, ...]]]] = [(api.reader, _READS), (api.writer, _WRITES)]
    for owner, tools in both:
        scopes = (await api.identity(owner)).scopes
        if scopes is not None:
            missing = {tool: _missing(needed, scopes) for tool, needed in tools.items()}
            lacking |= {
                tool: f"Add the scope {scope} to the {owner} token." for tool, scope in missing.items() if scope
            }
    if api.reader != "user":
        lacking["search_messages"] = "Searching takes the token of a user with the scope search:read."
    return lacking


def _missing(needed: tuple[str, ...], scopes: frozenset[str]) -> str:
    lacking = [choice for choice in needed if not scopes & set(choice.split("|"))]
    return " and ".join(choice.replace("|", " or ") for choice in lacking)


async def findings(api: SlackApi, given: Mapping[Grant, bool]) -> list[Finding]:
    """Say whom each token stands for, what it lacks, and what it could do without."""
    if not api.owners:
        return [Finding("problem", NO_TOKEN, HOW_TO_SUPPLY)]
    found: list[Finding] = []
    settings = {_READING, *(grant.setting for grant, is_given in given.items() if is_given)}
    for owner in api.owners:
        try:
            identity = await api.identity(owner)
        except ExpectedError as error:
            found.append(Finding("problem", f"The {owner} token: {error.message}", error.hint))
            continue
        found.append(Finding("ok", f"The {owner} token is {identity.name}'s, in {identity.url}."))
        found += _about_scopes(owner, identity, _tools_of(api, owner, settings))
    return found


def _tools_of(api: SlackApi, owner: Owner, settings: set[str]) -> dict[str, tuple[str, ...]]:
    """Return the tools that work with a token, of those that were granted."""
    tools = _READS if owner == api.reader else {}
    tools = tools | (_WRITES if owner == api.writer else {})
    left_out = {"search_messages"} if owner == "bot" else set[str]()
    return {tool: needed for tool, needed in tools.items() if _grant_of(tool) in settings and tool not in left_out}


def _grant_of(tool: str) -> str:
    return _GRANTED_BY.get(tool, "allow_write" if tool in {*_WRITES, "mark_read"} else _READING)


def _about_scopes(owner: Owner, identity: Identity, tools: Mapping[str, tuple[str, ...]]) -> list[Finding]:
    if identity.scopes is None:
        return [Finding("warning", f"Slack does not say what the {owner} token may do.")]
    found = [
        Finding("warning", f"{tool} will not work.", f"Add the scope {scope} to the {owner} token.")
        for tool, needed in tools.items()
        if (scope := _missing(needed, identity.scopes))
    ]
    used = {scope for needed in tools.values() for choice in needed for scope in choice.split("|")}
    beside = {"users:read", "users:read.email"} if owner == "user" or tools else set[str]()
    if extra := sorted(identity.scopes - used - beside):
        advice = f"Take them away from the {owner} token: {', '.join(extra)}."
        found.append(Finding("warning", f"The {owner} token may do more than this server is started for.", advice))
    return found
