"""The fixtures of the contract suite. Loaded by every pytest run, so it imports nothing of MCP."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mcp_server_shared.contract.connection import Era
    from mcp_server_shared.contract.host import Host
    from mcp_server_shared.contract.subject import Subject

pytest.register_assert_rewrite(
    "mcp_server_shared.contract.connection",
    "mcp_server_shared.contract.forms",
    "mcp_server_shared.contract.promises",
)


@pytest.fixture(params=["2025-11-25", "2026-07-28"])
def era(request: pytest.FixtureRequest) -> "Era":
    """Return how requests are made: after a handshake, or each on its own."""
    return request.param


@pytest.fixture(scope="module")
def host(subject: "Subject") -> "Iterator[Host]":
    """Yield what starts the server under test; `subject` is the fixture that the server's own tests define."""
    if sys.platform == "win32":
        pytest.skip("platform: the event loop of Windows cannot watch pipes")
    from mcp_server_shared.contract.host import Host

    with ExitStack() as stack:
        yield Host(subject, stack)
