"""What workers and replicas share over Redis: notes about callers, rates, change notifications (extra `[redis]`)."""

# The client's own types leave much open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import hashlib
import json
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from redis.asyncio import Redis
from redis.exceptions import RedisError

from mcp_server_shared.errors import Unavailable
from mcp_server_shared.serving.rates import Buckets

logger = logging.getLogger(__name__)

TIMEOUT_S = 2.0
RETRY_S = 1.0

_EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (ResourceUpdated, ToolsListChanged, PromptsListChanged, ResourcesListChanged)
}

# The level of a bucket and when it was that, by Redis's own clock, which all replicas share.
_TAKE = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1e6
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'level', 'then')
local level, since = tonumber(kept[1] or burst), tonumber(kept[2] or now)
level = math.min(burst, level + math.max(0, now - since) * rate)
local wait = 0
if level >= 1 then level = level - 1 else wait = (1 - level) / rate end
redis.call('HSET', KEYS[1], 'level', tostring(level), 'then', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return tostring(wait)
"""


class RedisState:
    """One deployment's part of a Redis: its keys begin with the server's name and a fingerprint of the shared key.

    Args:
        url: `redis://…` or `rediss://…`.
        package: the server's name.
        key: what its replicas share; who has another one, shares nothing.
    """

    def __init__(self, url: str, package: str, key: bytes) -> None:
        self._redis: Any = Redis.from_url(
            url, decode_responses=True, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._listening: Any = Redis.from_url(url, decode_responses=True, socket_connect_timeout=TIMEOUT_S)
        self._prefix = f"mcp:{package}:{hashlib.sha256(b'namespace ' + key).hexdigest()[:16]}"
        self.store = RedisStore(self._redis, f"{self._prefix}:note")
        self.bus = RedisBus(self._redis, f"{self._prefix}:events")

    def buckets(self, kind: str, rate: float, burst: float, without: Buckets) -> Buckets:
        """Return buckets that all replicas fill and empty; while Redis is away, each uses its own."""
        return RedisBuckets(self._redis, f"{self._prefix}:{kind}", rate, burst, without)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Listen to the other replicas."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.bus.listen, self._listening)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await self._redis.aclose()
                    await self._listening.aclose()


class RedisStore:
    """A `Store` that replicas share. While Redis is away, what needs it is refused: it may guard a flow rule."""

    def __init__(self, redis: Any, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def get(self, key: str) -> str | None:
        """See `Store`."""
        return await self._ask("get", self._key(key))

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        """See `Store`."""
        await self._ask("set", self._key(key), value, px=_milliseconds(ttl_s))

    async def add(self, key: str, value: str, ttl_s: float) -> bool:
        """See `Store`."""
        return bool(await self._ask("set", self._key(key), value, px=_milliseconds(ttl_s), nx=True))

    async def delete(self, key: str) -> None:
        """See `Store`."""
        await self._ask("delete", self._key(key))

    def _key(self, key: str) -> str:
        # A digest, since what callers choose may be long and of any characters.
        return f"{self._prefix}:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"

    async def _ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return await getattr(self._redis, command)(*arguments, **options)
        except (RedisError, OSError) as error:
            logger.warning("the shared state does not answer: %s", type(error).__name__)
            raise Unavailable(
                "The server cannot look up what this caller did before.", hint="Try again in a moment.", retry_after_s=1
            ) from error


class RedisBuckets:
    """Buckets that replicas share. While Redis is away, it is asked once a second, and callers do not wait for it."""

    def __init__(self, redis: Any, prefix: str, rate: float, burst: float, without: Buckets) -> None:
        self._redis = redis
        self._prefix = prefix
        self._arguments = (rate, burst)
        self._without = without
        self._away_until = float("-inf")

    async def take(self, key: str) -> float:
        """See `Buckets`."""
        if time.monotonic() < self._away_until:
            return await self._without.take(key)
        name = f"{self._prefix}:{hashlib.sha256(key.encode()).hexdigest()}"
        try:
            return float(await self._redis.eval(_TAKE, 1, name, *self._arguments))
        except (RedisError, OSError) as error:
            logger.warning("rates are counted in this process alone: %s", type(error).__name__)
            self._away_until = time.monotonic() + RETRY_S
            return await self._without.take(key)


class RedisBus:
    """A `SubscriptionBus` that reaches the subscribers of every replica; those of this one even without Redis.

    Attributes:
        channel: where all of them publish.
    """

    def __init__(self, redis: Any, channel: str) -> None:
        self._redis = redis
        self.channel = channel
        self._own = secrets.token_hex(8)
        self._here = InMemorySubscriptionBus()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """See `SubscriptionBus`."""
        return self._here.subscribe(listener)

    async def publish(self, event: ServerEvent) -> None:
        """See `SubscriptionBus`."""
        await self._here.publish(event)
        try:
            await self._redis.publish(
                self.channel, json.dumps([self._own, type(event).__name__, getattr(event, "uri", None)])
            )
        except (RedisError, OSError) as error:
            logger.warning("other replicas do not hear of a change: %s", type(error).__name__)

    async def listen(self, redis: Any) -> None:
        """Pass on what other replicas publish, for ever."""
        while True:
            try:
                async with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(self.channel)
                    async for message in pubsub.listen():
                        await self._pass_on(message["data"])
            except (RedisError, OSError) as error:
                logger.warning("changes at other replicas are not heard of: %s", type(error).__name__)
            await anyio.sleep(RETRY_S)

    async def _pass_on(self, text: str) -> None:
        try:
            origin, kind, uri = json.loads(text)
            event = _EVENTS[kind](uri=uri) if uri is not None else _EVENTS[kind]()
        except (ValueError, TypeError, KeyError):
            logger.warning("what came over %s is no event of ours", self.channel)
            return
        if origin != self._own:
            await self._here.publish(event)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1_000))
