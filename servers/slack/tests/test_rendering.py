"""From Markdown to Slack's rich text, and from Slack's notation to what a reader sees."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_slack.channels import Reference, reference
from mcp_server_slack.drafts import draft
from mcp_server_slack.links import addresses
from mcp_server_slack.markdown import rich_text
from mcp_server_slack.messages import readable
from mcp_server_slack.rich_text import escape, text_of_blocks
from mcp_server_slack.times import moment, shown

NAMES = {"U12345678": "Ann"}


def text_of(markdown: str) -> str:
    return text_of_blocks([{"type": "rich_text", "elements": rich_text(markdown)}])


def elements_of(markdown: str) -> list[dict[str, Any]]:
    [part] = rich_text(markdown)
    return part["elements"]


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("one\n\ntwo\nthree", "one\n\ntwo\nthree"),
        ("# Title\n\ntext", "*Title*\n\ntext"),
        ("**bold** *italic* ~~gone~~ `a*b`", "*bold* _italic_ ~gone~ `a*b`"),
        ("- a\n- b\n  - c\n- d", "• a\n• b\n    • c\n• d"),
        ("3. a\n4. b\n   - x\n5. c", "3. a\n4. b\n    • x\n5. c"),
        ("> quoted\n> twice\n\nafter", "&gt; quoted\n&gt; twice\nafter"),
        ("> - in a quote", "&gt; • in a quote"),
        ("```py\nx < 1\n```", "```\nx &lt; 1\n```"),
        ("[words](https://a.example/b)", "<https://a.example/b|words>"),
        ("https://a.example/b.", "<https://a.example/b>."),
        ("![alt](https://a.example/i.png)", "<https://a.example/i.png|alt>"),
        ("[mail](mailto:a@b.example)", "<mailto:a@b.example|mail>"),
        ("[x](ftp://a.example)", "x (ftp://a.example)"),
        ("<@U12345678> and <@W12345678|Ann>", "<@U12345678> and <@W12345678>"),
        (":tada: at 10:30:45", ":tada: at 10:30:45"),
        ("a\n\n---\n\nb", f"a\n\n{'―' * 10}\n\nb"),
        ("| a | b |\n|---|---|\n| 1 | **22** |", "```\na  b\n-  --\n1  22\n```"),
        ("<b>html</b> &amp; < >", "&lt;b&gt;html&lt;/b&gt; &amp; &lt; &gt;"),
    ],
)
def test_markdown_becomes_what_slack_shows(markdown: str, text: str) -> None:
    assert text_of(markdown) == text


def test_a_mention_in_code_is_text() -> None:
    assert elements_of("`<@U12345678>`") == [{"type": "text", "text": "<@U12345678>", "style": {"code": True}}]


def test_the_notation_of_invisible_characters_is_read() -> None:
    assert draft("a⟦U+00A0⟧b", mass_mentions=False, home="").text == "a\u00a0b"


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("<>!@#&;|*_~`[]()\\: -\nhertcanlU12345678S^"), min_size=1, max_size=60))
def test_no_text_gets_past_the_elements_into_slacks_notation(markdown: str) -> None:
    parts = rich_text(markdown)
    kinds = {element["type"] for part in parts for element in _flat(part)}
    text = text_of_blocks([{"type": "rich_text", "elements": parts}])
    assert ("<!" in text) == bool(kinds & {"broadcast", "usergroup"})
    assert ("<@" in text) == ("user" in kinds)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_any_text_is_taken(markdown: str) -> None:
    assert isinstance(text_of(markdown), str)


@settings(deadline=None)
@given(st.from_regex(r"https://[a-z]{1,8}\.example/[a-z0-9/?=&]{0,30}[a-z0-9]", fullmatch=True), st.sampled_from("ab"))
def test_every_link_that_is_shown_is_looked_at(address: str, label: str) -> None:
    for markdown in (address, f"[{label}]({address})", f"**{address}**", f"- {address}"):
        found = draft(markdown, mass_mentions=False, home="").addresses
        assert address in found or address.replace("&", "&amp;") in found


def _flat(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [part, *(inner for element in part.get("elements", []) for inner in _flat(element))]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<@U12345678>", "<@U12345678|Ann>"),
        ("<@U87654321>", "<@U87654321>"),
        ("<#C12345678|general> <#C12345678>", "#general <#C12345678>"),
        ("<!here> <!channel|channel> <!subteam^S1|@ops>", "@here channel @ops"),
        ("<!subteam^S1>", "<!subteam^S1>"),
        ("<!date^1700000000^{date}|14 Nov>", "14 Nov"),
        ("<https://a.example/b>", "https://a.example/b"),
        ("<https://a.example/|a.example>", "https://a.example/"),
        ("<https://evil.example/?q=1|https://bank.example>", "https://bank.example (https://evil.example/?q=1)"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
        ('Promise<string> &lt;T&gt; it\'s "x"', 'Promise<string> <T> it\'s "x"'),
        ("1 < 2 > 0", "1 < 2 > 0"),
    ],
)
def test_slacks_notation_becomes_what_a_reader_sees(text: str, seen: str) -> None:
    assert readable(text, NAMES) == seen


@settings(deadline=None)
@given(st.text(max_size=200))
def test_what_was_written_plainly_is_read_exactly(text: str) -> None:
    assert readable(escape(text), NAMES) == text


@settings(deadline=None)
@given(st.text(max_size=100))
def test_any_notation_is_taken(text: str) -> None:
    readable(text, NAMES)
    addresses(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C12345678", Reference(id="C12345678")),
        ("#General", Reference(name="general")),
        ("日本語", Reference(name="日本語")),
        ("U12345678", Reference(id="U12345678")),
        (
            "https://acme.slack.com/archives/C12345678/p1732094040123456",
            Reference(id="C12345678", ts="1732094040.123456"),
        ),
        (
            "https://acme.slack.com/archives/C12345678/p1732094040123456?thread_ts=1732094000.000001&cid=C12345678",
            Reference(id="C12345678", ts="1732094040.123456", thread="1732094000.000001"),
        ),
    ],
)
def test_a_channel_is_named_in_many_ways(text: str, expected: Reference) -> None:
    assert reference(text) == expected


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("2026-11-16", "2026-11-16 00:00"),
        ("2026-11-16T09:14Z", "2026-11-16 09:14"),
        ("2026-11-16T09:14+02:00", "2026-11-16 07:14"),
        ("1700000000.000100", "2023-11-14 22:13"),
    ],
)
def test_moments_are_read_as_people_write_them(text: str, seen: str) -> None:
    assert shown(moment(text)) == seen
