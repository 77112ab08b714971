"""`check`: does the configuration work, and does the credential allow more than it needs to."""

import json
from typing import Any

import anyio

from mcp_server_shared.catalog import Finding
from mcp_server_shared.commands.console import Colour, paint, say
from mcp_server_shared.errors import ExpectedError
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.server import Server
from mcp_server_shared.start import Program

_MARKS: dict[str, tuple[str, Colour]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


def check_server(program: Program[Any], arguments: list[str]) -> int:
    """Print the findings, as JSON with `--json`; the exit code is 1 when there is a problem."""
    as_json = "--json" in arguments
    settings = program.settings_type.load([word for word in arguments if word != "--json"])
    findings = anyio.run(_findings, program.build_server(settings))
    if as_json:
        say(json.dumps([vars(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            mark, colour = _MARKS[finding.level]
            say(f"{paint(mark, colour)} {finding.text}" + (f"\n  {finding.advice}" if finding.advice else ""))
    return int(any(finding.level == "problem" for finding in findings))


async def _findings(server: Server[Any]) -> list[Finding]:
    granted = [entry.listed.name for entry in server.registry.tools.values() if server.is_granted(entry.grant)]
    listed = Finding("ok", f"{len(granted)} tools will be listed: {', '.join(granted)}.")
    withheld = [
        Finding("ok", f"{entry.listed.name} is not listed.", f"It needs {entry.grant.flag}.")
        for entry in server.registry.tools.values()
        if entry.grant is not None and not server.is_granted(entry.grant)
    ]
    async with server.lifespan(server) as state:
        try:
            found = await server.findings(state)
        except ExpectedError as error:  # not further out, where the lifespan's task group has wrapped it
            found = [Finding("problem", redact_text(error.message), redact_text(error.hint))]
    return [listed, *withheld, *found]
