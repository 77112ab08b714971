"""How single values are written: short where nothing is lost that anybody needs."""

from typing import Any

SHA_DIGITS = 12


def day(moment: str | None) -> str:
    """Return "2026-11-20 16:05" for GitHub's timestamp."""
    return (moment or "")[:16].replace("T", " ")


def login(user: dict[str, Any] | None) -> str:
    """Return who it is; "ghost" for an account that is gone."""
    return str(user["login"]) if user else "ghost"


def short(sha: str) -> str:
    """Return enough of a hash to name a commit."""
    return sha[:SHA_DIGITS]


def first_line(text: str | None) -> str:
    """Return the line that says what it is about."""
    return (text or "").partition("\n")[0]


def labels(item: dict[str, Any]) -> str:
    """Return the names of an issue's labels."""
    return ", ".join(str(label["name"]) for label in item.get("labels", ()))
