"""What another process writes, as it comes, with a look now and then at whether it is still wanted."""

import os
import select
import subprocess
from collections.abc import Generator
from contextlib import suppress
from queue import Empty, Queue
from threading import Thread

from mcp_server_filesystem.entries import Checkpoint

_READ_BYTES = 1_048_576
_LOOK_AROUND_S = 0.05
_READ_AHEAD = 8  # pieces


def output_of(process: "subprocess.Popen[bytes]", checkpoint: Checkpoint) -> Generator[bytes]:
    """Yield what a process writes to its standard output, until that ends; `checkpoint` raises to stop."""
    stdout = process.stdout.fileno() if process.stdout else -1
    if not hasattr(select, "poll"):  # on Windows nothing tells whether a pipe has something to read
        yield from _read_by_thread(process, stdout, checkpoint)
        return
    ready = select.poll()
    ready.register(stdout, select.POLLIN)
    while True:
        checkpoint()
        if not ready.poll(_LOOK_AROUND_S * 1_000):
            continue
        data = os.read(stdout, _READ_BYTES)
        if not data:
            return
        yield data


def _read_by_thread(process: "subprocess.Popen[bytes]", stdout: int, checkpoint: Checkpoint) -> Generator[bytes]:
    arrived: Queue[bytes] = Queue(_READ_AHEAD)
    thread = Thread(target=_read, args=(stdout, arrived), daemon=True)
    thread.start()
    try:
        while True:
            checkpoint()
            with suppress(Empty):
                data = arrived.get(timeout=_LOOK_AROUND_S)
                if not data:
                    return
                yield data
    except BaseException:
        process.kill()
        raise
    finally:
        while thread.is_alive():  # it may wait for room
            with suppress(Empty):
                arrived.get(timeout=_LOOK_AROUND_S)


def _read(stdout: int, arrived: "Queue[bytes]") -> None:
    data = b"-"
    while data:
        data = os.read(stdout, _READ_BYTES)
        arrived.put(data)
