"""Every request leaves one line, enough to reconstruct what happened, without its secrets."""

import hashlib
import json

import pytest

from mcp_server_shared.contract.connection import MODERN, TRACE_ID, Era, Message
from mcp_server_shared.contract.host import Command, Host
from mcp_server_shared.contract.promises.failures import SECRETS, secret_part
from mcp_server_shared.contract.subject import Subject
from mcp_server_shared.contract.values import fitting

_ALWAYS = {"time", "level", "server", "version", "method", "request_id", "protocol", "caller", "outcome", "duration_ms"}


def test_every_request_leaves_one_line(host: Host, era: Era, subject: Subject) -> None:
    server = host.start_anew(era)
    first, *_ = server.tools()
    ids = [
        server.post("tools/list"),
        server.post("tools/call", {"name": first, "arguments": {"unheard_of": 1}}),
        server.post("resources/read", {"uri": "none://"}),
        server.post("no/such/method"),
        *[server.post("tools/call", {"name": e.name, "arguments": e.arguments}) for e in subject.examples],
    ]
    server.finish()
    logged = [line["request_id"] for line in _lines(server) if line.get("request_id") in ids]
    assert sorted(logged) == ids


def test_a_line_tells_who_called_what_with_which_outcome(host: Host, era: Era, subject: Subject) -> None:
    server = host.start(era)
    for example in subject.examples:
        line = _line(server, server.post("tools/call", {"name": example.name, "arguments": example.arguments}))
        assert line.keys() >= _ALWAYS | {"target", "output_characters"}, f"{example.name}: {sorted(line)}"
        told = (line["server"], line["method"], line["target"], line["outcome"], line["protocol"], line["trace_id"])
        assert told == (subject.program().about.package, "tools/call", example.name, "ok", era, TRACE_ID)
        assert line.get("arguments", {}).keys() == example.arguments.keys()


def test_a_line_of_a_failed_call_has_its_error_code(host: Host, era: Era) -> None:
    server = host.start(era)
    line = _line(server, server.post("tools/call", {"name": "no_such_tool", "arguments": {}}))
    assert (line["outcome"], line["error"], line["target"]) == ("error", "not_found", "no_such_tool")
    line = _line(server, server.post("resources/read", {"uri": "none://such"}))
    assert (line["outcome"], line["error"], line["target"]) == ("error", "not_found", "none://such")


def test_a_large_argument_is_cut_and_identified_by_its_digest(host: Host, era: Era) -> None:
    server, large = host.start(era), "0123456789" * 100_000
    name = next(iter(server.tools()))
    line = _line(server, server.post("tools/call", {"name": name, "arguments": {"padding": large}}))
    logged = line["arguments"]["padding"]
    digest = hashlib.sha256(large.encode()).hexdigest()
    assert (logged["bytes"], logged["sha256"], len(logged["head"]) <= 2_048) == (len(large), digest, True)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_secret_reaches_stderr(host: Host, era: Era, subject: Subject, secret: str) -> None:
    server = host.start(era)
    for name, tool in server.tools().items():
        arguments = fitting(tool, subject.values_for(name))
        for argument in () if subject.is_slow(name) else [*_text_arguments(tool), "other", secret]:
            server.call(name, {**arguments, argument: secret})
    server.request("resources/read", {"uri": f"none://{secret}"})
    server.request("prompts/get", {"name": secret, "arguments": {"other": secret}})
    assert secret_part(secret) not in server.log()


def test_a_value_under_the_name_of_a_secret_does_not_reach_stderr(host: Host, era: Era) -> None:
    server = host.start(era)
    for name in server.tools():
        server.call(name, {"password": "hunter-2-hunter", "nested": [{"apiKey": "hunter-2-hunter"}]})
    server.request("prompts/get", {"name": "no_such_prompt", "arguments": {"token": "hunter-2-hunter"}})
    assert "hunter-2-hunter" not in server.log()


@pytest.mark.parametrize(("setting", "most"), [("none", 0), ("preview", 200), ("full", None)])
def test_the_operator_decides_how_much_of_a_result_is_logged(
    host: Host, subject: Subject, setting: str, most: int | None
) -> None:
    server = host.start(MODERN, "--log-results", setting)
    for example in subject.examples:
        request_id = server.post("tools/call", {"name": example.name, "arguments": example.arguments})
        result = server.answer(request_id)["result"]
        output = _logged(server, request_id).get("output", "")
        if most is None:
            assert output.keys() >= {"content"}, f"{example.name}: {output}"
            assert len(output["content"]) == len(result["content"])
        else:
            assert len(output) == min(most, len(result["content"][0]["text"])), f"{example.name}: {output}"


def _line(server: Command, request_id: int) -> Message:
    server.answer(request_id)
    return _logged(server, request_id)


def _logged(server: Command, request_id: int) -> Message:
    found = [line for line in _lines(server) if line.get("request_id") == request_id]
    assert len(found) == 1, f"{len(found)} lines for one request"
    return found[0]


def _lines(server: Command) -> list[Message]:
    """Return the lines on stderr that are JSON; what libraries print in their own way may stand between them."""
    return [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]


def _text_arguments(tool: Message) -> list[str]:
    return [name for name, schema in tool["inputSchema"]["properties"].items() if schema.get("type") == "string"]
