"""Secrets in the keyring of the system, by the package `keyring` (extra `[keyring]`), which is asked only when used."""

# keyring is optional.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import Any

_SERVICE = "mcp-servers"


class KeyringProblem(Exception):
    """The keyring cannot be used; the text says why, and never has a secret in it."""


def read(entry: str) -> str:
    """Return the secret of an entry.

    Raises:
        KeyringProblem: there is none, or no keyring.
    """
    keyring, failed = _keyring()
    try:
        secret: str | None = keyring.get_password(_SERVICE, entry)
    except failed as error:
        raise KeyringProblem(f"the keyring does not give out '{entry}' ({type(error).__name__})") from None
    if secret is None:
        raise KeyringProblem(f"the keyring has no '{entry}' of {_SERVICE}")
    return secret


def keep(entry: str, secret: str) -> None:
    """Store a secret under an entry.

    Raises:
        KeyringProblem: there is no keyring to store it in.
    """
    keyring, failed = _keyring()
    try:
        keyring.set_password(_SERVICE, entry, secret)
    except failed as error:
        raise KeyringProblem(f"the keyring does not take a secret ({type(error).__name__})") from None


def forget(entry: str) -> None:
    """Delete an entry, if it is there.

    Raises:
        KeyringProblem: there is no keyring, or it refuses.
    """
    keyring, failed = _keyring()
    try:
        if keyring.get_password(_SERVICE, entry) is not None:
            keyring.delete_password(_SERVICE, entry)
    except failed as error:
        raise KeyringProblem(f"the keyring does not delete '{entry}' ({type(error).__name__})") from None


def _keyring() -> tuple[Any, type[Exception]]:
    """Return the package and the error of its back ends."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise KeyringProblem("the package keyring is not installed here: uvx --with keyring …") from None
    return keyring, KeyringError
