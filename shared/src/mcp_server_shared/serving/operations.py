"""What operators and their machines ask: does the process live, and can it do its work."""

import logging
import time
from collections.abc import Awaitable, Callable

import anyio
from starlette.types import Receive, Scope, Send

from mcp_server_shared.catalog import Finding
from mcp_server_shared.errors import ExpectedError
from mcp_server_shared.redaction import redact_text
from mcp_server_shared.serving.answers import answer

logger = logging.getLogger(__name__)

PROBE_KEPT_S = 15.0
PROBE_S = 10.0

Probe = Callable[[], Awaitable[list[Finding]]]


async def alive(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `/healthz`: the process takes requests."""
    await answer(scope, receive, send, 200, {"status": "ok"})


class Readiness:
    """Answers `/readyz`: 200 when the upstream answers and takes the credential. Why not, only the log says.

    Args:
        probe: what `check` finds out; asked at most every 15 seconds.
    """

    def __init__(self, probe: Probe | None) -> None:
        self._probe = probe
        self._known_until = float("-inf")
        self._ready = probe is None
        self._asking = anyio.Lock()
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        ready = not self.stopping and await self._is_ready()
        status = "stopping" if self.stopping else "ready" if ready else "not ready"
        await answer(scope, receive, send, 200 if ready else 503, {"status": status})

    async def _is_ready(self) -> bool:
        if self._probe is None:
            return True
        async with self._asking:
            if time.monotonic() > self._known_until:
                self._ready = await self._ask(self._probe)
                self._known_until = time.monotonic() + PROBE_KEPT_S
            return self._ready

    async def _ask(self, probe: Probe) -> bool:
        problems = [f"the upstream did not answer within {PROBE_S:g} s"]
        with anyio.move_on_after(PROBE_S):
            try:
                problems = [finding.text for finding in await probe() if finding.level == "problem"]
            except ExpectedError as error:
                problems = [str(error)]
            except Exception:
                logger.exception("the readiness probe failed")
                problems = ["the probe failed"]
        for problem in problems:
            logger.warning("not ready: %s", redact_text(problem))
        return not problems
