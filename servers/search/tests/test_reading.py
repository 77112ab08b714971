"""Reading long things: pages of text, sections, headings, words; and what a page becomes."""

import re
from pathlib import Path

import anyio
import pytest
from fake_web.documents import article, pdf
from fake_web.providers import FakeWikipedia
from fake_web.server import Web
from fake_web.session import session
from hypothesis import given
from hypothesis import strategies as st
from mcp import types
from mcp_server_search.pages import end_of_piece, sections_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def flags(web: Web, tmp_path: Path) -> list[str]:
    return [
        *("--data-directory", str(tmp_path), "--allow-host", web.host, "--ignore-robots"),
        *("--wikipedia-url", FakeWikipedia(web).setting),
    ]


async def test_a_document_of_300_pages_loses_nothing_between_pages(web: Web, flags: list[str]) -> None:
    url = web.page("/report", pdf(300), "application/pdf")
    async with session(*flags) as client:
        read = await client.read("read_page", url=url, max_characters=4_000)
        text = read.body
        while read.cursor:
            read = await client.read("read_page", url=url, max_characters=4_000, cursor=read.cursor)
            assert len(read.body) <= 4_000
            text += read.body
    lines = [line for number in range(300) for line in (f"Page {number} begins here.", f"It ends with line {number}.")]
    assert re.findall(r"Page \d+ begins here\.|It ends with line \d+\.", text) == lines
    assert len(web.requests("/report")) == 1


async def test_every_paragraph_of_an_article_is_read_once_and_in_order(web: Web, flags: list[str]) -> None:
    url = web.page("/story", article(400))
    async with session(*flags, "--max-output-characters", "3000") as client:
        text = await client.whole("read_page", url=url)
    assert [int(number) for number in re.findall(r"Paragraph (\d+) says", text)] == list(range(400))
    assert "Buy now" not in text
    assert "Imprint" not in text


async def test_pages_end_between_paragraphs(web: Web, flags: list[str]) -> None:
    async with session(*flags) as client:
        read = await client.read("read_page", url=web.page("/story", article(100)), max_characters=2_000)
    assert read.body.endswith("\n\n")


async def test_a_page_says_what_it_is(web: Web, flags: list[str]) -> None:
    async with session(*flags) as client:
        read = await client.read("read_page", url=web.page("/story", article(3, title="On cats")))
    head = read.body[:200]
    assert "# On cats" in head
    assert f"{web.url}/story" in head
    assert "Ada Lovelace" in head


async def test_headings_lead_to_sections(web: Web, flags: list[str]) -> None:
    url = web.page("/story", article(30))
    async with session(*flags) as client:
        headings = (await client.whole("read_page", url=url, view="headings")).splitlines()
        number = next(line.split()[0] for line in headings if "Chapter 4" in line)
        by_number = await client.whole("read_page", url=url, section=number)
        by_title = await client.whole("read_page", url=url, section="chapter 4")
        refusal = await client.refusal("read_page", url=url, section="Chapter 77")
    assert by_number == by_title
    assert re.findall(r"Paragraph (\d+)", by_number) == ["12", "13", "14"]
    assert (refusal.code, "headings" in refusal.text) == ("not_found", True)


async def test_a_section_has_its_parts() -> None:
    text = "before\n\n# A\n\none\n\n## A.1\n\ntwo\n\n```\n# no heading\n```\n\n# B\n\nthree\n"
    assert [(part.title, part.level) for part in sections_of(text)] == [("", 0), ("A", 1), ("A.1", 2), ("B", 1)]


async def test_find_returns_paragraphs_with_all_words_and_where_they_are(web: Web, flags: list[str]) -> None:
    async with session(*flags) as client:
        text = await client.whole("read_page", url=web.page("/story", article(60)), find="DAY paragraph 17")
        nothing = await client.whole("read_page", url=f"{web.url}/story", find="no such words")
    assert re.findall(r"Paragraph (\d+)", text) == ["17"]
    assert text.startswith("[section ")
    assert nothing == ""


