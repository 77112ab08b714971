"""Both eras of the protocol are spoken, and say the same."""

from typing import Any

import pytest

from mcp_server_shared.contract.connection import CLIENT, HANDSHAKE, MODERN, Era, envelope
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject

_UNSUPPORTED_VERSION = -32022


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_a_client_of_each_handshake_version_is_served_in_it(host: Host, version: str) -> None:
    server = host.connect_anew(HANDSHAKE, ready=False, initialized=False)
    assert server.initialize(version)["protocolVersion"] == version
    assert server.tools() or server.result("prompts/list")["prompts"]


def test_a_handshake_in_an_unknown_version_is_answered_with_the_latest(host: Host) -> None:
    server = host.connect_anew(HANDSHAKE, ready=False, initialized=False)
    assert server.initialize("1999-12-31")["protocolVersion"] == HANDSHAKE


def test_the_handshake_introduces_the_server(host: Host, subject: Subject) -> None:
    introduced: Any = host.connect(HANDSHAKE, ready=False).handshake
    assert introduced["serverInfo"]["name"] == subject.program().about.package
    assert introduced["serverInfo"]["version"]
    assert "tools" in introduced["capabilities"]


def test_the_server_can_be_discovered_without_a_handshake(host: Host) -> None:
    found = host.connect(MODERN, ready=False).result("server/discover")
    assert MODERN in found["supportedVersions"]
    assert "tools" in found["capabilities"]
    assert found["instructions"] == host.connect(HANDSHAKE, ready=False).handshake["instructions"]


def test_a_version_of_the_future_is_refused_with_those_that_are_spoken(host: Host) -> None:
    request = {"_meta": envelope("2999-01-01")}
    error = host.start(MODERN, ready=False).request("tools/list", request)["error"]
    assert (error["code"], MODERN in error["data"]["supported"]) == (_UNSUPPORTED_VERSION, True)


@pytest.mark.parametrize("method", ["tools/list", "prompts/list", "resources/templates/list"])
def test_both_eras_list_the_same(host: Host, method: str) -> None:
    eras: tuple[Era, Era] = (HANDSHAKE, MODERN)
    handshake, modern = [host.connect(era, ready=False).result(method) for era in eras]
    envelope_keys = {"_meta", "cacheScope", "resultType", "ttlMs"}
    assert {key: value for key, value in modern.items() if key not in envelope_keys} == handshake


def test_lists_may_be_cached_but_not_shared_between_callers(host: Host) -> None:
    for method in ("tools/list", "prompts/list", "resources/templates/list", "server/discover"):
        listed = host.connect(MODERN, ready=False).result(method)
        assert (listed["cacheScope"], listed["ttlMs"] > 0) == ("private", True), method


def test_the_client_is_known_by_name_in_both_eras(host: Host, era: Era) -> None:
    server = host.start(era, ready=False)
    server.tools()
    assert f'"client":"{CLIENT["name"]} {CLIENT["version"]}"' in server.log()
