"""nginx in front of replicas, with the configuration that `deploy/` recommends."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

EXAMPLE = Path(__file__).parents[1] / "deploy/nginx.conf"
MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    {paths}
    include {folder}/site.conf;
}}
"""
KEPT_IN_FILES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Front:
    """A port that nginx is to listen at; connections wait there until it does.

    Attributes:
        listening: the socket, which nginx inherits.
        trusting: accepts its certificate, and no other.
    """

    folder: Path
    listening: socket.socket
    trusting: ssl.SSLContext

    @property
    def url(self) -> str:
        """The endpoint as clients have it."""
        return f"https://localhost:{self.listening.getsockname()[1]}/mcp"


def nginx() -> str:
    """Return the path of nginx; without it, the test is skipped."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("no nginx: on Debian, apt-get install nginx-light")
    return found


@contextmanager
def front(folder: Path) -> Generator[Front]:
    """Take a free port and make a certificate for it."""
    nginx()
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "both.pem"))
    trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    with socket.create_server(("127.0.0.1", 0), backlog=511) as listening:
        yield Front(folder, listening, trusting)


@contextmanager
def balanced(front: Front, ports: Sequence[int], changed: Mapping[str, str] | None = None) -> Generator[None]:
    """Run nginx in front of what listens at these ports of this machine.

    Args:
        front: where it listens.
        ports: of the replicas.
        changed: patterns in the configuration, and what stands there instead.
    """
    descriptor = front.listening.fileno()
    command = [nginx(), "-c", str(configured(front, ports, changed))]
    environment = {**os.environ, "NGINX": f"{descriptor};"}
    with subprocess.Popen(command, env=environment, pass_fds=[descriptor], stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def configured(front: Front, upstreams: Sequence[int], changed: Mapping[str, str] | None = None) -> Path:
    """Write the recommended configuration with these ports and the certificate of the front; return its path."""
    folder, port = front.folder, front.listening.getsockname()[1]
    site = EXAMPLE.read_text(encoding="utf-8")
    servers = "\n".join(f"    server 127.0.0.1:{upstream};" for upstream in upstreams)
    for pattern, with_what in (
        (r" +server mcp:8000;.*", servers),
        (r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (r"/etc/nginx/tls/(cert|key)\.pem", str(folder / "both.pem")),
        *(changed or {}).items(),
    ):
        site, replaced = re.subn(pattern, with_what, site)
        assert replaced, f"{pattern} is not in {EXAMPLE.name}"
    (folder / "site.conf").write_text(site, encoding="utf-8")
    paths = "\n    ".join(f"{what}_temp_path {folder}/{what};" for what in KEPT_IN_FILES)
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, paths=paths), encoding="utf-8")
    return main
