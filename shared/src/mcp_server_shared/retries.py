"""When a request to an upstream is worth repeating, and after how long. Only for requests that change nothing."""

import random

from mcp_server_shared.errors import ExpectedError, RateLimited, Unavailable

MOST_ATTEMPTS = 3
LONGEST_WAIT_S = 10.0
_FIRST_WAIT_S = 0.25


def wait_before_retry(error: ExpectedError, attempts: int, remaining_s: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None when there should be none.

    Args:
        error: how the last attempt failed; its `retry_after_s` is what the upstream asked for.
        attempts: how many there were.
        remaining_s: until the call's deadline; an attempt that could not begin before it is not waited for.
    """
    if attempts >= MOST_ATTEMPTS or not isinstance(error, (RateLimited, Unavailable)):
        return None
    least = error.retry_after_s or 0.0
    # Jitter, so that callers that failed together do not come back together.
    wait = least + _FIRST_WAIT_S * 2 ** (attempts - 1) * random.uniform(0.5, 1.5)  # noqa: S311
    return wait if least <= LONGEST_WAIT_S and wait < remaining_s else None
