"""What Slack's refusals mean to whoever asked. The texts are prompts."""

from collections.abc import Mapping
from typing import Any

from mcp_server_shared.errors import (
    Conflict,
    ExpectedError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

from mcp_server_slack.answers import Answer, an_object

_INVITE = "Somebody in the channel can invite the app: /invite @its-name."
_NEW_TOKEN = "The operator has to supply a valid one in SLACK_BOT_TOKEN or SLACK_USER_TOKEN."  # noqa: S105

# By Slack's code: what to raise, what to say, what to do about it.
_MEANINGS: dict[str, tuple[type[ExpectedError], str, str]] = {
    "not_authed": (Unauthenticated, "Slack got no token.", _NEW_TOKEN),
    "invalid_auth": (Unauthenticated, "Slack does not accept the token.", _NEW_TOKEN),
    "account_inactive": (Unauthenticated, "The token's account is deactivated.", _NEW_TOKEN),
    "token_revoked": (Unauthenticated, "The token was revoked.", _NEW_TOKEN),
    "token_expired": (Unauthenticated, "The token has expired.", _NEW_TOKEN),
    "channel_not_found": (
        NotFound,
        "The token sees no such channel.",
        f"Check the id or name with list_channels. A private channel is seen by its members alone. {_INVITE}",
    ),
    "user_not_found": (NotFound, "There is no such user.", "Look with find_slack_users."),
    "users_not_found": (NotFound, "Nobody has this address.", "Look by name."),
    "message_not_found": (NotFound, "There is no such message.", "Take its ts from read_channel or read_thread."),
    "thread_not_found": (NotFound, "There is no such thread.", "Take its ts from read_channel."),
    "file_not_found": (NotFound, "The token sees no such file.", "Take its id from read_channel or search_messages."),
    "canvas_not_found": (NotFound, "The token sees no such canvas.", "It has the id of a file, F0123ABCD."),
    "invalid_scheduled_message_id": (NotFound, "No such message is scheduled; it may have been sent.", ""),
    "not_in_channel": (PermissionDenied, "The token's owner is not in this channel.", _INVITE),
    "is_archived": (Conflict, "The channel is archived.", "Nobody can write there."),
    "name_taken": (Conflict, "There is a channel of this name already.", "Choose another, or use that one."),
    "already_reacted": (Conflict, "The reaction is there already.", ""),
    "no_reaction": (Conflict, "There is no such reaction of ours.", ""),
    "edit_window_closed": (PermissionDenied, "The workspace lets messages be edited for a while only; it is over.", ""),
    "cant_update_message": (PermissionDenied, "Only its author can edit a message.", "Reply instead."),
    "cant_delete_message": (PermissionDenied, "Only its author can delete a message.", ""),
    "not_allowed_token_type": (PermissionDenied, "Slack does not let this kind of token do that.", ""),
    "team_access_not_granted": (PermissionDenied, "The token is not for this workspace.", "Check SLACK_TEAM_ID."),
    "msg_too_long": (TooLarge, "The message is too long for Slack.", "Split it."),
    "msg_blocks_too_long": (TooLarge, "The message is too long for Slack.", "Split it."),
    "invalid_name": (InvalidArgument, "Slack does not take this name.", "Use lower-case letters, digits and hyphens."),
    "invalid_emoji": (InvalidArgument, "There is no such emoji.", "Give its name, as thumbsup."),
    "invalid_reaction": (InvalidArgument, "There is no such emoji.", "Give its name, as thumbsup."),
    "time_in_past": (InvalidArgument, "That time is past.", "Times are in UTC."),
    "time_too_far": (InvalidArgument, "Slack schedules at most 120 days ahead.", ""),
    "restricted_too_many": (RateLimited, "Too many messages are scheduled around that time.", "Choose another."),
    "free_teams_cannot_create_standalone_canvases": (Unsupported, "The workspace's plan has no such canvases.", ""),
    "method_not_supported_for_channel_type": (Unsupported, "Slack has no such thing in this kind of channel.", ""),
    "unknown_method": (Unsupported, "This Slack has no such method.", ""),
}
_FAILURES = {"fatal_error", "internal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
_SERVER_ERROR, _TOO_MANY, _FORBIDDEN, _MISSING = 500, 429, 403, 404


def expected(response: Any, *, owner: str, method: str) -> ExpectedError:
    """Return the error that a refusal stands for.

    Args:
        response: Slack's, or one that is not even Slack's.
        owner: whose token was turned away.
        method: what was asked of the API.
    """
    data = an_object(getattr(response, "data", None))
    status: int = getattr(response, "status_code", None) or getattr(response, "status", 0)
    headers: Mapping[str, str] = getattr(response, "headers", {})
    code = str(data.get("error") or "")
    if status == _TOO_MANY or code in {"ratelimited", "rate_limited"}:
        return turned_away(_TOO_MANY, headers)
    if code == "missing_scope":
        return _missing_scope(data, owner)
    if meaning := _MEANINGS.get("invalid_name" if code.startswith("invalid_name") else code):
        kind, message, hint = meaning
        return kind(message, hint=hint)
    if code in _FAILURES or not code:
        return turned_away(status, headers)
    if code.startswith(("restricted_action", "not_allowed", "no_permission", "user_is_restricted", "ekm_access")):
        return PermissionDenied(
            f"The workspace does not allow {method} to the {owner}.", untrusted=code, hint="Its administrators decide."
        )
    return InvalidArgument(f"Slack refused {method}.", untrusted=_told(data))


def turned_away(status: int, headers: Mapping[str, str]) -> ExpectedError:
    """Return the error for an answer of HTTP alone."""
    if status == _TOO_MANY:
        wait = headers.get("Retry-After", "")
        return RateLimited("Slack is being asked too often.", retry_after_s=float(wait) if wait.isdigit() else None)
    if status == _FORBIDDEN:
        return RateLimited("Slack turned the request away.", hint="It may be asked too often; wait a minute.")
    if status == _MISSING:
        return NotFound("Slack has nothing at this address.")
    kind = Unavailable if status >= _SERVER_ERROR or not status else Unsupported
    return kind(f"Slack answered with HTTP status {status}, and nothing that can be read.")


def _missing_scope(data: Answer, owner: str) -> PermissionDenied:
    needed = str(data.get("needed") or "another scope")[:200].replace(",", " or ")
    return PermissionDenied(
        f"The {owner} token lacks the scope {needed}.",
        hint=f"The operator adds it to the {owner.capitalize()} Token Scopes of the Slack app (OAuth & Permissions) "
        "and installs the app again.",
    )


def _told(data: Answer) -> str:
    details = an_object(data.get("response_metadata")).get("messages") or data.get("errors") or ""
    return f"{data.get('error')} {details}".strip()[:400]
