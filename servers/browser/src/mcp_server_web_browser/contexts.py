"""Browser contexts and their pages: behind handles that nobody can guess, for their owner alone, for a limited time."""

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_server_shared.egress import Egress
from mcp_server_shared.errors import ExpectedError, InvalidArgument, NotFound, TooLarge

from mcp_server_web_browser.artifacts import Artifact, Artifacts
from mcp_server_web_browser.launching import BrowserChoice, BrowserProcess
from mcp_server_web_browser.pages import Page
from mcp_server_web_browser.proxy import Proxy
from mcp_server_web_browser.secret_values import Redactor, Secrets

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Dialog, Download
    from playwright.async_api import Page as DrivenPage

logger = logging.getLogger(__name__)

_MOST_REMEMBERED = 500  # closed handles, with why; saved states
_REVIVAL = "open_page with its context brings its cookies and storage back"
_CLOSING_S = 5.0
_POPUP_S = 3.0
_DOWNLOAD_LOOK_S = 0.1
_TOO_LARGE = "It is larger than --max-download-bytes allows."
_SWEEP_S = 5.0
_PARALLEL_OPENINGS = 4
_VIEWPORT: Any = {"width": 1280, "height": 800}


@dataclass(frozen=True)
class Saved:
    """A download, as far as it is."""

    suggested: str
    url: str
    page: str
    artifact: Artifact | None
    problem: str


