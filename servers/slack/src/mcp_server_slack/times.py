"""Points in time: as a model gives them, as Slack counts them, as a reader wants them."""

import re
import time
from datetime import UTC, datetime

from mcp_server_shared.errors import InvalidArgument

_AGO = re.compile(r"(\d{1,4})([mhdw])")
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment(text: str) -> float:
    """Return seconds since 1970 for "2026-11-16", "2026-11-16T09:00", "3d" (ago) or a ts.

    Raises:
        InvalidArgument: it is none of these.
    """
    text = text.strip()
    if found := _AGO.fullmatch(text):
        return time.time() - int(found[1]) * _SECONDS[found[2]]
    if re.fullmatch(r"\d{9,11}(\.\d{1,6})?", text):
        return float(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(
            f"{text[:40]!r} is no point in time.",
            hint="Write 2026-11-16, 2026-11-16T09:00Z (UTC), or 3d (ago).",
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def ts_at(seconds: float) -> str:
    """Return the ts of a moment, as Slack writes it."""
    return f"{max(0.0, seconds):.6f}"


def shown(ts: str | float) -> str:
    """Return a moment for a reader: "2026-11-16 09:14", in UTC; what is no time is returned as it is."""
    try:
        return f"{datetime.fromtimestamp(float(ts), UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return str(ts)


def now() -> float:
    """Return the present moment."""
    return time.time()


def day(seconds: float) -> str:
    """Return the day of a moment: "2026-11-16"."""
    return shown(seconds)[:10]
