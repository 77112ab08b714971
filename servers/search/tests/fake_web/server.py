"""The server: sites are functions, by the beginning of their path."""

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Asked:
    """One request that arrived."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


class Exchange(BaseHTTPRequestHandler):
    """One connection to the web; a site's function answers by its methods."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body would wait until its head is acknowledged
    server: "Web"  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        """Answer as to a GET, with the body at hand."""
        self.do_GET()

    def do_GET(self) -> None:
        """Let the longest route that fits answer."""
        parts = urlsplit(self.path)
        parameters = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.asked = Asked(unquote(parts.path), parameters, headers, body)
        self.server.asked.append(self.asked)
        fitting = [route for route in self.server.routes if self.asked.path.startswith(route)]
        with suppress(BrokenPipeError, ConnectionResetError):
            if fitting:
                self.server.routes[max(fitting, key=len)](self)
            else:
                self.answer(b"", status=404)

    def answer(
        self,
        body: bytes | str,
        content_type: str = "text/html; charset=utf-8",
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole answer."""
        data = body.encode() if isinstance(body, str) else body
        self.begin(content_type, status=status, headers={"Content-Length": str(len(data)), **(headers or {})})
        self.wfile.write(data)

    def begin(self, content_type: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of an answer whose body is sent by hand."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if not {"content-length", "transfer-encoding"} & {name.lower() for name in headers or {}}:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


class Web(ThreadingHTTPServer):
    """A server on loopback whose sites are functions by the beginning of their path.

    Attributes:
        routes: who answers.
        asked: every request, in order.
        ended: set when the server stops; a site that never ends its answer waits for it.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.routes: dict[str, Callable[[Exchange], None]] = {}
        self.asked: list[Asked] = []
        self.ended = threading.Event()

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://{self.host}"

    def page(self, path: str, body: bytes | str, content_type: str = "text/html; charset=utf-8", **more: Any) -> str:
        """Serve a page; return its address."""
        self.routes[path] = lambda exchange: exchange.answer(body, content_type, **more)
        return self.url + path

    def redirect(self, path: str, location: str) -> str:
        """Serve a redirect; return its address."""
        return self.page(path, b"", status=302, headers={"Location": location})

    def requests(self, path: str) -> list[Asked]:
        """Return the requests for a path and what is below it."""
        return [asked for asked in self.asked if asked.path.startswith(path)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left."""


@contextmanager
def serving() -> Generator[Web]:
    """Serve on a free port until the block ends."""
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
