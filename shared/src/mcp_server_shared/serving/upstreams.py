"""Whose credential a call uses: the operator's for all callers, or each caller's own.

A caller with an own credential gets a whole server of its own, with its own state: clients, pools, caches and handles
are never shared. It is opened by the caller's first request and closed when the caller has been idle for a while.
"""

import logging
import tomllib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import principal_components
from starlette.types import Receive, Scope, Send

from mcp_server_shared.callers import caller
from mcp_server_shared.server import Server
from mcp_server_shared.serving.answers import refuse
from mcp_server_shared.serving.exposure import readable
from mcp_server_shared.settings import ServerSettings, SettingsProblem

logger = logging.getLogger(__name__)

MOST_OPEN = 100
IDLE_S = 900.0
LOOKED_AT_EVERY_S = 30.0


class Endpoint(Protocol):
    """A server behind one transport."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep the server's state open."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        ...


@dataclass(frozen=True)
class OwnSettings:
    """What one file says of one caller.

    Attributes:
        token: the name of a token of `--tokens`; empty for a caller of the issuer.
        subject: the issuer's name for a caller.
        values: settings in place of the operator's.
    """

    token: str
    subject: str
    values: Mapping[str, Any]


def read_callers(directory: Path, settings: ServerSettings) -> list[OwnSettings]:
    """Read the file of each caller and try its settings.

    Raises:
        SettingsProblem: one of them will not do.
    """
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise SettingsProblem(f"cannot read the directory of --callers: {error.strerror}") from None
    found = [_read(file, settings) for file in files]
    keys = [(own.token, own.subject) for own in found]
    if len(set(keys)) < len(keys):
        raise SettingsProblem("two files of --callers are for the same caller")
    return found


def _read(file: Path, settings: ServerSettings) -> OwnSettings:
    try:
        content = tomllib.loads(readable(file, "--callers"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsProblem(f"{file.name}: {error}") from None
    token, subject, values = content.pop("token", ""), content.pop("subject", ""), content.pop("settings", {})
    if content or bool(token) is bool(subject) or not isinstance(values, dict):
        raise SettingsProblem(f"{file.name}: must have token = … or subject = …, a table [settings], and nothing else")
    own = OwnSettings(str(token), str(subject), _with_secrets(file, dict[str, Any](values)))  # pyright: ignore[reportUnknownArgumentType]
    settings.with_own(own.values, file.name)
    return own


def _with_secrets(file: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Replace `name_file = "path"` by `name`, with what the file holds; paths are relative to the caller's file."""
    for name in [name for name in values if name.endswith("_file") and name != "log_file"]:
        path = file.parent / str(values.pop(name))
        values[name.removesuffix("_file")] = readable(path, f"--callers, {file.name}, {name}").strip()
    return values


@dataclass(eq=False)
class _Open:
    endpoint: Endpoint
    used: int = 0
    since: float = field(default_factory=anyio.current_time)
    closing: anyio.Event = field(default_factory=anyio.Event)
    ready: anyio.Event = field(default_factory=anyio.Event)


class OwnUpstreams:
    """A server for each caller.

    Args:
        callers: who may call, and with which settings.
        settings: the operator's.
        build: a server of some settings.
        endpoint: puts it behind the transport.
    """

    def __init__(
        self,
        callers: list[OwnSettings],
        settings: ServerSettings,
        build: Callable[[ServerSettings], Server[Any]],
        endpoint: Callable[[Server[Any]], Endpoint],
    ) -> None:
        self._callers = callers
        self._settings = settings
        self._build = build
        self._endpoint = endpoint
        self._open: dict[str, _Open] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Close what is idle, and at the end everything."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            looking = anyio.CancelScope()
            tasks.start_soon(self._close_idle, looking)
            yield
            looking.cancel()
            for opened in self._open.values():
                opened.closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket of the caller."""
        own = self._own()
        if own is None:
            text = "The operator gave this caller no access to the upstream."
            await refuse(scope, receive, send, 403, "access_denied", text)
            return
        who = caller()
        opened = self._open.get(who) or self._opened(who, own)
        if opened is None:
            text = f"{MOST_OPEN} callers are being served; try again later."
            await refuse(scope, receive, send, 503, "temporarily_unavailable", text, {"retry-after": "10"})
            return
        opened.used += 1
        try:
            await opened.ready.wait()
            await opened.endpoint(scope, receive, send)
        finally:
            opened.used -= 1
            opened.since = anyio.current_time()

    def _own(self) -> OwnSettings | None:
        token = get_access_token()
        if token is None:
            return None
        client, issuer, subject = principal_components(token)
        name = (client, "") if issuer is None else ("", subject)
        return next((own for own in self._callers if (own.token, own.subject) == name), None)

    def _opened(self, who: str, own: OwnSettings) -> _Open | None:
        if len(self._open) >= MOST_OPEN and not self._close_longest_idle():
            return None
        settings = self._settings.with_own(own.values, who)
        opened = self._open[who] = _Open(self._endpoint(self._build(settings)))
        assert self._tasks is not None  # noqa: S101 - requests come while it runs
        self._tasks.start_soon(self._keep, who, opened)
        return opened

    async def _keep(self, who: str, opened: _Open) -> None:
        # One task enters and leaves, as the task groups inside need it.
        try:
            async with opened.endpoint.running():
                opened.ready.set()
                await opened.closing.wait()
        except Exception:
            logger.exception("the server of %s failed", who)
        finally:
            opened.ready.set()
            if self._open.get(who) is opened:
                del self._open[who]

    def _close_longest_idle(self) -> bool:
        idle = sorted((opened.since, who) for who, opened in self._open.items() if not opened.used)
        for _, who in idle[:1]:
            self._open.pop(who).closing.set()
        return bool(idle)

    async def _close_idle(self, looking: anyio.CancelScope) -> None:
        with looking:
            while True:
                await anyio.sleep(LOOKED_AT_EVERY_S)
                for who, opened in list(self._open.items()):
                    if not opened.used and anyio.current_time() - opened.since > IDLE_S:
                        self._open.pop(who).closing.set()
