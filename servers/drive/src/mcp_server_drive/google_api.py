"""Google's APIs over HTTP: requests are built by its client library, and sent here.

The library's own connection must not be shared: two threads on it get each other's replies. Here every request takes a
connection of its own out of a pool, is sent once and never repeated unseen, and is read no further than its limit.
"""

# The library ships no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from typing import IO, TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from mcp_server_shared.errors import (
    Conflict,
    DeadlineExceeded,
    ExpectedError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

if TYPE_CHECKING:
    from googleapiclient.errors import HttpError
    from googleapiclient.http import HttpRequest

T = TypeVar("T")

MOST_REPLY_BYTES = 33_554_432  # of a reply that is no file
SIGN_IN = "The operator signs in with `mcp-server-drive auth`, or sets GOOGLE_APPLICATION_CREDENTIALS."

_VERSIONS = {"drive": "v3", "docs": "v1", "sheets": "v4", "slides": "v1"}
_CHUNK_BYTES = 65_536
_LONGEST_CONNECT_S = 10.0
_POOL_SIZE = 32
_UNAUTHORIZED = 401

_SLOW_DOWN = {
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "dailyLimitExceeded",
    "quotaExceeded",
    "sharingRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
}
_NO_SCOPE = {"insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"}
_NOT_ENABLED = {"accessNotConfigured", "SERVICE_DISABLED"}
_NO_BYTES = {"fileNotDownloadable", "fileNotExportable", "badRequest.fileNotExportable"}


class Pace(Protocol):
    """How long a thread may go on, and whether anybody still waits for it; a call is one."""

    def checkpoint(self) -> None:
        """Raise in a thread that was left behind."""
        ...

    def remaining_s(self) -> float:
        """Seconds until the deadline."""
        ...

    def retry_in_thread(self, attempt: Callable[[], T]) -> T:
        """Repeat what changes nothing when it was turned away."""
        ...


@dataclass(frozen=True)
class Patience:
    """The pace of work that serves no call: it may take so many seconds."""

    seconds: float
    _began: float = field(default_factory=time.monotonic)

    def checkpoint(self) -> None:
        """Nobody can leave it behind."""

    def remaining_s(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._began + self.seconds - time.monotonic())

    def retry_in_thread(self, attempt: Callable[[], T]) -> T:
        """Try once; whoever comes again later tries again."""
        return attempt()


class Doubtful(Unavailable):
    """A request was sent and its reply did not come, or said that something broke: it may have been carried out."""


class ApiDisabled(Unsupported):
    """The Cloud project of the credential does not have one of the APIs enabled."""


class Authorizer(Protocol):
    """Puts an account's token on a request."""

    name: str

    def authorize(self, headers: dict[str, str], pace: Pace) -> None:
        """Add the header, with a token that is good for a while."""
        ...

    def renew(self, refused: str, pace: Pace) -> None:
        """Get another token in place of one that was refused."""
        ...


@cache
def requests_to(api_url: str | None) -> "Requests":
    """Return what builds requests to a host: made once, since that takes longer than sending one."""
    return Requests(api_url)


class Requests:
    """Builds requests: the methods of Google's APIs, from the description that the library ships.

    Args:
        api_url: another host than Google's.
    """

    def __init__(self, api_url: str | None) -> None:
        self._api_url = api_url

    def _service(self, name: str) -> Any:
        from googleapiclient.discovery import build_from_document
        from googleapiclient.discovery_cache import get_static_doc

        document: dict[str, Any] = json.loads(get_static_doc(name, _VERSIONS[name]) or "{}")
        document.pop("mtlsRootUrl", None)
        if self._api_url:  # the only way that also moves uploads
            document["rootUrl"] = self._api_url.rstrip("/") + "/"
            document["baseUrl"] = document["rootUrl"] + document["servicePath"]
        return build_from_document(document, http=_Nothing())

    # Each of these takes a while to make, and can be shared once it is made.

    @cached_property
    def _drive(self) -> Any:
        return self._service("drive")

    @cached_property
    def about(self) -> Any:
        """The account."""
        return self._drive.about()

    @cached_property
    def changes(self) -> Any:
        """The changes feed."""
        return self._drive.changes()

    @cached_property
    def comments(self) -> Any:
        """Comments on files."""
        return self._drive.comments()

    @cached_property
    def drives(self) -> Any:
        """Shared drives."""
        return self._drive.drives()

    @cached_property
    def files(self) -> Any:
        """Files and folders."""
        return self._drive.files()

    @cached_property
    def permissions(self) -> Any:
        """Who may do what with a file."""
        return self._drive.permissions()

    @cached_property
    def replies(self) -> Any:
        """Replies to comments."""
        return self._drive.replies()

    @cached_property
    def revisions(self) -> Any:
        """Former contents of files."""
        return self._drive.revisions()

    @cached_property
    def documents(self) -> Any:
        """Google Docs."""
        return self._service("docs").documents()

    @cached_property
    def spreadsheets(self) -> Any:
        """Google Sheets."""
        return self._service("sheets").spreadsheets()

    @cached_property
    def values(self) -> Any:
        """Cells of Google Sheets."""
        return self.spreadsheets.values()

    @cached_property
    def presentations(self) -> Any:
        """Google Slides."""
        return self._service("slides").presentations()


