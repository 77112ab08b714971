"""What a client reads of files of every kind, with the text whole and nothing in it doing harm."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from fake_google import FakeGoogle, Fault, native
from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent
from mcp_server_drive.server import build_server
from mcp_server_drive.settings import Settings
from mcp_server_shared.contract.forms import read_text
from mcp_server_shared.errors import ERROR_META_KEY
from PIL import Image
from pypdf import PdfWriter

pytestmark = pytest.mark.anyio

SignIn = Callable[..., dict[str, Any]]
PDF = "application/pdf"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


@pytest.fixture
def connect(google: FakeGoogle, sign_in: SignIn) -> Callable[..., Client]:
    """Return what connects a client to a server of these settings."""

    def to_server(**settings: Any) -> Client:
        return Client(build_server(Settings(**sign_in(google), **settings)))

    return to_server


Connect = Callable[..., Client]


async def read(client: Client, file_id: str, **arguments: Any) -> tuple[dict[str, Any], str]:
    """Return facts and text of a read that succeeds."""
    result = await client.call_tool("read_drive_file", {"file_id": file_id, **arguments})
    assert not result.is_error, text_of(result)
    found = read_text(text_of(result), None, {})
    return found.facts, found.body


def text_of(result: CallToolResult) -> str:
    content = result.content[0]
    assert isinstance(content, TextContent)
    return content.text


def code_of(result: CallToolResult) -> str:
    return (result.meta or {})[ERROR_META_KEY]["code"]


async def whole(client: Client, file_id: str, **arguments: Any) -> list[str]:
    """Return every page of a text."""
    pages: list[str] = []
    while True:
        facts, body = await read(client, file_id, **arguments)
        pages.append(body)
        if "cursor" not in facts:
            return pages
        arguments["cursor"] = facts["cursor"]


async def test_every_tab_of_a_document_is_read_and_nested_tabs_too(google: FakeGoogle, connect: Connect) -> None:
    inner = native.tab("Inner", [native.paragraph("deep")])
    outer = native.tab("Outer", [native.paragraph("Heading", "HEADING_2"), native.paragraph("text")], [inner])
    google.add("doc", "D", native.DOC).native = native.document(
        "doc", outer, native.tab("Other", [native.paragraph("x")])
    )
    async with connect() as client:
        facts, body = await read(client, "doc")
    assert body == "# Outer\n\n## Heading\n\ntext\n\n# Outer / Inner\n\ndeep\n\n# Other\n\nx"
    assert facts["parts"] == 3


async def test_lists_tables_links_and_footnotes_become_markdown(google: FakeGoogle, connect: Connect) -> None:
    bullet = {"listId": "l", "nestingLevel": 0}
    link = {"textRun": {"content": "there", "textStyle": {"bold": True, "link": {"url": "https://example.com"}}}}
    cell = {"content": [native.paragraph("a|b")]}
    content: list[Any] = [
        native.paragraph("one", bullet=bullet),
        native.paragraph("two", bullet={**bullet, "nestingLevel": 1}),
        {"paragraph": {"elements": [link, {"footnoteReference": {"footnoteId": "f"}}]}},
        {"table": {"tableRows": [{"tableCells": [cell, cell]}, {"tableCells": [cell, cell]}]}},
    ]
    levels = [{"glyphType": "DECIMAL"}, {"glyphSymbol": "●"}]
    parts: dict[str, Any] = {
        "lists": {"l": {"listProperties": {"nestingLevels": levels}}},
        "footnotes": {"f": {"footnoteId": "f", "content": [native.paragraph("the note")]}},
    }
    google.add("doc", "D", native.DOC).native = native.document("doc", native.tab("T", content, **parts))
    async with connect() as client:
        _, body = await read(client, "doc")
    assert body == (
        "1. one\n  - two\n\n[**there**](https://example.com)[^1]\n\n"
        "| a\\|b | a\\|b |\n| --- | --- |\n| a\\|b | a\\|b |\n\n[^1]: the note"
    )


async def test_no_image_of_a_document_is_ever_loaded(google: FakeGoogle, connect: Connect) -> None:
    image = {"inlineObjectElement": {"inlineObjectId": "i"}}
    embedded = {"description": "a chart", "imageProperties": {"contentUri": "https://evil.example/?leak"}}
    parts: dict[str, Any] = {
        "inlineObjects": {"i": {"objectId": "i", "inlineObjectProperties": {"embeddedObject": embedded}}}
    }
    content: list[Any] = [
        {"paragraph": {"elements": [image]}},
        native.paragraph("![x](https://evil.example/?leak) <img src=//evil.example>"),
    ]
    google.add("doc", "D", native.DOC).native = native.document("doc", native.tab("T", content, **parts))
    async with connect() as client:
        _, body = await read(client, "doc")
    assert body == "[image: a chart]\n\n\\![x](https://evil.example/?leak) &lt;img src=//evil.example>"


async def test_a_tab_is_read_by_its_title_and_a_wrong_one_is_answered_with_the_titles(
    google: FakeGoogle, connect: Connect
) -> None:
    tabs = [native.tab(title, [native.paragraph(f"in {title}")]) for title in ("Plan", "Budget")]
    google.add("doc", "D", native.DOC).native = native.document("doc", *tabs)
    async with connect() as client:
        _, body = await read(client, "doc", part="budget")
        wrong = await client.call_tool("read_drive_file", {"file_id": "doc", "part": "Budgets"})
    assert "in Budget" in body
    assert "in Plan" not in body
    assert code_of(wrong) == "not_found"
    assert "Budget" in text_of(wrong)


async def test_every_tab_of_a_spreadsheet_is_read_as_csv(google: FakeGoogle, connect: Connect) -> None:
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", One=[["a", "b,c"], ["", ""], [1]], Two=[["x"]])
    async with connect() as client:
        _, body = await read(client, "s")
    assert body == '# One\n\na,"b,c"\n\n1\n\n\n# Two\n\nx\n'


async def test_the_tabs_of_a_spreadsheet_are_asked_for_together(google: FakeGoogle, connect: Connect) -> None:
    tabs = {f"It's {number}": [[f"cell of {number}"]] for number in range(45)}
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", **tabs)
    async with connect() as client:
        _, body = await read(client, "s")
    assert [line for line in body.splitlines() if "cell" in line] == [f"cell of {number}" for number in range(45)]
    assert google.asked("sheets.spreadsheets.values.batchGet") == 3


async def test_tabs_that_are_too_much_together_are_read_one_by_one(google: FakeGoogle, connect: Connect) -> None:
    tabs = {f"Tab {number}": [["x" * 1_000_000] * 4] for number in range(6)}
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", **tabs)
    async with connect() as client:
        facts, _ = await read(client, "s")
    assert facts["cut"]  # at eight million characters
    assert google.asked("sheets.spreadsheets.values.get") == 2


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("It's!B2:C2", "e,f\n"),
        ("B1", "b\n"),
        ("2", "x\n"),
        ("Two", "x\n"),
        ("'It''s'!A1", "a\n"),
        ("It's", "a,b,c\nd,e,f\n"),
    ],
)
async def test_a_range_of_a_spreadsheet_is_read_alone(
    google: FakeGoogle, connect: Connect, part: str, expected: str
) -> None:
    tabs = {"It's": [["a", "b", "c"], ["d", "e", "f"]], "Two": [["x"]]}
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", **tabs)
    async with connect() as client:
        _, body = await read(client, "s", part=part)
    assert body.partition("\n\n")[2] == expected


async def test_slides_come_with_their_notes_one_or_a_few_at_a_time(google: FakeGoogle, connect: Connect) -> None:
    slides = [([f"Title {n}", "body"], f"say {n}") for n in (1, 2, 3)]
    google.add("p", "P", native.SLIDES).native = native.presentation("p", *slides)
    async with connect() as client:
        _, body = await read(client, "p", part="2")
        _, two = await read(client, "p", part="2-3")
    assert body == "# Slide 2\n\nTitle 2\n\nbody\n\nNotes:\nsay 2"
    assert two.count("# Slide") == 2


@pytest.mark.parametrize(
    ("api", "kind", "export", "text"),
    [
        ("docs", native.DOC, "text/markdown", "# Exported"),
        ("sheets", native.SHEET, EXCEL, "# Tab\n\n1,2\n"),
        ("slides", native.SLIDES, POWERPOINT, "On a slide"),
    ],
)
async def test_where_an_api_is_not_enabled_an_export_is_read_and_that_is_said(
    google: FakeGoogle, connect: Connect, api: str, kind: str, export: str, text: str
) -> None:
    exports = {"text/markdown": b"# Exported", EXCEL: excel([[1, 2]]), POWERPOINT: powerpoint("On a slide")}
    google.add("f", "F", kind, exports={export: exports[export]}).native = {"any": "thing"}
    google.disabled.add(api)
    async with connect() as client:
        facts, body = await read(client, "f")
    assert text in body
    assert "not enabled" in facts["note"]


def excel(rows: list[list[Any]]) -> bytes:
    workbook = openpyxl.Workbook()
    workbook.worksheets[0].title = "Tab"
    for row in rows:
        workbook.worksheets[0].append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def powerpoint(text: str, notes: str = "") -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    assert slide.shapes.title is not None
    slide.shapes.title.text = text
    if notes:
        frame = slide.notes_slide.notes_text_frame
        assert frame is not None
        frame.text = notes
    file = io.BytesIO()
    presentation.save(file)
    return file.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_heading("Heading", 2)
    document.add_paragraph("First")
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "a"
    table.cell(0, 1).text = "b"
    document.add_paragraph("After the table", style="List Bullet")
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def pdf(pages: int) -> bytes:
    """Return a PDF with a line of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(pages))
    objects += [f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>"]
    objects += ["<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for number in range(1, pages + 1):
        text = f"BT /F1 12 Tf 72 700 Td (Paragraph {number} of the report) Tj ET"
        resources = "/Resources << /Font << /F1 3 0 R >> >>"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} /Contents {3 + 2 * number} 0 R >>"
        ]
        objects += [f"<< /Length {len(text)} >>\nstream\n{text}\nendstream"]
    body, offsets = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{each}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return bytes(body) + f"{trailer}startxref\n{len(body)}\n%%EOF".encode()


