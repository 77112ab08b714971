"""`tools`: what a model gets to see, what each tool costs it, and what is not granted or else offered."""

import json
import re
import textwrap
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import anyio
from mcp import Client
from mcp.types import PaginatedResult, Prompt, Tool

from mcp_server_shared.commands.console import paint, say
from mcp_server_shared.registry import ToolEntry
from mcp_server_shared.start import Program
from mcp_server_shared.untrusted import read_notation, show_invisible

CHARACTERS_PER_TOKEN = 4
_MOST_PAGES = 100


def list_tools(program: Program[Any], arguments: list[str]) -> int:
    """Print the tools, the granted ones first; of a server at a URL, all that it offers."""
    from mcp_server_shared.commands.remote import RemoteFailure, complain, is_remote

    if is_remote(arguments):
        try:
            anyio.run(_show_remote, arguments)
        except RemoteFailure as failure:
            return complain(failure)
        return 0
    server = program.build_server(program.settings_type.load(arguments))
    entries = list(server.registry.tools.values())
    granted = [entry for entry in entries if server.is_granted(entry.grant)]
    for entry in granted:
        say(tool_summary(entry.listed))
    for entry in entries:
        if entry.grant is not None and entry not in granted:
            say(tool_summary(entry.listed, paint(f"needs {entry.grant.flag}", "yellow")))
    _say_total([entry.listed for entry in granted], server.instructions)
    return 0


def tokens(entry: ToolEntry) -> int:
    """Estimate what a model pays for a tool's definition, at four characters a token."""
    return definition_tokens(entry.listed)


async def _show_remote(arguments: list[str]) -> None:
    from mcp_server_shared.commands.remote import connected, remote_settings

    async with connected(remote_settings(arguments)) as client:
        capabilities = client.server_capabilities
        info = client.server_info
        name = f"{info.title or info.name} {info.version}" if info else "A server without a name"
        offers = ", ".join(kind for kind, offer in capabilities if offer) or "nothing"
        say(f"{paint(show_invisible(name), 'bold')}  {paint(f'protocol {client.protocol_version}', 'dim')}")
        say(f"Offers {offers}.")
        if client.instructions:
            say(textwrap.indent(show_invisible(read_notation(client.instructions)), "    "))
        if capabilities.tools:
            await _show_tools(client)
        if capabilities.resources:
            await _show_resources(client)
        if capabilities.prompts:
            say(paint("\nPrompts", "bold"))
            async for prompt in every(client.list_prompts, "prompts"):
                say(prompt_summary(prompt))


async def _show_tools(client: Client) -> None:
    say(paint("\nTools", "bold"))
    tools = [tool async for tool in every(client.list_tools, "tools")]
    for tool in tools:
        say(tool_summary(tool))
    _say_total(tools, client.instructions)


async def _show_resources(client: Client) -> None:
    say(paint("\nResources", "bold"))
    async for resource in every(client.list_resources, "resources"):
        say(offer_summary(resource.uri, [], "", resource.title or resource.description or resource.name))
    async for template in every(client.list_resource_templates, "resource_templates"):
        say(offer_summary(template.uri_template, [], "", template.title or template.description or template.name))


async def every(page: Callable[..., Awaitable[PaginatedResult]], entries: str) -> AsyncGenerator[Any]:
    """Yield what a list has, page by page."""
    cursor = None
    for _ in range(_MOST_PAGES):
        result = await page(cursor=cursor)
        for entry in getattr(result, entries):
            yield entry
        cursor = result.next_cursor
        if cursor is None:
            return


def _say_total(tools: list[Tool], instructions: str | None) -> None:
    total = sum(map(definition_tokens, tools)) + len(instructions or "") // CHARACTERS_PER_TOKEN
    say(paint(f"Together with the instructions about {total} tokens in every conversation.", "dim"))


def definition_tokens(tool: Tool) -> int:
    """Estimate what a model pays for a definition as a client has it."""
    schema = json.dumps(tool.input_schema, ensure_ascii=False, separators=(",", ":"))
    return (len(tool.name) + len(tool.description or "") + len(schema)) // CHARACTERS_PER_TOKEN


def tool_summary(tool: Tool, note: str = "") -> str:
    """Return a tool in two lines: its arguments, optional ones in brackets, and what it does in one sentence."""
    required: list[str] = tool.input_schema.get("required") or []
    properties: list[str] = list(tool.input_schema.get("properties") or [])
    names = [_argument(name, required=name in required) for name in properties]
    cost = paint(f"~{definition_tokens(tool)} tokens", "dim")
    return offer_summary(tool.name, names, note or cost, tool.description or "")


def prompt_summary(prompt: Prompt) -> str:
    """Return a prompt in two lines."""
    names = [_argument(argument.name, required=bool(argument.required)) for argument in prompt.arguments or []]
    return offer_summary(prompt.name, names, "", prompt.description or "")


def _argument(name: str, *, required: bool) -> str:
    shown = show_invisible(name)
    return paint(shown, "cyan") if required else f"[{shown}]"


def offer_summary(name: str, arguments: list[str], note: str, description: str) -> str:
    """Return something that a server offers in two lines."""
    first_sentence = show_invisible(re.split(r"\.\s", description)[0].rstrip("."))
    line = f"{paint(show_invisible(name), 'bold')} {' '.join(arguments)}  {note}".rstrip()
    return f"{line}\n    {first_sentence}."
