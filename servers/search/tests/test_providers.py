"""What is asked of each provider, and what becomes of its answers."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from fake_web.providers import (
    SCHEMAS,
    FakeBrave,
    FakeExa,
    FakeHostedTool,
    FakeParallel,
    FakeSearxng,
    FakeWikipedia,
)
from fake_web.server import Web
from fake_web.session import Session, session
from mcp_server_search.server import build_server
from mcp_server_search.settings import Settings
from mcp_server_shared.contract.forms import reading

pytestmark = pytest.mark.anyio

ALMANAC = """
from mcp_server_search.providers.provider import Answer, Result


def configured(settings, user_agent):
    return Almanac()


class Almanac:
    name, host, note, costs, kinds = "Almanac", "almanac.example", "", False, frozenset({"web"})

    async def search(self, query):
        return Answer([Result(query.text, f"https://almanac.example/{query.text}")])

    def quota_left(self):
        return None

    async def close(self):
        pass
"""


@pytest.fixture
def brave(web: Web) -> FakeBrave:
    return FakeBrave(web)


@pytest.fixture
def brave_flags(web: Web, tmp_path: Path) -> list[str]:
    return ["--brave-url", web.url, "--brave-api-key", "BSA-key", "--data-directory", str(tmp_path)]


@pytest.fixture
def searxng_flags(web: Web, tmp_path: Path) -> list[str]:
    return ["--searxng-url", web.url, "--data-directory", str(tmp_path)]


@pytest.fixture
def wikipedia_flags(web: Web, tmp_path: Path) -> list[str]:
    FakeWikipedia(web)
    return ["--wikipedia-url", f"{web.url}/{{language}}", "--data-directory", str(tmp_path)]


async def tools(client: Session) -> set[str]:
    return {tool.name for tool in (await client.client.list_tools()).tools}


# Who is asked


@pytest.mark.parametrize(
    ("flags", "environment", "chosen"),
    [
        ([], {}, "wikipedia"),
        ([], {"SEARXNG_URL": "http://x.example"}, "searxng"),
        ([], {"SEARXNG_URL": "http://x.example", "BRAVE_API_KEY": "k"}, "brave"),
        (["--provider", "wikipedia"], {"BRAVE_API_KEY": "k"}, "wikipedia"),
        (["--provider", "brave"], {}, "brave"),
        (["--provider", "exa"], {"BRAVE_API_KEY": "k"}, "exa"),
        (["--provider", "none"], {"BRAVE_API_KEY": "k"}, None),
    ],
)
def test_an_explicit_choice_comes_before_a_key_and_a_key_before_an_instance(
    flags: list[str], environment: dict[str, str], chosen: str | None
) -> None:
    assert Settings.load(flags, environment).chosen() == chosen


def names(*flags: str, **environment: str) -> list[str]:
    return list(build_server(Settings.load(flags, environment)).registry.tools)


def test_tools_are_listed_by_what_the_provider_and_its_plan_can_do() -> None:
    assert names() == ["search_wikipedia", "read_page", "get_usage"]
    assert names("--provider", "none") == ["read_page", "get_usage"]
    media = ["search_web", "search_news", "search_images", "search_videos"]
    assert names(SEARXNG_URL="http://x.example") == [*media, "read_page", "get_usage"]
    assert names("--brave-plan", "free", BRAVE_API_KEY="k") == [*media, "read_page", "get_usage"]
    assert names(BRAVE_API_KEY="k") == [*media, "search_places", "search_passages", "read_page", "get_usage"]


def test_a_new_provider_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "almanac.py").write_text(ALMANAC)
    script = f"""
import sys
from mcp_server_search import providers
providers.__path__.append({str(tmp_path)!r})
from mcp_server_search.__main__ import main
sys.argv = ["mcp-server-search", "call", "search_web", "query=tides", "--provider", "almanac"]
main()
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "Almanac" in told
    assert "https://almanac.example/tides" in told


# Brave


async def test_a_result_has_title_address_snippet_date_and_source(brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags) as client:
        [first, *rest] = await client.rows("search_web", query="cats")
    assert len(rest) == 9
    assert first["title"] == "Result & number 0"
    assert first["url"] == "https://site0.example/page/0"
    assert first["snippet"].startswith("What page 0 is about")
    assert (first["date"], first["source"]) == ("2026-10-01", "Site 0")
    assert len(first["ref"]) == 14


