"""One sitting at the console: lines in, answers out."""

import json
import os
import queue
import shlex
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal
from mcp.client.context import ClientRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from mcp_server_shared.commands.call import argument_value
from mcp_server_shared.commands.console import paint, say
from mcp_server_shared.commands.remote import RemoteFailure
from mcp_server_shared.commands.tools import every, offer_summary, prompt_summary, tool_summary
from mcp_server_shared.errors import did_you_mean
from mcp_server_shared.settings import SettingsProblem
from mcp_server_shared.untrusted import show_invisible

from console.completion import Candidate, Completer
from console.host import Entry, Host, Running
from console.rendering import (
    show_messages,
    show_resource,
    show_result,
    show_rows,
    show_running,
    show_text,
    spinner,
)
from console.terminal import Terminal
from console.upstreams import Unavailable, Upstream
from console.words import split

T = TypeVar("T")

COMPLETION_S = 30.0  # what a person waits for candidates at most: a database may have to start first
LOG_LINES = 20


class Mistake(Exception):
    """A line that cannot be carried out; the text says why."""


@dataclass(frozen=True)
class Question:
    """What a server asks a person in the middle of a call."""

    form: ElicitRequestFormParams
    answer: Future[ElicitResult]


class Session:
    """What is said at one console.

    Args:
        portal: to the event loop that the servers' clients run in.
        folder: for what upstreams hold, logs and pictures.
        entries: the catalog.
    """

    def __init__(self, portal: BlockingPortal, folder: Path, entries: dict[str, Entry]) -> None:
        self.portal = portal
        self.entries = entries
        self.host = Host(folder, self._asked)
        self._commands: dict[str, tuple[Callable[[list[str]], None], str]] = {
            "/catalog": (self._catalog, "list the servers there are"),
            "/start": (self._start, "SERVER [-- SETTING…], or URL: start one, or connect to one"),
            "/stop": (self._stop, "SERVER: stop one"),
            "/tools": (self._tools, "[SERVER]: list tools and what they cost a model"),
            "/show": (self._show, "NAME: show all that a model is told of a tool, or a client of a prompt"),
            "/resources": (self._resources, "[SERVER]: list resources"),
            "/read": (self._read, "URI: read a resource"),
            "/prompt": (self._prompt, "[NAME name=value…]: list prompts, or get one"),
            "/json": (self._json, "show the last answer of a tool as it came"),
            "/log": (self._log, "SERVER: show the end of its log"),
            "/help": (self._help, "show this"),
            "/quit": (self._quit, "stop the servers and leave; so does Ctrl-D"),
        }
        hints = {name: hint for name, (_, hint) in self._commands.items()}
        self._completer = Completer(self.host, {name: entry.purpose for name, entry in entries.items()}, hints)
        self.terminal = Terminal(self._complete)
        self._inbox: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._last: CallToolResult | None = None
        self._left = False

    def run(self) -> int:
        """Carry out lines until they end; the exit code is 1 if one failed and no person typed them."""
        failed = False
        if self.terminal.is_interactive:
            say(paint("A tool and its arguments as name=value; Tab completes; /help has the rest.", "dim"))
        while not self._left:
            try:
                line = self.terminal.read()
            except KeyboardInterrupt:  # which drops the line, as in a shell
                say()
                continue
            if line is None:
                break
            failed |= not self.carry_out(line)
        return int(failed and not self.terminal.is_interactive)

    def carry_out(self, text: str) -> bool:
        """Carry out one line; return whether that worked."""
        try:
            words = split(text)
            if not words or words[0].startswith("#"):
                return True
            if not words[0].startswith("/"):
                return self._call(words[0], words[1:])
            self._commanded(words[0])(words[1:])
        except (Mistake, ValueError, Unavailable, RemoteFailure, SettingsProblem) as mistake:
            show_text(str(mistake), "red")
        except MCPError as error:
            show_text(f"{error.error.message} [{error.error.code}]", "red")
        except (KeyboardInterrupt, CancelledError):
            show_text("Cancelled.", "yellow")
        else:
            return True
        return False

    def _commanded(self, name: str) -> Callable[[list[str]], None]:
        if name not in self._commands:
            raise Mistake(f"There is no {name}. {did_you_mean(name, self._commands).capitalize()}".strip())
        return self._commands[name][0]

    def start(self, name: str, settings: list[str] | None = None) -> bool:
        """Start a server, or connect to one at a URL; return whether that worked."""
        return self.carry_out(shlex.join(["/start", name, *(["--", *settings] if settings is not None else [])]))

    # Tools

    def _call(self, name: str, words: list[str]) -> bool:
        found = self.host.tool(name)
        if found is None:
            known = [tool for each in self.host.running.values() for tool in each.tools]
            hint = did_you_mean(name, known).capitalize() or "See /tools."
            raise Mistake(f"No server that runs lists a tool {name}. {hint}")
        running, tool = found
        properties: dict[str, Any] = tool.input_schema.get("properties") or {}
        given = {word: argument_value(properties.get(word), text) for word, text in _pairs(words).items()}
        began = time.monotonic()
        self._last = result = self._wait(name, running.client.call_tool, name, given)
        show_result(result, folder=self.host.folder)
        say(paint(f"  {(time.monotonic() - began) * 1_000:.0f} ms", "dim"))
        return not result.is_error

    def _json(self, _words: list[str]) -> None:
        if self._last is None:
            raise Mistake("No tool was called yet.")
        show_text(json.dumps(self._last.model_dump(mode="json", by_alias=True, exclude_none=True), indent=2))

    # What servers offer

    def _tools(self, words: list[str]) -> None:
        for name, running in self._chosen(words).items():
            say(f"{paint(name, 'bold')}  {paint(f'about {running.tokens} tokens', 'dim')}")
            for tool in running.tools.values():
                _say_indented(tool_summary(tool))

    def _show(self, words: list[str]) -> None:
        name = _one(words, "/show NAME")
        if found := self.host.tool(name):
            _, tool = found
            _say_indented(tool_summary(tool))
            show_text(tool.description or "")
            show_text(json.dumps(tool.input_schema, ensure_ascii=False, indent=2))
        elif prompt := self.host.prompt(name):
            _say_indented(prompt_summary(prompt[1]))
            for argument in prompt[1].arguments or []:
                show_text(f"{argument.name}: {argument.description or ''}")
        else:
            raise Mistake(f"No server that runs has a tool or prompt {name}.")

    def _resources(self, words: list[str]) -> None:
        for name, running in self._chosen(words).items():
            say(paint(name, "bold"))
            for resource in self._wait("resources", _listed, running):
                _say_indented(resource)

    def _read(self, words: list[str]) -> None:
        uri = _one(words, "/read URI")
        running = self._owner(uri)
        show_resource(self._wait("resource", running.client.read_resource, uri))

    def _owner(self, uri: str) -> Running:
        """Return who has an address: the server whose template begins like it, for the longest part."""
        begins = [
            (template.uri_template.partition("{")[0], running)
            for running in self.host.running.values()
            for template in running.templates
        ]
        fitting = [(len(literal), number) for number, (literal, _) in enumerate(begins) if uri.startswith(literal)]
        if not fitting:
            raise Mistake(f"No server that runs has such an address: {uri}. See /resources.")
        return begins[max(fitting)[1]][1]

    def _prompt(self, words: list[str]) -> None:
        if not words:
            for running in self.host.running.values():
                for prompt in running.prompts.values():
                    _say_indented(prompt_summary(prompt))
            return
        found = self.host.prompt(words[0])
        if found is None:
            raise Mistake(f"No server that runs has a prompt {words[0]}. See /prompt.")
        result = self._wait("prompt", found[0].client.get_prompt, words[0], _pairs(words[1:]))
        show_messages(result.messages)

    # Servers

    def _catalog(self, _words: list[str]) -> None:
        running = self.host.running
        rows = [
            [
                entry.name,
                running[entry.name].upstream.kind if entry.name in running else "",
                entry.tokens,
                entry.purpose,
            ]
            for entry in self.entries.values()
        ]
        show_rows(["server", "runs on", "tokens", "for"], rows)

    def _start(self, words: list[str]) -> None:
        name, *rest = words or [""]
        if name in self.host.running:
            raise Mistake(f"{name} runs already.")
        settings = rest[1:] if rest[:1] == ["--"] else None
        if rest and settings is None:
            raise Mistake("Settings come after --: /start SERVER -- SETTING…")
        if urlsplit(name).scheme:
            host = urlsplit(name).netloc
            self._wait(f"Connecting to {host}", self.host.reach, host, ["--url", name, *(settings or [])])
        elif name in self.entries:
            self._wait(f"Starting {name}", self._start_one, name, settings)
        else:
            raise Mistake(f"There is no server {name}. {did_you_mean(name, self.entries).capitalize()}".strip())
        show_running(self.host.running)

    async def _start_one(self, name: str, settings: list[str] | None) -> None:
        if settings is None:
            upstream = await self.host.upstream(name)
        else:
            upstream = Upstream("real", "as its settings say", tuple(settings), dict(os.environ))
        await self.host.start(self.entries[name], upstream)

    def _stop(self, words: list[str]) -> None:
        [name] = self._chosen([_one(words, "/stop SERVER")])
        self._wait(f"Stopping {name}", self.host.stop, name)

    def _log(self, words: list[str]) -> None:
        [(name, running)] = self._chosen([_one(words, "/log SERVER")]).items()
        if running.log is None:
            raise Mistake(f"The log of {name} is where it runs.")
        for line in running.log.read_text(encoding="utf-8").splitlines()[-LOG_LINES:]:
            say(paint(show_invisible(line), "dim"))

    def _help(self, _words: list[str]) -> None:
        say("  A line is a tool and its arguments, whichever server has it: TOOL name=value name='two words'")
        for name, (_, hint) in self._commands.items():
            say(f"  {paint(name.ljust(10), 'cyan')} {hint}")

    def _quit(self, _words: list[str]) -> None:
        self._left = True

    def _chosen(self, words: list[str]) -> dict[str, Running]:
        """Return the server that is named, or all."""
        if not words:
            return self.host.running
        if words[0] not in self.host.running:
            raise Mistake(f"{words[0]} does not run. {', '.join(self.host.running) or 'None'} does.")
        return {words[0]: self.host.running[words[0]]}

    # The event loop, and what comes from it

    def _wait(self, title: str, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Wait for something in the event loop, and answer what servers ask meanwhile; Ctrl-C cancels it."""
        future = self.portal.start_task_soon(function, *arguments)
        future.add_done_callback(lambda _: self._inbox.put(None))
        try:
            while (question := self._next(title)) is not None:
                question.answer.set_result(self._answered(question.form))
        except KeyboardInterrupt:
            future.cancel()
            while self._inbox.get() is not None:
                pass
            raise
        return future.result()

    def _next(self, title: str) -> Question | None:
        with spinner(title):
            return self._inbox.get()

    async def _asked(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        """Put what a server asks to the person; what needs a browser is declined."""
        del context
        if not isinstance(params, ElicitRequestFormParams):
            return ElicitResult(action="decline")
        answer: Future[ElicitResult] = Future()
        self._inbox.put(Question(params, answer))
        return await anyio.to_thread.run_sync(answer.result, abandon_on_cancel=True)

    def _answered(self, form: ElicitRequestFormParams) -> ElicitResult:
        show_text(form.message, "yellow")
        properties: dict[str, Any] = form.requested_schema.get("properties") or {}
        content: dict[str, Any] = {}
        for name, schema in properties.items():
            is_choice = schema.get("type") == "boolean"
            typed = self.terminal.read(f"  {schema.get('title') or name}{' [y/N]' if is_choice else ''}: ")
            if typed is None:
                return ElicitResult(action="cancel")
            content[name] = typed.strip().lower() in {"y", "yes"} if is_choice else argument_value(schema, typed)
        return ElicitResult(action="accept", content=content)

    def _complete(self, text: str) -> dict[str, Candidate]:
        return self.portal.call(self._completed, text)

    async def _completed(self, text: str) -> dict[str, Candidate]:
        with anyio.move_on_after(COMPLETION_S):
            return await self._completer.lines(text)
        return {}


async def _listed(running: Running) -> list[str]:
    client = running.client
    if client.server_capabilities.resources is None:
        return []
    listed = [resource async for resource in every(client.list_resources, "resources")]
    lines = [offer_summary(each.uri, [], "", each.title or each.description or each.name) for each in listed]
    return lines + [offer_summary(each.uri_template, [], "", each.title or each.name) for each in running.templates]


def _pairs(words: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Mistake(f"'{word}' is no argument: write name=value, with quotation marks where it holds blanks.")
        pairs[name] = value
    return pairs


def _one(words: list[str], usage: str) -> str:
    if len(words) != 1:
        raise Mistake(f"It goes {usage}")
    return words[0]


def _say_indented(text: str) -> None:
    for line in text.splitlines():
        say(f"  {line}")
