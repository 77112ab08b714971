"""Output: each form within the budget, whole in itself, exact, and continued until everything was seen once."""

import json
from collections.abc import Sequence
from typing import Any, Literal, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import (
    AudioContent,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from mcp_server_shared.cursors import Cursors
from mcp_server_shared.errors import TooLarge
from mcp_server_shared.output import (
    Attached,
    Blob,
    Document,
    Media,
    Output,
    Records,
    Rendering,
    Said,
    carriable,
    compact,
)
from mcp_server_shared.untrusted import read_notation

BOUND = ("local", "tool")
CURSORS = Cursors()

# Every character that has ever been trouble, and ordinary ones between them.
texts = st.lists(
    st.sampled_from(
        ["a", "ä", "\n", "\r\n", "\r", "\x00", "\u202e", "\u2028", "\ud800", "⟦U+", "⟦U+202E⟧", '"', "\\", "💩"]
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
long_texts = texts.flatmap(lambda text: st.integers(1, 80).map(lambda times: text * times))
facts = st.dictionaries(st.sampled_from(["total", "path", "note"]), values, max_size=3)


def rendering(budget: int, results: Literal["both", "text"] = "both") -> Rendering:
    return Rendering(
        budget=budget,
        structured=results == "both",
        confidentiality="private",
        mint=lambda position: CURSORS.mint(position, bound_to=BOUND),
    )


def rendered(output: Output, budget: int = 25_000, results: Literal["both", "text"] = "both") -> CallToolResult:
    return CallToolResult.model_validate(anyio.run(rendering(budget, results).tool_result, output), by_name=False)


def structured_of(result: CallToolResult) -> dict[str, Any]:
    assert result.structured_content is not None
    return result.structured_content


def text_of(result: CallToolResult) -> str:
    [part] = result.content
    assert isinstance(part, TextContent)
    return part.text


def on_the_wire(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def opened(cursor: str) -> Any:
    return CURSORS.open(cursor, bound_to=BOUND)


def body_of(text: str) -> str:
    """Return what stands between the delimiters, as it was."""
    _, opening, *lines, closing = text.split("\n")
    assert opening.startswith("<untrusted-")
    assert closing == opening.replace("<", "</")
    return read_notation("\n".join(lines))


def read_text_form(text: str) -> dict[str, Any]:
    """Read the text form of records into the shape of the structured one."""
    columns, *rows = body_of(text).split("\n")
    body = {"columns": json.loads(columns), "rows": [json.loads(row) for row in rows]}
    return {**json.loads(read_notation(text.partition("\n")[0])), "untrusted": body}


# Records


@st.composite
def tables(draw: st.DrawFn, cells: st.SearchStrategy[Any] = values | long_texts) -> Records:
    columns = draw(st.lists(texts, min_size=1, max_size=3))
    rows = draw(st.lists(st.tuples(*[cells] * len(columns)), max_size=12))
    return Records(columns=columns, rows=rows, facts=draw(facts), more=draw(st.booleans()), resume=lambda kept: kept)


@given(tables(), st.integers(1_000, 5_000))
def test_each_form_of_records_keeps_to_the_budget(table: Records, budget: int) -> None:
    try:
        result = rendered(table, budget)
    except TooLarge:
        return
    assert len(text_of(result)) <= budget
    assert len(on_the_wire(result.structured_content)) <= budget


@given(st.lists(st.integers(0, 3_000), min_size=2, max_size=20), st.integers(1_000, 4_000))
def test_the_budget_holds_whatever_the_lengths_of_the_cursors(lengths: list[int], budget: int) -> None:
    table = Records(columns=["n"], rows=[[n] for n in lengths], more=True, resume=lambda kept: "k" * lengths[kept - 1])
    try:
        result = rendered(table, budget)
    except TooLarge:
        return
    assert len(text_of(result)) <= budget


@given(tables())
def test_both_forms_of_records_say_the_same(table: Records) -> None:
    result = rendered(table)
    assert carriable(read_text_form(text_of(result))) == json.loads(on_the_wire(result.structured_content))


@given(tables())
def test_the_text_form_of_records_gives_back_the_exact_values(table: Records) -> None:
    body = read_text_form(text_of(rendered(table)))["untrusted"]
    assert body == {"columns": table.columns, "rows": [list(row) for row in table.rows]}


@given(facts)
def test_the_first_line_gives_back_the_exact_facts(metadata: dict[str, Any]) -> None:
    outputs = (
        Records(columns=[], rows=[], facts=metadata),
        Document(text="x", facts=metadata),
        Media(data=b"x", mime_type="image/png", facts=metadata),
    )
    for output in outputs:
        line = cast(TextContent, rendered(output).content[0]).text.partition("\n")[0]
        found = json.loads(read_notation(line))
        assert {name: value for name, value in found.items() if name != "count"} == metadata


def test_what_json_cannot_carry_is_shown_in_records_of_our_own_too() -> None:
    result = rendered(Records(columns=["path"], rows=[["\udce9\u202e"]], untrusted=False))
    assert text_of(result) == '{"count":1}\n["path"]\n["⟦U+DCE9⟧⟦U+202E⟧"]'


NAMES = ["\udcff.txt", "⟦U+202E⟧x", "\u202ex", "⟦", "⟦U+27E6⟧"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_found_by_what_either_form_shows_of_it(name: str) -> None:
    result = rendered(Records(columns=["name"], rows=[[name]], facts={"path": name}))
    structured = json.loads(on_the_wire(structured_of(result)))
    shown = [
        structured["path"],
        structured["untrusted"]["rows"][0][0],
        json.loads(text_of(result).split("\n")[0])["path"],
        json.loads(text_of(result).split("\n")[3])[0],
        json.loads(text_of(rendered(Document(text="x", facts={"path": name}))).split("\n")[0])["path"],
    ]
    assert list(map(read_notation, shown)) == [name] * 5


@given(tables(values.filter(lambda value: carriable(value) == value)))
def test_the_structured_form_of_records_is_byte_exact(table: Records) -> None:
    structured = structured_of(rendered(table))
    assert structured["untrusted"]["rows"] == [list(row) for row in table.rows]


@given(tables())
def test_the_structured_form_can_always_be_carried_as_utf_8(table: Records) -> None:
    assert on_the_wire(rendered(table).structured_content).encode()


@given(tables())
def test_the_first_line_can_always_be_carried_as_utf_8(table: Records) -> None:
    assert text_of(rendered(table)).encode()


@given(st.lists(st.tuples(texts, st.integers()), max_size=60), st.integers(1_000, 1_400), st.integers(1, 20))
def test_paging_through_records_gives_every_row_exactly_once(
    rows: Sequence[tuple[str, int]], budget: int, limit: int
) -> None:
    seen: list[Any] = []
    position: int | None = 0
    while position is not None:
        start = position
        page = Records(
            columns=["text", "number"],
            rows=rows[start : start + limit],
            more=start + limit < len(rows),
            resume=lambda kept, start=start: start + kept,
        )
        shown = read_text_form(text_of(rendered(page, budget)))
        assert shown["count"] == len(shown["untrusted"]["rows"])
        assert shown.get("truncated", False) == ("cursor" in shown)
        seen += shown["untrusted"]["rows"]
        position = opened(shown["cursor"]) if "cursor" in shown else None
    assert seen == [list(row) for row in rows]


@pytest.mark.parametrize("times", range(10, 60))
def test_the_budget_holds_for_characters_that_only_one_form_has_to_escape(times: int) -> None:
    table = Records(columns=["a"], rows=[["\ud800" + "\x01" * times]] * 10)
    assert len(on_the_wire(rendered(table, 1_000).structured_content)) <= 1_000


def test_what_cannot_be_continued_says_truncated_without_a_cursor() -> None:
    structured = structured_of(rendered(Records(columns=["a"], rows=[["x" * 300]] * 10), 1_000))
    assert (structured["truncated"], "cursor" in structured) == (True, False)


def test_a_row_that_exceeds_the_budget_is_too_large() -> None:
    with pytest.raises(TooLarge, match=r"Not even one row fits the 1,000 characters"):
        rendered(Records(columns=["a"], rows=[["x" * 1_000]]), 1_000)


def test_facts_that_exceed_the_budget_are_too_large() -> None:
    with pytest.raises(TooLarge):
        rendered(Records(columns=["a"], rows=[], facts={"note": "x" * 1_000}), 1_000)


def test_with_text_results_there_is_no_structured_form() -> None:
    assert rendered(Records(columns=["a"], rows=[[1]]), results="text").structured_content is None


def test_what_we_say_ourselves_is_neither_marked_nor_labelled_untrusted() -> None:
    result = rendered(Records(columns=["a"], rows=[[1]], untrusted=False))
    assert (text_of(result), result.structured_content) == (
        '{"count":1}\n["a"]\n[1]',
        {"count": 1, "columns": ["a"], "rows": [[1]]},
    )


@pytest.mark.parametrize(("untrusted", "integrity"), [(True, "untrusted"), (False, "trusted")])
def test_records_are_labelled_by_who_wrote_them(untrusted: bool, integrity: str) -> None:  # noqa: FBT001
    result = rendered(Records(columns=[], rows=[], untrusted=untrusted))
    assert result.meta == {"mcp-servers/labels": {"integrity": integrity, "confidentiality": "private"}}


@pytest.mark.parametrize(
    "output",
    [
        Records(columns=["a"], rows=[["x"]], confidentiality="public"),
        Document(text="x", confidentiality="public"),
        Media(data=b"x", mime_type="image/png", confidentiality="public"),
    ],
)
def test_an_output_may_say_itself_who_may_see_it(output: Output) -> None:
    assert rendered(output).meta == {"mcp-servers/labels": {"integrity": "untrusted", "confidentiality": "public"}}


# Documents


def paged(text: str, start: int = 0, most: int = 1_000_000) -> Document:
    """Return a document that can be continued at any character."""
    end = min(len(text), start + most)

    async def shorter(most: int) -> Document:
        return paged(text, start, most)

    return Document(
        text=text[start:end], facts={"length": len(text)}, next=end if end < len(text) else None, shorter=shorter
    )


@given(long_texts, st.integers(1_000, 2_000), facts)
def test_a_document_keeps_to_the_budget(text: str, budget: int, metadata: dict[str, Any]) -> None:
    try:
        result = rendered(Document(text=text, facts=metadata), budget)
    except TooLarge:
        return
    assert len(text_of(result)) <= budget


@given(long_texts, st.integers(300, 2_000))
def test_paging_through_a_document_gives_back_its_exact_text(text: str, budget: int) -> None:
    seen = ""
    position: int | None = 0
    while position is not None:
        shown = text_of(rendered(paged(text, position), budget))
        assert len(shown) <= budget
        metadata = json.loads(shown.partition("\n")[0])
        seen += body_of(shown)
        position = opened(metadata["cursor"]) if "cursor" in metadata else None
    assert seen == text


def test_a_document_has_no_structured_form() -> None:
    assert rendered(Document(text="text")).structured_content is None


def test_a_document_that_cannot_be_continued_is_cut_and_says_truncated() -> None:
    shown = text_of(rendered(Document(text="x" * 2_000, facts={"name": "long"}), 1_000))
    assert shown.startswith('{"name":"long","truncated":true}\n<untrusted-')


def test_a_document_cut_short_of_its_cursor_does_not_offer_it() -> None:
    shown = text_of(rendered(Document(text="x" * 2_000, next=2_000), 1_000))
    assert "cursor" not in json.loads(shown.partition("\n")[0])


def test_a_budget_without_room_for_any_text_is_too_large() -> None:
    with pytest.raises(TooLarge):
        rendered(Document(text="text", facts={"note": "x" * 1_000}), 1_000)


# Images and sounds


@pytest.mark.parametrize(("mime_type", "kind"), [("image/png", ImageContent), ("audio/wav", AudioContent)])
def test_media_comes_after_a_line_of_facts(mime_type: str, kind: type[ImageContent | AudioContent]) -> None:
    result = rendered(Media(data=b"\x00\xff", mime_type=mime_type, facts={"width": 1}))
    line, media = result.content
    assert isinstance(line, TextContent)
    assert isinstance(media, kind)
    assert (line.text, media.data, media.mime_type) == ('{"width":1}', "AP8=", mime_type)


def test_media_has_no_structured_form() -> None:
    assert rendered(Media(data=b"", mime_type="image/png")).structured_content is None


def test_media_beyond_forty_bytes_a_character_is_too_large() -> None:
    with pytest.raises(TooLarge, match="40,001 bytes; at most 40,000"):
        rendered(Media(data=bytes(40_001), mime_type="image/png"), 1_000)


# Resources and prompts


def test_a_text_resource_is_marked_plain_text() -> None:
    contents = anyio.run(rendering(1_000).resource_contents, "note:///a", Document(text="<b>\u202e"))
    assert isinstance(contents, TextResourceContents)
    assert (body_of(contents.text), contents.mime_type) == ("<b>\u202e", "text/plain")


def test_a_blob_within_forty_bytes_a_character_is_served() -> None:
    blob = Blob(data=bytes(40_000), mime_type="image/png")
    assert anyio.run(rendering(1_000).resource_contents, "note:///a", blob).mime_type == "image/png"


def test_a_blob_beyond_is_too_large() -> None:
    blob = Blob(data=bytes(40_001), mime_type="image/png")
    with pytest.raises(TooLarge, match="40,001 bytes; at most 40,000"):
        anyio.run(rendering(1_000).resource_contents, "note:///a", blob)


def test_a_prompt_has_our_words_plain_and_attached_text_marked() -> None:
    messages = anyio.run(
        rendering(1_000).prompt_messages, [Said("Review it."), Attached("note:///a", Document(text="x"))]
    )
    said, attached = (message.content for message in messages)
    assert isinstance(said, TextContent)
    assert isinstance(attached, EmbeddedResource)
    assert isinstance(attached.resource, TextResourceContents)
    assert (said.text, body_of(attached.resource.text)) == ("Review it.", "x")


@given(values)
def test_compact_json_means_the_value(value: Any) -> None:
    assert json.loads(compact([value])) == [value]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact({"value": number})


def test_words_that_name_such_numbers_stay_words() -> None:
    assert compact(["NaN", "Infinity"]) == '["NaN","Infinity"]'
