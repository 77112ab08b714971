"""The text of a file as it is searched: in UTF-8, whatever it is written in, so that both engines see the same."""

import os

from mcp_server_filesystem.handles import pread
from mcp_server_filesystem.text import SAMPLE_BYTES, detect_encoding, encoding_of_all

MAX_COPIED_BYTES = 16 * 2**20


def searched_text(handle: int) -> int | None:
    """Return the handle of an open file, which leads to a copy in UTF-8 where the file is written otherwise.

    Close it and return None if the file is binary.
    """
    try:
        is_text = _is_text(handle)
    except OSError:
        os.close(handle)
        raise
    if not is_text:
        os.close(handle)
        return None
    return handle


def _is_text(handle: int) -> bool:
    """Tell whether a file can be searched; put a copy in UTF-8 under its handle if that is needed."""
    sample = pread(handle, SAMPLE_BYTES, 0)
    size = os.fstat(handle).st_size
    if b"\0" in sample and (detect_encoding(sample, size) is None or size > MAX_COPIED_BYTES):
        return False
    data = pread(handle, MAX_COPIED_BYTES, 0) if size <= MAX_COPIED_BYTES else b""
    encoding = "utf-8" if data.isascii() else encoding_of_all(data)
    if encoding is None or encoding.startswith("utf-8"):
        return True
    text = data.decode(encoding, "replace").removeprefix("\ufeff")
    _put_copy(handle, text)
    return "\0" not in text[:SAMPLE_BYTES]


def _put_copy(handle: int, text: str) -> None:
    import tempfile  # here, because few searches need it and each starts a process

    with tempfile.TemporaryFile() as copy:
        copy.write(text.encode())
        copy.flush()
        os.dup2(copy.fileno(), handle, inheritable=False)
