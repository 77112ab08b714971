"""`check`: does the configuration work, and does the credential allow more than it needs to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import anyio

from mcp_server_shared.catalog import Finding, Grant
from mcp_server_shared.commands.console import Colour, paint, say
from mcp_server_shared.errors import ExpectedError
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.server import Server
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.settings import ServerSettings, SettingsProblem
from mcp_server_shared.start import Program

_MARKS: dict[str, tuple[str, Colour]] = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}


@dataclass(frozen=True)
class Report:
    """What a check found out.

    Attributes:
        tools: the name of every tool, and why it will not be listed; empty where it will be.
        findings: about the credential and the configuration.
    """

    tools: dict[str, str]
    findings: list[Finding]

    def as_json(self, package: str) -> str:
        """Return it for a program."""
        report = {
            "server": package,
            "version": version(package),
            "usable": not self.has_problem,
            "tools": [{"name": name, "listed": not why, "why_not": why} for name, why in self.tools.items()],
            "findings": [vars(finding) for finding in self.findings],
        }
        return json.dumps(report, ensure_ascii=False, indent=2)

    def lines(self) -> Iterator[Finding]:
        """Yield everything as a person reads it: the tools by what keeps them from being listed, then the findings."""
        by_reason: dict[str, list[str]] = {}
        for name, why in self.tools.items():
            by_reason.setdefault(why, []).append(name)
        listed = by_reason.pop("", [])
        how_many = "1 tool" if len(listed) == 1 else f"{len(listed)} tools"
        yield Finding("ok", f"{how_many} will be listed: {', '.join(listed)}.")
        for why, names in by_reason.items():
            yield Finding("ok", f"Not listed: {', '.join(names)}.", why)
        yield from self.findings

    @property
    def has_problem(self) -> bool:
        """Whether the server cannot do its work."""
        return any(finding.level == "problem" for finding in self.findings)


def check_server(program: Program[Any], arguments: list[str]) -> int:
    """Print what was found, as JSON with `--json`; the exit code is 1 when there is a problem."""
    as_json = "--json" in arguments
    settings, serving = program.decided([word for word in arguments if word != "--json"])
    report = anyio.run(_report, program.build_server(settings))
    if serving is not None and settings.transport != "stdio":
        report.findings.extend(_findings_of_serving(program, settings, serving))
    if as_json:
        say(report.as_json(program.about.package))
    else:
        for finding in report.lines():
            mark, colour = _MARKS[finding.level]
            say(f"{paint(mark, colour)} {finding.text}" + (f"\n  {finding.advice}" if finding.advice else ""))
    return int(report.has_problem)


def _findings_of_serving(program: Program[Any], settings: ServerSettings, serving: ServingSettings) -> list[Finding]:
    from mcp_server_shared.serving.exposure import check_exposure
    from mcp_server_shared.serving.upstreams import read_callers

    try:
        check_exposure(program.about, settings, serving)
        callers = read_callers(serving.callers, settings) if serving.callers else []
    except SettingsProblem as problem:
        return [Finding("problem", str(problem))]
    if serving.callers:
        return [Finding("ok", f"{len(callers)} callers have an upstream credential of their own.")]
    if serving.authenticates:
        return [
            Finding("warning", "All callers share this upstream credential.", "Give each its own by --callers DIR.")
        ]
    return [Finding("ok", "Whoever can reach the loopback address uses this upstream credential.")]


async def _report(server: Server[Any]) -> Report:
    async with server.lifespan(server) as state:
        unusable = await server.unusable_tools()
        try:
            findings = await server.findings(state)
        except ExpectedError as error:  # not further out, where the lifespan's task group has wrapped it
            findings = [Finding("problem", redact_text(error.message), redact_text(error.hint))]
    tools = {
        name: unusable.get(name, "") if server.is_granted(entry.grant) else _why_not(entry.grant)
        for name, entry in server.registry.tools.items()
    }
    return Report(tools, findings)


def _why_not(grant: Grant | None) -> str:
    return f"{grant.flag} would let it {grant.allows}. That needs: {grant.needs}" if grant else ""
