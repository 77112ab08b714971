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
    """Run a tool; words of the form name=value are its arguments, all others are settings."""
    if not arguments or arguments[0].startswith("-"):
        raise SettingsProblem("call needs a tool: call TOOL name=value…; see 'tools'")
    name, *words = arguments
    given = [match for word in words if (match := _ARGUMENT.fullmatch(word))]
    settings = [word for word in words if not _ARGUMENT.fullmatch(word)]
    server = program.build_server(program.settings_type.load(settings))
    result = anyio.run(_call, server, name, {match[1]: _value(server, name, match[1], match[2]) for match in given})
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
