"""Logging: JSON lines on stderr or in a file, secrets redacted, and never a wait for a host that does not read."""

import asyncio
import json
import logging
import os
import select
import stat
import sys
import time
from collections import deque
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic_core import PydanticSerializationError, to_json

from mcp_server_shared.redaction import redact_text

AUDIT_LOGGER = "audit"

_audit_logger = logging.getLogger(AUDIT_LOGGER)
_CHUNK: int = getattr(select, "PIPE_BUF", 4096)  # a pipe that polls writable takes this much without blocking
_BACKLOG = 5_000
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str)


class StderrLines(logging.Handler):
    """Writes lines to stderr without ever blocking the event loop.

    A host may start a server and never read its stderr; a full pipe would then stop the server at a log line.
    Lines wait in a bounded backlog instead, and what had to be dropped is counted in a line of its own. What is left
    when the process ends in order, `logging` flushes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._backlog: deque[bytes] = deque()
        self._dropped = 0
        self._flush_due = False
        self._stderr = sys.__stderr__.fileno() if sys.__stderr__ else None
        self._poll = None
        if self._stderr is not None and hasattr(select, "poll") and not stat.S_ISREG(os.fstat(self._stderr).st_mode):
            self._poll = select.poll()  # a file takes whatever is written
            self._poll.register(self._stderr, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record."""
        self.write(self.format(record).encode("utf-8", "backslashreplace"))

    def write(self, line: bytes) -> None:
        """Queue one line and write what stderr takes now."""
        self._take(line)
        self.flush()

    def write_soon(self, line: bytes) -> None:
        """Queue one line, and write it with those of other calls that end in this turn of the event loop."""
        self._take(line)
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_due = False
        self.flush()

    def _take(self, line: bytes) -> None:
        if len(self._backlog) >= _BACKLOG:
            self.flush()
        if len(self._backlog) >= _BACKLOG:
            self._dropped += 1
        else:
            self._queue(line)

    def _queue(self, line: bytes) -> None:
        line += b"\n"
        if len(line) <= _CHUNK:
            self._backlog.append(line)
            return
        self._backlog.extend(line[start : start + _CHUNK] for start in range(0, len(line), _CHUNK))

    def flush(self) -> None:
        """Write the backlog as far as stderr takes it."""
        if self._stderr is None:
            return
        while self._backlog and self._writable():
            chunk = self._next_chunk()
            try:
                written = os.write(self._stderr, chunk)
            except OSError:
                self._backlog.clear()  # nobody is there to read
                return
            if rest := chunk[written:]:
                self._backlog.appendleft(rest)
            elif not self._backlog and self._dropped:
                lost, self._dropped = self._dropped, 0
                line = {"time": timestamp(time.time()), "level": "warning", "message": f"{lost} log lines dropped"}
                self._queue(_COMPACT.encode(line).encode())

    def _next_chunk(self) -> bytes:
        chunk = self._backlog.popleft()
        while self._backlog and len(chunk) + len(self._backlog[0]) <= _CHUNK:
            chunk += self._backlog.popleft()
        return chunk

    def _writable(self) -> bool:
        return self._poll is None or bool(self._poll.poll(0))


def is_audited() -> bool:
    """Whether calls are logged at all."""
    return _audit_logger.isEnabledFor(logging.INFO)


def audit(line: dict[str, Any]) -> None:
    """Log one call, in JSON values that are redacted already; to stderr without a record, which costs too much."""
    match logging.root.handlers:
        case [StderrLines() as stderr] if is_audited():
            stderr.write_soon(_encoded({"time": timestamp(time.time()), "level": "info", **line}))
        case _:
            _audit_logger.info(line)


def flush() -> None:
    """Write the lines of this turn of the event loop now, as far as stderr takes them."""
    for handler in logging.root.handlers:
        if isinstance(handler, StderrLines):
            handler.flush()


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line, fallback=str)
    except PydanticSerializationError:  # a lone surrogate
        return _COMPACT.encode(line).encode("utf-8", "backslashreplace")


class JsonLines(logging.Formatter):
    """One JSON object a record; an audit record, a dict that is redacted already, is written as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {"time": timestamp(record.created), "level": record.levelname.lower()}
        message: Any = record.msg
        if record.name == AUDIT_LOGGER and isinstance(message, dict):
            return _COMPACT.encode(line | cast(dict[str, Any], message))
        line |= {"logger": record.name, "message": redact_text(_message(record))}
        if record.exc_info:
            line["traceback"] = redact_text(self.formatException(record.exc_info))
        return _COMPACT.encode(line)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the text, in a library's line, must not fail the call
        return f"{record.msg} {record.args}"


def configure(level: str, file: Path | None) -> None:
    """Send all logging to one place, as JSON lines. Call it before any `Server` exists, or the SDK installs handlers.

    Raises:
        OSError: the log file cannot be opened.
    """
    handler: logging.Handler = StderrLines() if file is None else _rotated(file)
    handler.setFormatter(JsonLines())
    logging.raiseExceptions = False  # a log that cannot be written is no reason to print about it
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)
    logging.captureWarnings(True)  # noqa: FBT003


def set_level(level: str) -> None:
    """Log what has this severity or a higher one."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    # They report at info what the audit line already says, and at debug every message, whatever `--log-results` says.
    for library in ("mcp", "uvicorn", "sse_starlette"):
        logging.getLogger(library).setLevel(max(logging.WARNING, root.level))


def _rotated(file: Path) -> logging.Handler:
    from logging.handlers import RotatingFileHandler  # a slow import that few need

    return RotatingFileHandler(file, maxBytes=10_000_000, backupCount=5, encoding="utf-8", errors="backslashreplace")


def timestamp(seconds: float) -> str:
    """Return ISO 8601 in UTC with milliseconds."""
    return f"{_whole_seconds(int(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


@lru_cache(maxsize=1)
def _whole_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