async def test_word_is_read_with_headings_lists_and_tables_in_order(google: FakeGoogle, connect: Connect) -> None:
    google.add("w", "w.docx", WORD, word())
    async with connect() as client:
        _, body = await read(client, "w")
    assert body == "## Heading\n\nFirst\n\n| a | b |\n| --- | --- |\n\n- After the table"


async def test_excel_is_read_by_tab_and_a_claimed_million_rows_are_not_written(
    google: FakeGoogle, connect: Connect
) -> None:
    workbook = openpyxl.Workbook()
    workbook.worksheets[0]["A1"] = "first"
    workbook.worksheets[0]["A90000"] = "last"
    workbook.create_sheet("Second")["A1"] = "x"
    file = io.BytesIO()
    workbook.save(file)
    google.add("x", "x.xlsx", EXCEL, file.getvalue())
    async with connect() as client:
        facts, _ = await read(client, "x")
        _, second = await read(client, "x", part="Second")
    assert facts["characters"] < 2_000
    assert second == "# Second\n\nx\n"


async def test_powerpoint_is_read_with_its_notes(google: FakeGoogle, connect: Connect) -> None:
    google.add("p", "p.pptx", POWERPOINT, powerpoint("A title", "what to say"))
    async with connect() as client:
        _, body = await read(client, "p")
    assert body == "# Slide 1\n\nA title\n\nNotes:\nwhat to say"


