"""Logging: JSON lines on stderr or in a file, secrets redacted, and never a wait for a host that does not read."""

import json
import logging
import os
import select
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, cast

from mcp_server_shared.redaction import redact_text

AUDIT_LOGGER = "audit"

_CHUNK: int = getattr(select, "PIPE_BUF", 4096)  # a pipe that polls writable takes this much without blocking
_BACKLOG = 5_000


class StderrLines(logging.Handler):
    """Writes lines to stderr without ever blocking the event loop.

    A host may start a server and never read its stderr; a full pipe would then stop the server at a log line.
    Lines wait in a bounded backlog instead, and what had to be dropped is counted in a line of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._backlog: deque[bytes] = deque()
        self._dropped = 0
        self._stderr = sys.__stderr__.fileno() if sys.__stderr__ else None
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll and self._stderr is not None:
            self._poll.register(self._stderr, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line and write what stderr takes now."""
        if len(self._backlog) >= _BACKLOG:
            self.flush()
        if len(self._backlog) >= _BACKLOG:
            self._dropped += 1
        else:
            self._queue(self.format(record))
        self.flush()

    def _queue(self, text: str) -> None:
        line = text.encode("utf-8", "backslashreplace") + b"\n"
        self._backlog.extend(line[start : start + _CHUNK] for start in range(0, len(line), _CHUNK))

    def flush(self) -> None:
        """Write the backlog as far as stderr takes it."""
        if self._stderr is None:
            return
        while self._backlog and self._writable():
            try:
                written = os.write(self._stderr, self._backlog[0])
            except OSError:
                self._backlog.clear()  # nobody is there to read
                return
            rest = self._backlog.popleft()[written:]
            if rest:
                self._backlog.appendleft(rest)
            elif not self._backlog and self._dropped:
                lost, self._dropped = self._dropped, 0
                line = {"time": timestamp(time.time()), "level": "warning", "message": f"{lost} log lines dropped"}
                self._queue(json.dumps(line, separators=(",", ":")))

    def _writable(self) -> bool:
        return self._poll is None or bool(self._poll.poll(0))


class JsonLines(logging.Formatter):
    """One JSON object a record; an audit record, a dict that is redacted already, is written as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {"time": timestamp(record.created), "level": record.levelname.lower()}
        message: Any = record.msg
        if record.name == AUDIT_LOGGER and isinstance(message, dict):
            return json.dumps(
                line | cast(dict[str, Any], message), ensure_ascii=False, separators=(",", ":"), default=str
            )
        line |= {"logger": record.name, "message": redact_text(_message(record))}
        if record.exc_info:
            line["traceback"] = redact_text(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


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
    root.setLevel(level.upper())
    # The SDK reports at info what the audit line already says.
    logging.getLogger("mcp").setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)  # noqa: FBT003


def _rotated(file: Path) -> logging.Handler:
    from logging.handlers import RotatingFileHandler  # a slow import that few need

    return RotatingFileHandler(file, maxBytes=10_000_000, backupCount=5, encoding="utf-8", errors="backslashreplace")


def timestamp(seconds: float) -> str:
    """Return ISO 8601 in UTC with milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"
