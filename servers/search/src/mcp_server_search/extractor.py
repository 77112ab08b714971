"""Takes pages apart in processes of their own, which can be stopped: threads cannot."""

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.to_thread import run_sync
from mcp_server_shared.errors import Unavailable, Unsupported

MOST_PROCESSES = 2
TIMEOUT_S = 20.0
_PAGES_A_PROCESS = 100  # what a library leaks goes with the process
_MOST_ANSWER_BYTES = 100_000_000
_BROKEN = (
    anyio.BrokenResourceError,
    anyio.EndOfStream,
    anyio.IncompleteRead,
    anyio.DelimiterNotFound,
    ValueError,  # what it answered is no JSON
)
_COMMAND = [sys.executable, "-I", "-m", "mcp_server_search.extraction"]


class _Process:
    """One running process; it does one page at a time."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self._process = process
        self._pages = 0
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process was started without pipes")
        self._requests = stdin
        self._answers = BufferedByteReceiveStream(stdout)

    async def extract(self, kind: str, body: bytes, charset: str) -> dict[str, Any]:
        self._pages += 1
        request = json.dumps({"kind": kind, "size": len(body), "charset": charset}).encode()
        await self._requests.send(request + b"\n" + body)
        return await run_sync(json.loads, await self._answers.receive_until(b"\n", _MOST_ANSWER_BYTES))

    @property
    def is_fresh(self) -> bool:
        return self._pages < _PAGES_A_PROCESS and self._process.returncode is None

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        with anyio.CancelScope(shield=True):
            await self._process.aclose()


class Extractor:
    """At most `MOST_PROCESSES` pages at the same time; a process is kept for the next page."""

    def __init__(self) -> None:
        self._places = anyio.Semaphore(MOST_PROCESSES)
        self._idle: list[_Process] = []

    async def extract(
        self, kind: str, body: bytes, charset: str = "", *, timeout_s: float = TIMEOUT_S
    ) -> dict[str, Any]:
        """Return what `extraction.extract` makes of a page.

        Raises:
            Unsupported: there is no text in it, or it takes too long or too much memory to find it.
            Unavailable: the process could not be started.
        """
        if kind == "text":  # nothing to take apart
            from mcp_server_search.extraction import from_text

            return await run_sync(from_text, body, charset)
        async with self._places:
            process = self._idle.pop() if self._idle else await _started()
            try:
                with anyio.fail_after(timeout_s):
                    answer = await process.extract(kind, body, charset)
                if process.is_fresh:
                    self._idle.append(process)
            except TimeoutError:
                raise Unsupported(f"It takes more than {timeout_s:g} seconds to find the text in it.") from None
            except _BROKEN:
                raise Unsupported("It could not be taken apart; it may be damaged or made to do harm.") from None
            finally:
                if process not in self._idle:
                    await process.stop()
        if "unreadable" in answer:
            raise Unsupported(f"There is no text to be had: {answer['unreadable']}.", hint="Use another source.")
        return answer

    async def close(self) -> None:
        """Stop the idle processes."""
        while self._idle:
            await self._idle.pop().stop()


async def _started() -> _Process:
    try:
        # It is given nothing that it could tell: no environment, so no key either.
        process = await anyio.open_process(_COMMAND, stderr=subprocess.DEVNULL, env={})
    except OSError as error:
        raise Unavailable("The process that takes pages apart cannot be started.") from error
    return _Process(process)
