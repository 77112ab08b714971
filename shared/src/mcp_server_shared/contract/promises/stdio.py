"""Nothing but protocol on stdout (promise 6), whatever arrives on stdin, and an orderly end.

That stdout carries messages alone is checked by every check that starts a process: `Connection.receive` fails on
anything else.
"""

import signal

import pytest

from mcp_server_shared.contract.connection import HANDSHAKE, MODERN, Era
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject

_PARSE_ERROR, _INVALID_REQUEST, _METHOD_NOT_FOUND = -32700, -32600, -32601
_LIMIT = 5_000


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"no json", _PARSE_ERROR),
        (b'{"jsonrpc":"2.0","method":"\xff"}', _PARSE_ERROR),
        (b'{"jsonrpc":"2.0","method":"\\ud800"}', _PARSE_ERROR),
        (b"[" * 4_000, _PARSE_ERROR),
        (b"7", _INVALID_REQUEST),
        (b"{}", _INVALID_REQUEST),
        (b"[]", _INVALID_REQUEST),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', _INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","method":"' + b"x" * _LIMIT + b'"}', _INVALID_REQUEST),
    ],
    ids=["text", "not-utf-8", "lone-surrogate", "deep", "number", "object", "nothing", "batch", "oversized"],
)
def test_what_is_no_message_is_refused_and_serving_goes_on(host: Host, era: Era, line: bytes, code: int) -> None:
    server = host.start(era, "--max-message-bytes", str(_LIMIT), ready=False)
    server.send(line)
    assert server.answer(None)["error"]["code"] == code
    server.result("tools/list")


def test_an_oversized_request_is_refused_by_its_id(host: Host, era: Era) -> None:
    server = host.start(era, "--max-message-bytes", str(_LIMIT), ready=False)
    answer = server.request("tools/call", {"name": "x", "arguments": {"padding": "x" * 10 * _LIMIT}})
    assert answer["error"]["code"] == _INVALID_REQUEST


def test_an_unknown_method_is_not_found(host: Host, era: Era) -> None:
    server = host.start(era, ready=False)
    assert server.request("no/such/method")["error"]["code"] == _METHOD_NOT_FOUND


def test_a_request_before_the_handshake_is_refused_and_the_handshake_still_works(host: Host) -> None:
    server = host.start_anew(HANDSHAKE, ready=False, initialized=False)
    assert "error" in server.request("tools/list")
    server.initialize()
    server.result("tools/list")


def test_a_request_followed_by_the_end_of_stdin_is_answered_before_the_process_ends(host: Host, era: Era) -> None:
    server = host.start_anew(era, ready=False)
    last = server.post("tools/list")
    assert [message["id"] for message in server.finish()] == [last]
    assert server.wait() == 0


def test_the_process_ends_with_code_0_and_without_a_word_on_a_signal(host: Host, era: Era, subject: Subject) -> None:
    server = host.start_anew(era, "--log-level", "error")
    for slow in subject.slow:
        server.post("tools/call", {"name": slow.name, "arguments": slow.arguments})
    server.result("tools/list")
    server.process.send_signal(signal.SIGTERM)
    assert (server.wait(), server.log()) == (0, "")


def test_stdout_carries_nothing_but_messages_until_the_end(host: Host, subject: Subject) -> None:
    server = host.start_anew(MODERN)
    for example in subject.examples:
        server.call(example.name, example.arguments)
    server.finish()
    assert server.wait() == 0
