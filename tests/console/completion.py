"""How a line may go on: commands, servers, tools, arguments and values; for resources and prompts, as servers say."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference
from mcp_server_shared.untrusted import show_invisible

from console.host import Host, Running
from console.words import quoted, read_line

Reference = PromptReference | ResourceTemplateReference

_VARIABLE = re.compile(r"\{([+#]?)(\w+)\}")


@dataclass(frozen=True)
class Candidate:
    """One way to go on.

    Attributes:
        word: what the last word becomes, without quotation marks.
        hint: what it is.
        is_whole: whether a blank may follow.
    """

    word: str
    hint: str = ""
    is_whole: bool = True

    def fits(self, typed: str) -> bool:
        """Whether it goes on from what is typed, with nothing that would do something else to a terminal."""
        return self.word.startswith(typed) and show_invisible(self.word) == self.word


class Completer:
    """Finds the ways to go on with a line.

    Args:
        host: what runs.
        servers: the servers of the catalog, with what each is for.
        commands: the commands, with what each does.
    """

    def __init__(self, host: Host, servers: dict[str, str], commands: dict[str, str]) -> None:
        self._host = host
        self._servers = servers
        self._commands = commands

    async def lines(self, text: str) -> dict[str, Candidate]:
        """Return what a line may become, by the whole line."""
        line = read_line(text)
        found = [each for each in await self._words(line.words, line.last) if each.fits(line.last)]
        return {text[: line.start] + _typed(each, line.quote): each for each in found}

    async def _words(self, before: list[str], last: str) -> Iterable[Candidate]:
        command, rest = (before[0], before[1:]) if before else ("", [])
        if command == "/read":
            return await self._resources(last)
        if command == "/prompt" and rest:
            return await self._prompt_arguments(rest[0], rest[1:], last)
        if command.startswith("/"):
            return [] if rest else self._named_by(command)
        if command:
            return self._tool_arguments(command, rest, last)
        return _named(self._commands) if last.startswith("/") else self._tools()

    def _named_by(self, command: str) -> Iterable[Candidate]:
        running = {name: each.upstream.what for name, each in self._host.running.items()}
        if command == "/start":
            return _named({name: purpose for name, purpose in self._servers.items() if name not in running})
        if command in {"/stop", "/log", "/tools", "/resources"}:
            return _named(running)
        found = [*self._prompts()] if command in {"/prompt", "/show"} else []
        return [*found, *self._tools()] if command == "/show" else found

    def _tools(self) -> Iterable[Candidate]:
        for running in self._host.running.values():
            yield from (Candidate(name, tool.title or "") for name, tool in running.tools.items())

    def _prompts(self) -> Iterable[Candidate]:
        for running in self._host.running.values():
            yield from (Candidate(name, prompt.title or "") for name, prompt in running.prompts.items())

    def _tool_arguments(self, tool: str, before: list[str], last: str) -> Iterable[Candidate]:
        found = self._host.tool(tool)
        if found is None:
            return []
        properties: dict[str, Any] = found[1].input_schema.get("properties") or {}
        name, equals, _ = last.partition("=")
        if not equals:
            required: Sequence[str] = found[1].input_schema.get("required") or []
            return _missing({each: _hint(schema, each in required) for each, schema in properties.items()}, before)
        return [Candidate(f"{name}={value}") for value in values(properties.get(name))]

    async def _prompt_arguments(self, name: str, before: list[str], last: str) -> Iterable[Candidate]:
        found = self._host.prompt(name)
        if found is None:
            return []
        running, prompt = found
        argument, equals, value = last.partition("=")
        if not equals:
            arguments = prompt.arguments or []
            return _missing({each.name: each.description or "" for each in arguments}, before)
        given = dict(word.split("=", 1) for word in before if "=" in word)
        found_values = await _asked(running, PromptReference(name=name), argument, value, given)
        return [Candidate(f"{argument}={each}") for each in found_values]

    async def _resources(self, last: str) -> Iterable[Candidate]:
        found: list[Candidate] = []
        for running in self._host.running.values():
            for template in running.templates:
                found += await _template(running, template.uri_template, template.title or "", last)
        return found


async def _template(running: Running, template: str, title: str, typed: str) -> list[Candidate]:
    """Return how an address of a template may go on: up to the next variable, or with values for it."""
    given: dict[str, str] = {}
    reached = ""  # what is typed, as far as the template has been followed
    position = 0
    for variable in _VARIABLE.finditer(template):
        literal = template[position : variable.start()]
        rest = typed[len(reached) :]
        if not rest.startswith(literal):
            return [Candidate(reached + literal, title, is_whole=False)] if literal.startswith(rest) else []
        reached += literal
        rest = typed[len(reached) :]
        position = variable.end()
        following = template[position : position + 1]
        value, ends, _ = rest.partition(following) if following and not variable[1] else (rest, "", "")
        if not ends:
            reference = ResourceTemplateReference(uri=template)
            found = await _asked(running, reference, variable[2], value, given)
            ended = [not following and not each.endswith("/") for each in found]  # what ends in / is a folder
            return [Candidate(reached + each, title, is_whole=whole) for each, whole in zip(found, ended, strict=True)]
        given[variable[2]] = value
        reached += value
    return [Candidate(reached + template[position:], title)]


async def _asked(
    running: Running,
    reference: PromptReference | ResourceTemplateReference,
    name: str,
    value: str,
    given: dict[str, str],
) -> list[str]:
    """Ask a server for the values of an argument; one that has none to offer has none."""
    if running.client.server_capabilities.completions is None:
        return []
    try:
        result = await running.client.complete(reference, {"name": name, "value": value}, given)
    except MCPError:
        return []
    return result.completion.values


def values(schema: Any) -> list[str]:
    """Return the values that a schema lists, as they are typed."""
    if not isinstance(schema, dict):
        return []
    known = cast(dict[str, Any], schema)
    if known.get("type") == "array":
        return [json.dumps([value]) for value in values(known.get("items"))]
    if known.get("type") == "boolean":
        return ["true", "false"]
    listed: list[Any] = known.get("enum") or ([known["const"]] if "const" in known else [])
    return [value if isinstance(value, str) else json.dumps(value) for value in listed]


def _hint(schema: dict[str, Any], required: bool) -> str:  # noqa: FBT001
    kind = "required" if required else f"default {json.dumps(schema['default'])}" if "default" in schema else ""
    return "; ".join(filter(None, [kind, schema.get("description", "")]))


def _missing(arguments: dict[str, str], before: list[str]) -> list[Candidate]:
    given = {word.partition("=")[0] for word in before}
    return [Candidate(f"{name}=", hint, is_whole=False) for name, hint in arguments.items() if name not in given]


def _named(names: dict[str, str]) -> list[Candidate]:
    return [Candidate(name, hint) for name, hint in names.items()]


def _typed(candidate: Candidate, quote: str) -> str:
    word = quoted(candidate.word)
    if not candidate.is_whole and word != candidate.word:
        word = word[:-1]  # what follows belongs into the quotation marks too
    if quote and not word.endswith(quote):  # the person has begun to quote it
        name, equals, value = candidate.word.partition("=")
        word = f"{name}{equals}{quote}{value}" if equals else f"{quote}{candidate.word}"
        word += quote if candidate.is_whole else ""
    return word + " " if candidate.is_whole else word
