"""What waits for the owner of the token."""

from typing import Any

from mcp_server_github.github_api import Items, Json, Repository, Session
from mcp_server_github.text import day

COLUMNS = ("repo", "kind", "number", "title", "reason", "unread", "updated")

_MOST_A_PAGE = 50


def list_notifications(session: Session, repository: Repository | None, filters: Json, start: int) -> Items:
    """Return notifications, of one repository or of all."""
    given = {name: value for name, value in filters.items() if value}
    given["per_page"] = min(given["per_page"], _MOST_A_PAGE)
    path = repository.path("notifications") if repository else "/notifications"
    return session.items(path, given, start=start, what="notifications of this account")


def row(session: Session, notification: Json) -> list[Any] | None:
    """Return a notification as a row of `COLUMNS`; None for a repository that is not to be read."""
    if not session.saw(notification["repository"]):
        return None
    subject: Json = notification["subject"]
    number = str(subject.get("url") or "").rpartition("/")[2]
    hidden = session.github.lockdown and not notification["repository"]["private"]
    if hidden:
        session.withhold(notification)
    title = "(withheld)" if hidden else subject["title"]
    details = [notification["reason"], notification["unread"], day(notification["updated_at"])]
    name = notification["repository"]["full_name"]
    return [name, subject["type"], int(number) if number.isdecimal() else None, title, *details]
