"""One request as a tool, resource or prompt sees it: the server's state, the caller, time, threads, questions."""

import asyncio
import json
import math
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar

import anyio
from anyio.to_thread import run_sync
from mcp.server.context import ServerRequestContext

from mcp_server_shared.confirmation import STATE_LIVES_S, ask, can_ask
from mcp_server_shared.cursors import Cursors
from mcp_server_shared.deadlines import Deadlines
from mcp_server_shared.errors import ConfirmationRequired, ExpectedError
from mcp_server_shared.idempotency import once
from mcp_server_shared.retries import wait_before_retry
from mcp_server_shared.settings import ServerSettings
from mcp_server_shared.store import Store

StateT = TypeVar("StateT")
ResultT = TypeVar("ResultT")
P = ParamSpec("P")

NOTED_FOR_S = 3_600.0

_stopped: ContextVar[threading.Event | None] = ContextVar("stopped", default=None)  # of the thread that looks


class CallStopped(Exception):
    """Raised in a worker thread whose call was cancelled or ran out of time."""


@dataclass(eq=False)
class Call(Generic[StateT]):
    """What a tool needs to know of the call it serves.

    Attributes:
        state: what the server's lifespan opened.
        caller: who calls; "local" over stdio.
        target: the tool, resource template or prompt.
        arguments: the validated arguments; a cursor is bound to them.
        budget: how many characters the result may have.
        deadline: when it is stopped, by the clock of the event loop, by cancelling `scope`.
    """

    state: StateT
    caller: str
    target: str
    arguments: dict[str, Any]
    budget: int
    settings: ServerSettings
    request: ServerRequestContext[Any, Any]
    cursors: Cursors
    store: Store
    limiter: anyio.CapacityLimiter
    deadlines: Deadlines[anyio.CancelScope]
    scope: anyio.CancelScope
    deadline: float
    spent: dict[str, bool] = field(default_factory=dict[str, bool], repr=False)

    def remaining_s(self) -> float:
        """Seconds until the deadline; also in a worker thread, for the timeout of a socket."""
        return max(0.0, self.deadline - time.monotonic())

    def position(self, cursor: str | None) -> Any:
        """Return the position that a cursor of this caller, tool and arguments stands for; None without a cursor.

        Raises:
            InvalidArgument, NotFound: as `Cursors.open` says.
        """
        return None if cursor is None else self.cursors.open(cursor, bound_to=self._binding())

    def mint_cursor(self, position: Any) -> str:
        """Return a cursor for a position in this call's result."""
        return self.cursors.mint(position, bound_to=self._binding())

    def _binding(self) -> tuple[Any, ...]:
        # How large a page is may change from page to page; everything else decides what is paged.
        stable = {name: value for name, value in self.arguments.items() if not _sizes_a_page(name)}
        return (self.caller, self.target, stable)

    async def in_thread(self, work: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
        """Run blocking work on a worker thread; a cancelled call leaves it behind at once.

        Work that takes long accepts `checkpoint`: call it between steps, and it raises `CallStopped`
        in a thread that was left behind, so that it does not go on for nobody. Such a thread keeps its place
        among `--threads` until it ends.
        """
        loop = asyncio.get_running_loop()
        place = object()
        stopped = threading.Event()
        changing = threading.Lock()  # of `stopped` and `working`, which two threads look at
        working = False

        def give_up_place() -> None:
            self.limiter.release_on_behalf_of(place)

        def run() -> ResultT:
            nonlocal working
            with changing:
                if stopped.is_set():  # left behind before it began
                    raise CallStopped
                working = True
            _stopped.set(stopped)
            try:
                return work(*args, **kwargs)
            finally:
                with changing:
                    working = False
                    if stopped.is_set():
                        with suppress(RuntimeError):  # the loop has ended
                            loop.call_soon_threadsafe(give_up_place)

        await self.limiter.acquire_on_behalf_of(place)
        try:
            # With the limiter's own place, anyio would give it up as soon as the thread is left behind.
            return await run_sync(run, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
        finally:
            with changing:
                stopped.set()
                if not working:
                    give_up_place()

    def checkpoint(self) -> None:
        """Raise `CallStopped` in a worker thread that was left behind."""
        stopped = _stopped.get()
        if stopped is not None and stopped.is_set():
            raise CallStopped

    async def retry(self, attempt: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Return what a request to the upstream gives, repeated when it was turned away; never for one that writes."""
        attempts = 0
        while True:
            try:
                return await attempt()
            except ExpectedError as error:
                attempts += 1
                wait = wait_before_retry(error, attempts, self.remaining_s())
                if wait is None:
                    raise
            await anyio.sleep(wait)

    def retry_in_thread(self, attempt: Callable[[], ResultT]) -> ResultT:
        """Do what `retry` does, in a worker thread."""
        stopped = _stopped.get() or threading.Event()
        attempts = 0
        while True:
            self.checkpoint()
            try:
                return attempt()
            except ExpectedError as error:
                attempts += 1
                wait = wait_before_retry(error, attempts, self.remaining_s())
                if wait is None:
                    raise
            stopped.wait(wait)

    async def note(self, what: str) -> None:
        """Remember for an hour that this caller did something, as "read private content"; for rules about flows."""
        await self.store.put(self._slot("noted", what), "1", NOTED_FOR_S)

    async def noted(self, what: str) -> bool:
        """Whether this caller did it within the last hour."""
        return await self.store.get(self._slot("noted", what)) is not None

    async def once(self, key: str | None, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return the JSON value of a write, done at most once a day for a key that the caller chose.

        Confirm before, not in the work: the wait for an answer would count as a first try.

        Raises:
            Conflict: as `idempotency.once` says.
        """
        return await work() if key is None else await once(self.store, self._slot("once", key), self.arguments, work)

    def _slot(self, kind: str, name: str) -> str:
        target = self.target if kind == "once" else ""
        return json.dumps([kind, self.caller, target, name])

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Tell the client how far the call is; nothing is sent unless it asked."""
        await self.request.session.report_progress(done, total, message)

    async def confirm(self, kind: str, question: str) -> None:
        """Return if a person agrees, or the operator decided beforehand that none needs to.

        Call it before anything is changed: a 2026-07-28 client answers by calling again from the start.

        Args:
            kind: one of the settings' `confirmations`: the operator's word in `--confirm KIND=never`.
            question: what the person reads: what will happen, to what.

        Raises:
            ConfirmationRequired: declined, refused by the operator, or the client cannot ask anybody.
        """
        if kind not in self.settings.confirmations:
            raise ValueError(f"the settings do not have {kind} among their confirmations")
        policy = self.settings.confirm_policy(kind)
        if policy == "never":
            return
        if policy == "refuse":
            raise ConfirmationRequired(
                "The operator's configuration refuses this.",
                hint=f"Only the operator can change that, by --confirm {kind}=ask or --confirm {kind}=never.",
            )
        if not can_ask(self.request):
            raise ConfirmationRequired(
                "A person has to confirm this, and this client cannot ask one.",
                hint=f"The operator can decide beforehand by --confirm {kind}=never.",
            )
        remaining = self.remaining_s()
        self.deadlines.stop(self.scope)  # a person thinks as long as they like
        self.deadline = math.inf
        try:
            agreed = await ask(self.request, question, self._spend)
        finally:
            self.deadline = self.scope.deadline = time.monotonic() + remaining
        if not agreed:
            raise ConfirmationRequired("The user did not agree; nothing was done.", hint="Do not try it again unasked.")

    async def _spend(self, name: str) -> bool:
        if name not in self.spent:
            self.spent[name] = await self.store.add(self._slot("agreed", name), "1", STATE_LIVES_S)
        return self.spent[name]


def _sizes_a_page(argument: str) -> bool:
    return argument in {"cursor", "limit"} or argument.startswith("max_")
