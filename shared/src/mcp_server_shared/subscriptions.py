"""Resource subscriptions of both eras: who listens to what, and one watcher for each URI while anybody does."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, SubscriptionBus
from mcp.shared.exceptions import MCPError

logger = logging.getLogger(__name__)

MOST_WATCHED = 256

Watch = Callable[[str], AsyncGenerator[None]]


@dataclass
class _Watched:
    listeners: int = 0
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    ended: bool = True


class Subscriptions:
    """Fans one event out to the streams of `subscriptions/listen` and to those of `resources/subscribe`.

    Args:
        watch: yields whenever the resource at a URI has changed.
        bus: carries events to the listen streams; replicas share one over a message broker.
    """

    def __init__(self, watch: Watch, bus: SubscriptionBus | None = None) -> None:
        self.bus: SubscriptionBus = bus or InMemorySubscriptionBus()
        self._watch = watch
        self._watched: dict[str, _Watched] = {}
        self._sessions: dict[str, dict[int, ServerSession]] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Watch while the server serves."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            yield
            tasks.cancel_scope.cancel()
        self._tasks = None
        self._watched.clear()
        self._sessions.clear()

    def has_room_for(self, uris: Iterable[str]) -> bool:
        """Whether these may be watched as well; each URI has a watcher, and callers choose how many there are."""
        return len(self._watched.keys() | set(uris)) <= MOST_WATCHED

    async def publish(self, uri: str) -> None:
        """Tell every subscriber of both eras that the resource at `uri` has changed."""
        await self.bus.publish(ResourceUpdated(uri=uri))
        for key, session in list(self._sessions.get(uri, {}).items()):
            try:
                await session.send_resource_updated(uri)
            except (MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._drop(uri, key)

    def subscribe(self, uri: str, session: ServerSession) -> None:
        """Add a handshake-era connection; a second time changes nothing."""
        sessions = self._sessions.setdefault(uri, {})
        if _key(session) not in sessions:
            sessions[_key(session)] = session
            self._listen(uri)

    def unsubscribe(self, uri: str, session: ServerSession) -> None:
        """Remove a handshake-era connection, if it subscribed."""
        self._drop(uri, _key(session))

    @asynccontextmanager
    async def listening(self, uris: Iterable[str]) -> AsyncGenerator[None]:
        """Watch these URIs while one listen stream is open."""
        wanted = set(uris)
        for uri in wanted:
            self._listen(uri)
        try:
            yield
        finally:
            for uri in wanted:
                self._leave(uri)

    def _drop(self, uri: str, key: int) -> None:
        if self._sessions.get(uri, {}).pop(key, None) is not None:
            self._leave(uri)

    def _listen(self, uri: str) -> None:
        watched = self._watched.setdefault(uri, _Watched())
        watched.listeners += 1
        if watched.ended and self._tasks is not None:
            watched.ended = False
            self._tasks.start_soon(self._report, uri, watched)

    def _leave(self, uri: str) -> None:
        watched = self._watched.get(uri)
        if watched is None:  # the server has stopped
            return
        watched.listeners -= 1
        if watched.listeners == 0:
            del self._watched[uri]
            watched.scope.cancel()

    async def _report(self, uri: str, watched: _Watched) -> None:
        with watched.scope:
            try:
                async with aclosing(self._watch(uri)) as changes:
                    async for _ in changes:
                        await self.publish(uri)
            except Exception:
                logger.exception("watching a resource failed; the next subscriber starts it again")
        watched.ended = True


def _key(session: ServerSession) -> int:
    """Identify a connection: the SDK makes a session for each request, but keeps the client's handshake."""
    params: Any = session.client_params
    return id(params)
