"""The HTTP API of a provider: paced, bounded, and its failures in words that say what to do."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from mcp_server_shared.errors import (
    ExpectedError,
    InvalidArgument,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

from mcp_server_search.http_client import body_of, new_client
from mcp_server_search.pace import Pace, retry_after_s

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 4_000_000
_MOST_DETAIL = 300

_OK, _TOO_MANY = 200, 429
_INVALID = {_OK, 400, 422}
_REFUSALS: Mapping[int, tuple[type[ExpectedError], str, str]] = {
    401: (Unauthenticated, "refuses the credential", "Ask the operator for a valid one."),
    402: (PermissionDenied, "wants to be paid", "Ask the operator."),
    403: (PermissionDenied, "does not allow this request", "Ask the operator."),
    404: (Unsupported, "has no such endpoint", "Ask the operator whether the provider's URL is right."),
}

# Words in the code of an error that say more than its status.
_STATUS_BY_CODE = {"SUBSCRIPTION_TOKEN": 401, "NOT_IN_PLAN": 403}

Parameters = Mapping[str, str | int | float | list[str] | None]


class WebApi:
    """Requests to one provider.

    Args:
        name: who that is, for errors.
        url: where its API is.
        user_agent: how this server introduces itself.
        headers: what every request has; the credential.
        pace: how fast it may be asked; without it, as fast as it is needed.
        credential_hint: what to do when the credential is refused.
    """

    def __init__(
        self,
        name: str,
        url: str,
        *,
        user_agent: str,
        headers: Mapping[str, str] | None = None,
        pace: Pace | None = None,
        credential_hint: str = "",
    ) -> None:
        self.url = url
        self.host = urlsplit(url).netloc
        self.name = name
        self._headers = {"accept": "application/json", **(headers or {})}
        self._user_agent = user_agent
        self._pace = pace or Pace(interval_s=0)
        self._credential_hint = credential_hint
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str, parameters: Parameters) -> dict[str, Any]:
        """Return the JSON object at a path; parameters that are None are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return await self._answer("GET", path, params=given, headers=self._headers)

    async def post(self, path: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON object that answers another one; it may come as the first of a stream of events."""
        headers = {**self._headers, "accept": "application/json, text/event-stream"}
        return await self._answer("POST", path, json=message, headers=headers)

    async def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        import httpx

        self._client = self._client or new_client(user_agent=self._user_agent, keep_alive=True)
        await self._pace.turn()
        try:
            async with self._client.stream(method, self.url + path, **request) as response:
                self._pace.learn(response.headers)
                body = await body_of(response, most=MOST_BYTES)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{self.name} ({self.host}) cannot be reached: {_reason(error)}.", hint="Try again in a moment."
            ) from error
        answer = _json(_first_event(body) if _is_stream(response) else body)
        if not response.is_success:
            raise self._refusal(response, answer)
        if answer is None:
            raise Unavailable(f"{self.name} ({self.host}) did not answer in JSON.", hint="Check the provider's URL.")
        if "error" in answer:  # MediaWiki reports failures with status 200
            raise self._refusal(response, answer)
        return answer

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _refusal(self, response: "httpx.Response", answer: dict[str, Any] | None) -> ExpectedError:
        detail = _detail(answer)
        who = f"{self.name} ({self.host})"
        status = next((known for word, known in _STATUS_BY_CODE.items() if word in detail), response.status_code)
        if status == _TOO_MANY or (status == _OK and re.search("maxlag|rate.?limit", detail)):
            return RateLimited(
                f"{who} has had too many requests.",
                hint="Wait before the next search.",
                untrusted=detail,
                retry_after_s=self._pace.retry_after_s(response.headers),
            )
        if status in _REFUSALS:
            kind, says, hint = _REFUSALS[status]
            return kind(f"{who} {says}.", hint=self._credential_hint or hint, untrusted=detail)
        if status in _INVALID:
            return InvalidArgument(f"{who} does not accept this query.", hint="Change it.", untrusted=detail)
        return Unavailable(
            f"{who} answered with status {status}.",
            hint="Try again later.",
            untrusted=detail,
            retry_after_s=retry_after_s(response.headers),
        )


def _is_stream(response: "httpx.Response") -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _first_event(body: bytes) -> bytes:
    """Return the data of a stream's first event that has an answer (MCP's Streamable HTTP)."""
    for event in re.split(rb"\r?\n\r?\n", body):
        data = b"\n".join(re.findall(rb"^data:[ ]?(.*?)\r?$", event, re.MULTILINE))
        if b'"result"' in data or b'"error"' in data:
            return data
    return b""


def _json(body: bytes) -> dict[str, Any] | None:
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else None


def _detail(answer: dict[str, Any] | None) -> str:
    """Return the code and the words of an error, as the APIs we know call them."""
    error: Any = (answer or {}).get("error", "")
    if isinstance(error, dict):
        said = cast("dict[str, Any]", error)
        error = " ".join(str(said[name]) for name in ("code", "info", "detail", "message") if name in said)
    return str(error)[:_MOST_DETAIL]


def _reason(error: "httpx.HTTPError") -> str:
    """Return why a request failed, in words; the library's own text is for the log."""
    import httpx

    if isinstance(error, httpx.TimeoutException):
        return "it takes too long"
    return "no connection" if isinstance(error, httpx.ConnectError) else "the connection broke off"
