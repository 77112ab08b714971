"""Text by third parties is marked, and exact values stay exact."""

from mcp_server_shared.contract.connection import Era, Message
from mcp_server_shared.contract.forms import read_text, reading
from mcp_server_shared.contract.host import Host
from mcp_server_shared.contract.subject import Subject
from mcp_server_shared.output import LABELS_META_KEY


def test_every_result_says_who_wrote_it_and_who_may_see_it(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era)
    for example in subject.examples:
        _assert_labels(reading(server.call(example.name, example.arguments)).labels, example.name)


def test_text_by_third_parties_stands_between_delimiters_and_other_text_does_not(
    host: Host, era: Era, subject: Subject
) -> None:
    server = host.connect(era)
    for example in subject.examples:
        result = server.call(example.name, example.arguments)
        read = reading(result)
        is_marked = read.nonce is not None
        if any(part["type"] != "text" for part in result["content"]):  # an image has no place for marks
            assert read.labels.get("integrity") == "untrusted", f"{example.name} vouches for an image or a sound"
            continue
        assert is_marked == (read.labels.get("integrity") == "untrusted"), f"{example.name}: {read.text[:300]}"
        if read.structured is not None:
            assert ("untrusted" in read.structured) == is_marked, f"{example.name}: {read.structured.keys()}"
            assert ("rows" in read.structured) != is_marked, f"{example.name}: {read.structured.keys()}"


def test_nobody_can_guess_a_delimiter(host: Host, era: Era, subject: Subject) -> None:
    server = host.connect(era)
    for example in subject.examples:
        nonces = [reading(server.call(example.name, example.arguments)).nonce for _ in range(2)]
        assert nonces[0] is None or nonces[0] != nonces[1], f"{example.name}: {nonces}"


def test_a_resource_is_marked_text_with_labels(host: Host, era: Era, subject: Subject) -> None:
    for uri in subject.resources:
        for contents in host.connect(era).result("resources/read", {"uri": uri})["contents"]:
            _assert_resource(contents, uri)


def test_a_resource_attached_to_a_prompt_is_marked_too(host: Host, era: Era, subject: Subject) -> None:
    for example in subject.prompts:
        given = {"name": example.name, "arguments": example.arguments}
        messages = host.connect(era).result("prompts/get", given)["messages"]
        assert messages, f"{example.name} says nothing"
        for message in messages:
            if message["content"]["type"] == "resource":
                _assert_resource(message["content"]["resource"], example.name)


def _assert_resource(contents: Message, what: str) -> None:
    _assert_labels(contents.get("_meta", {}).get(LABELS_META_KEY, {}), what)
    if "text" in contents:
        assert contents["mimeType"] == "text/plain", f"{what}: with its marks it is no {contents['mimeType']}"
        assert read_text(contents["text"], None, {}).nonce is not None, f"{what} is not marked"


def _assert_labels(labels: Message, what: str) -> None:
    assert labels.get("integrity") in {"trusted", "untrusted"}, f"{what}: labels {labels}"
    assert labels.get("confidentiality") in {"private", "public"}, f"{what}: labels {labels}"
