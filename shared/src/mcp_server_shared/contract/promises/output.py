"""Output is bounded, and whole in either form."""

from typing import Any

import pytest

from mcp_server_shared.contract.connection import Era, Message
from mcp_server_shared.contract.forms import Reading, failure, pages, reading, rows_of, size
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Example, Subject

_LEAST = ("--max-output-characters", "1000")
_MOST = ("--max-output-characters", "1000000")


def test_the_text_alone_says_everything_that_the_structured_form_says(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, *_LEAST)
    for example in _records(host, era, subject):
        for page in pages(server, example.name, dict(example.arguments)):
            assert page.records() == page.structured, f"{example.name}: the forms differ"


def test_a_result_has_the_structured_form_exactly_when_its_tool_lists_a_schema(
    host: Host, era: Era, subject: Subject
) -> None:
    server = host.connect(era)
    tools = server.tools()
    for example in subject.examples:
        result = server.call(example.name, example.arguments)
        schema = tools[example.name].get("outputSchema")
        assert (schema is None) == ("structuredContent" not in result), f"{example.name}: schema {schema}"
        if schema is not None:
            _assert_fits(result["structuredContent"], schema)


def test_results_as_text_have_no_structured_form_and_say_as_much(host: Host, era: Era, subject: Subject) -> None:
    both, text = host.connect(era), host.connect(era, "--results", "text")
    assert [name for name, tool in text.tools().items() if "outputSchema" in tool] == []
    for example in subject.examples:
        result = text.call(example.name, example.arguments)
        assert "structuredContent" not in result, example.name
        assert _stable(reading(result)) == _stable(reading(both.call(example.name, example.arguments))), example.name


def test_no_result_is_larger_than_the_budget_in_either_form(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, *_LEAST)
    for example in subject.examples:
        result = server.call(example.name, example.arguments)
        text = "".join(part.get("text", "") for part in result["content"])
        assert size(text) <= 1_000, f"{example.name}: {size(text)} characters of text"
        structured = size(result.get("structuredContent", ""))
        assert structured <= 1_000, f"{example.name}: {structured} characters of structuredContent"
        if result.get("isError"):
            assert failure(result).code == "too_large", example.name


def test_no_resource_is_larger_than_the_budget(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, *_LEAST)
    for uri in subject.resources:
        for contents in server.result("resources/read", {"uri": uri})["contents"]:
            assert size(contents.get("text", "")) <= 1_000, uri


def test_a_result_that_is_not_whole_says_so(host: Host, era: Era, subject: Subject) -> None:
    least, most = host.connect(era, *_LEAST), host.connect(era, *_MOST)
    for example in subject.examples:
        result = least.call(example.name, example.arguments)
        whole = reading(most.call(example.name, example.arguments))
        if not result.get("isError") and reading(result).parts() != whole.parts():
            assert reading(result).facts.get("truncated") is True, f"{example.name}: {reading(result).facts}"


def test_the_pages_of_a_result_make_up_the_whole(host: Host, era: Era, subject: Subject) -> None:
    least, most = host.connect(era, *_LEAST), host.connect(era, *_MOST)
    for example in _paged(subject):
        read = pages(least, example.name, dict(example.arguments))
        assert len(read) > 1, f"{example.name} has less than 1,000 characters: nothing is proven"
        whole = pages(most, example.name, dict(example.arguments))
        assert _joined(read) == _joined(whole), f"{example.name}: the pages are not the whole"
        assert all(page.facts.get("truncated") is True for page in read[:-1]), f"{example.name}: a page looks whole"
        assert "truncated" not in read[-1].facts, f"{example.name}: the last page looks cut"


@pytest.mark.parametrize("change", ["head", "tail", "cut", "longer", "garbage", "empty"])
def test_a_cursor_that_was_tampered_with_is_refused(host: Host, era: Era, subject: Subject, change: str) -> None:
    server = host.connect(era, *_LEAST)
    for example in _paged(subject):
        cursor = _first_cursor(host, era, example)
        other = "A" if cursor[0] != "A" else "B"
        tampered = {
            "head": other + cursor[1:],
            "tail": cursor[:-8] + ("AAAA" if cursor[-8:-4] != "AAAA" else "BBBB") + cursor[-4:],
            "cut": cursor[:-4],
            "longer": cursor + "AAAA",
            "garbage": "é no cursor",
            "empty": "",
        }[change]
        refusal = failure(server.call(example.name, {**example.arguments, "cursor": tampered}))
        assert (refusal.code, "'cursor'" in refusal.text) == ("invalid_argument", True), f"{example.name}: {refusal}"


def test_a_cursor_of_another_call_is_refused(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era, *_LEAST)
    for example in _paged(subject):
        for other in _paged(subject):
            if other != example:
                cursor = _first_cursor(host, era, other)
                refusal = failure(server.call(example.name, {**example.arguments, "cursor": cursor}))
                assert refusal.code == "invalid_argument", f"{other.name}'s cursor in {example.name}: {refusal}"


def test_a_cursor_of_another_process_is_refused(host: Host, era: Era, subject: Subject) -> None:
    stranger = host.connect_anew(era, *_LEAST)
    for example in _paged(subject):
        cursor = _first_cursor(host, era, example)
        refusal = failure(stranger.call(example.name, {**example.arguments, "cursor": cursor}))
        assert refusal.code == "invalid_argument", f"{example.name}: {refusal}"


def _records(host: Host, era: Era, subject: Subject) -> list[Example]:
    tools = host.connect(era).tools()
    return [example for example in subject.examples if "outputSchema" in tools[example.name]]


def _paged(subject: Subject) -> list[Example]:
    return [example for example in subject.examples if example.paged]


def _first_cursor(host: Host, era: Era, example: Example) -> str:
    cursor = reading(host.connect(era, *_LEAST).call(example.name, example.arguments)).cursor
    assert cursor is not None, f"{example.name} has less than 1,000 characters, or gives no cursor"
    return cursor


def _joined(read: list[Reading]) -> Any:
    """Return all rows, or the whole text."""
    if read[0].structured is None:
        return "".join(page.body for page in read)
    return [row for page in read for row in rows_of(page.structured or {})]


def _stable(read: Reading) -> tuple[Message, str]:
    return read.facts | {"cursor": None}, read.body


def _assert_fits(structured: Message, schema: Message) -> None:
    kinds: dict[str, type] = {"integer": int, "boolean": bool, "string": str, "object": dict, "array": list}
    assert set(schema.get("required", ())) <= structured.keys(), f"{schema['required']} in {structured.keys()}"
    for name, listed in schema["properties"].items():
        assert isinstance(structured.get(name, kinds[listed["type"]]()), kinds[listed["type"]]), f"{name}: {structured}"
