"""What answers at the listening address: the endpoint behind its guards, and what operators ask beside it."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import anyio
import httpx2
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_server_shared import logs
from mcp_server_shared.catalog import About
from mcp_server_shared.hosting import Hosting
from mcp_server_shared.limits import Limits
from mcp_server_shared.server import Server
from mcp_server_shared.serving.answers import answer
from mcp_server_shared.serving.authentication import (
    METADATA_PATH,
    Authentication,
    Challenge,
    ProtectedResourceMetadata,
    Verifier,
    metadata_url,
)
from mcp_server_shared.serving.connections import HEALTH_PATH
from mcp_server_shared.serving.exposure import readable
from mcp_server_shared.serving.gate import Allowed, Gate
from mcp_server_shared.serving.legacy_sse import MESSAGES, LegacySse
from mcp_server_shared.serving.metrics import Metrics
from mcp_server_shared.serving.oauth import TIMEOUT_S, IntrospectingVerifier, JwtVerifier
from mcp_server_shared.serving.operations import Readiness, alive
from mcp_server_shared.serving.pressure import TIMES_THE_CALLS, Admission, Pressure
from mcp_server_shared.serving.rates import Buckets, MemoryBuckets, RatedLimits, burst_of
from mcp_server_shared.serving.settings import ServingSettings
from mcp_server_shared.serving.streamable_http import StreamableHttp
from mcp_server_shared.serving.streams import Streams
from mcp_server_shared.serving.tokens import METRICS, READ, TokenFile
from mcp_server_shared.serving.upstreams import Endpoint, OwnUpstreams, read_callers
from mcp_server_shared.serving.websocket import WebSocket
from mcp_server_shared.settings import ServerSettings, SettingsProblem
from mcp_server_shared.start import Program

if TYPE_CHECKING:
    from mcp_server_shared.serving.redis_state import RedisState

logger = logging.getLogger(__name__)

LEVELS = ("debug", "info", "warning", "error")
DEFAULT_PATHS = {"http": "/mcp", "sse": "/sse", "websocket": "/ws"}


class Application:
    """One server's ASGI application; nothing is open before `running`.

    Args:
        program: the server.
        settings: the operator's, of the server.
        serving: the operator's, of serving it.
        metrics_in: where several workers keep their numbers.

    Raises:
        SettingsProblem: the files that the settings name will not do.
    """

    def __init__(
        self,
        program: Program[Any],
        settings: ServerSettings,
        serving: ServingSettings,
        metrics_in: str | None = None,
    ) -> None:
        about = program.about
        self.path = serving.path or DEFAULT_PATHS[settings.transport]
        self._serving = serving
        self._shared = _shared(about, serving)
        self._limits = self._limiting(settings)
        self._admission = self._admitting(settings)
        self._servers = WeakSet[Server[Any]]()
        self._names: set[str] = set()  # of what callers can call
        self._issuer = httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) if serving.issuer else None
        self._tokens = TokenFile(serving.tokens, [grant.name for grant in about.grants]) if serving.tokens else None
        self._metrics = Metrics(metrics_in, self._names)
        hosting = Hosting(
            key=_key(serving),
            limits=self._limits,
            bus=self._shared and self._shared.bus,
            store=self._shared and self._shared.store,
            middleware=(self._metrics,),
        )

        def build(own: ServerSettings) -> Server[Any]:
            server = program.build_server(own)
            server.host(hosting)
            self._servers.add(server)
            self._names.update(server.registry.tools, server.registry.prompts)
            return server

        def endpoint(server: Server[Any]) -> Endpoint:
            return _endpoint(server, settings.transport, serving, self.path, self._admission)

        if serving.callers:
            callers = read_callers(serving.callers, settings)
            self._upstream: Endpoint = OwnUpstreams(callers, settings, build, endpoint)
            self.readiness = Readiness(None)
        else:
            server = build(settings)
            self._upstream = endpoint(server)
            self.readiness = Readiness(server.probe)
        self._streams = Streams(self._upstream)
        # A client asks for what the operator gives, neither for less nor for what would be of no use.
        given = [READ, *(grant.name for grant in about.grants if settings.gives(grant))]
        self._scopes = [serving.scope_of(grant) for grant in given]
        self._authentication = self._authenticating(about, Pressure(self._streams, self._admission))
        self._app = self._metrics.around(self._dispatch)
        self._routes = self._routed(about)

    def _limiting(self, settings: ServerSettings) -> Limits:
        serving = self._serving
        most_of_a_caller = serving.max_calls_per_caller if serving.authenticates else settings.max_calls
        if serving.rate is None:
            return Limits(settings.max_calls, most_of_a_caller)
        return RatedLimits(settings.max_calls, most_of_a_caller, self._buckets("call", serving.rate, 1))

    def _buckets(self, kind: str, rate: float, times: int) -> Buckets:
        rate, burst = rate * times, burst_of(rate) * times
        here = MemoryBuckets(rate, burst)
        return self._shared.buckets(kind, rate, burst, here) if self._shared else here

    def _admitting(self, settings: ServerSettings) -> Admission:
        serving = self._serving
        buckets = self._buckets("request", serving.rate, TIMES_THE_CALLS) if serving.rate else None
        most = serving.max_calls_per_caller if serving.authenticates else settings.max_calls
        return Admission(most * TIMES_THE_CALLS, buckets, settings.max_message_bytes * TIMES_THE_CALLS)

    def _authenticating(self, about: About, app: ASGIApp) -> "Authentication | None":
        self._behind = app
        if not self._serving.authenticates:
            return None
        self._verifiers = self._verifying(about)
        return Authentication(app, self._verifiers, Challenge(self._serving, self._scopes))

    def _verifying(self, about: About) -> list[Verifier]:
        verifiers: list[Verifier] = [self._tokens] if self._tokens else []
        serving = self._serving
        if serving.issuer and self._issuer:
            names = [READ, METRICS, *(grant.name for grant in about.grants)]

            def grants(scopes: list[str]) -> frozenset[str]:
                return frozenset(name for name in names if serving.scope_of(name) in scopes)

            audience = serving.audience or serving.public_url or ""
            if serving.introspection_url and serving.introspection_client and serving.introspection_secret:
                credential = (serving.introspection_client, serving.introspection_secret.get_secret_value())
                verifiers.append(
                    IntrospectingVerifier(
                        self._issuer,
                        serving.introspection_url,
                        credential,
                        issuer=serving.issuer,
                        audience=audience,
                        grants=grants,
                    )
                )
            else:
                verifiers.append(JwtVerifier(self._issuer, serving.issuer, audience, serving.jwks_url, grants))
        return verifiers

    def _routed(self, about: About) -> dict[str, ASGIApp]:
        serving = self._serving
        guarded: ASGIApp = self._authentication or self._behind
        if serving.allowed_origins:
            guarded = CORSMiddleware(
                guarded,
                allow_origins=serving.allowed_origins,
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["*"],
                expose_headers=["mcp-session-id", "www-authenticate", "retry-after"],
            )
        gate = Gate(guarded, Allowed.by(serving))
        routes: dict[str, ASGIApp] = {
            self.path: gate,
            self.path + MESSAGES: gate,
            HEALTH_PATH: alive,
            "/readyz": self.readiness,
            "/metrics": Gate(self._metrics.exposed, Allowed.by(serving)),
        }
        if self._authentication:  # a scraper comes past the proxy, under any name, so its token decides
            challenge = Challenge(serving, [serving.scope_of(METRICS)])
            routes["/metrics"] = Authentication(self._metrics.exposed, self._verifiers, challenge, METRICS)
        if serving.issuer and serving.public_url:
            metadata = ProtectedResourceMetadata(serving, about.title, self._scopes)
            url = metadata_url(serving.public_url)
            routes[METADATA_PATH] = routes[url[url.index(METADATA_PATH) :]] = metadata
        return routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        await self._app(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._routes.get(scope["path"])
        if self.readiness.stopping:
            send = _closing(send)
        if app is None:
            await answer(scope, receive, send, 404, f"Nothing is here; the endpoint is {self.path}.")
        else:
            await app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep open what serving needs."""
        async with AsyncExitStack() as stack:
            if self._issuer:
                await stack.enter_async_context(self._issuer)
            if self._shared:
                await stack.enter_async_context(self._shared.running())
            await stack.enter_async_context(self._upstream.running())
            tasks = await stack.enter_async_context(anyio.create_task_group())
            if self._authentication:
                tasks.start_soon(self._streams.end_outdated, self._authentication.is_still_good)
            yield
            tasks.cancel_scope.cancel()

    def reload(self) -> None:
        """Read again what may change while serving."""
        if self._tokens:
            self._tokens.reload()
        self.set_log_level()

    def set_log_level(self) -> None:
        """Take the log level from its file, if there is one with a level in it."""
        file = self._serving.log_level_file
        if file is None:
            return
        try:
            level = readable(file, "--log-level-file").strip().lower()
        except SettingsProblem as problem:
            level = str(problem)
        if level in LEVELS:
            logs.set_level(level)
            logger.info("the log level is %s", level)
        else:
            logger.warning("the log level stays as it was; its file must hold one of %s", ", ".join(LEVELS))

    async def drain(self) -> None:
        """Let the calls in flight finish, within the grace that the operator gives; end what never would."""
        self.readiness.stopping = True
        for server in self._servers:
            server.end_listening()
        with anyio.move_on_after(self._serving.shutdown_grace_s):
            await self._limits.idle()
        if self._limits.running:
            logger.warning("%d calls were stopped, as they did not finish in time", self._limits.running)
        self._streams.end_endless()


def _shared(about: About, serving: ServingSettings) -> "RedisState | None":
    key = _key(serving)
    if serving.shared_state is None or key is None:
        return None
    from mcp_server_shared.serving.redis_state import RedisState

    return RedisState(serving.shared_state.get_secret_value(), about.package, key)


def _key(serving: ServingSettings) -> bytes | None:
    return serving.state_key.get_secret_value().encode() if serving.state_key else None


def _endpoint(
    server: Server[Any], transport: str, serving: ServingSettings, path: str, admission: Admission
) -> Endpoint:
    endpoints: dict[str, Callable[[], Endpoint]] = {
        "http": lambda: StreamableHttp(server, serving),
        "sse": lambda: LegacySse(server, path, admission),
        "websocket": lambda: WebSocket(server, admission),
    }
    return endpoints[transport]()


def _closing(send: Send) -> Send:
    """Return a `send` after whose answer the connection ends."""

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return send_and_close