async def test_a_page_that_changed_between_two_pages_is_not_mixed(web: Web, flags: list[str]) -> None:
    url = web.page("/story", article(100))
    async with session(*flags, "--cache-s", "0") as client:
        read = await client.read("read_page", url=url, max_characters=1_000)
        web.page("/story", article(99, title="Another story"))
        refusal = await client.refusal("read_page", url=url, max_characters=1_000, cursor=read.cursor)
    assert refusal.code == "conflict"


async def test_a_page_is_fetched_once_for_all_its_pages(web: Web, flags: list[str]) -> None:
    url = web.page("/story", article(100))
    async with session(*flags) as client:
        await client.whole("read_page", url=url, max_characters=1_000)
    assert len(web.requests("/story")) == 1


async def test_pages_read_at_the_same_time_are_not_mixed(web: Web, flags: list[str]) -> None:
    urls = [web.page(f"/story{number:02}", article(3, title=f"Story {number:02}")) for number in range(16)]
    titles: dict[str, str] = {}
    async with session(*flags) as client, anyio.create_task_group() as tasks:

        async def read(url: str) -> None:
            titles[url] = re.findall(r"Story \d\d", await client.whole("read_page", url=url))[0]

        for url in urls:
            tasks.start_soon(read, url)
    assert titles == {url: f"Story {url[-2:]}" for url in urls}


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ('{"a": [1, 2]}', "application/json", '{"a": [1, 2]}'),
        ("just text\n", "text/plain", "just text\n"),
        ("<rss><item>news</item></rss>", "application/rss+xml", "<rss><item>news</item></rss>"),
        ("<html><body><p>unlabelled page</p></body></html>", "", "unlabelled page"),
        (pdf(2), "application/octet-stream", "Page 1 begins here."),
        (pdf(2), "text/html", "Page 0 begins here."),
    ],
)
async def test_what_a_thing_is_counts_more_than_what_it_is_called(
    web: Web, flags: list[str], body: bytes | str, content_type: str, expected: str
) -> None:
    async with session(*flags) as client:
        assert expected in await client.whole("read_page", url=web.page("/thing", body, content_type))


async def test_results_and_pages_are_resources_with_completion(web: Web, flags: list[str]) -> None:
    url = web.page("/story", article(3))
    async with session(*flags) as client:
        await client.rows("search_wikipedia", query="striped cats")
        await client.read("read_page", url=url)
        before = len(web.asked)
        found = await client.client.read_resource("search:///results/striped%20cats")
        page = await client.client.read_resource(f"search:///page/{url}")
        assert "Article 0" in str(found.contents[0])
        assert "Paragraph 2" in str(page.contents[0])
        assert len(web.asked) == before
        completed = await client.client.complete(
            ref=types_reference("search:///results/{query}"), argument={"name": "query", "value": "str"}
        )
        urls = await client.client.complete(
            ref=types_reference("search:///page/{+url}"), argument={"name": "url", "value": web.url}
        )
    assert completed.completion.values == ["striped cats"]
    assert urls.completion.values == [url]


def types_reference(uri: str) -> types.ResourceTemplateReference:
    return types.ResourceTemplateReference(type="ref/resource", uri=uri)


async def test_a_prompt_begins_with_a_search_and_goes_without_one(web: Web, flags: list[str]) -> None:
    async with session(*flags) as client:
        prompt = await client.client.get_prompt("research_question", {"question": "why cats purr"})
        assert [message.content.type for message in prompt.messages] == ["text", "resource", "text", "text"]
    async with session("--provider", "none", *flags[:2]) as client:
        prompt = await client.client.get_prompt("check_claim", {"claim": "cats purr"})
        assert [message.content.type for message in prompt.messages] == ["text", "text", "text"]


@given(text=st.text(alphabet="ab \n#`", max_size=300), most=st.integers(1, 40))
def test_pieces_are_the_whole_and_none_is_too_long(text: str, most: int) -> None:
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = end_of_piece(text, start, len(text), most)
        assert 0 < end - start <= most
        pieces.append(text[start:end])
        start = end
    assert "".join(pieces) == text


@given(text=st.text(alphabet="ab \n#`\r\u2028", max_size=300))
def test_sections_are_the_whole(text: str) -> None:
    assert "".join(text[part.start : part.end] for part in sections_of(text)) == text
