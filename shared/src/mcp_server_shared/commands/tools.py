"""`tools`: what a model gets to see, what each tool costs it, and what is not granted."""

import json
from typing import Any

from mcp_server_shared.commands.console import paint, say
from mcp_server_shared.registry import ToolEntry
from mcp_server_shared.start import Program

CHARACTERS_PER_TOKEN = 4


def list_tools(program: Program[Any], arguments: list[str]) -> int:
    """Print the tools, the granted ones first."""
    server = program.build_server(program.settings_type.load(arguments))
    entries = list(server.registry.tools.values())
    granted = [entry for entry in entries if server.is_granted(entry.grant)]
    for entry in granted:
        say(_line(entry, paint(f"~{tokens(entry)} tokens", "dim")))
    for entry in entries:
        if entry.grant is not None and entry not in granted:
            say(_line(entry, paint(f"needs {entry.grant.flag}", "yellow")))
    total = sum(tokens(entry) for entry in granted) + len(server.instructions or "") // CHARACTERS_PER_TOKEN
    say(paint(f"Together with the instructions about {total} tokens in every conversation.", "dim"))
    return 0


def tokens(entry: ToolEntry) -> int:
    """Estimate what a model pays for a tool's definition, at four characters a token."""
    tool = entry.listed
    schema = json.dumps(tool.input_schema, ensure_ascii=False, separators=(",", ":"))
    return (len(tool.name) + len(tool.description or "") + len(schema)) // CHARACTERS_PER_TOKEN


def _line(entry: ToolEntry, note: str) -> str:
    required = entry.arguments.required
    names = [paint(name, "cyan") if name in required else f"[{name}]" for name in entry.arguments.names]
    first_sentence = (entry.listed.description or "").split(". ")[0].rstrip(".")
    return f"{paint(entry.listed.name, 'bold')} {' '.join(names)}  {note}\n    {first_sentence}."
