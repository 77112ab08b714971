"""The methods of Slack and their arguments as its own library has them: what the server asks is held to it."""

from collections.abc import Iterable
from inspect import signature

from slack_sdk.web.async_client import AsyncWebClient

# Documented by Slack, and not in its library.
BESIDE = {("files.completeUploadExternal", "blocks")}
EVERYWHERE = {"team_id", "token"}


def unknown_to_slack(spoken: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of some arguments of methods, "chat.postMessage" and "text", that Slack does not have."""
    return {(method, argument) for method, argument in spoken if argument not in _arguments(method)} - BESIDE


def _arguments(method: str) -> set[str]:
    known = getattr(AsyncWebClient, method.replace(".", "_"), None)
    return {*signature(known).parameters, *EVERYWHERE} if known else set()