async def test_every_argument_reaches_brave_as_it_takes_it(web: Web, brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags) as client:
        await client.read(
            "search_web",
            query="cats",
            freshness="2026-01-01..2026-02-01",
            country="de",
            language="ja",
            domains=["a.example", "b.example", "-c.example"],
            safe_search="strict",
        )
    assert web.asked[-1].parameters == {
        "q": "cats (site:a.example OR site:b.example) -site:c.example",
        "count": "20",
        "offset": "0",
        "country": "DE",
        "search_lang": "jp",
        "freshness": "2026-01-01to2026-02-01",
        "safesearch": "strict",
        "text_decorations": "false",
        "result_filter": "web,query",
    }


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search_web", {"freshness": "week", "language": "zh"}),
        ("search_news", {"freshness": "day", "country": "US", "language": "pt"}),
        ("search_images", {"safe_search": "moderate"}),
        ("search_videos", {"freshness": "year"}),
        ("search_places", {"near": "lyon france"}),
        ("search_passages", {"freshness": "month"}),
    ],
)
async def test_every_endpoint_is_asked_what_it_documents(
    brave: FakeBrave, brave_flags: list[str], tool: str, arguments: dict[str, str]
) -> None:
    async with session(*brave_flags) as client:
        rows = await client.rows(tool, query="cafés", **arguments)
    assert rows
    assert all(row["title"] for row in rows)
    assert all(row["url"].startswith("https://") for row in rows)


async def test_images_and_places_say_what_is_special_about_them(brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags) as client:
        [image, *_] = await client.rows("search_images", query="cats")
        [place, *_] = await client.rows("search_places", query="cafés", near="lyon france")
    assert (image["image"], image["size"]) == ("https://site0.example/0.jpg", "1600x1200")
    assert place["address"] == "0 Rue de la République, Lyon"
    assert (place["rating"], place["coordinates"]) == ("4.5 of 5", "45.76400, 4.83570")


async def test_passages_are_not_cut(brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags) as client:
        [first, *_] = await client.rows("search_passages", query="cats")
    assert first["snippet"].count("A long passage.") == 40
    assert first["date"] == "2026-10-31"


async def test_a_query_that_the_provider_altered_is_reported(brave: FakeBrave, brave_flags: list[str]) -> None:
    brave.altered = "cats"
    async with session(*brave_flags) as client:
        assert (await client.read("search_web", query="catz")).facts["searched_for_instead"] == "cats"


async def test_an_argument_that_the_provider_does_not_know_is_reported(
    brave: FakeBrave, brave_flags: list[str]
) -> None:
    async with session(*brave_flags) as client:
        read = await client.read("search_web", query="cats", country="VN", language="xx")
    assert read.facts["ignored_arguments"] == ["country", "language"]


async def test_pages_go_on_where_the_last_one_ended(web: Web, brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags) as client:
        read = await client.read("search_web", query="cats", limit=15)
        urls = [row[1] for row in read.parts()]
        while read.cursor:
            read = await client.read("search_web", query="cats", limit=15, cursor=read.cursor)
            urls += [row[1] for row in read.parts()]
    assert urls == [f"https://site{number}.example/page/{number}" for number in range(45)]
    assert len(web.requests("/res/v1/web")) == 3  # three pages of twenty, each asked for once


async def test_an_answer_is_at_most_350_characters_a_result(brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags) as client:
        read = await client.read("search_web", query="cats")
    assert len(read.parts()) == 10
    assert len(read.text) <= 350 * 10
    assert len(json.dumps(read.structured, ensure_ascii=False, separators=(",", ":"))) <= 350 * 10


async def test_the_operator_decides_how_long_a_result_is(brave: FakeBrave, brave_flags: list[str]) -> None:
    async with session(*brave_flags, "--result-characters", "600") as client:
        [first, *_] = await client.rows("search_web", query="cats")
    assert len(first["snippet"]) > 300


async def test_without_a_key_the_first_search_says_how_to_supply_it(tmp_path: Path) -> None:
    async with session("--provider", "brave", "--data-directory", str(tmp_path)) as client:
        refusal = await client.refusal("search_web", query="cats")
    assert (refusal.code, "BRAVE_API_KEY" in refusal.text) == ("unauthenticated", True)


async def test_a_key_that_is_refused_is_named_but_not_shown(brave: FakeBrave, brave_flags: list[str]) -> None:
    brave.key = "another"
    async with session(*brave_flags) as client:
        refusal = await client.refusal("search_web", query="cats")
    assert refusal.code == "unauthenticated"
    assert "BRAVE_API_KEY" in refusal.text
    assert "BSA-key" not in refusal.text


async def test_a_query_that_the_provider_does_not_accept_is_the_callers_to_change(
    brave: FakeBrave, brave_flags: list[str]
) -> None:
    async with session(*brave_flags) as client:
        refusal = await client.refusal("search_web", query="a " * 60)
    assert refusal.code == "invalid_argument"


