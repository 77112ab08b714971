"""What stands before every change: is it allowed here, and does a person have to agree."""

import re
from collections.abc import Callable
from typing import TypeVar

from mcp_server_shared.call import Call
from mcp_server_shared.errors import InvalidArgument
from mcp_server_shared.untrusted import read_notation, show_invisible

from mcp_server_github.github_api import GitHub, Repository, Session
from mcp_server_github.policy import Level
from mcp_server_github.tools.answers import READ_PRIVATE, READ_PUBLIC

T = TypeVar("T")

_MOST_SHOWN = 1_200
_HALF = re.compile("[\ud800-\udfff]")


async def may_change(call: Call[GitHub], repo: str, level: Level, what: str, text: str = "") -> Repository:
    """Return the repository, if this may be written to it.

    Who has read private content and strangers' words within the hour may be carrying the one where the other said:
    then a person has to agree to anything that becomes public.

    Args:
        call: the call.
        repo: "owner/name".
        level: what the operator has to allow there.
        what: is going to be done, for that person.
        text: what will be public, for that person.

    Raises:
        PermissionDenied, ConfirmationRequired: it may not.
    """
    repository = await change(call, lambda session: session.repository(repo, level, anew=True))
    if not repository.private:
        await may_publish(call, f"{repository.name} is public", what, text)
    return repository


async def may_publish(call: Call[GitHub], why: str, what: str, text: str) -> None:
    """Return if a text may be put where everybody reads it, for the reason that is given."""
    if await is_mixed(call):
        read = "private content as well as words of strangers were read within the last hour"
        await call.confirm("publish", f"{why}, and {read}. {what}?{shown(text)}")


async def is_mixed(call: Call[GitHub]) -> bool:
    """Whether this caller has read private content and what anybody may have written."""
    return await call.noted(READ_PRIVATE) and await call.noted(READ_PUBLIC)


async def change(call: Call[GitHub], work: Callable[[Session], T]) -> T:
    """Return what the work on a thread gives; unlike `ask` it shows the caller nothing of what others wrote."""
    return await call.in_thread(work, call.state.session(call))


def shown(text: str) -> str:
    """Return a text for the person who is asked, its invisible characters visible."""
    cut = f"… [{len(text):,} characters in all]" if len(text) > _MOST_SHOWN else ""
    return f"\n\n{show_invisible(text[:_MOST_SHOWN])}{cut}" if text else ""


def written(text: str) -> str:
    """Return what a model wrote, with the notation for invisible characters read.

    Raises:
        InvalidArgument: there is half a character in it, which GitHub could not keep.
    """
    read = read_notation(text)
    if half := _HALF.search(read):
        raise InvalidArgument(f"The text has half a character: U+{ord(half[0]):04X}.", hint="Send the whole one.")
    return read
