"""Several processes that serve on one port: the kernel deals connections out, and who dies is replaced.

A worker that fails again and again is replaced after longer and longer waits, while others serve. Where none does, the
parent gives up, so that whoever started it sees that it cannot be served.
"""

import logging
import os
import secrets
import select
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from types import FrameType

from pydantic import SecretStr

from mcp_server_shared.serving.connections import listening_sockets
from mcp_server_shared.serving.restarts import Restarts
from mcp_server_shared.serving.settings import ServingSettings, share_metrics_in
from mcp_server_shared.settings import SettingsProblem

logger = logging.getLogger(__name__)

KILLED_AFTER_S = 5.0  # the grace for calls in flight
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 30.0
GOOD_RUN_S = 10.0
MOST_SHORT_RUNS = 5  # when no worker is left
STDIN = 0

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM}

Serve = Callable[[ServingSettings, list[socket.socket], str, int], None]


class Workers:
    """The parent of the processes that serve. It serves nothing itself.

    Args:
        serving: what the operator decided; without a `--state-key` the workers get one of this run.
        serve: serves on sockets, with the directory for metrics and a descriptor that ends when the parent does.
    """

    def __init__(self, serving: ServingSettings, serve: Serve) -> None:
        key = serving.state_key or SecretStr(secrets.token_hex(32))
        # Bound but never listening, these keep the port, which may have been a free one, for all workers to come.
        self._kept = listening_sockets(serving.host, serving.port, shared=True)
        port: int = self._kept[0].getsockname()[1]
        # Stdin is looked at here alone, so that no worker ends by itself and is replaced.
        self._serving = serving.model_copy(update={"state_key": key, "port": port, "stop_with_stdin": False})
        self._lifelines = [STDIN] if serving.stop_with_stdin else []
        self._serve = serve
        self._born: dict[int, float] = {}
        self._due: list[float] = []  # when those that are missing are to be started
        self._restarts = Restarts(FIRST_WAIT_S, LONGEST_WAIT_S, GOOD_RUN_S)
        self._gave_up = False
        self._stopping = False

    def run(self) -> int:
        """Return the exit code when all have ended."""
        parent_lives, lifeline = os.pipe()
        self._woken, waking = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking)
        with tempfile.TemporaryDirectory(prefix="mcp-metrics-") as directory:
            share_metrics_in(directory)
            for number, handler in (
                (signal.SIGTERM, self._stop),
                (signal.SIGINT, self._stop),
                (signal.SIGHUP, self._pass_on),
                (signal.SIGALRM, self._kill),
                (signal.SIGCHLD, _wake),
            ):
                signal.signal(number, handler)
            self._due = [0.0] * self._serving.workers
            while self._born or self._missing():
                self._wait()
                self._bury_all()
                while (missing := self._missing()) and missing[0] <= time.monotonic():
                    self._due.pop(0)
                    self._fork(directory, parent_lives, lifeline)
        return int(self._gave_up)

    def _missing(self) -> list[float]:
        """Return when workers are to be started; a signal may end that at any time."""
        return [] if self._stopping else self._due

    def _wait(self) -> None:
        """Wait until something has happened: a signal, a worker's end, the time for a new one, the end of stdin."""
        missing = self._missing()
        until = max(0.0, missing[0] - time.monotonic()) if missing else None
        ready, _, _ = select.select([self._woken, *self._lifelines], [], [], until)
        if self._woken in ready:
            os.read(self._woken, 4_096)
        if STDIN in ready and not os.read(STDIN, 4_096):
            self._lifelines.clear()
            self._stop(signal.SIGTERM, None)

    def _fork(self, directory: str, parent_lives: int, lifeline: int) -> None:
        # Blocked meanwhile, a signal is neither handled by the child as if it were the parent nor missed.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid:
            self._born[pid] = time.monotonic()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            if self._stopping:  # since before it was there
                self._pass_on(signal.SIGTERM, None)
            return
        code = 1
        try:
            self._born.clear()
            signal.set_wakeup_fd(-1)
            for number in (*SIGNALS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS - {signal.SIGHUP})  # which it takes once it serves
            os.close(lifeline)
            sockets = listening_sockets(self._serving.host, self._serving.port, shared=True)
            for kept in self._kept:
                kept.close()
            self._serve(self._serving, sockets, directory, parent_lives)
            code = 0
        except SettingsProblem as problem:
            logger.error("a worker cannot serve: %s", problem)  # noqa: TRY400 - what to change needs no traceback
        except BaseException:
            logger.exception("a worker failed")
        finally:
            logging.shutdown()
            os._exit(code)  # not through what the parent had begun

    def _bury_all(self) -> None:
        while self._born:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            if pid in self._born:  # and not what somebody else has left to us, as to the first process of a container
                self._bury(pid, os.waitstatus_to_exitcode(status))

    def _bury(self, pid: int, code: int) -> None:
        from prometheus_client.multiprocess import mark_process_dead  # pyright: ignore[reportUnknownVariableType]

        mark_process_dead(pid)
        now = time.monotonic()
        wait_s = self._restarts.wait_after(now - self._born.pop(pid))
        if self._stopping:
            return
        if not self._born and self._restarts.short_runs > MOST_SHORT_RUNS:
            logger.error("worker %d ended with %d, as all do soon after they begin; giving up", pid, code)
            self._gave_up = True
            self._due.clear()
            return
        logger.error("worker %d ended with %d; another takes its place in %g s", pid, code, wait_s)
        self._due = sorted([*self._due, now + wait_s])

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        self._pass_on(signal.SIGTERM, frame)
        signal.setitimer(signal.ITIMER_REAL, self._serving.shutdown_grace_s + KILLED_AFTER_S)

    def _kill(self, number: int, frame: FrameType | None) -> None:
        self._pass_on(signal.SIGKILL, frame)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for pid in list(self._born):
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it ended by itself
                continue


def _wake(number: int, frame: FrameType | None) -> None:
    """Do nothing: that there is a handler ends the wait."""
