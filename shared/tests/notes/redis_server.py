"""A Redis of its own for a test."""

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def redis_in(folder: Path) -> Generator[str]:
    """Run a Redis that keeps nothing, on a socket in a folder; yield its URL."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("no redis-server: on Debian, apt-get install redis-server")
    socket = folder / "redis.sock"
    options = {"port": "0", "unixsocket": str(socket), "save": "", "appendonly": "no", "dir": str(folder)}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with subprocess.Popen([server, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert any("ready to accept connections" in line.lower() for line in process.stdout)
            yield f"unix://{socket}"
        finally:
            process.terminate()
