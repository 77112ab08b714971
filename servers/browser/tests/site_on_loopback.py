"""A web site on loopback, as adversarial as a test wants it."""

import base64
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer of the site."""

    body: str | bytes = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    wait: threading.Event | None = None
    endless: bytes = b""


@dataclass
class Received:
    """One request that reached the site."""

    method: str
    path: str
    body: str
    authorization: str | None = None


Handler = Callable[[Received], Reply]


def asking_for_a_password(received: Received) -> Reply:
    """Ask for a user name and password by HTTP; show what was given, in both forms."""
    if received.authorization is None:
        return Reply("no", 401, {"WWW-Authenticate": 'Basic realm="x"'})
    given = base64.b64decode(received.authorization.removeprefix("Basic ")).decode()
    return Reply(f"<h1>Welcome</h1><p>{received.authorization}<p>{given}")


class Site:
    """Serves what tests put there, and remembers what it was asked for."""

    def __init__(self, host: str) -> None:
        self._numbers = count(1)
        self._pages: dict[str, Reply | Handler] = {}
        self._otherwise: Handler | None = None
        self.received: list[Received] = []
        self.server = _Server((host, 0), partial(_Request, self))
        self.host = host
        self.port = self.server.server_address[1]

    def page(self, html: str, **headers: str) -> str:
        """Put a page somewhere and return its address."""
        return self.put(Reply(f"<!doctype html><meta charset=utf-8><title>Test</title>{html}", headers=headers))

    def put(self, reply: Reply | Handler, path: str | None = None) -> str:
        """Put an answer somewhere and return its address."""
        path = path or f"/{next(self._numbers)}"
        self._pages[path] = reply
        return self.url(path)

    def fall_back(self, handler: Handler | None) -> None:
        """Answer for whatever is not here by this."""
        self._otherwise = handler

    def url(self, path: str = "/", host: str | None = None) -> str:
        """Return the address of a path."""
        return f"http://{host or self.host}:{self.port}{path}"

    def answer(self, received: Received) -> Reply:
        """Return what is at a path."""
        self.received.append(received)
        found = self._pages.get(received.path.partition("?")[0])
        if found is None:
            return self._otherwise(received) if self._otherwise else Reply("not here", 404)
        return found if isinstance(found, Reply) else found(received)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: browsers break off what they no longer need."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *arguments: Any) -> None:
        self._site = site
        super().__init__(*arguments)

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode(errors="replace")
        reply = self._site.answer(Received(self.command, self.path, body, self.headers["Authorization"]))
        if reply.wait is not None:
            reply.wait.wait(20)
        data = reply.body.encode("utf-8", "surrogatepass") if isinstance(reply.body, str) else reply.body
        self.send_response(reply.status)
        for name, value in ({"Content-Type": "text/html; charset=utf-8"} | reply.headers).items():
            self.send_header(name, value)
        if reply.endless:
            self._stream(reply)
            return
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, reply: Reply) -> None:
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(reply.endless)

    do_POST = do_PUT = do_GET  # noqa: N815 - as the base calls them

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is the base's
        pass


@contextmanager
def serving(host: str) -> Generator[Site]:
    """Serve a site while the block runs."""
    site = Site(host)
    thread = threading.Thread(target=site.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.server.shutdown()
        site.server.server_close()
        thread.join()
