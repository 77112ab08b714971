"""Resource subscriptions of both eras: who listens to what, and one watcher for each URI while anybody does."""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from mcp.server.connection import Connection
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent, SubscriptionBus
from mcp.shared.exceptions import MCPError

from mcp_server_shared.callers import LOCAL
from mcp_server_shared.errors import RateLimited

logger = logging.getLogger(__name__)

MOST_WATCHED = 256
MOST_WATCHED_BY_A_CALLER = 64  # who has a token; without one there is nobody else to leave room for
_FORGOTTEN_AT_END = "subscriptions are forgotten at the end"

Watch = Callable[[str], AsyncGenerator[None]]


@dataclass
class _Watched:
    listeners: Counter[str] = field(default_factory=Counter[str])  # how many each caller has
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
        self._sessions: dict[str, dict[int, tuple[ServerSession, str]]] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Watch while the server serves."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            unsubscribe = self.bus.subscribe(self._forward)
            try:
                yield
            finally:
                unsubscribe()
            tasks.cancel_scope.cancel()
        self._tasks = None
        self._watched.clear()
        self._sessions.clear()

    def require_room(self, uris: Iterable[str], who: str) -> None:
        """Refuse to watch more than there is room for: each URI has a watcher, and callers choose how many there are.

        Raises:
            RateLimited: with these as well it would be too many, in all or for this caller.
        """
        wanted = set(uris)
        if len(self._watched.keys() | wanted) > MOST_WATCHED:
            text = f"At most {MOST_WATCHED} resources are watched at a time."
            raise RateLimited(text, hint="Unsubscribe from some, or try again later.")
        own = {uri for uri, watched in self._watched.items() if watched.listeners[who]}
        if who != LOCAL and len(own | wanted) > MOST_WATCHED_BY_A_CALLER:
            text = f"At most {MOST_WATCHED_BY_A_CALLER} resources are watched for one caller at a time."
            raise RateLimited(text, hint="Unsubscribe from some.")

    async def publish(self, uri: str) -> None:
        """Tell every subscriber of both eras that the resource at `uri` has changed."""
        await self.bus.publish(ResourceUpdated(uri=uri))

    def _forward(self, event: ServerEvent) -> None:
        """Pass an event of the bus, of whatever process, on to the handshake-era connections of this one."""
        if isinstance(event, ResourceUpdated) and event.uri in self._sessions and self._tasks is not None:
            for key, (session, _) in self._sessions[event.uri].items():
                self._tasks.start_soon(self._tell, event.uri, key, session)

    async def _tell(self, uri: str, key: int, session: ServerSession) -> None:
        try:
            await session.send_resource_updated(uri)
        except (MCPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._drop(uri, key)

    def subscribe(self, uri: str, session: ServerSession, who: str) -> None:
        """Add a handshake-era connection until it ends; a second time changes nothing."""
        connection = _connection(session)
        sessions = self._sessions.setdefault(uri, {})
        if id(connection) not in sessions:
            sessions[id(connection)] = session, who
            self._listen(uri, who)
            if _FORGOTTEN_AT_END not in connection.state:
                connection.state[_FORGOTTEN_AT_END] = True
                connection.exit_stack.callback(self._forget, id(connection))

    def unsubscribe(self, uri: str, session: ServerSession) -> None:
        """Remove a handshake-era connection, if it subscribed."""
        self._drop(uri, id(_connection(session)))

    @asynccontextmanager
    async def listening(self, uris: Iterable[str], who: str) -> AsyncGenerator[None]:
        """Watch these URIs while one listen stream is open."""
        wanted = set(uris)
        for uri in wanted:
            self._listen(uri, who)
        try:
            yield
        finally:
            for uri in wanted:
                self._leave(uri, who)

    def _forget(self, key: int) -> None:
        for uri in list(self._sessions):
            self._drop(uri, key)

    def _drop(self, uri: str, key: int) -> None:
        sessions = self._sessions.get(uri, {})
        if key in sessions:
            _, who = sessions.pop(key)
            if not sessions:
                del self._sessions[uri]
            self._leave(uri, who)

    def _listen(self, uri: str, who: str) -> None:
        watched = self._watched.setdefault(uri, _Watched())
        watched.listeners[who] += 1
        if watched.ended and self._tasks is not None:
            watched.ended = False
            self._tasks.start_soon(self._report, uri, watched)

    def _leave(self, uri: str, who: str) -> None:
        watched = self._watched.get(uri)
        if watched is None:  # the server has stopped
            return
        watched.listeners[who] -= 1
        if not watched.listeners[who]:
            del watched.listeners[who]  # callers come and go
        if not watched.listeners:
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


def can_be_told(session: ServerSession) -> bool:
    """Whether the client can be reached outside the answers to its requests."""
    return _connection(session).has_standalone_channel


def _connection(session: ServerSession) -> Connection:
    """Return what lasts as long as the client is connected; the SDK makes a session for each request."""
    return session._connection  # pyright: ignore[reportPrivateUsage] - the SDK has no other way to it
