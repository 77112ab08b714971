"""A client of the browser server, for tests that are written one step after the other."""

import asyncio
import base64
import json
import re
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mcp import Client
from mcp.types import CallToolResult, ImageContent, TextContent
from mcp_server_shared.errors import ERROR_META_KEY
from mcp_server_shared.server import Server
from mcp_server_shared.untrusted import unmark
from mcp_server_web_browser.contexts import Contexts

ResultT = TypeVar("ResultT")

HIDDEN = "Tr0ub4dor&3 <ü>"  # the value of the secret "shop"


@dataclass(frozen=True)
class Answer:
    """What a tool answered."""

    result: CallToolResult

    @property
    def raw(self) -> str:
        """All of its text."""
        return "".join(part.text for part in self.result.content if isinstance(part, TextContent))

    @property
    def text(self) -> str:
        """What it says of the page, or the error."""
        first, _, rest = self.raw.partition("\n")
        return unmark(rest) if rest.startswith("<untrusted-") and not self.result.is_error else rest or first

    @property
    def facts(self) -> dict[str, Any]:
        """Its first line."""
        assert not self.result.is_error, self.raw
        return json.loads(self.raw.partition("\n")[0])

    @property
    def rows(self) -> list[list[Any]]:
        """Its records."""
        structured: dict[str, Any] = self.result.structured_content or {}
        return structured.get("untrusted", structured)["rows"]

    @property
    def error(self) -> str | None:
        """The code of its error."""
        return self.result.meta[ERROR_META_KEY]["code"] if self.result.is_error and self.result.meta else None

    @property
    def image(self) -> ImageContent:
        """Its picture."""
        return next(part for part in self.result.content if isinstance(part, ImageContent))

    def reference(self, line: str) -> str:
        """Return the reference of the only line that begins so."""
        found = re.findall(rf"^[ +~]*{re.escape(line)}.*?\[(\d+e\d+)\]", self.text, re.MULTILINE)
        assert len(found) == 1, f"{line!r} is there {len(found)} times:\n{self.text}"
        return found[0]


class Browser:
    """A server in a thread of its own, and a client of it."""

    def __init__(self, server: Server[Contexts]) -> None:
        self._server = server
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._done: asyncio.Event | None = None
        self.client: Client | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        async with Client(self._server) as self.client:
            self._ready.set()
            await self._done.wait()

    def start(self) -> None:
        """Start serving."""
        self._thread.start()
        self._ready.wait(30)

    def stop(self) -> None:
        """Stop, and wait for the end."""
        if self._done is not None:
            self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(30)

    def wait_for(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run something in the loop of the client."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def calling(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool, in the loop."""
        assert self.client is not None
        return Answer(await self.client.call_tool(tool, arguments))

    def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool."""
        return self.wait_for(self.calling(tool, arguments))

    def ok(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool that has to succeed."""
        answer = self.call(tool, **arguments)
        assert not answer.result.is_error, answer.raw
        return answer

    def read(self, uri: str) -> bytes:
        """Read a resource that is no text."""
        assert self.client is not None
        [contents] = self.wait_for(self.client.read_resource(uri)).contents
        return base64.b64decode(contents.model_dump()["blob"])

    def together(self, *calls: tuple[str, dict[str, Any]]) -> list[Answer]:
        """Call several tools at the same time."""

        async def gathered() -> list[Answer]:
            return await asyncio.gather(*(self.calling(tool, arguments) for tool, arguments in calls))

        return self.wait_for(gathered())

    def open(self, url: str, **arguments: Any) -> "Tab":
        """Open a page."""
        answer = self.ok("open_page", url=url, **arguments)
        return Tab(self, answer.facts["page"], answer.facts["context"], answer)


@dataclass
class Tab:
    """One open page."""

    browser: Browser
    handle: str
    context: str
    first: Answer

    def call(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool on it."""
        return self.browser.call(tool, page=self.handle, **arguments)

    def ok(self, tool: str, **arguments: Any) -> Answer:
        """Call a tool on it that has to succeed."""
        return self.browser.ok(tool, page=self.handle, **arguments)

    def see(self, **arguments: Any) -> Answer:
        """Take a snapshot."""
        return self.ok("snapshot", **arguments)


class Show(Protocol):
    """Opens a page with some HTML."""

    def __call__(self, html: str, **headers: str) -> Tab: ...


@contextmanager
def browsing(build: Callable[[], Server[Contexts]]) -> Generator[Browser]:
    """Run a server while the block runs."""
    browser = Browser(build())
    browser.start()
    try:
        yield browser
    finally:
        browser.stop()
