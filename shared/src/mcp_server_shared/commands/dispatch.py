"""Choose and run a command that is not serving."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from mcp_server_shared import logs
from mcp_server_shared.commands.call import call_tool
from mcp_server_shared.commands.check import check_server
from mcp_server_shared.commands.help import help_text
from mcp_server_shared.commands.tools import list_tools
from mcp_server_shared.settings import SettingsProblem
from mcp_server_shared.start import Program, refuse

Command = Callable[[Program[Any], list[str]], int]

_COMMANDS: dict[str, Command] = {"call": call_tool, "check": check_server, "tools": list_tools}


def run_command(program: Program[Any], arguments: list[str]) -> int:
    """Run a command and return the exit code: 0 done, 1 it failed, 2 it was asked wrongly."""
    if {"--help", "-h"} & set(arguments):
        sys.stdout.write(help_text(program))
        return 0
    if "--version" in arguments:
        sys.stdout.write(f"{program.about.package} {version(program.about.package)}\n")
        return 0
    # A person reads what these commands print; the log of a server would only be in the way.
    logs.configure("error", None)
    try:
        return _COMMANDS[arguments[0]](program, arguments[1:])
    except SettingsProblem as problem:
        refuse(program.about.package, str(problem))
