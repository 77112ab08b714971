"""Telling who watches a file that it has changed: one look at the changes feed for all of them."""

import logging
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import anyio
from anyio.to_thread import run_sync
from mcp_server_shared.errors import ExpectedError

from mcp_server_drive import feed
from mcp_server_drive.files import Files

logger = logging.getLogger(__name__)

_PAGE = 100


@dataclass
class Watch:
    """The files that are watched, and how far the feed has been read.

    Whoever waits longest looks for all the others too, so that a hundred watched files cost no more than one.

    Attributes:
        views: makes a view of each account's files, for one look.
        every_s: seconds between looks.
    """

    views: Callable[[], list[Files]]
    every_s: float
    _tokens: dict[str, str] = field(default_factory=dict[str, str])
    _seen: dict[str, int] = field(default_factory=dict[str, int])
    _looking: anyio.Lock = field(default_factory=anyio.Lock)
    _looked: float = 0.0

    async def changes_of(self, file_id: str) -> AsyncGenerator[None]:
        """Yield when a file has changed since."""
        await self._look()
        known = self._seen.get(file_id, 0)
        while True:
            await anyio.sleep(self.every_s)
            await self._look()
            now = self._seen.get(file_id, 0)
            if now != known:
                known = now
                yield

    async def _look(self) -> None:
        async with self._looking:
            if self._tokens and anyio.current_time() - self._looked < self.every_s / 2:
                return
            try:
                changed = await run_sync(self._changed, abandon_on_cancel=True)
            except ExpectedError as error:  # the next look begins where this one did
                logger.warning("the changes feed cannot be read: %s", error.message)
                return
            self._looked = anyio.current_time()
            for file_id in changed:
                self._seen[file_id] = self._seen.get(file_id, 0) + 1

    def _changed(self) -> list[str]:
        found: list[str] = []
        for files in self.views():
            name = files.api.authorizer.name
            if name not in self._tokens:
                self._tokens[name] = feed.beginning(files)
                continue
            token: str | None = self._tokens[name]
            while token is not None:
                page = feed.changes(files, token, _PAGE)
                found += [change.file_id for change in page.found]
                self._tokens[name] = page.since or page.following or self._tokens[name]
                token = page.following
        return found
