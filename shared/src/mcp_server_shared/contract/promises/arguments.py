"""Everything is validated, and what the lists advertise is exactly what is enforced.

Servers have no upstream here: arguments are judged before anything is asked of it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mcp_server_shared.contract.connection import Connection, Era, Message
from mcp_server_shared.contract.forms import Failure, failure, protocol_failure
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject
from mcp_server_shared.contract.values import fitting, just_outside, wrongly_typed


def test_an_unknown_argument_is_refused_with_the_nearest_name(host: Host, era: Era, subject: Subject) -> None:
    for server, tool, arguments in _tools(host, era, subject):
        for known in tool["inputSchema"]["properties"]:
            misspelt = known + "x"
            refusal = failure(server.call(tool["name"], {**arguments, misspelt: 1}))
            _assert_refused(refusal, tool, misspelt)
            assert f"did you mean {known}" in refusal.text, f"{tool['name']}: {misspelt} is not put right: {refusal}"


def test_a_tool_without_arguments_refuses_any(host: Host, era: Era, subject: Subject) -> None:
    for server, tool, _ in _tools(host, era, subject):
        if not tool["inputSchema"]["properties"]:
            _assert_refused(failure(server.call(tool["name"], {"anything": 1})), tool, "anything")


def test_a_missing_argument_is_named(host: Host, era: Era, subject: Subject) -> None:
    for server, tool, arguments in _tools(host, era, subject):
        for name in tool["inputSchema"].get("required", ()):
            rest = {other: value for other, value in arguments.items() if other != name}
            _assert_refused(failure(server.call(tool["name"], rest)), tool, name)


def test_a_value_of_another_type_than_listed_is_refused(host: Host, era: Era, subject: Subject) -> None:
    for server, tool, arguments in _tools(host, era, subject):
        schema = tool["inputSchema"]
        for name, listed in schema["properties"].items():
            for value in wrongly_typed(listed, schema, required=name in schema.get("required", ())):
                _assert_refused(failure(server.call(tool["name"], {**arguments, name: value})), tool, name, value)


def test_a_value_just_outside_its_limits_is_refused(host: Host, era: Era, subject: Subject) -> None:
    for server, tool, arguments in _tools(host, era, subject):
        for name, listed in tool["inputSchema"]["properties"].items():
            for value in just_outside(listed):
                _assert_refused(failure(server.call(tool["name"], {**arguments, name: value})), tool, name, value)


def test_null_for_an_optional_argument_counts_as_absent(host: Host, era: Era, subject: Subject) -> None:
    for server, tool, arguments in _tools(host, era, subject):
        if subject.is_slow(tool["name"]):
            continue
        optional = tool["inputSchema"]["properties"].keys() - tool["inputSchema"].get("required", ())
        for name in sorted(optional):
            result = server.call(tool["name"], {**arguments, name: None})
            if result.get("isError"):
                refusal = failure(result)
                accepted = refusal.code != "invalid_argument" or f"'{name}'" not in refusal.text
                assert accepted, f"{tool['name']} does not take {name}=null: {refusal}"


def test_a_name_or_argument_of_a_prompt_that_does_not_exist_is_refused(host: Host, era: Era) -> None:
    server = host.connect(era, ready=False)
    assert protocol_failure(server.request("prompts/get", {"name": "no_such_prompt"})).code == "not_found"
    for prompt in server.result("prompts/list")["prompts"]:
        wanted = {argument["name"]: "x" for argument in prompt.get("arguments", ())}
        given = {"name": prompt["name"], "arguments": {**wanted, "unheard_of": "x"}}
        refusal = protocol_failure(server.request("prompts/get", given))
        assert (refusal.code, "'unheard_of'" in refusal.text) == ("invalid_argument", True), f"{refusal}"
        for argument in prompt.get("arguments", ()):
            if argument.get("required"):
                rest = {name: value for name, value in wanted.items() if name != argument["name"]}
                refusal = protocol_failure(server.request("prompts/get", {"name": prompt["name"], "arguments": rest}))
                assert (refusal.code, f"'{argument['name']}'" in refusal.text) == ("invalid_argument", True)


def _tools(host: Host, era: Era, subject: Subject) -> Iterator[tuple[Connection, Message, dict[str, Any]]]:
    """Yield each tool with a server that grants it and arguments that fit."""
    server = host.connect(era, *subject.every_grant, "--deadline-s", "2", ready=False)
    for name, tool in server.tools().items():
        yield server, tool, fitting(tool, subject.values_for(name))


def _assert_refused(refusal: Failure, tool: Mapping[str, Any], argument: str, value: Any = None) -> None:
    given = f"{tool['name']}({argument}={str(value)[:50]!r}): {refusal}"
    assert refusal.code == "invalid_argument", f"refused for another reason: {given}"
    assert f"'{argument}'" in refusal.text, f"the argument is not named: {given}"
