"""What a model reads is complete and small, and names can be merged with those of other servers."""

import re
from collections.abc import Iterator
from typing import Any, cast

from mcp_server_shared.contract.connection import HANDSHAKE, MODERN, Connection, Message
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject
from mcp_server_shared.output import compact

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_HINTS = {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
_LONGEST_NAME = 64


def test_what_a_model_reads_stays_within_its_budget(host: Host, subject: Subject) -> None:
    granted = host.connect(HANDSHAKE, *subject.every_grant, ready=False)
    found = (_tokens(host.connect(HANDSHAKE, ready=False)), _tokens(granted))
    assert all(tokens <= most for tokens, most in zip(found, subject.most_tokens, strict=True)), (
        f"{found} tokens read-only and with every grant, of {subject.most_tokens}"
    )


def test_every_tool_has_a_title_a_description_and_all_four_hints(host: Host, subject: Subject) -> None:
    for name, tool in _tools(host, subject).items():
        assert tool.get("title"), f"{name} has no title"
        assert tool.get("description"), f"{name} has no description"
        hints = {hint for hint, value in tool.get("annotations", {}).items() if isinstance(value, bool)}
        assert hints >= _HINTS, f"{name} lacks {sorted(_HINTS - hints)}"


def test_every_argument_has_a_description(host: Host, subject: Subject) -> None:
    for name, tool in _tools(host, subject).items():
        arguments: Message = tool["inputSchema"]["properties"]
        silent = [a for a, schema in arguments.items() if not schema.get("description") and a != "cursor"]
        assert silent == [], f"{name} does not describe {silent}"


def test_schemas_have_nothing_that_a_model_pays_for_in_vain(host: Host, subject: Subject) -> None:
    for name, tool in _tools(host, subject).items():
        schema = tool["inputSchema"]
        assert schema.get("additionalProperties") is False, f"{name} seems to take unknown arguments"
        for node in _schemas(schema):
            assert "title" not in node, f"{name}: a title in {compact(node)}"
            assert "null" not in node.get("type", ""), f"{name}: a null in {compact(node)}"


def test_prompts_and_resources_have_titles_and_descriptions(host: Host, subject: Subject) -> None:
    server = host.connect(MODERN, *subject.every_grant, ready=False)
    prompts: list[Message] = server.result("prompts/list")["prompts"]
    arguments = [argument for prompt in prompts for argument in prompt.get("arguments", ())]
    for listed in [*prompts, *server.result("resources/templates/list")["resourceTemplates"]]:
        assert listed.get("title"), f"no title: {listed}"
        assert listed.get("description"), f"no description: {listed}"
    assert [argument["name"] for argument in arguments if not argument.get("description")] == []


def test_every_tool_that_reads_has_an_example(host: Host, subject: Subject) -> None:
    examples = {example.name for example in (*subject.examples, *subject.slow)}
    silent = set(host.connect(MODERN, ready=False).tools()) - examples
    assert silent == set(), "the subject names no call of these, so nothing is proven of them"


def test_every_prompt_and_kind_of_resource_has_an_example(host: Host, subject: Subject) -> None:
    server = host.connect(MODERN, ready=False)
    prompts = {prompt["name"] for prompt in server.result("prompts/list")["prompts"]}
    assert prompts - {example.name for example in subject.prompts} == set(), (
        "name a use of these prompts in the subject"
    )
    templates = server.result("resources/templates/list")["resourceTemplates"]
    assert len(subject.resources) >= len(templates), "name a resource of each template in the subject"


def test_names_are_short_and_in_snake_case(host: Host, subject: Subject) -> None:
    prompts = host.connect(MODERN, *subject.every_grant, ready=False).result("prompts/list")["prompts"]
    names = [*_tools(host, subject), *[prompt["name"] for prompt in prompts]]
    assert [name for name in names if not _SNAKE_CASE.fullmatch(name) or len(name) > _LONGEST_NAME] == []


def _tools(host: Host, subject: Subject) -> dict[str, Message]:
    return host.connect(MODERN, *subject.every_grant, ready=False).tools()


def _tokens(server: Connection) -> int:
    """Estimate what every conversation with the server pays for."""
    parts = [server.handshake.get("instructions", "")]
    for tool in server.tools().values():
        parts += [tool["name"], tool.get("description", ""), compact(tool["inputSchema"])]
    return sum(map(len, parts)) // 4


def _schemas(node: Any) -> Iterator[Message]:
    """Yield every schema inside a schema, itself included; not the mappings of names to schemas."""
    if isinstance(node, list):
        for item in cast(list[Any], node):
            yield from _schemas(item)
    elif isinstance(node, dict):
        schema = cast(Message, node)
        yield schema
        for key, value in schema.items():
            named = key in {"properties", "$defs", "patternProperties"}
            yield from _schemas(list(value.values()) if named else value)
