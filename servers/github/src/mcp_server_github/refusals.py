"""What GitHub refuses, in words that say what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from mcp_server_shared.errors import (
    Conflict,
    ExpectedError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unavailable,
)

from mcp_server_github.credentials import HOW_TO_AUTHENTICATE

_MOST_SAID = 400
_SECONDARY_WAIT_S = 60.0


@dataclass(frozen=True)
class Refusal:
    """One answer that is no success.

    Attributes:
        what: what was asked for, as "issue 5 of octocat/hello".
        verb: the HTTP method.
        credential: what kind the server has; "none" for nobody.
    """

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]
    what: str
    verb: str
    credential: str

    def expected(self) -> ExpectedError:  # noqa: PLR0911
        """Return the typed error."""
        if self._is_rate_limit():
            return self._rate_limited()
        match self.status:
            case 401:
                return Unauthenticated(f"GitHub does not accept the {self.credential}.", hint=HOW_TO_AUTHENTICATE)
            case 403:
                return PermissionDenied(f"GitHub refuses {self.what}.", untrusted=self._said(), hint=self._needs())
            case 404 | 410 | 451:
                return NotFound(f"GitHub shows no {self.what}.", untrusted=self._said(), hint=self._unseen())
            case 405 | 409 | 412:
                hint = "Read it again and decide anew."
                return Conflict(f"GitHub refuses {self.what} as it is now.", untrusted=self._said(), hint=hint)
            case 400 | 413 | 414 | 415 | 422:
                return InvalidArgument(f"GitHub does not accept this for {self.what}.", untrusted=self._said())
            case _:
                return Unavailable(f"GitHub answers {self.status}.", untrusted=self._said(), hint="Try again later.")

    def _is_rate_limit(self) -> bool:
        if self.status not in {403, 429}:
            return False
        message = self._said().lower()
        told = "retry-after" in self.headers or "rate limit" in message or "try again later" in message
        return self.status == 429 or told or self.headers.get("x-ratelimit-remaining") == "0"  # noqa: PLR2004

    def _rate_limited(self) -> RateLimited:
        wait = _seconds(self.headers)
        without = f" {HOW_TO_AUTHENTICATE} It has 5,000 requests an hour instead of 60."
        return RateLimited(
            "GitHub's rate limit is reached.",
            hint=f"Wait {wait:.0f} seconds.{without if self.credential == 'none' else ''}",
            retry_after_s=wait,
        )

    def _needs(self) -> str:
        fine_grained = self.headers.get("x-accepted-github-permissions", "")
        classic = self.headers.get("x-accepted-oauth-scopes", "")
        held = self.headers.get("x-oauth-scopes")
        if self.credential == "none":
            return HOW_TO_AUTHENTICATE
        if held is not None and classic:
            return f"The token needs one of the scopes {classic}; it has {held or 'none'}."
        if fine_grained:
            return f"The {self.credential} needs {permissions(fine_grained)} for this repository."
        if "x-github-sso" in self.headers:
            return "The organisation wants the token authorised for its single sign-on, in the token's settings."
        return "Grant the credential more, or ask somebody who may."

    def _unseen(self) -> str:
        if self.credential == "none":
            return f"It may be private: {HOW_TO_AUTHENTICATE}"
        wanted = permissions(self.headers.get("x-accepted-github-permissions", ""))
        takes = f"; this takes {wanted}" if wanted else ""
        return f"Check the name. What the {self.credential} may not see looks the same{takes}."

    def _said(self) -> str:
        details: Any = self.body.get("errors") or []
        told = [str(self.body.get("message", ""))]
        told += map(_detail, cast("list[Any]", details) if isinstance(details, list) else [details])
        return " ".join(filter(None, told))[:_MOST_SAID]


def permissions(header: str) -> str:
    """Return "issues: write, or pull_requests: write" for "issues=write; pull_requests=write"."""
    alternatives = [part.strip().replace("=", ": ").replace(",", " and ") for part in header.split(";")]
    return ", or ".join(filter(None, alternatives))


def graphql_refusal(errors: list[dict[str, Any]], what: str, credential: str) -> ExpectedError:
    """Return the typed error for what GraphQL answers instead of data; it does so with status 200."""
    kind = str(errors[0].get("type", ""))
    status = {"NOT_FOUND": 404, "FORBIDDEN": 403, "INSUFFICIENT_SCOPES": 403, "RATE_LIMITED": 429}.get(kind, 422)
    body = {"message": "; ".join(str(error.get("message", "")) for error in errors)}
    return Refusal(status, {}, body, what, "POST", credential).expected()


def _detail(detail: Any) -> str:
    if not isinstance(detail, dict):
        return str(detail)
    known = cast(dict[str, Any], detail)
    return str(known.get("message") or f"{known.get('field', 'it')}: {known.get('code', 'invalid')}")


def _seconds(headers: Mapping[str, str]) -> float:
    if headers.get("retry-after", "").isdecimal():
        return float(headers["retry-after"])
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, int(reset) - datetime.now(UTC).timestamp())
    return _SECONDARY_WAIT_S
