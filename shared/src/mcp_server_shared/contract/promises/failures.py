"""Errors are content that a model can act on."""

import pytest

from mcp_server_shared.contract.connection import Connection, Era, Message
from mcp_server_shared.contract.forms import Failure, failure, protocol_failure, reading
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject
from mcp_server_shared.contract.values import HOSTILE, fitting

_NOT_JSON_RPC = {-32700, -32600}
SECRETS = {  # each tells by its form that it is one
    "github": "ghp_q7Zt0aB3dE5fG8hJ1kL2mN4pQ6rS9uVwXyZ0",
    "slack": "xoxb-123456789012-123456789012-q7Zt0aB3dE5fG8hJ1kL2mN4p",
    "address": "postgresql://reader:correct-horse-battery@db.invalid/app",
}


def test_an_unknown_tool_is_not_found_and_near_names_are_offered(host: Host, era: Era) -> None:
    server = host.connect(era, ready=False)
    for name in server.tools():
        refusal = failure(server.call(name + "s", {}))
        assert (refusal.code, name in refusal.text) == ("not_found", True), f"{name}s: {refusal}"


def test_hostile_values_are_answered_with_a_result_or_a_readable_error(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, "--deadline-s", "5", "--max-message-bytes", "1000000")
    for name, tool in server.tools().items():
        arguments = fitting(tool, subject.values_for(name))
        for argument in tool["inputSchema"]["properties"]:
            for value in HOSTILE:
                if not subject.is_slow(name):
                    answer = server.request("tools/call", {"name": name, "arguments": {**arguments, argument: value}})
                    _assert_readable(answer, f"{name}({argument}={str(value)[:50]!r})")


def test_hostile_names_and_addresses_are_answered_with_a_readable_error(host: Host, era: Era) -> None:
    server = host.connect(era, "--max-message-bytes", "1000000")
    for value in HOSTILE:
        if isinstance(value, str):
            _assert_readable(server.request("tools/call", {"name": value, "arguments": {}}), f"tool {value[:50]!r}")
            for answer in _failing_requests(server, value):
                if answer["error"]["code"] not in _NOT_JSON_RPC:
                    protocol_failure(answer)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_an_error_does_not_repeat_a_secret(host: Host, era: Era, subject: Subject, secret: str) -> None:
    server = host.connect(era)
    for name, tool in server.tools().items():
        arguments = fitting(tool, subject.values_for(name))
        for argument in () if subject.is_slow(name) else [*tool["inputSchema"]["properties"], "password", secret]:
            result = server.call(name, {**arguments, argument: secret})
            if result.get("isError"):
                text = failure(result).text
                assert secret_part(secret) not in text, f"{name}({argument[:20]}=…): {text}"
    for answer in _failing_requests(server, secret):
        assert secret_part(secret) not in protocol_failure(answer).text


def test_other_requests_carry_the_same_machine_readable_error(host: Host, era: Era) -> None:
    for answer in _failing_requests(host.connect(era, ready=False), "no_such_thing"):
        refusal = protocol_failure(answer)
        assert refusal.code in {"not_found", "invalid_argument"}, f"{refusal}"


def test_a_list_has_one_page_and_refuses_a_cursor(host: Host, era: Era) -> None:
    for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list"):
        refusal = protocol_failure(host.connect(era, ready=False).request(method, {"cursor": "2"}))
        assert (refusal.code, "cursor" in refusal.text) == ("invalid_argument", True), f"{method}: {refusal}"


def test_no_error_is_returned_as_success(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era)
    for example in subject.examples:
        read = reading(server.call(example.name, example.arguments))
        assert not read.facts.keys() & {"error", "isError", "code", "traceback"}, f"{example.name}: {read.facts}"


def _failing_requests(server: Connection, name: str) -> list[Message]:
    argument = {"name": name, "value": ""}
    return [
        server.request("prompts/get", {"name": name}),
        server.request("resources/read", {"uri": name}),
        server.request("completion/complete", {"ref": {"type": "ref/prompt", "name": name}, "argument": argument}),
        server.request("completion/complete", {"ref": {"type": "ref/resource", "uri": name}, "argument": argument}),
    ]


def _assert_readable(answer: Message, what: str) -> Failure | None:
    try:
        if "error" in answer:
            assert answer["error"]["code"] in _NOT_JSON_RPC, f"a protocol error: {answer['error']}"
            return None
        return failure(answer["result"]) if answer["result"].get("isError") else None
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None


def secret_part(secret: str) -> str:
    """Return what must not be seen of a secret: of an address, its password."""
    return secret.partition("reader:")[2].partition("@")[0] or secret
