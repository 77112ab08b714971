"""Choose and run a command that is not serving."""

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from mcp_server_shared import logs
from mcp_server_shared.commands.call import call_tool
from mcp_server_shared.commands.check import check_server
from mcp_server_shared.commands.help import help_text
from mcp_server_shared.commands.install import install, uninstall
from mcp_server_shared.commands.token import make_token
from mcp_server_shared.commands.tools import list_tools
from mcp_server_shared.settings import SettingsProblem
from mcp_server_shared.start import Command, Program, refuse

_COMMANDS: dict[str, Callable[[Program[Any], list[str]], int]] = {
    "call": call_tool,
    "check": check_server,
    "install": install,
    "token": make_token,
    "tools": list_tools,
    "uninstall": uninstall,
}


def run_command(program: Program[Any], arguments: list[str], own: Mapping[str, Command]) -> int:
    """Run a command, the server's own among them; return the exit code: 0 done, 1 it failed, 2 it was asked wrongly."""
    if {"--help", "-h"} & set(arguments):
        command = own.get(arguments[0])
        sys.stdout.write(f"{inspect.getdoc(command)}\n" if command else help_text(program, own))
        return 0
    if "--version" in arguments:
        sys.stdout.write(f"{program.about.package} {version(program.about.package)}\n")
        return 0
    # A person reads what these commands print; the log of a server would only be in the way.
    logs.configure("error", None)
    try:
        if arguments[0] in own:
            return own[arguments[0]](arguments[1:])
        return _COMMANDS[arguments[0]](program, arguments[1:])
    except SettingsProblem as problem:
        refuse(program.about.package, str(problem))
