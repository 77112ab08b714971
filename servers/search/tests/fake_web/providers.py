"""The providers' APIs, as they are documented: what they are asked and what they answer fits the `schemas`."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from fake_web.server import Asked, Exchange, Web

SCHEMAS = Path(__file__).with_name("schemas")
MOST_BRAVE_WORDS = 50

Json = dict[str, Any]


def checked(answer: Json, schema: str) -> Json:
    """Return an answer of a fake, which has to be one that the documentation of the real API describes."""
    jsonschema.validate(answer, json.loads((SCHEMAS / f"{schema}.json").read_text(encoding="utf-8")))
    return answer


@dataclass
class FakeWikipedia:
    """The search of a MediaWiki site: `total` articles for every query, but none for "nothing"."""

    web: Web
    total: int = 45

    def __post_init__(self) -> None:
        """Take its paths."""
        self.web.routes |= dict.fromkeys(("/en/w/api.php", "/de/w/api.php"), self.answer)

    @property
    def setting(self) -> str:
        """What --wikipedia-url is set to."""
        return f"{self.web.url}/{{language}}"

    def answer(self, exchange: Exchange) -> None:
        """Answer as the action API does."""
        given = exchange.asked.parameters
        query, start, size = given["srsearch"], int(given["sroffset"]), int(given["srlimit"])
        if query.startswith("slow"):
            self.web.ended.wait()
        if len(query) > 300:
            failure: Json = {"code": "srsearch-too-long", "info": "Search request is longer than the maximum allowed."}
            exchange.answer(json.dumps({"error": failure}), "application/json")
            return
        total = 0 if query == "nothing" else self.total
        hits = [self._hit(number, query) for number in range(start, min(start + size, total))]
        answer: Json = {"batchcomplete": True, "query": {"searchinfo": {"totalhits": total}, "search": hits}}
        if start + size < total:
            answer["continue"] = {"sroffset": start + size, "continue": "-||"}
        exchange.answer(json.dumps(checked(answer, "wikipedia_search")), "application/json; charset=utf-8")

    def _hit(self, number: int, query: str) -> Json:
        marked = f'<span class="searchmatch">{query[:20]}</span> &amp; article number {number}'
        return {
            "ns": 0,
            "title": f"Article {number}",
            "pageid": 1_000 + number,
            "snippet": f"A text about {marked}, {'and so on ' * 20}",
            "timestamp": "2026-10-31T12:00:00Z",
        }


@dataclass
class FakeBrave:
    """The Brave Search API: `total` results for every query.

    Attributes:
        limits: the X-RateLimit headers of every answer.
        altered: the query that it searches for instead.
        refusals: statuses that the next requests are answered with.
    """

    web: Web
    total: int = 45
    key: str = "BSA-key"
    limits: dict[str, str] = field(default_factory=dict[str, str])
    altered: str = ""
    refusals: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        """Take its paths."""
        self.web.routes |= dict.fromkeys(("/res/v1/",), self.answer)

    def answer(self, exchange: Exchange) -> None:
        """Answer as the API does."""
        asked = exchange.asked
        if asked.headers.get("x-subscription-token") != self.key:
            self._refuse(exchange, 422, "SUBSCRIPTION_TOKEN_INVALID")
        elif self.refusals:
            self._refuse(exchange, self.refusals.pop(0), "RATE_LIMITED")
        elif not self._is_valid(asked):
            self._refuse(exchange, 422, "VALIDATION")
        else:
            schema = asked.path.removeprefix("/res/v1/").replace("/", "_")
            body = json.dumps(checked(self._answers(asked, schema), f"brave_{schema}"))
            exchange.answer(body, "application/json", headers=self.limits)

    def _is_valid(self, asked: Asked) -> bool:
        schema = json.loads((SCHEMAS / "brave_parameters.json").read_text(encoding="utf-8"))
        validator = jsonschema.Draft202012Validator(schema["endpoints"][asked.path] | {"$defs": schema["$defs"]})
        valid: bool = validator.is_valid(asked.parameters)  # pyright: ignore[reportUnknownMemberType]
        return valid and len(asked.parameters["q"].split()) <= MOST_BRAVE_WORDS

    def _refuse(self, exchange: Exchange, status: int, code: str) -> None:
        error: Json = {"id": "0", "status": status, "code": code, "detail": f"Request refused: {code}.", "meta": {}}
        body = json.dumps(checked({"type": "ErrorResponse", "error": error}, "brave_error"))
        exchange.answer(body, "application/json", status=status, headers=self.limits)

    def _answers(self, asked: Asked, schema: str) -> Json:
        given = asked.parameters
        size = int(given.get("count", 20))
        start = int(given.get("offset", 0)) * size
        numbers = range(start, min(start + size, self.total))
        info: Json = {"original": given["q"], "more_results_available": start + size < self.total}
        if self.altered:
            info["altered"] = self.altered
        match schema:
            case "web_search":
                hits = [self._hit(n, "search_result") | {"subtype": "generic", "is_live": False} for n in numbers]
                web: Json = {"type": "search", "results": hits, "family_friendly": True}
                return {"type": "search", "query": info, "web": web}
            case "news_search":
                return {"type": "news", "query": info, "results": [self._hit(n, "news_result") for n in numbers]}
            case "images_search":
                hits = [self._hit(n, "image_result") | self._image(n) for n in numbers]
                return {"type": "images", "query": info, "results": hits, "extra": {"might_be_offensive": False}}
            case "videos_search":
                video = {"duration": "03:21", "creator": "Somebody", "views": 12}
                hits = [self._hit(n, "video_result") | {"video": video} for n in numbers]
                return {"type": "videos", "query": info, "results": hits}
            case "local_place_search":
                return {"type": "locations", "query": info, "results": [self._place(n) for n in numbers]}
            case _:
                return self._context()

    def _hit(self, number: int, kind: str) -> Json:
        host = f"site{number}.example"
        return {
            "type": kind,
            "title": f"Result &amp; <strong>number</strong> {number}",
            "url": f"https://{host}/page/{number}",
            "description": f"What page {number} is about: {'words and more words ' * 30}",
            "page_age": f"2026-10-{number % 28 + 1:02}T08:00:00",
            "age": "2 weeks ago",
            "meta_url": {
                "scheme": "https",
                "netloc": host,
                "hostname": host,
                "favicon": f"https://imgs.example/{number}",
                "path": f"/page/{number}",
            },
            "profile": {
                "name": f"Site {number}",
                "url": f"https://{host}/",
                "long_name": host,
                "img": "https://imgs.example/i",
            },
            "language": "en",
            "family_friendly": True,
            "is_source_local": False,
            "is_source_both": False,
        }

    def _image(self, number: int) -> Json:
        return {
            "source": f"site{number}.example",
            "thumbnail": {"src": f"https://imgs.example/t{number}", "width": 500, "height": 400},
            "properties": {"url": f"https://site{number}.example/{number}.jpg", "width": 1600, "height": 1200},
            "confidence": "high",
        }

    def _place(self, number: int) -> Json:
        return {
            "type": "location_result",
            "title": f"Café {number}",
            "url": f"https://cafe{number}.example/",
            "provider_url": "",
            "is_source_local": True,
            "is_source_both": False,
            "zoom_level": 14,
            "coordinates": [45.764, 4.8357 + number / 1_000],
            "postal_address": {"type": "PostalAddress", "displayAddress": f"{number} Rue de la République, Lyon"},
            "contact": {"telephone": "+33 4 00 00 00 00"},
            "rating": {"ratingValue": 4.5, "bestRating": 5, "reviewCount": 12},
            "categories": ["cafe", "bakery"],
        }

    def _context(self) -> Json:
        pages = [f"https://site{number}.example/page" for number in range(5)]
        generic = [
            {"url": url, "title": f"Page {number}", "snippets": ["A long passage. " * 40, "Another one."]}
            for number, url in enumerate(pages)
        ]
        source = {
            "title": "Page",
            "hostname": "site.example",
            "age": ["Saturday, October 31, 2026", "2026-10-31", "20 days ago"],
        }
        return {"grounding": {"generic": generic, "map": []}, "sources": dict.fromkeys(pages, source)}


@dataclass
class FakeSearxng:
    """A SearXNG instance with three pages of results."""

    web: Web
    allows_json: bool = True

    def __post_init__(self) -> None:
        """Take its paths."""
        self.web.routes |= dict.fromkeys(("/search",), self.answer)

    def answer(self, exchange: Exchange) -> None:
        """Answer as `/search` does."""
        given = exchange.asked.parameters
        if given.get("format") != "json" or not self.allows_json:
            exchange.answer(b"", status=403)
            return
        page = int(given["pageno"])
        numbers = range((page - 1) * 10, page * 10) if page <= 3 else ()
        answer: Json = {
            "query": given["q"],
            "number_of_results": 0,
            "results": [self._hit(number, given["categories"]) for number in numbers],
            "answers": [],
            "corrections": [],
            "infoboxes": [],
            "suggestions": [],
            "unresponsive_engines": [["duckduckgo", "CAPTCHA"]],
        }
        exchange.answer(json.dumps(checked(answer, "searxng_search")), "application/json")

    def _hit(self, number: int, category: str) -> Json:
        hit: Json = {
            "url": f"https://site{number}.example/",
            "title": f"Result {number}",
            "content": f"Text of result {number}",
            "engine": "mojeek",
            "engines": ["mojeek", "qwant"],
            "positions": [number + 1],
            "score": 1.5,
            "category": category,
            "template": "default.html",
            "parsed_url": ["https", f"site{number}.example", "/", "", "", ""],
            "publishedDate": "2026-10-31T00:00:00" if number % 2 else None,
        }
        images = {"img_src": f"https://site{number}.example/i.png", "resolution": "640x480", "thumbnail_src": ""}
        return hit | (images if category == "images" else {})


@dataclass
class FakeHostedTool:
    """One tool of an MCP server on the web that keeps no sessions: what every such provider has in common.

    Attributes:
        failure: what the tool says instead of an answer.
        streams: whether answers come as an event of a stream.
    """

    web: Web
    total: int = 12
    failure: str = ""
    streams: bool = False
    schema = ""

    def __post_init__(self) -> None:
        """Take its path."""
        self.web.routes |= dict.fromkeys(("/mcp",), self.answer)

    def answer(self, exchange: Exchange) -> None:
        """Answer a call as Streamable HTTP has it."""
        if not {"application/json", "text/event-stream"} <= set(exchange.asked.headers["accept"].split(", ")):
            exchange.answer(b"Not Acceptable", "text/plain", status=406)
            return
        asked = checked(json.loads(exchange.asked.body), "tool_call")
        jsonschema.validate(asked["params"], json.loads((SCHEMAS / "hosted_parameters.json").read_text())[self.schema])
        text = self.failure or self.text(asked["params"]["arguments"])
        result: Json = {"content": [{"type": "text", "text": text}]} | ({"isError": True} if self.failure else {})
        body = json.dumps(checked({"jsonrpc": "2.0", "id": asked["id"], "result": result}, "tool_answer"))
        if self.streams:
            exchange.answer(f"event: message\ndata: {body}\n\n", "text/event-stream")
        else:
            exchange.answer(body, "application/json")

    def text(self, arguments: Json) -> str:
        """Return what the tool finds."""
        raise NotImplementedError


class FakeExa(FakeHostedTool):
    """Exa's `web_search_exa`, which answers in text (exa-mcp-server 3.4.1 on npm)."""

    schema = "exa"

    def text(self, arguments: Json) -> str:
        """Return entries, of which every other one lacks what may be lacking."""
        if not self.total:
            return "No search results found. Please try a different query."
        numbers = range(min(self.total, arguments["numResults"]))
        return "\n\n---\n\n".join(map(self._entry, numbers))

    def _entry(self, number: int) -> str:
        full = number % 2 == 0
        lines = [
            f"Title: Result &amp; number {number}" if full else "Title: N/A",
            f"URL: https://site{number}.example/page/{number}",
            f"Published: 2026-10-{number + 1:02}T08:00:00.000Z" if full else "Published: N/A",
            "Author: Somebody" if full else "Author: N/A",
        ]
        return "\n".join([*lines, f"Highlights:\nWhat page {number} says.\n\n---\n\nMore of it."] if full else lines)


class FakeParallel(FakeHostedTool):
    """Parallel's `web_search`, which answers in JSON (docs.parallel.ai)."""

    schema = "parallel"

    def text(self, arguments: Json) -> str:
        """Return results, of which every other one lacks what may be lacking."""
        found = {"search_id": "search_1", "results": list(map(self._hit, range(self.total)))}
        return json.dumps(checked(found, "parallel_search"))

    def _hit(self, number: int) -> Json:
        known = {"title": f"Result {number}", "publish_date": f"2026-10-{number + 1:02}"}
        unknown = dict.fromkeys(known)
        excerpts = [f"What page {number} says.", "More of it."]
        return {"url": f"https://site{number}.example/", "excerpts": excerpts} | (unknown if number % 2 else known)
