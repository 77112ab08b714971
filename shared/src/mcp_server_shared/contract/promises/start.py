"""A server starts with nothing, and fast."""

import os
import subprocess
import sys

from mcp_server_shared.contract.connection import MODERN, TIMEOUT_S, Era
from mcp_server_shared.contract.forms import failure
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject

# Prints which packages the server imports beyond the protocol's own, once it has served an empty stdin.
_IMPORTS = """
import sys
from importlib import import_module
import mcp.server.lowlevel, mcp.server.stdio, mcp_server_shared.server, mcp_server_shared.stdio
packages = lambda: {name.partition(".")[0] for name in sys.modules}
before = packages()
module, function, *arguments = sys.argv[1:]
program = getattr(import_module(module), function)()
server = program.build_server(program.settings_type.load(arguments, {}))
import anyio
anyio.run(mcp_server_shared.stdio.serve_stdio, server)
sys.stderr.write(" ".join(packages() - before - sys.stdlib_module_names))
"""


def test_without_upstream_or_credential_everything_is_listed(host: Host, era: Era) -> None:
    server = host.start(era, ready=False)
    server.tools()
    for method in ("prompts/list", "resources/list", "resources/templates/list"):
        server.result(method)
    if era == MODERN:
        server.result("server/discover")


def test_the_first_call_says_how_to_supply_what_is_missing(host: Host, era: Era, subject: Subject) -> None:
    server = host.start(era, ready=False)
    for example in subject.examples:
        if subject.upstream_hint and example.needs_upstream:
            missing = failure(server.call(example.name, example.arguments))
            assert missing.code not in {"invalid_argument", "internal"}, f"{example.name}: {missing}"
            assert subject.upstream_hint in missing.text, f"{example.name} does not say how: {missing}"


def test_check_without_upstream_says_what_is_wrong_and_shows_no_traceback(subject: Subject) -> None:
    done = subprocess.run(
        [*subject.command_line, "check"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
        env={"PATH": os.defpath, **subject.environment},
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in {0, 1}, done.stderr
    assert done.stdout, "check says nothing"


def test_with_its_upstream_every_example_succeeds(host: Host, era: Era, subject: Subject) -> None:
    server = host.start(era)
    for example in subject.examples:
        result = server.call(example.name, example.arguments)
        assert not result.get("isError"), f"{example.name}: {result['content'][0]['text']}"


def test_serving_imports_nothing_but_the_protocol_and_the_server_itself(subject: Subject) -> None:
    script = [sys.executable, "-W", "error", "-c", _IMPORTS, subject.program.__module__, subject.program.__name__]
    done = subprocess.run(
        script,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
        env={"PATH": os.defpath, **subject.environment},
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.split()) == {subject.package.partition(".")[0]}