@dataclass(eq=False)
class Context:
    """Cookies, storage and pages that belong together, fenced off from all others.

    Attributes:
        caller: whose it is.
        driven: Playwright's object.
        proxy: its only way out.
        redact: takes the operator's secrets and what was typed into secret fields out of text.
        logs_in: whether its pages are given a password that they ask for by HTTP, where there is one.
    """

    handle: str
    caller: str
    driven: "BrowserContext"
    proxy: Proxy
    redact: Redactor
    owner: "Contexts"
    passing: bool = False
    logs_in: bool = False
    opening: int = 0
    pages: dict[str, Page] = field(default_factory=dict[str, Page])
    opened_at: float = field(default_factory=time.monotonic)
    last_used: float = field(default_factory=time.monotonic)
    next_dialog: asyncio.Event = field(default_factory=asyncio.Event)
    downloads: list[Saved] = field(default_factory=list[Saved])
    recording: str | None = None
    recording_path: Path = Path()
    routes: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._folders: list[Path] = []
        self.driven.on("page", self._on_page)
        self.driven.on("dialog", self._on_dialog)

    def _on_dialog(self, dialog: "Dialog") -> None:
        # Listened for here, not at each page: Playwright dismisses that of a popup which nobody listens to yet.
        page = self.register(dialog.page) if dialog.page else None
        if page is None:  # one too many
            self._start(dialog.dismiss())
            return
        page.dialog = dialog
        self.dialog_opened()

    def _on_page(self, driven: "DrivenPage") -> None:
        self.register(driven)

    def register(self, driven: "DrivenPage") -> Page | None:
        """Return our page for Playwright's, made on first sight; None when there are too many."""
        for page in self.pages.values():
            if page.driven == driven:
                return page
        if len(self.pages) >= self.owner.limits.pages:
            self._start(driven.close())
            return None
        page = Page(f"p_{secrets.token_urlsafe(16)}", self, driven)
        self.pages[page.handle] = page
        return page

    def new_folder(self) -> Path:
        """Return a new folder that lasts as long as the context."""
        self._folders.append(self.owner.artifacts.new_path())
        self._folders[-1].mkdir(mode=0o700)
        return self._folders[-1]

    def is_busy(self) -> bool:
        """Whether a call is at work in it."""
        return bool(self.opening) or any(page.lock.locked() for page in self.pages.values())

    def announcements(self) -> list[str]:
        """Return, once, which pages came up without one that opened them, as a click with Control does it."""
        new = [page for page in self.pages.values() if not page.is_announced]
        for page in new:
            page.is_announced = True
        return [f"opened page {page.handle}" for page in new]

    def dialog_opened(self) -> None:
        """Wake everybody who waits for something of this context."""
        self.next_dialog.set()
        self.next_dialog = asyncio.Event()

    def page_with_dialog(self, *, besides: Page) -> Page | None:
        """Return another page that shows a dialog."""
        return next((page for page in self.pages.values() if page.dialog is not None and page is not besides), None)

    def lost(self, page: Page, why: str) -> None:
        """Forget a page that is no more."""
        if self.pages.pop(page.handle, None) is not None:
            self.owner.remember(self.caller, page.handle, f"This page is gone: {why}.")

    def keep_download(self, page: Page, download: "Download") -> None:
        """Save what a page downloads, in quarantine."""
        page.events.append(f"download started: {download.suggested_filename[:200]!r}; list_downloads has it when done")
        self._start(self._save(page, download))

    def keep_pdf(self, page: Page, url: str) -> None:
        """Fetch a PDF that a page shows, of which nobody could read anything there."""
        page.events.append("a PDF is shown; list_downloads has it when done")
        self._start(self._fetch(page, url))

    async def _fetch(self, page: Page, url: str) -> None:
        from playwright.async_api import Error

        artifacts, artifact, problem = self.owner.artifacts, None, ""
        name = PurePosixPath(urlsplit(url).path).name or "page.pdf"
        try:
            answer = await self.driven.request.get(url)
            artifact = artifacts.write(self.caller, await answer.body(), name, self.redact)
            await answer.dispose()
        except TooLarge as error:
            problem = error.message
        except Error as error:
            problem = error.message.partition("\n")[0][:200]
        self.downloads.append(Saved(name, url, page.handle, artifact, problem))

    async def _save(self, page: Page, download: "Download") -> None:
        from playwright.async_api import Error

        artifacts, artifact, problem = self.owner.artifacts, None, ""
        path = artifacts.new_path()
        watching = asyncio.ensure_future(self._limit(download))
        try:
            await download.save_as(path)
            artifact = artifacts.add(self.caller, path, download.suggested_filename, self.redact)
        except TooLarge as error:
            problem = error.message
        except Error as error:
            problem = _TOO_LARGE if "canceled" in error.message else error.message.partition("\n")[0][:200]
        finally:
            watching.cancel()
        with suppress(Error):
            await download.delete()
        self.downloads.append(Saved(download.suggested_filename, download.url, page.handle, artifact, problem))

    async def _limit(self, download: "Download") -> None:
        """Stop a download as soon as it is too large; its file is one of those in the folder, its bytes came by us."""
        start, most = self.proxy.received_bytes, self.owner.artifacts.most_bytes
        while True:
            await asyncio.sleep(_DOWNLOAD_LOOK_S)
            if self.proxy.received_bytes - start > most and self.owner.artifacts.holds_too_much():
                await download.cancel()
                return

    async def finish_downloads(self) -> None:
        """Wait for the downloads that are under way."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Close all of it."""
        from playwright.async_api import Error

        for task in self._tasks:
            task.cancel()
        try:
            with suppress(Error, TimeoutError):
                await asyncio.wait_for(self.driven.close(), _CLOSING_S)
        finally:
            for folder in self._folders:
                shutil.rmtree(folder, ignore_errors=True)
            await self.proxy.__aexit__()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many pages may be open, and how long.

    Attributes:
        pages: of all callers.
        memory_mb: of the browser, past which contexts are closed, the least recently used first.
        idle_s: after which an unused context closes.
        lifetime_s: after which a context closes, used or not.
    """

    pages: int
    memory_mb: int
    idle_s: float
    lifetime_s: float


class Contexts:
    """Every context of this process.

    Args:
        choice: which browser.
        limits: how many pages, and how long.
        egress: what may be reached.
        proxy_host: the address of this machine at which the browser finds our proxies.
        artifacts: where files go.
        secrets: what may be filled in unseen, and is taken out of everything.
    """

    def __init__(
        self,
        choice: BrowserChoice,
        limits: Limits,
        *,
        egress: Egress,
        proxy_host: str,
        artifacts: Artifacts,
        secrets: Secrets,
    ) -> None:
        self.limits = limits
        self.artifacts = artifacts
        self.process = BrowserProcess(choice, self._browser_lost, artifacts.directory)
        self.secrets = secrets
        self._egress = egress
        self._proxy_host = proxy_host
        self.document_numbers = count(1)
        self.popups_seen = 0
        self._closing: set[asyncio.Task[None]] = set()
        self._contexts: dict[str, Context] = {}
        self._gone: dict[tuple[str, str], str] = {}
        self._states: dict[tuple[str, str], Any] = {}
        self._opening = asyncio.Semaphore(_PARALLEL_OPENINGS)

    # Finding

    def page(self, caller: str, handle: str) -> Page:
        """Return an open page of a caller.

        Raises:
            NotFound: there is none of this handle, or no longer.
        """
        for context in self._contexts.values():
            if context.caller == caller and handle in context.pages:
                return context.pages[handle]
        raise self._unknown(caller, handle, "page")

    def context(self, caller: str, handle: str) -> Context:
        """Return an open context of a caller, by its own handle or that of one of its pages.

        Raises:
            NotFound: there is none of this handle, or no longer.
        """
        for context in self._contexts.values():
            if context.caller == caller and (context.handle == handle or handle in context.pages):
                return context
        raise self._unknown(caller, handle, "context")

    def of_caller(self, caller: str) -> list[Context]:
        """Return the open contexts of a caller."""
        return [context for context in self._contexts.values() if context.caller == caller and not context.passing]

    def _unknown(self, caller: str, handle: str, what: str) -> NotFound:
        idle = f"{self.limits.idle_s / 60:g} minutes"
        why = self._gone.get((caller, handle)) or f"There is no {what} of this handle here."
        return NotFound(why, hint=f"Open one by open_page. Contexts close after {idle} without use.")

    def remember(self, caller: str, handle: str, why: str) -> None:
        """Keep why a handle is no longer good."""
        self._gone[caller, handle] = why
        while len(self._gone) > _MOST_REMEMBERED:
            del self._gone[next(iter(self._gone))]

    def awaits_popup(self, waited_s: float) -> bool:
        """Whether a popup was created that Playwright has yet to tell of; one that closed at once is never told of."""
        if waited_s > _POPUP_S:
            self.popups_seen = self.process.popups_created
        return self.popups_seen < self.process.popups_created

    # Opening

    async def judge(self, url: str) -> None:
        """Refuse a URL that may not be opened, before anything is started for it."""
        if url != "about:blank":
            destination = self._egress.check_url(url)
            await self._egress.addresses(destination.host, destination.port)

    async def open(
        self,
        caller: str,
        handle: str | None = None,
        *,
        url: str = "",
        logs_in: bool = False,
        state: Any = None,
        passing: bool = False,
    ) -> Context:
        """Return a context: the one of the handle, one revived from what was saved of it, or a fresh one.

        Args:
            caller: whose it is.
            handle: of a context, open or expired.
            url: what will be opened in it.
            logs_in: whether pages that ask for a password by HTTP are given that of the operator.
            state: cookies and storage to begin with.
            passing: for one call alone.
        """
        if handle is not None:
            try:
                return self.context(caller, handle)
            except NotFound:
                if self._closing:  # it may be just about to be saved
                    await asyncio.wait(set(self._closing))
                state = self._states.pop((caller, handle), None)
                if state is None:
                    raise
        credentials = self.secrets.http_credentials(url) if logs_in else None
        async with self._opening:
            browser = await self.process.get()
            proxy = await Proxy(self._egress, self._proxy_host).__aenter__()
            try:
                driven = await browser.new_context(
                    proxy=proxy.address(),  # pyright: ignore[reportArgumentType] - a TypedDict of Playwright's
                    service_workers="block",
                    viewport=_VIEWPORT,
                    accept_downloads=True,
                    storage_state=state,
                    http_credentials=credentials,  # pyright: ignore[reportArgumentType] - as above
                )
            except BaseException:
                await proxy.__aexit__()
                raise
            await driven.add_init_script(self.process.script("page_start.js"))
        redact = Redactor(self.secrets.values())
        context = Context(f"c_{secrets.token_urlsafe(16)}", caller, driven, proxy, redact, self, passing, logs_in)
        self._contexts[context.handle] = context
        return context

    async def open_page(self, context: Context) -> Page:
        """Open a page, closing the one that was not used for longest when there are too many."""
        context.opening += 1
        try:
            await self._make_room(context)
            driven = await context.driven.new_page()
        finally:
            context.opening -= 1
            context.last_used = time.monotonic()
        page = context.register(driven)
        if page is None:
            raise InvalidArgument("There are too many pages.", hint="Close some by close_page.")
        page.is_announced = True
        return page

    async def _make_room(self, asking: Context) -> None:
        pages = [page for context in self._contexts.values() for page in context.pages.values()]
        if len(pages) < self.limits.pages:
            return
        counts: dict[str, int] = {}
        for page in pages:
            counts[page.context.caller] = counts.get(page.context.caller, 0) + 1
        greedy = asking.caller if asking.caller in counts else max(counts, key=lambda caller: counts[caller])
        idle = [page for page in pages if page.context.caller == greedy and not page.lock.locked()]
        if not idle:
            raise InvalidArgument("All pages are at work and no more may be opened.", hint="Wait for one of them.")
        oldest = min(idle, key=lambda page: page.last_used)
        await self.close_page(oldest, "it made room for another page")

    async def close_page(self, page: Page, why: str) -> None:
        """Close a page, and its context when nothing else is open in it."""
        from playwright.async_api import Error

        page.context.lost(page, why)
        if not (page.context.pages or page.context.opening):
            await self.close_context(page.context, why)
            return
        with suppress(Error, TimeoutError):
            await asyncio.wait_for(page.driven.close(), _CLOSING_S)

    async def close_context(self, context: Context, why: str, *, save: bool = False) -> None:
        """Close a context; with `save` it can be revived by its handle."""
        from playwright.async_api import Error

        if self._contexts.pop(context.handle, None) is None:
            return
        for page in list(context.pages.values()):
            context.lost(page, why)
        self.remember(context.caller, context.handle, f"This context is gone: {why}.")
        if save:
            with suppress(Error, TimeoutError):
                state = await asyncio.wait_for(context.driven.storage_state(indexed_db=True), _CLOSING_S)
                self._states[context.caller, context.handle] = state
                while len(self._states) > _MOST_REMEMBERED:
                    del self._states[next(iter(self._states))]
        await context.close()

    def closing(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start closing something; it goes on when who asked for it is cancelled, and ends before the server does."""
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    @asynccontextmanager
    async def passing_page(self, caller: str, url: str, *, logs_in: bool) -> AsyncGenerator[Page]:
        """Open a URL in a context of its own for one call."""
        await self.judge(url)
        context = await self.open(caller, url=url, logs_in=logs_in, passing=True)
        try:
            page = await self.open_page(context)
            async with page.turn():
                yield page
        finally:
            await asyncio.shield(self.closing(self.close_context(context, "it was open for one call")))

    # Ending

    async def sweep(self) -> None:
        """Close what has expired, for as long as the server serves."""
        while True:
            await asyncio.sleep(min(_SWEEP_S, self.limits.idle_s / 2))
            for context in list(self._contexts.values()):
                try:
                    await self._expire_if_due(context)
                except Exception:
                    logger.exception("a context could not be closed")
            await self._relieve()

    async def _relieve(self) -> None:
        """Close the context that was not used for longest, when the browser takes too much memory."""
        idle = [context for context in self._contexts.values() if not context.is_busy()]
        if not idle or await asyncio.to_thread(self.process.memory_mb) <= self.limits.memory_mb:
            return
        oldest = min(idle, key=lambda context: context.last_used)
        why = f"the browser took more than {self.limits.memory_mb:,} MB of memory; {_REVIVAL}"
        await asyncio.shield(self.closing(self.close_context(oldest, why, save=True)))

    async def _expire_if_due(self, context: Context) -> None:
        now = time.monotonic()
        if context.is_busy():
            return
        if now - context.opened_at > self.limits.lifetime_s:
            why = f"it was open for {self.limits.lifetime_s:g} seconds"
        elif now - context.last_used > self.limits.idle_s:
            why = f"nobody used it for {self.limits.idle_s:g} seconds"
        else:
            return
        await asyncio.shield(self.closing(self.close_context(context, f"{why}; {_REVIVAL}", save=True)))

    def _browser_lost(self) -> None:
        for context in list(self._contexts.values()):
            for page in list(context.pages.values()):
                context.lost(page, "the browser ended")
            self.closing(self.close_context(context, "the browser ended"))

    async def close(self) -> None:
        """Close everything."""
        for context in list(self._contexts.values()):
            with suppress(ExpectedError):
                await self.close_context(context, "the server ends")
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self.process.close()
        self.artifacts.close()
