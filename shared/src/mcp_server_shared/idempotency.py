"""Doing a write once although it is asked for twice: a client that lost the answer asks again with the same key."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from mcp_server_shared.errors import Conflict, DeadlineExceeded, ExpectedError, InternalError, Unavailable
from mcp_server_shared.store import Store

WINDOW_S = 86_400.0
_STARTED = "started"
# After any other expected failure the upstream is known to have done nothing.
_DOUBTFUL = (Unavailable, DeadlineExceeded, InternalError)


async def once(store: Store, slot: str, arguments: Any, work: Callable[[], Awaitable[Any]]) -> Any:
    """Return the JSON value of `work`, done at most once for a slot within a day.

    Args:
        store: remembers what was done.
        slot: names caller, tool and the caller's key.
        arguments: of the call; the same key with others is a mistake.
        work: the write. After a failure that leaves open whether it took place, it is not tried again.

    Raises:
        Conflict: the key was used for something else, is in use now, or its first try ended in doubt.
    """
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).hexdigest()
    if not await store.add(slot, json.dumps([digest, _STARTED, None]), WINDOW_S):
        return _outcome(await store.get(slot), digest)
    try:
        value = await work()
    except ExpectedError as error:
        if not isinstance(error, _DOUBTFUL):
            await store.delete(slot)
        raise
    await store.put(slot, json.dumps([digest, "done", value]), WINDOW_S)
    return value


def _outcome(kept: str | None, digest: str) -> Any:
    known, stage, value = json.loads(kept or '["", "", null]')
    if known != digest:
        raise Conflict(
            "'idempotency_key' was used for a call with other arguments.", hint="Use a new key for a new write."
        )
    if stage == _STARTED:
        raise Conflict(
            "A call with this 'idempotency_key' is still running, or ended without saying whether it was done.",
            hint="Look whether it was done; if not, use a new key.",
        )
    return value
