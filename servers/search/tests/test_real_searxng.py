"""A real SearXNG, where SEARXNG_URL names one: what the fake and its schema say of it is held against it."""

import json
import os
from pathlib import Path

import httpx
import jsonschema
import pytest
from fake_web.providers import SCHEMAS
from fake_web.session import session

URL = os.environ.get("SEARXNG_URL", "").rstrip("/")
QUERY = "wikipedia"

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not URL, reason="platform: SEARXNG_URL names no instance")]


def test_it_answers_as_the_schema_of_the_fake_says() -> None:
    asked = {"q": QUERY, "format": "json", "categories": "general", "pageno": 1, "safesearch": 1}
    answer = httpx.get(f"{URL}/search", params=asked, timeout=30, trust_env=False).json()
    jsonschema.validate(answer, json.loads((SCHEMAS / "searxng_search.json").read_text(encoding="utf-8")))


async def test_it_is_searched_page_after_page_and_names_its_engines(tmp_path: Path) -> None:
    async with session("--searxng-url", URL, "--data-directory", str(tmp_path)) as client:
        first = await client.read("search_web", query=QUERY, limit=5)
        second = await client.read("search_web", query=QUERY, limit=5, cursor=first.cursor)
        rows = await client.rows("search_web", query=QUERY, limit=5)
    assert first.facts["provider"] == "SearXNG"
    assert all(row["url"].startswith("http") and row["title"] and row["source"] for row in rows)
    assert not set(map(str, first.parts())) & set(map(str, second.parts()))


async def test_arguments_that_it_knows_are_taken(tmp_path: Path) -> None:
    asked = {"query": QUERY, "freshness": "year", "language": "de", "safe_search": "strict"}
    async with session("--searxng-url", URL, "--data-directory", str(tmp_path)) as client:
        read = await client.read("search_web", **asked, domains=["-blocked.example"])
    assert "ignored_arguments" not in read.facts