# SearXNG


async def test_searxng_is_asked_and_names_its_engines(web: Web, searxng_flags: list[str]) -> None:
    FakeSearxng(web)
    async with session(*searxng_flags) as client:
        read = await client.read("search_web", query="cats", freshness="week", language="de", safe_search="off")
        rows = await client.rows("search_web", query="cats", freshness="week", language="de", safe_search="off")
    assert read.facts["provider"] == "SearXNG"
    assert read.facts["engines_without_answer"] == ["duckduckgo"]
    assert (rows[1]["date"], rows[1]["source"]) == ("2026-10-31", "mojeek, qwant")
    assert web.asked[0].parameters == {
        "q": "cats",
        "format": "json",
        "categories": "general",
        "pageno": "1",
        "language": "de",
        "time_range": "week",
        "safesearch": "0",
    }


async def test_the_pages_of_searxng_end_where_it_has_no_more(web: Web, searxng_flags: list[str]) -> None:
    FakeSearxng(web)
    async with session(*searxng_flags) as client:
        read = await client.read("search_images", query="cats", limit=25)
        assert len(read.parts()) == 25
        rest = await client.read("search_images", query="cats", limit=25, cursor=read.cursor)
    assert (len(rest.parts()), rest.cursor) == (5, None)


async def test_an_instance_without_json_says_what_to_change(web: Web, searxng_flags: list[str]) -> None:
    FakeSearxng(web, allows_json=False)
    async with session(*searxng_flags) as client:
        refusal = await client.refusal("search_web", query="cats")
    assert (refusal.code, "settings.yml" in refusal.text) == ("permission_denied", True)


# Wikipedia


async def test_wikipedia_says_what_it_is_and_what_web_search_takes(wikipedia_flags: list[str]) -> None:
    async with session(*wikipedia_flags) as client:
        read = await client.read("search_wikipedia", query="cats")
        [first, *_] = await client.rows("search_wikipedia", query="cats")
    assert read.facts["provider"] == "Wikipedia"
    assert "BRAVE_API_KEY" in read.facts["note"]
    assert "SEARXNG_URL" in read.facts["note"]
    assert read.facts["total"] == 45
    assert "<span" not in first["snippet"]
    assert "cats & article number 0" in first["snippet"]


async def test_another_language_is_asked_of_its_own_edition(web: Web, wikipedia_flags: list[str]) -> None:
    async with session(*wikipedia_flags) as client:
        [first, *_] = await client.rows("search_wikipedia", query="Katzen", language="de")
    assert first["url"] == f"{web.url}/de/wiki/Article_0"
    assert web.asked[0].headers["user-agent"].startswith("mcp-server-search/")


async def test_an_error_that_comes_with_status_200_is_an_error(wikipedia_flags: list[str]) -> None:
    async with session(*wikipedia_flags) as client:
        refusal = await client.refusal("search_wikipedia", query="x" * 350)
    assert (refusal.code, "srsearch-too-long" in refusal.text) == ("invalid_argument", True)


# Hosted search without a key


HOSTED = [("exa", FakeExa), ("parallel", FakeParallel)]


def hosted_flags(name: str, web: Web, tmp_path: Path) -> list[str]:
    return ["--provider", name, f"--{name}-url", web.url, "--data-directory", str(tmp_path)]


def test_nobody_is_sent_to_a_hosted_service_unless_the_operator_names_it() -> None:
    assert names("--provider", "exa") == ["search_web", "search_passages", "read_page", "get_usage"]
    for environment in ({}, {"BRAVE_API_KEY": "k"}, {"SEARXNG_URL": "http://x.example"}):
        assert Settings.load([], environment).chosen() not in {"exa", "parallel"}


