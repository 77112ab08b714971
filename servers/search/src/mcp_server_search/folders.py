"""The operator's folders: indexed a little at a time, whenever somebody searches them."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import anyio
from mcp_server_shared.errors import Unsupported

from mcp_server_search.extractor import Extractor
from mcp_server_search.local_index import Document, LocalIndex
from mcp_server_search.pages import Page, with_header

_LOOK_AGAIN_S = 2.0
_BATCH = 20
_HEADING = re.compile(r"\s{0,100}#{1,6} +(.{1,200})")


class InThread(Protocol):
    """Runs blocking work on a thread."""

    async def __call__(self, work: Callable[..., Any], *args: Any) -> Any:
        """Return what the work returns."""
        ...


class Folders:
    """The index, and what brings it up to date."""

    def __init__(self, index: LocalIndex, extractor: Extractor) -> None:
        self.index = index
        self._extractor = extractor
        self._updating = anyio.Lock()
        self._waiting: list[Document] = []
        self._looked = float("-inf")

    async def update(self, in_thread: InThread, checkpoint: Callable[[], None], until: float) -> int:
        """Index what is new or has changed, until a time of the monotonic clock; return how many are left."""
        async with self._updating:
            if not self._waiting and time.monotonic() - self._looked > _LOOK_AGAIN_S:
                self._waiting = await in_thread(self.index.changed, checkpoint)
                self._looked = time.monotonic()
            while self._waiting and time.monotonic() < until:
                batch = self._waiting[-_BATCH:]
                await in_thread(self.index.put, [await self._text_of(in_thread, document) for document in batch])
                del self._waiting[-_BATCH:]
            return len(self._waiting)

    async def page(self, in_thread: InThread, url: str) -> Page:
        """Return an indexed document as a page."""
        kind, title, text = await in_thread(self.index.text, unquote(urlsplit(url).path))
        return Page(url, kind, with_header(url, {"title": title, "text": text}))

    async def _text_of(self, in_thread: InThread, document: Document) -> tuple[Document, str, str]:
        body = await in_thread(self.index.read, document)
        extract = {"text": ""}  # what cannot be read is found by its name, and not tried again until it changes
        if body is not None:
            with suppress(Unsupported):
                extract = await self._extractor.extract(document.kind, body)
        heading = _HEADING.match(extract["text"]) if document.kind == "text" else None
        return document, extract.get("title") or (heading[1].strip() if heading else ""), extract["text"]