class _Nothing:
    """Stands where the library expects a connection of its own."""


class Connections:
    """The connections to Google, each used by one request at a time."""

    @cached_property
    def pool(self) -> Any:
        """The pool; it finds the system's proxy."""
        from urllib.request import getproxies

        import urllib3

        proxy = getproxies().get("https")
        options: dict[str, Any] = {"maxsize": _POOL_SIZE, "retries": False}
        return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)

    def send(self, method: str, url: str, body: Any, headers: Mapping[str, str], pace: Pace) -> Any:
        """Send one request once and return the reply, its body still to be read.

        Raises:
            Unavailable: it was not sent.
            Doubtful: it may have been.
        """
        import urllib3

        pace.checkpoint()
        left = pace.remaining_s()
        if left <= 0:
            raise DeadlineExceeded("There was no time left to ask Google.", hint="Ask for less at a time.")
        timeout = urllib3.Timeout(connect=min(left, _LONGEST_CONNECT_S), read=left)
        try:
            return self.pool.request(
                method, url, body=body, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            raise Unavailable("Google cannot be reached.", hint="Check the network.") from error
        except urllib3.exceptions.ProxyError as error:
            raise Unavailable("The proxy does not let requests through to Google.") from error
        except urllib3.exceptions.HTTPError as error:
            raise Doubtful("The connection to Google broke before it answered.") from error


@dataclass(frozen=True)
class GoogleApi:
    """Google's APIs as one account.

    Attributes:
        requests: what builds requests.
        connections: what sends them.
        authorizer: the account.
    """

    requests: Requests
    connections: Connections
    authorizer: Authorizer

    def read(self, request: "HttpRequest", pace: Pace, *, most_bytes: int = MOST_REPLY_BYTES) -> Any:
        """Return the reply to a request that changes nothing; it is repeated when it was turned away.

        Raises:
            TooLarge: the reply has more bytes than that.
        """
        return pace.retry_in_thread(lambda: self.send(request, pace, most_bytes=most_bytes))

    def send(
        self,
        request: "HttpRequest",
        pace: Pace,
        *,
        most_bytes: int = MOST_REPLY_BYTES,
        sink: IO[bytes] | None = None,
    ) -> Any:
        """Send one request once and return its reply; the bytes of a file may go into a sink instead."""
        from googleapiclient.errors import HttpError

        wire = _Wire(self, pace, most_bytes, sink)
        try:
            return request.execute(http=wire, num_retries=0)
        except HttpError as error:
            _refuse(error, changes=request.method not in {"GET", "HEAD"})

    def send_chunk(self, request: "HttpRequest", pace: Pace) -> Any:
        """Send the next piece of a resumable upload, or ask how far it got after a failure; None until it is done."""
        from googleapiclient.errors import HttpError, ResumableUploadError

        try:
            return request.next_chunk(http=_Wire(self, pace, MOST_REPLY_BYTES, None), num_retries=0)[1]
        except ResumableUploadError as error:
            _refuse(error, changes=True)
        except HttpError as error:
            _refuse(error, changes=True)


@dataclass(frozen=True)
class _Wire:
    """What the library takes for a connection: it sends one request."""

    api: GoogleApi
    pace: Pace
    most_bytes: int
    sink: IO[bytes] | None

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> tuple[Any, bytes]:
        import httplib2

        reply = self._authorized(uri, method, body, dict(headers or {}))
        try:
            content = self._content(reply, self.sink if reply.status < 300 else None)  # noqa: PLR2004
        except BaseException:
            reply.close()  # what is left of it must not be the beginning of another's
            raise
        reply.release_conn()
        return httplib2.Response({**reply.headers, "status": str(reply.status)}), content

    def _authorized(self, uri: str, method: str, body: Any, headers: dict[str, str]) -> Any:
        self.api.authorizer.authorize(headers, self.pace)
        reply = self.api.connections.send(method, uri, body, headers, self.pace)
        if reply.status != _UNAUTHORIZED or hasattr(body, "read"):
            return reply
        reply.drain_conn()
        reply.release_conn()
        self.api.authorizer.renew(headers["authorization"], self.pace)
        self.api.authorizer.authorize(headers, self.pace)
        return self.api.connections.send(method, uri, body, headers, self.pace)

    def _content(self, reply: Any, sink: IO[bytes] | None) -> bytes:
        import urllib3

        pieces: list[bytes] = []
        size = 0
        try:
            for piece in reply.stream(_CHUNK_BYTES, decode_content=True):
                self.pace.checkpoint()
                size += len(piece)
                if size > self.most_bytes:
                    raise TooLarge(
                        f"It has more than {self.most_bytes:,} bytes.", hint="The limit is the operator's to set."
                    )
                if self.pace.remaining_s() <= 0:
                    raise DeadlineExceeded("Google took too long to send it all.", hint="Ask for less at a time.")
                if sink is not None:
                    sink.write(piece)
                else:
                    pieces.append(piece)
        except urllib3.exceptions.HTTPError as error:
            raise Doubtful("The connection to Google broke in the middle of its answer.") from error
        return b"".join(pieces)


def _refuse(error: "HttpError", *, changes: bool) -> NoReturn:
    status = int(error.resp.status)
    said = _said(error.content)
    raise _expected(status, said, _retry_after(error.resp), changes=changes) from error


@dataclass(frozen=True)
class _Said:
    """What Google says of a failure."""

    message: str = ""
    reasons: frozenset[str] = frozenset()


def _said(content: bytes) -> _Said:
    try:
        told: Any = json.loads(content)["error"]
        entries: list[Any] = [*told.get("errors", ()), *told.get("details", ())]
        reasons = frozenset(str(entry["reason"]) for entry in entries if "reason" in entry)
        return _Said(str(told.get("message", "")), reasons)
    except (ValueError, KeyError, TypeError, AttributeError):
        return _Said()


def _expected(status: int, said: _Said, retry_after_s: float | None, *, changes: bool) -> ExpectedError:  # noqa: PLR0911
    if status == 429 or (status == 403 and said.reasons & _SLOW_DOWN):  # noqa: PLR2004
        return RateLimited("Google's quota is used up for now.", hint="Wait a minute.", retry_after_s=retry_after_s)
    if status == 403:  # noqa: PLR2004
        return _forbidden(said)
    match status:
        case 400:
            return InvalidArgument("Google does not accept this request.", untrusted=said.message)
        case 401:
            return Unauthenticated("Google refuses the credential.", hint=SIGN_IN)
        case 404:
            return NotFound(
                "There is no such thing in Drive, or this account may not see it.",
                hint="Check the id with search_drive; with scope drive.file only files of this application are seen.",
            )
        case 409:
            return Conflict("It exists already.", untrusted=said.message)
        case 412:
            return Conflict("It has changed meanwhile.", hint="Read it again.", untrusted=said.message)
        case 413:
            return TooLarge("Google does not take that much at once.", untrusted=said.message)
        case _ if status >= 500:  # noqa: PLR2004
            broken = Doubtful if changes else Unavailable
            return broken(f"Google answers that something broke there ({status}).", retry_after_s=retry_after_s)
        case _:
            return Unsupported(f"Google answered with status {status}.", untrusted=said.message)


def _forbidden(said: _Said) -> ExpectedError:  # noqa: PLR0911
    if said.reasons & _NO_SCOPE:
        return PermissionDenied(
            "The credential lacks the scope for this.",
            hint="`mcp-server-drive check` names it; the operator adds it by --scope and `auth`.",
        )
    if said.reasons & _NOT_ENABLED:
        return ApiDisabled(
            "This API of Google's is not enabled in the operator's Cloud project.",
            hint="`mcp-server-drive check` says which and where to enable it.",
        )
    if "exportSizeLimitExceeded" in said.reasons:
        return TooLarge("Google exports at most 10 MB of it.", hint="Read a part, such as one tab.")
    if said.reasons & _NO_BYTES:
        return Unsupported("This kind of file cannot be read or exported.", untrusted=said.message)
    if "storageQuotaExceeded" in said.reasons:
        return TooLarge("The account's storage is full.", untrusted=said.message)
    if "appNotAuthorizedToFile" in said.reasons:
        return PermissionDenied(
            "This application did not make this file, and the scope drive.file covers no others.",
            hint="The operator can allow all files that the account may edit by --scope drive.",
        )
    return PermissionDenied(
        "Google does not let this account do that.",
        untrusted=said.message,
        hint="get_drive_file says what the account may do with a file.",
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
