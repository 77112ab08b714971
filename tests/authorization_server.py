"""A real OAuth authorization server for tests: oidc-provider (npm), whose one user agrees to everything.

with authorization_server() as issuer:
    …  # issuer.url, issuer.token(…), issuer.do("rotate")

It ends when its stdin does, so it cannot outlive the tests, whatever becomes of them.
"""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import httpx2
from node import NODE, PEERS, installed

SECRET = "a-secret-of-a-test-that-is-long-enough"  # noqa: S105 - in issuer.mjs too


@dataclass(frozen=True)
class AuthorizationServer:
    """The server while it runs.

    Attributes:
        url: where it listens, and the issuer that its tokens name.
    """

    url: str
    orders: IO[str]
    answers: IO[str]

    def do(self, order: str) -> None:
        """Have it rotate its key, issue opaque tokens or jwt, or move its clock: see `issuer.mjs`."""
        self.orders.write(f"{order}\n")
        self.orders.flush()
        assert self.answers.readline() == "done\n"

    def token(self, resource: str, scope: str = "read") -> str:
        """Return a token for a machine."""
        form = {"grant_type": "client_credentials", "resource": resource, "scope": scope}
        response = httpx2.post(f"{self.url}/token", data=form, auth=("machine", SECRET), timeout=60)
        return response.raise_for_status().json()["access_token"]


@contextmanager
def authorization_server() -> Generator[AuthorizationServer]:
    """Run an authorization server at a free port."""
    installed("oidc-provider")
    script = [NODE, str(PEERS / "issuer.mjs")]
    pipe = subprocess.PIPE
    with subprocess.Popen(script, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            url = process.stdout.readline().strip()
            assert url, "oidc-provider did not start"
            yield AuthorizationServer(url, process.stdin, process.stdout)
        finally:
            process.stdin.close()
