"""The contract suite: every promise that a server makes and that can be proven from outside, as tests.

A server has the whole suite by one file in its tests:

    import pytest
    from mcp_server_postgres.__main__ import program
    from mcp_server_shared.contract import Example, Subject, checks

    globals().update(checks())


    @pytest.fixture(scope="module")
    def subject(database_url: str) -> Subject:
        return Subject(
            program=program,
            arguments=[database_url],
            examples=[Example("query", {"sql": "select 1"})],
            upstream_hint="DATABASE_URL",
        )

The fixtures come with the package, as a pytest plugin. A check starts the server as its real command, or on a thread
of the test process, whose event loop has to watch pipes: the suite runs on Linux and macOS.
"""

from mcp_server_shared.contract.promises import checks
from mcp_server_shared.contract.subject import Example, Subject

__all__ = ["Example", "Subject", "checks"]
