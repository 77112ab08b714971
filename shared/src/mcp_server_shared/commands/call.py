"""`call TOOL name=value…`: run one tool and print what a model would read."""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import anyio
from mcp import Client
from mcp.types import CallToolResult, TextContent

from mcp_server_shared.commands.console import say
from mcp_server_shared.settings import Setting, SettingsProblem
from mcp_server_shared.start import Program
from mcp_server_shared.untrusted import read_notation, show_invisible

_ARGUMENT = re.compile(r"([a-z_][a-z0-9_]*)=(.*)", re.DOTALL | re.IGNORECASE)


def call_tool(program: Program[Any], arguments: list[str]) -> int:
    """Run a tool; words of the form name=value are its arguments, but for a flag's value; all others are settings."""
    if not arguments or arguments[0].startswith("-"):
        raise SettingsProblem("call needs a tool: call TOOL name=value…; see 'tools'")
    name, *words = arguments
    from mcp_server_shared.commands.remote import RemoteFailure, complain, is_remote

    if not is_remote(words):
        given, rest = _told_apart(words, program.settings_type.settings())
        return _print(anyio.run(_call, Client(program.build_server(program.settings_type.load(rest))), name, given))
    try:
        return _print(anyio.run(_call_remote, name, words))
    except RemoteFailure as failure:
        return complain(failure)


async def _call_remote(name: str, words: list[str]) -> CallToolResult:
    from mcp_server_shared.commands.remote import connected, remote_settings
    from mcp_server_shared.commands.remote_settings import RemoteSettings

    given, rest = _told_apart(words, RemoteSettings.settings())
    async with connected(remote_settings(rest)) as client:
        return await _called(client, name, given)


async def _call(client: Client, name: str, given: Mapping[str, str]) -> CallToolResult:
    async with client:
        return await _called(client, name, given)


async def _called(client: Client, name: str, given: Mapping[str, str]) -> CallToolResult:
    schemas = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}
    properties: dict[str, Any] = schemas.get(name, {}).get("properties", {})
    values = {argument: argument_value(properties.get(argument), text) for argument, text in given.items()}
    return await client.call_tool(name, values)


def _told_apart(words: list[str], known: list[Setting]) -> tuple[dict[str, str], list[str]]:
    """Return the tool's arguments, and the words that are settings."""
    with_value = {s.flag for s in known if s.flag and not (s.switch or s.value_optional)}
    given: dict[str, str] = {}
    settings: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        argument = _ARGUMENT.fullmatch(word)
        if argument and before not in with_value:
            given[argument[1]] = argument[2]
        else:
            settings.append(word)
    return given, settings


def argument_value(schema: Any, text: str) -> Any:
    """Read a value that a person typed as JSON, unless the tool wants a string there or it is no JSON.

    Args:
        schema: of the argument; None where the tool has none of that name.
        text: as it was typed.
    """
    if isinstance(schema, dict) and schema.get("type") == "string":  # pyright: ignore[reportUnknownMemberType]
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def result_text(result: CallToolResult) -> str:
    """Return what a model would read of a result, fit for a terminal."""
    said = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    return show_invisible(read_notation(said))  # a server that is not ours may not have done so


def _print(result: CallToolResult) -> int:
    if result.is_error:
        sys.stderr.write(result_text(result) + "\n")
        return 1
    say(result_text(result))
    return 0
