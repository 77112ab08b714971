"""How requests travel: what PyGithub takes for its connection, bound to one call, and downloads from other hosts.

PyGithub's own connection follows renamed repositories in silence, has one timeout for every call and reads answers of
any size. This one asks before each request whether anybody still waits, never follows, never repeats, and stops
reading at a limit and at the deadline of the call.
"""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

from mcp_server_shared.errors import ExpectedError, TooLarge, Unavailable

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

MOST_ANSWER_BYTES = 40_000_000
_CONNECT_S = 5.0
_SILENCE_S = 20.0  # between two pieces of an answer
_LEAST_S = 0.01
_PIECE_BYTES = 65_536
_MOVED = {301, 302, 303, 307, 308}
_STILL_COMPUTING = 202


class Patience(Protocol):
    """What a request knows of the call that it serves; `Call` is one."""

    def remaining_s(self) -> float:
        """Return the seconds left."""
        ...

    def checkpoint(self) -> None:
        """Raise when nobody waits any more."""
        ...

    def retry_in_thread(self, attempt: Callable[[], T]) -> T:
        """Repeat what changes nothing when it was turned away."""
        ...


@dataclass(frozen=True)
class Until:
    """The patience of work that no call waits for.

    Attributes:
        end: by the clock of `time.monotonic`.
    """

    end: float

    def remaining_s(self) -> float:
        """Return the seconds left."""
        return max(0.0, self.end - time.monotonic())

    def checkpoint(self) -> None:
        """Raise when there is no time left."""
        if not self.remaining_s():
            raise Unavailable("GitHub did not answer in time.", hint="Try again later.")

    def retry_in_thread(self, attempt: Callable[[], T]) -> T:
        """Try once."""
        return attempt()


class Redirected(Exception):
    """GitHub points elsewhere; whether to go there is not for the wire to decide."""

    def __init__(self, location: str) -> None:
        super().__init__("redirected")
        self.location = location


class Doubtful(Unavailable):
    """A write whose answer never came: nobody knows whether it was done."""

    retryable = False


@dataclass(frozen=True)
class Answer:
    """What GitHub answered, in the form PyGithub expects of its connection."""

    status: int
    headers: Mapping[str, str]
    text: str

    def getheaders(self) -> list[tuple[str, str]]:
        """Return the headers."""
        return list(self.headers.items())

    def read(self) -> str:
        """Return the body."""
        return self.text


class Wire:
    """One connection of one thread, for the requests of one call.

    Args:
        session: the thread's own; it keeps connections open between calls.
        origin: "https://api.github.com".
        patience: of the call.
    """

    def __init__(self, session: "requests.Session", origin: str, patience: Patience) -> None:
        self._session = session
        self._origin = origin
        self._patience = patience

    def request(self, verb: str, url: str, body: str | None, headers: dict[str, str], stream: bool = False) -> None:  # noqa: FBT001, FBT002
        """Take note of a request; the name and order of the parameters are PyGithub's."""
        self._verb, self._url, self._body, self._headers = verb, url, body, headers

    def getresponse(self) -> Answer:
        """Make the request.

        Raises:
            Redirected: GitHub points elsewhere.
            Unavailable, TooLarge: no answer, or none that can be used.
        """
        writes = self._verb not in {"GET", "HEAD"} and not self._url.endswith("/graphql")
        with failures_named(urlsplit(self._origin).netloc, doubtful=writes), self._sent() as response:
            if response.status_code in _MOVED:
                raise Redirected(response.headers.get("Location", ""))
            if response.status_code == _STILL_COMPUTING and self._verb == "GET":
                raise Unavailable("GitHub is still computing this.", hint="Ask again in a moment.", retry_after_s=2)
            body = b"".join(pieces(response, self._patience, MOST_ANSWER_BYTES))
        return Answer(response.status_code, dict(response.headers), body.decode(errors="replace"))

    @contextmanager
    def _sent(self) -> "Generator[requests.Response]":
        self._patience.checkpoint()
        response = self._session.request(
            self._verb,
            self._origin + self._url,
            headers=self._headers,
            data=self._body.encode() if self._body is not None else None,
            timeout=timeouts(self._patience),
            allow_redirects=False,
            stream=True,
        )
        with response:
            yield response

    def close(self) -> None:
        """Leave the connection open: it is the thread's."""


def new_session() -> "requests.Session":
    """Return a session that sends nothing of its own: no password of ~/.netrc, no cookies, no repeats."""
    import requests

    session = requests.Session()
    session.auth = lambda prepared: prepared  # None would mean ~/.netrc
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


@contextmanager
def download(location: str, patience: Patience, most_bytes: int) -> Generator[Iterator[bytes]]:
    """Yield the pieces of a file that GitHub points to, on whatever host; no credential goes there.

    Raises:
        Unavailable, TooLarge: as for any request.
    """
    with failures_named(urlsplit(location).netloc, doubtful=False), new_session() as session:
        patience.checkpoint()
        with session.get(location, timeout=timeouts(patience), allow_redirects=False, stream=True) as response:
            if response.status_code != 200:  # noqa: PLR2004
                raise Unavailable(f"The storage of GitHub answers {response.status_code}.", hint="Try again.")
            yield pieces(response, patience, most_bytes)


def timeouts(patience: Patience) -> tuple[float, float]:
    """Return how long to wait for a connection and for each piece: no longer than the call may take."""
    remaining = max(_LEAST_S, patience.remaining_s())
    return min(_CONNECT_S, remaining), min(_SILENCE_S, remaining)


def pieces(response: "requests.Response", patience: Patience, most_bytes: int) -> Iterator[bytes]:
    """Yield an answer as it comes in, as long as somebody waits for it.

    Raises:
        TooLarge: it has more bytes than that.
    """
    received = 0
    for piece in response.iter_content(_PIECE_BYTES):
        patience.checkpoint()
        received += len(piece)
        if received > most_bytes:
            raise TooLarge(f"GitHub's answer has more than {most_bytes:,} bytes.", hint="Ask for a part of it.")
        yield piece


@contextmanager
def failures_named(host: str, *, doubtful: bool) -> Generator[None]:
    """Turn what goes wrong on the way into the error that says so."""
    import requests

    try:
        yield
    except requests.exceptions.SSLError as error:
        raise Unavailable(f"The certificate of {host} is not accepted.", hint=_CERTIFICATE) from error
    except requests.exceptions.ConnectTimeout as error:
        raise Unavailable(f"{host} does not accept a connection.", hint="Try again later.") from error
    except requests.RequestException as error:
        raise _lost(host, error, doubtful=doubtful) from error


def _lost(host: str, error: Exception, *, doubtful: bool) -> ExpectedError:
    import urllib3

    reason = getattr(error.args[0], "reason", None) if error.args else None
    unreached = isinstance(reason, urllib3.exceptions.NewConnectionError)
    if doubtful and not unreached:
        return Doubtful(
            f"{host} did not answer: it is unknown whether this was done.",
            hint="Do not repeat it yet: look first whether it is there.",
        )
    if unreached:
        return Unavailable(f"{host} cannot be reached.", hint="Check the network, and GITHUB_API_URL or GITHUB_HOST.")
    return Unavailable(f"{host} did not answer in time or broke off.", hint="Try again later.")


_CERTIFICATE = "The operator can name the right authority in the variable REQUESTS_CA_BUNDLE."
