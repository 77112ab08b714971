"""`call TOOL name=value…`: run one tool and print what a model would read."""

import json
import re
import sys
from typing import Any

import anyio
from mcp import Client
from mcp.types import CallToolResult, TextContent

from mcp_server_shared.commands.console import say
from mcp_server_shared.server import Server
from mcp_server_shared.settings import SettingsProblem
from mcp_server_shared.start import Program

_ARGUMENT = re.compile(r"([a-z_][a-z0-9_]*)=(.*)", re.DOTALL)


def call_tool(program: Program[Any], arguments: list[str]) -> int:
    """Run a tool; words of the form name=value are its arguments, but for a flag's value; all others are settings."""
    if not arguments or arguments[0].startswith("-"):
        raise SettingsProblem("call needs a tool: call TOOL name=value…; see 'tools'")
    name, *words = arguments
    with_value = {s.flag for s in program.settings_type.settings() if s.flag and not (s.switch or s.value_optional)}
    given: dict[str, str] = {}
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        argument = _ARGUMENT.fullmatch(word)
        if argument and before not in with_value:
            given[argument[1]] = argument[2]
        else:
            settings.append(word)
    server = program.build_server(program.settings_type.load(settings))
    values = {argument: _value(server, name, argument, text) for argument, text in given.items()}
    result = anyio.run(_call, server, name, values)
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    if result.is_error:
        sys.stderr.write(text + "\n")
        return 1
    say(text)
    return 0


async def _call(server: Server[Any], name: str, arguments: dict[str, Any]) -> CallToolResult:
    async with Client(server) as client:
        return await client.call_tool(name, arguments)


def _value(server: Server[Any], tool: str, argument: str, text: str) -> Any:
    """Read a value as JSON, unless the tool wants a string there or it is no JSON."""
    entry = server.registry.tools.get(tool)
    properties: dict[str, Any] = entry.arguments.schema["properties"] if entry else {}
    if properties.get(argument, {}).get("type") == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
