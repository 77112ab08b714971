"""The failures a server expects, as exceptions that carry what a model needs to act.

A client module raises one of these; the pipeline in `server.py` turns it into error content
(`isError: true`, one short text, and the machine-readable twin in `_meta`). Anything else
that escapes is an `internal` error: the model sees a reference, the log has the traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from mcp_server_shared.redaction import redact_text
from mcp_server_shared.untrusted import mark, new_nonce, read_notation, show_invisible

ErrorCode = Literal[
    "invalid_argument",
    "not_found",
    "permission_denied",
    "unauthenticated",
    "confirmation_required",
    "conflict",
    "rate_limited",
    "too_large",
    "timeout",
    "unavailable",
    "unsupported",
    "internal",
]

ERROR_META_KEY = "mcp-servers/error"
MAX_ERROR_CHARACTERS = 1500


class ExpectedError(Exception):
    """A failure that the caller can do something about.

    Attributes:
        message: what failed and why, in one sentence; never a secret, never a raw upstream text.
        hint: what to do next; empty when there is nothing to add.
        untrusted: what somebody else says of it, as an upstream's own message; shown between delimiters.
        retryable: whether the same call may succeed later, unchanged.
        retry_after_s: seconds to wait before that, where known.
    """

    code: ClassVar[ErrorCode] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str = "", untrusted: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{message} {untrusted}".strip())  # for logs; clients get `text`
        self.message = message
        self.hint = hint
        self.untrusted = untrusted
        self.retry_after_s = retry_after_s

    def text(self) -> str:
        """Return what a model reads: at most `MAX_ERROR_CHARACTERS` characters, secrets redacted, nothing invisible."""
        hint = _shortened(self.hint, MAX_ERROR_CHARACTERS // 3)
        quoted = _shortened(self.untrusted, MAX_ERROR_CHARACTERS // 3)
        marked = f"\n{mark(read_notation(quoted), new_nonce())}\n" if quoted else " "
        message = _shortened(self.message, MAX_ERROR_CHARACTERS - len(hint) - len(marked))
        return f"{message}{marked}{hint}".strip()

    def meta(self) -> dict[str, Any]:
        """Return the machine-readable twin that rides in `_meta` of a result or in `data` of a protocol error."""
        twin: dict[str, Any] = {"code": self.code, "retryable": self.retryable}
        if self.retry_after_s is not None:
            twin["retry_after_s"] = round(self.retry_after_s, 3)
        return {ERROR_META_KEY: twin}


def _shortened(text: str, most: int) -> str:
    # Redacted before it is cut, or half a secret would be left; a name in it may hold invisible characters.
    shown = show_invisible(redact_text(text))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


class InvalidArgument(ExpectedError):
    """An argument is missing, unknown, of the wrong type or out of range."""

    code = "invalid_argument"


class NotFound(ExpectedError):
    """What the arguments name does not exist, or no longer does."""

    code = "not_found"


class PermissionDenied(ExpectedError):
    """The operator's configuration or the credential does not allow it; the hint names what would."""

    code = "permission_denied"


class Unauthenticated(ExpectedError):
    """No credential, or one that the upstream refuses; the hint says how to supply it."""

    code = "unauthenticated"


class ConfirmationRequired(ExpectedError):
    """A person has to agree first and could not be asked, or did not agree."""

    code = "confirmation_required"


class Conflict(ExpectedError):
    """The thing changed since it was read, or already exists."""

    code = "conflict"


class RateLimited(ExpectedError):
    """Too many calls, here or upstream."""

    code = "rate_limited"
    retryable = True


class TooLarge(ExpectedError):
    """More than the limits allow, in either direction."""

    code = "too_large"


class DeadlineExceeded(ExpectedError):
    """The call ran out of time and its work was stopped."""

    code = "timeout"
    retryable = True


class Unavailable(ExpectedError):
    """The upstream does not answer, or answers that it cannot now."""

    code = "unavailable"
    retryable = True


class Unsupported(ExpectedError):
    """The upstream lacks the feature."""

    code = "unsupported"


class InternalError(ExpectedError):
    """What an unexpected exception becomes; the reference finds its traceback in the log."""

    code = "internal"

    def __init__(self, reference: str) -> None:
        super().__init__(
            f"Something unexpected went wrong in the server (reference {reference}).",
            hint="The server's log has the details under this reference; the same call will likely fail again.",
        )


def did_you_mean(name: str, known: Iterable[str], *, at_most: int = 3) -> str:
    """Return "did you mean a, b?" with the known names nearest to `name`, or an empty string when none is near."""
    near = get_close_matches(name[:100], list(known), n=at_most, cutoff=0.6)  # the time it takes grows with the name
    return f"did you mean {', '.join(near)}?" if near else ""


def sentence(text: str) -> str:
    """Return a text with a capital first letter and the rest as it is: the names in it stay exact."""
    return text[:1].upper() + text[1:]
