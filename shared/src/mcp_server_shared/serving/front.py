"""One address for several servers: `python -m mcp_server_shared.serving.front FILE`.

Each server of the file is a process of its own, with an environment of its own and so with its own credentials. The
front only passes requests on, to `/NAME/mcp`, and tells at `/readyz` which of them are ready. A server that ends is
started again, after longer and longer waits while it fails; none outlives the front. The file is TOML:

    [serving]                     # any setting of serving over a network; who calls is decided by each server
    host = "0.0.0.0"
    tls_cert = "/etc/mcp/cert.pem"
    tls_key = "/etc/mcp/key.pem"
    public_url = "https://mcp.example.com"
    tokens = "/etc/mcp/tokens"

    [servers.postgres]            # runs mcp-server-postgres, unless `command` says otherwise
    arguments = ["--pool-size", "10"]
    environment = {DATABASE_URL_FILE = "/run/secrets/database-url"}
"""

import logging
import math
import re
import sys
import time
import tomllib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any, cast

import anyio
import httpx2
from anyio.abc import Process
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.types import Receive, Scope, Send

from mcp_server_shared import logs
from mcp_server_shared.catalog import About
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.serving.answers import answer, refuse
from mcp_server_shared.serving.authentication import METADATA_PATH
from mcp_server_shared.serving.connections import HEALTH_PATH, listening_sockets
from mcp_server_shared.serving.exposure import check_exposure, readable
from mcp_server_shared.serving.gate import Allowed, Gate
from mcp_server_shared.serving.listening import serve_application
from mcp_server_shared.serving.operations import alive
from mcp_server_shared.serving.restarts import Restarts
from mcp_server_shared.serving.settings import ServingSettings, plain_environment
from mcp_server_shared.settings import ServerSettings, SettingsProblem
from mcp_server_shared.start import USAGE_ERROR
from mcp_server_shared.validation import problems

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
GOOD_RUN_S = 60.0
LONGEST_REASON = 300
STARTED_WITHIN_S = 60.0
PROBED_FOR_S = 15.0
ABOUT = About(package="mcp-server-shared", title="Front", purpose="One address for several servers.", reading_needs="")

_NAME = re.compile("[a-z][a-z0-9-]{0,31}")
_OF_THE_FRONT = {"tls_cert", "tls_key", "workers"}
_SERVES = re.compile(r" serves at (http://\S+?);")
# Of a connection, not of the request that it carries, as is what a Connection field names (RFC 9110, section 7.6.1).
_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-connection"}


