"""The Google of the drive server's tests, in a process of its own, so that it takes no time of who is measured."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TABS = 12
LONG_CHARACTERS = 60_000

_SERVE = """
import sys, time
from pathlib import Path
from fake_google import FakeGoogle, keep_token, native

class Distant(FakeGoogle):
    delay_s = float(sys.argv[3])

    def answer(self, *request):
        time.sleep(self.delay_s)
        return super().answer(*request)

line = "A line of a document as people write them, neither short nor long.\\n"
with Distant() as google:
    for number in range(int(sys.argv[1])):
        google.add(f"file{number}", f"File {number}", content=f"<{number}>\\n" + line * 100)
    google.add("long", "Long", content=(line * 1_000)[: int(sys.argv[4])])
    tabs = {f"Tab {number}": [[number, "cell"]] * 50 for number in range(int(sys.argv[5]))}
    google.add("sheet", "Sheet", native.SHEET).native = native.spreadsheet("sheet", **tabs)
    keep_token(Path(sys.argv[2]), google.url, google.oauth, "drive.readonly")
    print(google.url, next(iter(google.oauth.tokens)), flush=True)
    for _ in sys.stdin:
        print(len(google.seen), flush=True)
"""


@dataclass(frozen=True)
class FakeDrive:
    """One that is running.

    Attributes:
        url: where.
        token: one that it accepts.
        tokens: the folder where the server finds it.
    """

    url: str
    token: str
    tokens: Path
    _commands: IO[str] = field(repr=False)
    _answers: IO[str] = field(repr=False)

    def requests(self) -> int:
        """Return how many requests for data there have been."""
        self._commands.write("\n")
        self._commands.flush()
        return int(self._answers.readline())


@contextmanager
def fake_drive(files: int, tokens: Path, *, delay_s: float = 0.0) -> Generator[FakeDrive]:
    """Run one with so many text files (file0, file1…), a long one and a spreadsheet.

    Args:
        files: how many.
        tokens: where the server's token goes.
        delay_s: how long each answer takes.
    """
    program = f"import sys; sys.path[:0] = {sys.path!r}\n{_SERVE}"
    given = [str(files), str(tokens), str(delay_s), str(LONG_CHARACTERS), str(TABS)]
    command = [sys.executable, "-c", program, *given]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            url, token = process.stdout.readline().split()
            yield FakeDrive(url, token, tokens, process.stdin, process.stdout)
        finally:
            process.stdin.close()