async def test_a_long_pdf_comes_in_pages_that_lose_no_paragraph(google: FakeGoogle, connect: Connect) -> None:
    google.add("pdf", "r.pdf", PDF, pdf(300))
    async with connect(max_output_characters=2_000, deadline_s=600) as client:
        pages = await whole(client, "pdf")
    assert max(map(len, pages)) <= 2_000
    expected = [f"# Page {n}\n\nParagraph {n} of the report" for n in range(1, 301)]
    assert "".join(pages) == "\n\n".join(expected)
    assert google.asked("drive.files.get") == len(pages) + 1  # described each time, fetched once


async def test_a_pdf_with_a_password_says_so(google: FakeGoogle, connect: Connect) -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="AES-256")
    file = io.BytesIO()
    writer.write(file)
    google.add("pdf", "r.pdf", PDF, file.getvalue())
    async with connect() as client:
        result = await client.call_tool("read_drive_file", {"file_id": "pdf"})
    assert (code_of(result), "password" in text_of(result)) == ("unsupported", True)


def bomb(name: str, size: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<x/>")
        archive.writestr(name, b" " * size)
    return file.getvalue()


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        (WORD, b"no archive"),
        (WORD, bomb("word/document.xml", 300_000_000)),
        (EXCEL, bomb("xl/workbook.xml", 10_000)),
        (PDF, b"%PDF-1.4 and nothing more"),
        (POWERPOINT, b""),
    ],
    ids=["garbage", "bomb", "wrong parts", "cut off", "empty"],
)
async def test_what_is_damaged_or_hostile_is_refused_and_serving_goes_on(
    google: FakeGoogle, connect: Connect, media_type: str, data: bytes
) -> None:
    google.add("bad", "bad", media_type, data)
    google.add("good", "good.txt", content="fine")
    async with connect() as client:
        result = await client.call_tool("read_drive_file", {"file_id": "bad"})
        _, body = await read(client, "good")
    assert (code_of(result), body) == ("unsupported", "fine")


