"""What a server shares with other processes, or is held to, where it is served to many."""

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerMiddleware
from mcp.server.subscriptions import SubscriptionBus

from mcp_server_shared.limits import Limits
from mcp_server_shared.store import Store


@dataclass(frozen=True)
class Hosting:
    """What the process that serves gives to a `Server`; what is left out, the server makes for itself.

    Attributes:
        key: at least 32 secret bytes, the same in every worker and replica: signs cursors and the state of questions.
        bus: carries change notifications to every worker and replica.
        limits: how many calls there may be.
        store: remembers what callers have done.
        middleware: sees every message first.
    """

    key: bytes | None = None
    bus: SubscriptionBus | None = None
    limits: Limits | None = None
    store: Store | None = None
    middleware: tuple[ServerMiddleware[Any], ...] = ()
