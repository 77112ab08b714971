"""`token NAME`: make a bearer token for one caller of a server that is reached over a network."""

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp_server_shared.commands.console import say
from mcp_server_shared.errors import did_you_mean
from mcp_server_shared.settings import SettingsProblem
from mcp_server_shared.start import Program

_DAYS = re.compile("--days=([1-9][0-9]{0,4})")
USAGE = "token NAME [GRANT…] [--days=N]"


def make_token(program: Program[Any], arguments: list[str]) -> int:
    """Print a line for the file of `--tokens`; the token itself is shown once, on stderr."""
    from mcp_server_shared.serving.tokens import METRICS, READ, new_token

    words = [word for word in arguments if not word.startswith("--")]
    flags = [word for word in arguments if word.startswith("--")]
    days = _DAYS.fullmatch(flags[0]) if flags else None
    if not words or len(flags) > (days is not None):
        raise SettingsProblem(f"usage: {USAGE}")
    known = [READ, METRICS, *(grant.name for grant in program.about.grants)]
    for grant in words[1:]:
        if grant not in known:
            near = did_you_mean(grant, known) or f"there is {', '.join(known)}"
            raise SettingsProblem(f"there is no grant {grant}; {near}")
    until = (datetime.now(UTC) + timedelta(days=int(days[1]))).date() if days else None
    token, line = new_token(words[0], words[1:] or [READ], until)
    sys.stderr.write(f"The token, which nobody can show again: {token}\nThe line for the file of --tokens:\n")
    say(line)
    return 0