@pytest.mark.slow
async def test_a_file_that_never_ends_is_left_at_the_deadline_and_its_process_ends(
    google: FakeGoogle, connect: Connect
) -> None:
    google.add("pdf", "endless.pdf", PDF, pdf(4_000))
    async with connect(deadline_s=1) as client:
        result = await client.call_tool("read_drive_file", {"file_id": "pdf"})
    assert code_of(result) == "timeout"


async def test_a_picture_is_shown_and_a_large_one_is_made_smaller(google: FakeGoogle, connect: Connect) -> None:
    file = io.BytesIO()
    Image.effect_noise((1_200, 900), 80).convert("RGB").save(file, "PNG")
    google.add("big", "big.png", "image/png", file.getvalue())
    async with connect() as client:
        result = await client.call_tool("read_drive_file", {"file_id": "big"})
    image = result.content[1]
    assert isinstance(image, ImageContent)
    assert image.mime_type == "image/jpeg"
    assert len(image.data) < 1_400_000
    assert '"resized":true' in text_of(result)


async def test_pages_of_a_file_stay_at_one_revision_while_it_changes(google: FakeGoogle, connect: Connect) -> None:
    lines = [f"line {n}\n" for n in range(400)]
    google.add("t", "t.txt", content="".join(lines))
    async with connect(max_output_characters=1_500) as client:
        facts, first = await read(client, "t")
        google.write("t", "something else")
        rest = await whole(client, "t", cursor=facts["cursor"])
    assert first + "".join(rest) == "".join(lines)


async def test_another_process_goes_on_with_the_old_revision_or_refuses(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="old")
    google.write("t", "new")
    async with connect() as client:
        facts, body = await read(client, "t", revision="t-r1")
        gone = await client.call_tool("read_drive_file", {"file_id": "t", "revision": "t-r9"})
    assert (facts["revision"], body) == ("t-r1", "old")
    assert code_of(gone) == "conflict"


