"""Servers as child processes and one client for each, as an MCP host has them."""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread
import yaml
from anyio.abc import TaskStatus
from mcp import Client, StdioServerParameters, stdio_client
from mcp.client.session import ElicitationFnT
from mcp.shared.exceptions import MCPError
from mcp.types import Prompt, ResourceTemplate, Tool
from mcp_server_shared.commands.remote import connected, remote_settings
from mcp_server_shared.commands.tools import CHARACTERS_PER_TOKEN, definition_tokens, every

from console.upstreams import UPSTREAMS, Unavailable, Upstream

ROOT = Path(__file__).parents[2]
SUFFIX = ".exe" if os.name == "nt" else ""


@dataclass(frozen=True)
class Entry:
    """A server of the catalog.

    Attributes:
        name: what a person calls it; its command is mcp-server- and this.
        purpose: in a sentence.
        reading_needs: its least privilege.
        tokens: what a model pays for it as it starts by default.
    """

    name: str
    purpose: str
    reading_needs: str
    tokens: int

    @property
    def command(self) -> Path:
        """Its program, beside this Python."""
        return Path(sys.executable).with_name(f"mcp-server-{self.name}{SUFFIX}")


def catalog() -> dict[str, Entry]:
    """Return what `catalog.yaml` lists, by name."""
    entries = yaml.safe_load((ROOT / "catalog.yaml").read_text(encoding="utf-8"))["servers"]
    found = [
        Entry(
            name=entry["package"].removeprefix("mcp-server-"),
            purpose=entry["purpose"],
            reading_needs=entry["least_privilege"]["reading"],
            tokens=entry["tokens"]["reading"],
        )
        for entry in entries
    ]
    return {entry.name: entry for entry in found}


@dataclass
class Running:
    """A server that runs, with what it offers."""

    client: Client
    upstream: Upstream
    log: Path | None = None
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])
    prompts: dict[str, Prompt] = field(default_factory=dict[str, Prompt])
    templates: list[ResourceTemplate] = field(default_factory=list[ResourceTemplate])
    stopping: anyio.Event = field(default_factory=anyio.Event)
    stopped: anyio.Event = field(default_factory=anyio.Event)

    @property
    def tokens(self) -> int:
        """An estimate of what a model pays for its tools and instructions."""
        instructions = self.client.instructions or ""
        return sum(map(definition_tokens, self.tools.values())) + len(instructions) // CHARACTERS_PER_TOKEN

    async def look(self) -> None:
        """Ask what it offers."""
        offers, client = self.client.server_capabilities, self.client
        if offers.tools:
            self.tools = {tool.name: tool async for tool in every(client.list_tools, "tools")}
        if offers.prompts:
            self.prompts = {prompt.name: prompt async for prompt in every(client.list_prompts, "prompts")}
        if offers.resources:
            self.templates = [each async for each in every(client.list_resource_templates, "resource_templates")]


class Host:
    """What runs, by name; `async with Host(folder) as host:` stops it all at the end.

    Args:
        folder: for the servers' logs and for what is in their upstreams.
        elicitation: answers what servers ask a person.
    """

    def __init__(self, folder: Path, elicitation: ElicitationFnT | None = None) -> None:
        self.running: dict[str, Running] = {}
        self.folder = folder
        self._elicitation = elicitation
        self._made: dict[str, Upstream] = {}
        self._upstreams = ExitStack()

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> bool | None:
        try:
            self._tasks.cancel_scope.cancel()
            return await self._tasks.__aexit__(*failure)
        finally:
            self._upstreams.close()

    async def start_samples(self, names: Iterable[str]) -> dict[str, str]:
        """Start servers with their sample upstreams, all at once; return why those that are missing are."""
        entries, missing = catalog(), dict[str, str]()

        async def one(name: str) -> None:
            try:
                await self.start(entries[name], await self.upstream(name))
            except Unavailable as reason:
                missing[name] = str(reason)

        async with anyio.create_task_group() as starting:
            for name in names:
                starting.start_soon(one, name)
        return missing

    async def upstream(self, name: str) -> Upstream:
        """Return a server's sample upstream, made when it is first asked for.

        Raises:
            Unavailable: this machine cannot have it.
        """
        if name not in self._made:
            self._made[name] = await anyio.to_thread.run_sync(UPSTREAMS[name], self._upstreams, self.folder)
        return self._made[name]

    async def start(self, entry: Entry, upstream: Upstream) -> Running:
        """Start a server as a child process, and ask what it offers.

        Raises:
            Unavailable: it does not start.
        """
        try:
            return await self._tasks.start(self._serve, entry, upstream)
        except (MCPError, OSError, ExceptionGroup) as error:  # whatever it is, the server ended; its log says why
            log = self.folder / f"{entry.name}.log"
            said = log.read_text(encoding="utf-8").strip() if log.exists() else ""
            raise Unavailable(said or f"{entry.command.name} does not start: {error}") from error

    async def reach(self, name: str, words: Sequence[str]) -> Running:
        """Connect to a server at an address.

        Args:
            name: what to call it here.
            words: `--url` and what else the commands `tools` and `call` take with it.

        Raises:
            RemoteFailure: it cannot be used; the text says why.
            SettingsProblem: the words are wrong.
        """
        return await self._tasks.start(self._reach, name, words)

    async def _serve(self, entry: Entry, upstream: Upstream, *, task_status: TaskStatus[Running]) -> None:
        log = self.folder / f"{entry.name}.log"
        parameters = StdioServerParameters(
            command=str(entry.command), args=list(upstream.arguments), env=upstream.environment
        )
        stopped = anyio.Event()
        try:
            with log.open("w", encoding="utf-8") as errors:
                transport = stdio_client(parameters, errlog=errors)
                async with Client(transport, elicitation_callback=self._elicitation) as client:
                    await self._keep(entry.name, Running(client, upstream, log, stopped=stopped), task_status)
        finally:
            stopped.set()

    async def _reach(self, name: str, words: Sequence[str], *, task_status: TaskStatus[Running]) -> None:
        stopped = anyio.Event()
        try:
            async with connected(remote_settings(words)) as client:
                upstream = Upstream("real", "what is behind its address")
                await self._keep(name, Running(client, upstream, stopped=stopped), task_status)
        finally:
            stopped.set()

    async def _keep(self, name: str, running: Running, task_status: TaskStatus[Running]) -> None:
        await running.look()
        self.running[name] = running
        try:
            task_status.started(running)
            await running.stopping.wait()
        finally:
            del self.running[name]

    async def stop(self, name: str) -> None:
        """Stop a server, and wait until it has ended."""
        running = self.running[name]
        running.stopping.set()
        await running.stopped.wait()

    def tool(self, name: str) -> tuple[Running, Tool] | None:
        """Return a tool, and who has it: names are unique across the catalog."""
        return next(((each, each.tools[name]) for each in self.running.values() if name in each.tools), None)

    def prompt(self, name: str) -> tuple[Running, Prompt] | None:
        """Return a prompt, and who has it."""
        return next(((each, each.prompts[name]) for each in self.running.values() if name in each.prompts), None)
