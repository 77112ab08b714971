"""How fast a provider may be asked: by the limits that its own answers state."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import anyio
from mcp_server_shared.errors import RateLimited

LONGEST_QUEUE_S = 10.0
_SHORT_WINDOW_S = 60  # a window up to this long is waited for; a longer one is a quota
_MOST_RETRY_AFTER_S = 31 * 86_400.0


class Pace:
    """Lets requests begin one after another, as far apart as the provider's per-second limit asks for.

    Brave sends a comma-separated value for each window: `X-RateLimit-Policy: 50;w=1, 0;w=2592000`, and Limit, Remaining
    and Reset alike. A limit of 0 stands for no limit.

    Args:
        interval_s: seconds between requests until an answer says otherwise.
    """

    def __init__(self, *, interval_s: float) -> None:
        self.remaining: int | None = None  # requests left in the long window, if the provider says
        self.resets_in_s: int | None = None
        self._interval_s = interval_s
        self._next = 0.0
        self._exhausted_until = 0.0

    async def turn(self) -> None:
        """Wait until the next request may begin.

        Raises:
            RateLimited: that would take too long, or the quota of the long window is used up.
        """
        now = time.monotonic()
        if now < self._exhausted_until:
            raise RateLimited(
                "The provider's quota is used up.",
                hint="Ask the operator for a larger plan, or wait.",
                retry_after_s=self._exhausted_until - now,
            )
        begins = max(now, self._next)
        if begins - now > LONGEST_QUEUE_S:
            wait = begins - now
            raise RateLimited("Too many searches are waiting.", hint="Search less at a time.", retry_after_s=wait)
        self._next = begins + self._interval_s
        await anyio.sleep(begins - now)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take the limits from an answer."""
        stated = re.findall(r"(\d{1,12})\s*;\s*w=(\d{1,12})", _of(headers, "policy"))
        policies = [(int(limit), int(window)) for limit, window in stated]
        remaining, resets = _numbers(headers, "remaining"), _numbers(headers, "reset")
        if not len(policies) == len(remaining) == len(resets):
            return
        for (limit, window), left, reset in zip(policies, remaining, resets, strict=True):
            if not limit:
                continue
            if window <= _SHORT_WINDOW_S:
                self._interval_s = window / limit
                if not left:
                    self._next = max(self._next, time.monotonic() + min(reset, window))
            else:
                self.remaining, self.resets_in_s = left, reset
                self._exhausted_until = 0.0 if left else time.monotonic() + reset

    def retry_after_s(self, headers: Mapping[str, str]) -> float | None:
        """Return the seconds after which a refused request may be repeated."""
        stated = retry_after_s(headers)
        if stated is not None:
            return stated
        remaining, resets = _numbers(headers, "remaining"), _numbers(headers, "reset")
        waits = [reset for left, reset in zip(remaining, resets, strict=False) if not left]
        return float(max(waits)) if waits else None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After`: seconds or a date."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", text):
        return min(float(text), _MOST_RETRY_AFTER_S)
    try:
        wait = parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(0.0, wait), _MOST_RETRY_AFTER_S)


def _of(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"x-ratelimit-{name}", "")[:200]


def _numbers(headers: Mapping[str, str], name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,12}", _of(headers, name))]
