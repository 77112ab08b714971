"""Read-only until told otherwise, and lists that depend on the configuration alone."""

import json

from mcp_server_shared.contract.connection import MODERN, Era
from mcp_server_shared.contract.forms import failure
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject
from mcp_server_shared.contract.values import fitting

_LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")


def test_without_a_grant_only_tools_that_read_are_listed(host: Host, era: Era) -> None:
    listed = host.connect(era, ready=False).tools().values()
    assert [tool["name"] for tool in listed if not tool["annotations"]["readOnlyHint"]] == []


def test_with_every_grant_every_tool_is_listed(host: Host, era: Era, subject: Subject) -> None:
    flags = subject.every_grant
    registered = list(host.build(*flags, ready=False).registry.tools)
    assert list(host.connect(era, *flags, ready=False).tools()) == registered


def test_a_tool_that_is_not_granted_is_refused_by_the_name_of_its_flag(host: Host, era: Era, subject: Subject) -> None:
    flags = subject.every_grant
    every = host.connect(era, *flags, ready=False).tools()
    for flag in flags:
        lacking = host.connect(era, *[other for other in flags if other != flag], ready=False)
        for name in sorted(every.keys() - lacking.tools().keys()):
            refusal = failure(lacking.call(name, fitting(every[name], {})))
            assert (refusal.code, flag in refusal.text) == ("permission_denied", True), f"{name}: {refusal}"


def test_without_any_grant_no_tool_that_changes_something_can_be_called(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, ready=False)
    for name, tool in host.connect(era, *subject.every_grant, ready=False).tools().items():
        if not tool["annotations"]["readOnlyHint"]:
            refusal = failure(server.call(name, fitting(tool, {})))
            assert refusal.code == "permission_denied", f"{name}: {refusal}"


def test_two_processes_send_the_same_lists_in_the_same_order(host: Host, subject: Subject) -> None:
    flags = subject.every_grant
    first, second = [host.start_anew(MODERN, *flags, ready=False) for _ in range(2)]
    for method in _LISTS:
        assert json.dumps(first.result(method)) == json.dumps(second.result(method)), f"{method} differs"


def test_a_call_does_not_change_the_lists(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect_anew(era)
    before = [server.result(method) for method in _LISTS]
    for example in subject.examples:
        server.call(example.name, example.arguments)
    assert [server.result(method) for method in _LISTS] == before
