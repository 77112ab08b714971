"""What the commands print for a person: colour where it helps, plain text where it does not show."""

import sys
from typing import Literal

from mcp_server_shared.settings import wants_colour

Colour = Literal["bold", "dim", "red", "green", "yellow", "cyan"]

_CODES: dict[Colour, int] = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


def paint(text: str, colour: Colour) -> str:
    """Return the text in a colour, if stdout shows colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if wants_colour(sys.stdout) else text


def say(text: str = "") -> None:
    """Print one line to stdout."""
    sys.stdout.write(text + "\n")
