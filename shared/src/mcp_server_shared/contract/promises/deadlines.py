"""Calls have a deadline, and a cancelled one stops and sends nothing more."""

from mcp_server_shared.contract.connection import Era
from mcp_server_shared.contract.forms import failure
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject


def test_others_are_answered_while_a_call_takes_its_time_until_its_deadline(
    host: Host, era: Era, subject: Subject
) -> None:
    server = host.connect(era, "--deadline-s", "0.5")
    for slow in subject.slow:
        slow_id = server.post("tools/call", {"name": slow.name, "arguments": slow.arguments})
        list_id = server.post("tools/list")
        answers = {answer["id"]: answer for answer in (server.receive(), server.receive()) if answer}
        assert list(answers) == [list_id, slow_id], f"{slow.name} held up another request"
        stopped = failure(answers[slow_id]["result"])
        assert stopped.code == "timeout", f"{slow.name}: {stopped}"


def test_a_call_past_its_deadline_leaves_no_work_behind(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect_anew(era, "--deadline-s", "2", "--threads", "1")
    for slow in subject.slow:
        server.call(slow.name, slow.arguments)
        for example in subject.examples:
            result = server.call(example.name, example.arguments)
            text = result["content"][0].get("text")
            assert not result.get("isError"), f"{example.name} after {slow.name}, does its thread still work?: {text}"


def test_a_cancelled_call_is_never_answered(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect_anew(era)
    for slow in subject.slow:
        cancelled = server.post("tools/call", {"name": slow.name, "arguments": slow.arguments})
        server.tools()  # answered after the call has begun
        server.notify("notifications/cancelled", {"requestId": cancelled})
    server.tools()
    assert server.finish() == []
