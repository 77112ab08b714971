"""An OAuth authorization server as far as a resource server sees one: metadata, keys, introspection, over real HTTP."""

import json
import threading
import time
from base64 import b64decode
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "https://notes.example/mcp"


class Issuer:
    """Makes tokens and says what resource servers ask."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.answers: dict[str, dict[str, Any]] = {}  # of introspection, by token
        self.asked_by: tuple[str, ...] = ()  # client and secret
        self.metadata: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/jwks"}
        self.redirects: dict[str, str] = {}
        self.down = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.rotate("first")

    def rotate(self, kid: str) -> None:
        """Sign with a new key from now on, and forget the old one."""
        self.kid = kid
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.jwks = [json.loads(ECAlgorithm.to_jwk(self.key.public_key())) | {"kid": kid, "use": "sig"}]

    def token(self, *, key: Any = None, algorithm: str = "ES256", kid: str | None = None, **claims: Any) -> str:
        """Return a token of alice that may read; claims of None are left out."""
        now = int(time.time())
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "client_id": "app",
            "scope": "read",
            "exp": now + 300,
        }
        payload = {name: value for name, value in (usual | claims).items() if value is not None}
        signed_by: Any = self.key if key is None else key or None
        return jwt.encode(payload, signed_by, algorithm=algorithm, headers={"kid": kid or self.kid})

    def answer(self, path: str, form: dict[str, list[str]]) -> dict[str, Any] | None:
        """Return what there is at a path."""
        self.asked.append(path)
        self.goes_on.wait(60)
        if self.down:
            return None
        if path == "/introspect":
            return self.answers.get(form["token"][0], {"active": False})
        return {
            "/.well-known/oauth-authorization-server": self.metadata,
            "/jwks": {"keys": self.jwks},
        }.get(path)


@contextmanager
def serving_issuer() -> Generator[Issuer]:
    """Run an issuer at a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            form = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            body = issuer.answer(self.path, parse_qs(form))
            if credential := self.headers.get("authorization"):
                decoded = b64decode(credential.removeprefix("Basic ")).decode()
                issuer.asked_by = tuple(map(unquote_plus, decoded.split(":")))
            leads = issuer.redirects.get(self.path)
            self.send_response(503 if body is None else 307 if leads else 200)
            if leads:
                self.send_header("location", leads)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
