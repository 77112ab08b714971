"""Serving over a network, from the settings to the last connection."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Protocol

import uvicorn
from starlette.types import Receive, Scope, Send

from mcp_server_shared.serving.connections import (
    BACKLOG,
    KEEP_ALIVE_S,
    ImpatientProtocol,
    ImpatientWebSocket,
    NetworkServer,
    listening_sockets,
)
from mcp_server_shared.serving.exposure import check_exposure
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.serving.tokens import TokenFile
from mcp_server_shared.serving.tracing import traced
from mcp_server_shared.serving.upstreams import read_callers
from mcp_server_shared.settings import ServerSettings, SettingsProblem
from mcp_server_shared.start import Program, refuse

logger = logging.getLogger(__name__)

STDIN = 0
CLOSING_S = 2  # for the last answers to reach their readers
MOST_CONNECTIONS_BESIDE_CALLS = 1_000


class Served(Protocol):
    """An ASGI application with a beginning and an end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep open what serving needs."""
        ...

    async def drain(self) -> None:
        """Return when what was asked is done; no more connections are taken."""
        ...

    def reload(self) -> None:
        """Read again what may change while serving."""
        ...


def serve_network(program: Program[Any], settings: ServerSettings, serving: ServingSettings) -> None:
    """Serve until a signal ends it; what cannot be served safely is refused, and nothing is."""
    try:
        check_exposure(program.about, settings, serving)
        _check_files(program, settings, serving)
        if serving.workers > 1:
            from mcp_server_shared.serving.workers import Workers

            sys.exit(Workers(serving, partial(serve_sockets, program, settings)).run())
        sockets = listening_sockets(serving.host, serving.port, shared=False)
        serve_sockets(program, settings, serving, sockets)
    except SettingsProblem as problem:
        refuse(program.about.package, str(problem))


def _check_files(program: Program[Any], settings: ServerSettings, serving: ServingSettings) -> None:
    """Look into the files that the settings name, before anything listens or forks."""
    if serving.tokens:
        TokenFile(serving.tokens, [grant.name for grant in program.about.grants])
    if serving.callers:
        read_callers(serving.callers, settings)
    if serving.tls_cert and serving.tls_key:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(serving.tls_cert, serving.tls_key)
        except OSError as error:
            raise SettingsProblem(f"--tls-cert and --tls-key cannot be used: {error.strerror or error}") from None


def serve_sockets(
    program: Program[Any],
    settings: ServerSettings,
    serving: ServingSettings,
    sockets: list[socket.socket],
    metrics_in: str | None = None,
    parent_lives: int | None = None,
) -> None:
    """Serve on bound sockets, in this process.

    Args:
        program: the server.
        settings: the operator's, of the server.
        serving: the operator's, of serving it.
        sockets: not listening yet.
        metrics_in: where several workers keep their numbers.
        parent_lives: a descriptor that ends when the parent does, and this process with it.

    Raises:
        SettingsProblem: the files that the settings name will no longer do.
    """
    from mcp_server_shared.serving.application import Application  # not sooner: its metrics look where to be kept

    with traced(program.about, version(program.about.package)):  # whose spans servers make from the first on
        application = Application(program, settings, serving, metrics_in)
        application.set_log_level()
        url = _url(settings, serving, sockets[0], application.path)
        whose = "each caller's own" if serving.callers else "the operator's, for all callers"
        announcement = f"{program.about.package} serves at {url}; upstream credential: {whose}"
        serve_application(application, settings, serving, sockets, announcement, parent_lives)


def serve_application(
    application: Served,
    settings: ServerSettings,
    serving: ServingSettings,
    sockets: list[socket.socket],
    announcement: str,
    parent_lives: int | None = None,
) -> None:
    """Serve an application on bound sockets until a signal ends it.

    Args:
        application: what answers.
        settings: for how much there may be of everything.
        serving: for TLS, and whether it stops with stdin.
        sockets: not listening yet.
        announcement: logged once connections are taken.
        parent_lives: a descriptor that ends when the parent does, and this process with it.
    """
    config = uvicorn.Config(
        application,
        http=ImpatientProtocol,
        ws=ImpatientWebSocket if settings.transport == "websocket" else "none",
        ws_max_size=settings.max_message_bytes,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSING_S,
        limit_concurrency=settings.max_calls * 4 + MOST_CONNECTIONS_BESIDE_CALLS,
        ssl_certfile=serving.tls_cert,
        ssl_keyfile=serving.tls_key,
    )
    config.load()
    logging.getLogger("uvicorn.error").addFilter(_is_no_refusal)
    server = NetworkServer(config, on_started=lambda: logger.warning(announcement), drain=application.drain)
    gc.freeze()
    lifelines = {STDIN} if serving.stop_with_stdin else set[int]()
    if parent_lives is not None:
        lifelines.add(parent_lives)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(server, application, sockets, lifelines))


async def _serve(
    server: NetworkServer, application: Served, sockets: list[socket.socket], lifelines: Collection[int]
) -> None:
    def stop() -> None:
        server.should_exit = True

    def reload() -> None:
        application.reload()
        config = server.config
        if isinstance(config.ssl, ssl.SSLContext) and config.ssl_certfile:
            try:
                config.ssl.load_cert_chain(config.ssl_certfile, config.ssl_keyfile)
            except OSError:
                logger.exception("the certificate stays as it was")

    if sys.platform != "win32":
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # a worker that was still starting has it waiting
    for lifeline in lifelines:
        threading.Thread(target=_await_end, args=(lifeline, asyncio.get_running_loop(), stop), daemon=True).start()
    async with application.running():
        await server.serve(sockets)


def _await_end(descriptor: int, loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Stop when a descriptor ends. On a thread, as there is no other way that takes pipes and files of every system."""
    try:
        while os.read(descriptor, 4_096):
            pass
    except OSError as error:
        logger.warning("what this process lives with cannot be read: %s", error.strerror)
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(stop)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether it is anything but what uvicorn says of a WebSocket whose opening was answered with a status."""
    return record.msg != "ASGI callable returned without completing handshake."


def _url(settings: ServerSettings, serving: ServingSettings, listening: socket.socket, path: str) -> str:
    scheme = ("ws" if settings.transport == "websocket" else "http") + ("s" if serving.tls_cert else "")
    host, port = listening.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # not made for this platform
        return None
    return uvloop.new_event_loop
