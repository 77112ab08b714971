"""No internet for any test here, and a small web on loopback instead; one instance of SearXNG, if there is one."""

import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from fake_web.server import Web, serving


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def no_internet() -> Iterator[None]:
    """Let no name be found but those of loopback, so that no test asks a real site."""
    resolve = socket.getaddrinfo
    known = {None, "localhost", urlsplit(os.environ.get("SEARXNG_URL", "")).hostname}

    def look_up(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in known or name.startswith("127.") or name == "::1":
            return resolve(host, *args, **options)
        raise socket.gaierror(socket.EAI_NONAME, "no internet here")

    patch = pytest.MonkeyPatch()
    patch.setattr(socket, "getaddrinfo", look_up)
    yield
    patch.undo()


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def lasting_web() -> Iterator[Web]:
    """Yield a web for all tests of a module."""
    with serving() as server:
        yield server