class ServerEntry(BaseModel):
    """One server of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: list[str] | None = None
    arguments: list[str] = Field(default_factory=list[str])
    environment: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def logs_to_a_file(self) -> bool:
        """Whether nothing of it, not even where it serves, is said on stderr."""
        words = [*(self.command or ()), *self.arguments]
        return "MCP_LOG_FILE" in self.environment or any(word.startswith("--log-file") for word in words)


class FrontFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serving: ServingSettings = ServingSettings()
    servers: dict[str, ServerEntry] = Field(min_length=1)


def read_front(file: Path) -> FrontFile:
    """Read the file.

    Raises:
        SettingsProblem: it will not do.
    """
    try:
        front = FrontFile.model_validate(tomllib.loads(readable(file, "the front")))
    except tomllib.TOMLDecodeError as error:
        raise SettingsProblem(f"{file.name}: {error}") from None
    except ValidationError as error:
        raise SettingsProblem(f"{file.name}: {'; '.join(problems(error, FrontFile.model_fields, str))}") from None
    wrong = [name for name in front.servers if not _NAME.fullmatch(name)]
    if wrong:
        raise SettingsProblem(f"{file.name}: {', '.join(wrong)} is no name; small letters, digits and - are")
    if front.serving.path or front.serving.callers or front.serving.workers > 1:
        raise SettingsProblem(f"{file.name}: path, callers and workers are for single servers, among their arguments")
    deaf = [name for name, entry in front.servers.items() if entry.logs_to_a_file]
    if deaf:
        raise SettingsProblem(
            f"{file.name}: {', '.join(deaf)}: the front hears of a server by its stderr; leave --log-file out"
        )
    check_exposure(ABOUT, ServerSettings(transport="http"), front.serving)
    return front


class Backend:
    """One server behind the front.

    Args:
        name: its own.
        entry: what the file says of it.
        serving: what the file says of all.
        pause: waits for some seconds, before it is started again.
    """

    def __init__(
        self,
        name: str,
        entry: ServerEntry,
        serving: ServingSettings,
        pause: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.name = name
        self.path = f"/{name}/mcp"
        self.origin: str | None = None  # while it runs
        self.trouble: str | None = None  # why it does not, where that is known
        self.wait_s = FIRST_WAIT_S
        self.started = anyio.Event()
        self._command = [*(entry.command or [f"mcp-server-{name}"]), *entry.arguments]
        self._environment = plain_environment() | _serving_environment(serving, self.path) | entry.environment
        self._pause = pause
        self._pausing: anyio.CancelScope | None = None
        self._stopping = False
        self._restarts = Restarts(FIRST_WAIT_S, LONGEST_WAIT_S, GOOD_RUN_S)
        self._process: Process | None = None
        self._last_said = ""

    async def run(self) -> None:
        """Run the server, again whenever it ends, until it is stopped."""
        while not self._stopping:
            begun = time.monotonic()
            ended = await self._run_once()
            self.started.set()
            if not self._stopping:
                self._report(ended, time.monotonic() - begun)
                with anyio.CancelScope() as self._pausing:
                    await self._pause(self.wait_s)

    def stop(self) -> None:
        """Let it finish what it does and end."""
        self._stopping = True
        if self._pausing is not None:
            self._pausing.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def _run_once(self) -> str:
        """Run the server until it ends; return how it did."""
        self._last_said = ""
        try:
            # Its stdin is never written to: it ends with this process, however that ends, and the server with it.
            self._process = await anyio.open_process(self._command, stdin=PIPE, stdout=DEVNULL, env=self._environment)
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        await self._follow(self._process)
        return f"ended with {self._process.returncode}"

    def _report(self, ended: str, lived_s: float) -> None:
        """Say what became of it. Its own words, which anybody could read on the health page, are for the log alone."""
        self.wait_s = self._restarts.wait_after(lived_s)
        self.trouble = f"{ended}, short runs in a row: {self._restarts.short_runs}; the log says more"
        said = f", saying: {self._last_said}" if self._last_said else ""
        logger.error("%s %s%s; it is started again in %g s", self.name, ended, redact_text(said), self.wait_s)

    async def _follow(self, process: Process) -> None:
        """Pass on what the server logs, until it ends."""
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        rest = b""
        try:
            async with process:
                async for chunk in process.stderr:
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._hear(line.decode(errors="replace"))
        finally:
            self.origin = None
        if rest:
            self._hear(rest.decode(errors="replace"))

    def _hear(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        if self.origin is None:
            self._last_said = line[:LONGEST_REASON]
            if found := _SERVES.search(line):
                self._last_said = ""  # what it says from here on is about calls
                self.origin = found[1].removesuffix(self.path)
                self.trouble = None
                self.started.set()


class Front:
    """The ASGI application: passes on what is for a server, and tells how they are."""

    def __init__(self, front: FrontFile) -> None:
        serving = front.serving
        self._backends = {
            backend.path: backend for backend in (Backend(name, e, serving) for name, e in front.servers.items())
        }
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx2.AsyncClient(timeout=None, trust_env=False, limits=limits)
        self._gate = Gate(self._pass_on, Allowed.by(serving))
        self._ended = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run the servers; each has some time to start, and none holds up the others."""
        async with self._client, anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_all)
            with anyio.move_on_after(STARTED_WITHIN_S):
                for backend in self._backends.values():
                    await backend.started.wait()
            yield
            await self.drain()

    async def _run_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for backend in self._backends.values():
                tasks.start_soon(backend.run)
        self._ended.set()

    async def drain(self) -> None:
        """Stop the servers, which finish their calls first."""
        for backend in self._backends.values():
            backend.stop()
        await self._ended.wait()

    def reload(self) -> None:
        """Nothing to do: the servers look at their files themselves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"] == HEALTH_PATH:
            await alive(scope, receive, send)
        elif scope["path"] == "/readyz":
            await self._tell_readiness(scope, receive, send)
        else:
            await self._gate(scope, receive, send)

    async def _tell_readiness(self, scope: Scope, receive: Receive, send: Send) -> None:
        told: dict[str, str] = {}

        async def ask(backend: Backend) -> None:
            told[backend.name] = f"not running: {backend.trouble}" if backend.trouble else "not running"
            if backend.origin is not None:
                try:
                    answered = await self._client.get(backend.origin + "/readyz", timeout=PROBED_FOR_S)
                    told[backend.name] = answered.json()["status"]
                except (httpx2.HTTPError, ValueError, KeyError):
                    return

        async with anyio.create_task_group() as tasks:
            for backend in self._backends.values():
                tasks.start_soon(ask, backend)
        status = 200 if set(told.values()) == {"ready"} else 503
        await answer(scope, receive, send, status, {"servers": dict(sorted(told.items()))})

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        backend = self._backends.get(path.removeprefix(METADATA_PATH))
        if backend is None:
            await answer(scope, receive, send, 404, f"Nothing is here; there is {', '.join(self._backends)}.")
        elif backend.origin is None:
            text = f"{backend.name} is not running."
            after = {"retry-after": str(math.ceil(backend.wait_s) or 1)}
            await refuse(scope, receive, send, 503, "temporarily_unavailable", text, after)
        else:
            await _Exchange(self._client, scope, receive, send).run(backend.origin + path)


class _Exchange:
    """One request that is passed on, for as long as its client waits for it."""

    def __init__(self, client: httpx2.AsyncClient, scope: Scope, receive: Receive, send: Send) -> None:
        self._client = client
        self._scope = scope
        self._receive = receive
        self._send = send
        self._sent = anyio.Event()
        self._begun = False

    async def run(self, url: str) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            try:
                await self._respond(url)
            except httpx2.HTTPError as error:
                logger.warning("a server broke off: %s", type(error).__name__)
                if self._begun:
                    raise
                text = "The server behind this address broke off."
                headers = {"retry-after": "1"}
                await refuse(self._scope, self._receive, self._send, 502, "bad_gateway", text, headers)
            tasks.cancel_scope.cancel()

    async def _respond(self, url: str) -> None:
        async with self._client.stream(
            self._scope["method"], url, headers=self._headers(), content=self._body()
        ) as response:
            self._begun = True
            headers = [(name.lower(), value) for name, value in response.headers.raw if name.lower() not in _HOP_BY_HOP]
            await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_raw():
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        ours = (b"x-forwarded-for", b"x-forwarded-proto")
        named = {
            word.strip().lower() for n, v in self._scope["headers"] if n == b"connection" for word in v.split(b",")
        }
        left_out = _HOP_BY_HOP | named | set(ours)
        headers = [(n, v) for n, v in self._scope["headers"] if n not in left_out]
        client: tuple[str, int] | None = self._scope.get("client")
        forwarded = [(ours[0], client[0].encode())] if client else []
        return [*headers, *forwarded, (ours[1], self._scope["scheme"].encode())]

    async def _body(self) -> AsyncGenerator[bytes]:
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise httpx2.ReadError("the client left")
            yield message.get("body", b"")
            more = message.get("more_body", False)
        self._sent.set()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """End the exchange when the client leaves, so that the server stops working for nobody."""
        await self._sent.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        scope.cancel()


def _serving_environment(serving: ServingSettings, path: str) -> dict[str, str]:
    """Return the settings of serving for one server as variables, which other users of the machine cannot read."""
    described = {setting.field: setting for setting in ServingSettings.settings()}
    values = {
        **{name: getattr(serving, name) for name in serving.model_fields_set - _OF_THE_FRONT},
        "host": "127.0.0.1",
        "port": 0,
        "path": path,
        "stop_with_stdin": True,
        "behind_proxy": ("127.0.0.1",),
        "public_url": serving.public_url and serving.public_url.rstrip("/") + path,
    }
    variables = {"MCP_TRANSPORT": "http"}
    for name, value in values.items():
        if value is None:
            continue
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        words = cast(tuple[Any, ...], plain) if isinstance(plain, tuple) else (plain,)
        variables[described[name].env[0]] = described[name].separator.join(map(str, words))
    return variables


def main() -> None:
    """Run the front of the file that the command line names."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit("usage: python -m mcp_server_shared.serving.front FILE.toml")
    logs.configure("info", None)
    try:
        front = read_front(Path(sys.argv[1]))
        serving = front.serving
        sockets = listening_sockets(serving.host, serving.port, shared=False)
    except SettingsProblem as problem:
        sys.stderr.write(f"front: {redact_text(str(problem))}\n")
        sys.exit(USAGE_ERROR)
    host, port = sockets[0].getsockname()[:2]
    paths = ", ".join(f"/{name}/mcp" for name in front.servers)
    announcement = f"the front is at {host}, port {port}, with {paths}"
    serve_application(Front(front), ServerSettings(transport="http"), serving, sockets, announcement)


if __name__ == "__main__":
    main()
