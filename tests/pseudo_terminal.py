"""A terminal for a program to be in, with somebody who types and looks: for tests, and for the pictures of the docs."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

TAB, CTRL_C, CTRL_D = "\t", "\x03", "\x04"


class PseudoTerminal:
    """A program's terminal.

    Attributes:
        screen: what is on it, cell by cell.
        process: the program.
    """

    def __init__(self, process: subprocess.Popen[bytes], end: int, columns: int, lines: int) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.process = process
        self._end = end
        self._stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        """What can be read on the screen, without the blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._end, keys.encode())

    def wait_for(self, text: str, *, seconds: float = 120) -> str:
        """Look until a text is on the screen; return all that is.

        Raises:
            TimeoutError: it does not come.
        """
        deadline = time.monotonic() + seconds
        while text not in self.text:
            if not self._look(deadline):
                raise TimeoutError(f"no '{text}' on the screen:\n{self.text}")
        return self.text

    def wait_for_end(self, *, seconds: float = 120) -> int:
        """Look until the program ends; return its exit code."""
        deadline = time.monotonic() + seconds
        while self._look(deadline):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _look(self, deadline: float) -> bool:
        """Take in what comes next; return whether something came."""
        ready, _, _ = select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._end, 65_536)
        except OSError:  # how Linux says that nobody is at the other end any more
            return False
        self._stream.feed(data.replace(b"\x1b[2m", b"\x1b[90m"))  # pyte knows no dim; grey is what it looks like
        return bool(data)


def _have_ctrl_c_reach_it() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored by what runs in the background, and handed down


@contextmanager
def in_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str], *, columns: int = 110, lines: int = 50
) -> Generator[PseudoTerminal]:
    """Run a program in a terminal; it is killed at the end, if it still runs."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    known = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(lines)}
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, **known},
        start_new_session=True,
        preexec_fn=_have_ctrl_c_reach_it,  # noqa: PLW1509
    )
    os.close(theirs)
    try:
        yield PseudoTerminal(process, ours, columns, lines)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
