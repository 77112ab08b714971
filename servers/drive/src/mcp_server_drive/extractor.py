"""Starts `extraction` on a file, and ends it when its time is up."""

import json
import math
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO

from mcp_server_shared.errors import DeadlineExceeded, TooLarge, Unsupported

from mcp_server_drive import extraction
from mcp_server_drive.content import MOST_CHARACTERS, Content, Section, bounded, without_images
from mcp_server_drive.google_api import Pace

_MEMORY = 2 * 2**30  # address space, of which much is never touched
_LOOK_EVERY_S = 0.05


def extract(kind: str, data: bytes, pace: Pace) -> Content:
    """Return the text of a PDF or Office file.

    Raises:
        Unsupported: it is broken, locked, or takes more memory than a file may.
        DeadlineExceeded: it takes longer than the call may.
    """
    with _run(kind, data, pace, MOST_CHARACTERS) as out:
        sections = [Section(title, without_images(text)) for title, text in map(json.loads, out)]
    content = bounded(sections)
    whole = sum(len(section.text) for section in sections) < MOST_CHARACTERS
    return content if whole else Content(content.sections, cut=True)


def smaller_image(data: bytes, most_bytes: int, pace: Pace) -> bytes:
    """Return a picture in at most so many bytes, as JPEG or PNG."""
    with _run("image", data, pace, most_bytes) as out:
        image = out.read()
    if len(image) > most_bytes:
        raise TooLarge("The picture cannot be made small enough.")
    return image


def _run(kind: str, data: bytes, pace: Pace, limit: int) -> IO[bytes]:
    """Return what the program wrote, from the beginning."""
    out = tempfile.TemporaryFile()  # noqa: SIM115 - the caller's to close
    seconds = math.ceil(pace.remaining_s()) + 1
    command = [sys.executable, "-P", "-m", extraction.__name__, kind, str(_MEMORY), str(seconds), str(limit)]
    try:
        with tempfile.TemporaryFile() as given:
            given.write(data)
            given.seek(0)
            process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=given, stdout=out, stderr=subprocess.DEVNULL
            )
        _wait(process, pace)
        _check(process.returncode)
        out.seek(0)
    except BaseException:
        out.close()
        raise
    return out


def _check(exit_code: int) -> None:
    if exit_code == extraction.LOCKED:
        raise Unsupported("The file is protected by a password.")
    if exit_code:
        raise Unsupported("The file is damaged, or not what it is said to be, or takes too much memory to read.")


def _wait(process: "subprocess.Popen[bytes]", pace: Pace) -> None:
    try:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY_S)
            pace.checkpoint()
            if pace.remaining_s() <= 0:
                raise DeadlineExceeded("The file took too long to read.", hint="Download it instead.")
    finally:
        process.kill()
        process.wait()