@pytest.mark.parametrize("streams", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize(("name", "kind"), HOSTED)
async def test_a_hosted_search_is_asked_without_a_session_and_names_its_terms(
    web: Web, tmp_path: Path, name: str, kind: type[FakeHostedTool], *, streams: bool
) -> None:
    kind(web, streams=streams)
    async with session(*hosted_flags(name, web, tmp_path)) as client:
        read = await client.read("search_web", query="cats", limit=12)
        rows = await client.rows("search_web", query="cats", limit=12)
    assert read.facts["provider"].lower() == name
    assert "https://" in read.facts["note"]
    assert [row["url"].partition("//")[2].partition(".")[0] for row in rows] == [f"site{n}" for n in range(12)]
    assert (rows[0]["date"], rows[0]["source"], rows[1]["date"]) == ("2026-10-01", "site0.example", "")
    assert rows[1]["title"] == "site1.example"  # where it knows none
    assert "What page 0 says." in rows[0]["snippet"]
    assert "More of it." in rows[0]["snippet"]
    assert "authorization" not in web.asked[0].headers
    assert len(web.asked) == 1


@pytest.mark.parametrize(("name", "kind"), HOSTED)
async def test_what_a_hosted_search_does_not_heed_is_reported_and_domains_are_kept(
    web: Web, tmp_path: Path, name: str, kind: type[FakeHostedTool]
) -> None:
    kind(web)
    async with session(*hosted_flags(name, web, tmp_path)) as client:
        asked = {"query": "cats", "freshness": "week", "country": "DE", "language": "de", "domains": ["site3.example"]}
        read = await client.read("search_web", **asked)
        rows = await client.rows("search_web", **asked)
        passages = await client.rows("search_passages", query="cats")
    assert read.facts["ignored_arguments"] == ["freshness", "country", "language"]
    assert [row["source"] for row in rows] == ["site3.example"]
    assert passages[0]["snippet"].splitlines()[0] == "What page 0 says."


@pytest.mark.parametrize(("name", "kind"), HOSTED)
async def test_a_hosted_search_that_wants_a_key_by_now_says_so(
    web: Web, tmp_path: Path, name: str, kind: type[FakeHostedTool]
) -> None:
    tool = kind(web, failure="You've hit the free MCP rate limit. Create your own API key.")
    async with session(*hosted_flags(name, web, tmp_path), "--deadline-s", "5") as client:
        limited = await client.refusal("search_web", query="cats")
        assert len(web.asked) == 1
        tool.failure = "web_search error (502): upstream"
        broken = await client.refusal("search_web", query="dogs")
        tool.failure, tool.total = "", 0
        assert await client.rows("search_web", query="nothing") == []
    assert (limited.code, broken.code) == ("rate_limited", "unavailable")
    assert "--provider" in limited.text


@pytest.mark.parametrize("name", [name for name, _ in HOSTED])
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', "application/json"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text"}]}}', "application/json"),
        (b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"[]"}]}}', "application/json"),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}', "application/json"),
        (b"event: ping\n\n: nothing\n\n", "text/event-stream"),
        (b"data: {\n\n" * 1_000, "text/event-stream"),
    ],
)
async def test_nonsense_from_a_hosted_search_is_an_error_or_nothing(
    web: Web, tmp_path: Path, name: str, body: bytes, content_type: str
) -> None:
    web.page("/mcp", body, content_type)
    async with session(*hosted_flags(name, web, tmp_path), "--deadline-s", "5") as client:
        result = await client.call("search_web", query="x")
    if result.get("isError"):
        assert result["_meta"]["mcp-servers/error"]["code"] in {"unavailable", "invalid_argument"}
    else:
        assert reading(result).parts() == []


# Answers of any provider


async def test_the_same_page_is_shown_once_and_excluded_domains_not_at_all(web: Web, searxng_flags: list[str]) -> None:
    urls = [
        "https://www.a.example/x?utm_source=feed",
        "http://a.example/x/#top",
        "https://a.example/x?page=2",
        "https://sub.bad.example/",
        "https://notbad.example/",
    ]
    hits = [
        {"url": url, "title": url, "content": "", "engine": "e", "publishedDate": f"2026-0{n + 1}-01"}
        for n, url in enumerate(urls)
    ]
    web.page("/search", json.dumps({"results": hits}), "application/json")
    async with session(*searxng_flags) as client:
        rows = await client.rows("search_web", query="x", domains=["-bad.example"])
    assert [row["url"] for row in rows] == [urls[0], urls[2], urls[4]]


@pytest.mark.parametrize(
    "answer",
    [b"", b"no json", b"[]", b'{"results": null}', b'{"results": [{}]}', b'{"results": [{"url": 7}]}', b"[" * 100_000],
)
async def test_nonsense_from_a_provider_is_its_failure_and_not_ours(
    web: Web, searxng_flags: list[str], answer: bytes
) -> None:
    web.page("/search", answer, "application/json")
    async with session(*searxng_flags) as client:
        result = await client.call("search_web", query="x")
    if result.get("isError"):
        assert result["_meta"]["mcp-servers/error"]["code"] == "unavailable"


async def test_a_provider_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with session("--searxng-url", "http://127.0.0.1:9", "--data-directory", str(tmp_path)) as client:
        assert (await client.refusal("search_web", query="x")).code == "unavailable"


def test_the_schemas_of_the_fakes_are_schemas() -> None:
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        for part in schema.get("endpoints", {"": schema}).values():
            jsonschema.Draft202012Validator.check_schema(part)