@pytest.mark.parametrize(("changes", "code"), [(1, None), (2, None), (9, "conflict")])
async def test_a_spreadsheet_that_changes_while_it_is_read_is_read_again_and_never_returned_half(
    google: FakeGoogle, connect: Connect, changes: int, code: str | None
) -> None:
    google.add("s", "S", native.SHEET).native = native.spreadsheet("s", One=[["a"]], Two=[["b"]])
    answer, left = google.sheets_spreadsheets_values_batchGet, iter(range(changes))

    def changing(request: Any) -> Any:
        told = answer(request)
        if next(left, None) is not None:
            google.write("s", "")
        return told

    google.sheets_spreadsheets_values_batchGet = changing  # type: ignore[method-assign]
    async with connect() as client:
        result = await client.call_tool("read_drive_file", {"file_id": "s"})
    assert (code_of(result) if result.is_error else None) == code
    if code is None:  # what is told of it belongs to what was read
        assert read_text(text_of(result), None, {}).facts["revision"] == str(google.files["s"].version)


@pytest.mark.parametrize(("changes", "expected"), [(1, "new 0"), (9, None)])
async def test_bytes_that_are_newer_than_the_revision_are_not_taken_for_it(
    google: FakeGoogle, connect: Connect, changes: int, expected: str | None
) -> None:
    google.add("t", "t.txt", content="old")
    answer, left = google.drive_files_get, iter(range(changes))

    def late(request: Any) -> Any:
        if request.values.get("alt") == "media" and (number := next(left, None)) is not None:
            google.write("t", f"new {number}")
        return answer(request)

    google.drive_files_get = late  # type: ignore[method-assign]
    async with connect() as client:
        result = await client.call_tool("read_drive_file", {"file_id": "t"})
    assert (None if result.is_error else read_text(text_of(result), None, {}).body) == expected
    assert not result.is_error or code_of(result) == "conflict"


async def test_words_are_found_in_a_file_and_read_on_from_there(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="alpha " * 300 + "the Answer\n  is 42 " + "omega " * 300)
    async with connect() as client:
        facts, body = await read(client, "t", find="answer is")
        offset = int(body.partition("[offset ")[2].partition("]")[0])
        _, there = await read(client, "t", offset=offset)
    assert facts["matches"] == 1
    assert there.startswith("Answer\n  is 42")


async def test_a_shortcut_is_followed(google: FakeGoogle, connect: Connect) -> None:
    google.add("target", "t.txt", content="here")
    google.add("link", "l", "application/vnd.google-apps.shortcut", target="target")
    async with connect() as client:
        facts, body = await read(client, "link")
    assert (facts["id"], body) == ("target", "here")


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"\xff\xfeh\0\xe9\0", "hé"), (b"\xef\xbb\xbfh\xc3\xa9", "hé"), (b"h\xe9", "hé"), (b"", "")],
    ids=["utf-16", "utf-8 with mark", "windows", "empty"],
)
async def test_text_is_read_in_the_encoding_it_has(
    google: FakeGoogle, connect: Connect, data: bytes, text: str
) -> None:
    google.add("t", "t.txt", content=data)
    async with connect() as client:
        _, body = await read(client, "t")
    assert body == text


async def test_a_file_above_the_limit_is_not_fetched(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content=b"x" * 5_000)
    async with connect(max_file_bytes=4_000) as client:
        result = await client.call_tool("read_drive_file", {"file_id": "t"})
    assert code_of(result) == "too_large"
    assert google.asked("drive.files.get") == 1


async def test_reading_is_tried_again_after_a_hiccup(google: FakeGoogle, connect: Connect) -> None:
    google.add("t", "t.txt", content="fine")
    google.faults += [Fault("drive.files.get", times=1), Fault("drive.files.get", status=None, times=1)]
    async with connect() as client:
        _, body = await read(client, "t")
    assert body == "fine"
