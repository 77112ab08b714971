"""One open page: what happens on it, waiting until it has settled, and never hanging on a dialog."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mcp_server_shared.errors import Conflict, NotFound, Unauthenticated, Unavailable

from mcp_server_web_browser.documents import Documents, Element
from mcp_server_web_browser.lines import Line, changes
from mcp_server_web_browser.traffic import Traffic

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Dialog, Download, Frame, Locator, Request, Response
    from playwright.async_api import Page as DrivenPage

    from mcp_server_web_browser.contexts import Context

ResultT = TypeVar("ResultT")

QUIET_MS = 30  # without a change: the page has settled
_LOOK_S = 0.008
_FRAME_S = 0.004
_FIRST_LOOK_S = 0.025
_NEVER_QUIET_S = 1.0  # a page that changes all the time
_MOVING_S = 0.7  # timers that were set, things that fade in
_FEWEST_LOOKS = 20  # before either is over: on a slow machine the page gets as many moments, though fewer a second
_MOVING_LOOK_S = 0.03
_FRAMES = 2  # before what an action did is seen
SCROLLING_FRAMES = 8  # before the page has begun to scroll
_REQUESTS_S = 3.0
_NAVIGATION_S = 10.0
_LOADING_S = 5.0
_SAVING_S = 2.0  # from a link that saves something to its download
_LEAVING_S = 0.3  # from the announcement of a navigation to its request
_OTHER_DIALOG_S = 1.0  # a page that shares its process with one that shows a dialog does not answer
ACTION_MS = 5_000.0
_OPEN_MS = 30_000.0
_PATIENCE_MS = 1_000.0  # with a document that may be on its way out
_MOST_PATIENCE_MS = 8_000.0
_UNDER_WAY = re.compile(r"(performing .* action|elementHandle\.press\(.*\))\s*$")  # the last thing in Playwright's log


class DialogOpened(Exception):
    """The page shows a dialog and waits for an answer to it."""


class SiblingDialogOpened(Conflict):
    """A page of the same process shows a dialog, so this one does not answer."""

    def __init__(self, sibling: str) -> None:
        super().__init__(
            f"This page does not answer while its sibling {sibling} shows a dialog.",
            hint="Answer that with answer_dialog first.",
        )
        self.event = f"page {sibling} shows a dialog, and this one does not answer until it has its answer_dialog"


class StillBusy(Conflict):
    """What was to be done has been done, and the page's script has not come back from it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"The page is still busy with {what}.", hint="wait_for tells what comes of it.")
        self.event = f"the page is still busy with {what}; wait_for tells what comes of it"


@dataclass(frozen=True)
class Mark:
    """How far the log of a page was."""

    request: int
    message: int
    navigations: int
    downloads: int
    refused: int


@dataclass(frozen=True)
class Change:
    """What came of an action.

    Attributes:
        navigated: whether another document is shown now.
        events: dialogs, downloads, popups, in words.
        lines: the differences, or the new document.
    """

    navigated: bool
    events: list[str]
    lines: list[str]


@dataclass(eq=False)
class Page:
    """One page of a context.

    Attributes:
        handle: what its owner calls it.
        driven: Playwright's object.
        shown: its lines as they were last looked at.
        status: of the document, as HTTP has it.
    """

    handle: str
    context: "Context"
    driven: "DrivenPage"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    traffic: Traffic = field(default_factory=Traffic)
    dialog: "Dialog | None" = None
    events: list[str] = field(default_factory=list[str])
    shown: list[Line] | None = None
    status: int | None = None
    is_announced: bool = False
    navigations: int = 0
    downloads: int = 0
    last_used: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.documents = Documents(self.driven, self.context.owner.document_numbers, self.context.owner.process.signal)
        self._navigating: Request | None = None
        self._answered_nothing = False
        self._device: Any = None
        self._leftover: set[asyncio.Task[Any]] = set()
        driven = self.driven
        driven.on("console", self._on_console)
        driven.on("pageerror", lambda error: self.traffic.note("error", str(error)))
        driven.on("request", self._on_request)
        driven.on("response", self._on_response)
        driven.on("requestfinished", lambda request: self._on_end(request, None))
        driven.on("requestfailed", lambda request: self._on_end(request, request.failure or "failed"))
        driven.on("download", self._on_download)
        driven.on("popup", self._on_popup)
        driven.on("framedetached", self.documents.forget)
        driven.on("framenavigated", self._on_navigated)
        driven.on("filechooser", lambda _: self.events.append("a file chooser opened: upload_files answers it"))
        driven.on("crash", lambda _: self.context.lost(self, "it crashed"))
        driven.on("close", lambda _: self.context.lost(self, "it was closed"))

    # What happens by itself

    def _on_console(self, message: "ConsoleMessage") -> None:
        if not message.location.get("url", "").endswith("/favicon.ico"):  # which the browser asks for, not the page
            self.traffic.printed(message)

    def _on_request(self, request: "Request") -> None:
        if request.url.startswith(("chrome:", "chrome-extension:")):  # of the browser's own viewers
            return
        self.traffic.started(request)
        if request.is_navigation_request() and request.frame == self.driven.main_frame:
            self._navigating = request

    def _on_response(self, response: "Response") -> None:
        self.traffic.answered(response.request, response.status)
        if response.request == self._navigating:
            self.status = response.status
            self._answered_nothing = response.status in {204, 205}
            if self._answered_nothing:
                self._navigating = None
            if response.headers.get("content-type", "").startswith("application/pdf"):
                self.context.keep_pdf(self, response.url)

    def _on_end(self, request: "Request", failure: str | None) -> None:
        self.traffic.ended(request, failure)
        if request == self._navigating:
            self._navigating = None

    def _on_navigated(self, frame: Any) -> None:
        if frame == self.driven.main_frame:
            self.navigations += 1
            self._navigating = None

    def _on_download(self, download: "Download") -> None:
        self._navigating = None
        self.downloads += 1
        self.context.keep_download(self, download)

    def _on_popup(self, popup: "DrivenPage") -> None:
        owner = self.context.owner
        owner.popups_seen = min(owner.popups_seen + 1, owner.process.popups_created)
        page = self.context.register(popup)
        if page is not None:
            page.is_announced = True
            self.events.append(f"opened page {page.handle}")

    async def pretend_to_be(self, device: dict[str, Any]) -> None:
        """Have the size, touch and user agent of a device, for as long as the page is open; only Chromium can."""
        view = device["viewport"]
        await self.driven.set_viewport_size(view)
        if self._device is None:
            self._device = await self.context.driven.new_cdp_session(self.driven)
        screen = {"deviceScaleFactor": device["device_scale_factor"], "mobile": device["is_mobile"]}
        await self._device.send("Emulation.setDeviceMetricsOverride", view | screen)
        await self._device.send("Emulation.setUserAgentOverride", {"userAgent": device["user_agent"]})
        await self._device.send("Emulation.setTouchEmulationEnabled", {"enabled": device["has_touch"]})

    # Calls

    @asynccontextmanager
    async def turn(self) -> "AsyncGenerator[Page]":
        """Have the page for one call; others wait."""
        async with self.lock:
            self.last_used = self.context.last_used = time.monotonic()
            if self.driven.is_closed():
                raise NotFound("This page was closed.", hint="Open another by open_page.")
            yield self

    def require_no_dialog(self) -> None:
        """Raise Conflict while the page waits for an answer to a dialog."""
        if self.dialog is not None:
            raise Conflict(
                f"A dialog ({self.dialog.type}) is open on this page, which waits for an answer.",
                untrusted=self.dialog.message[:300],
                hint="Answer it with answer_dialog.",
            )

    async def guarded(self, work: Awaitable[ResultT]) -> ResultT:
        """Await something of the page; a dialog that opens meanwhile ends the waiting, not the work.

        Raises:
            DialogOpened: on this page.
            SiblingDialogOpened: on a page that shares the process.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                obstacle = await self._until_done_or_dialog(task)
                if obstacle is not None and not task.done():
                    self._leave(task)
                    raise obstacle
        except asyncio.CancelledError:
            task.cancel()
            raise
        return task.result()

    async def _until_done_or_dialog(self, task: "asyncio.Future[Any]") -> Exception | None:
        opened = asyncio.ensure_future(self.context.next_dialog.wait())
        stuck = self.context.page_with_dialog(besides=self)
        await asyncio.wait(
            {task, opened}, timeout=_OTHER_DIALOG_S if stuck else None, return_when=asyncio.FIRST_COMPLETED
        )
        opened.cancel()
        if self.dialog is not None:
            return DialogOpened()
        if stuck and self.context.page_with_dialog(besides=self) is stuck:
            return SiblingDialogOpened(stuck.handle)
        return None

    def _leave(self, task: "asyncio.Future[Any]") -> None:
        """Let work that waits for a dialog end by itself, unheard."""
        waiting = asyncio.ensure_future(_unheard(task))
        self._leftover.add(waiting)
        waiting.add_done_callback(self._leftover.discard)

    def mark(self) -> Mark:
        """Return how far the log is."""
        traffic = self.traffic
        refused = self.context.proxy.refused
        return Mark(traffic.last_number, traffic.last_message, self.navigations, self.downloads, refused)

    async def look(self) -> list[Line]:
        """Return the lines of the page as it is now, and remember them as shown."""
        self.require_no_dialog()
        try:
            self.shown = await self.guarded(self._read())
        except DialogOpened:
            self.require_no_dialog()
            raise
        return self.shown

    async def _read(self) -> list[Line]:
        from playwright.async_api import Error

        for attempt in range(3):
            try:
                return await self.documents.read()
            except Error as error:
                if self.driven.is_closed():
                    raise NotFound("The page was closed meanwhile.", hint="Open another by open_page.") from error
                if attempt == 2:  # noqa: PLR2004 - the last
                    raise Unavailable("The page does not answer.", hint="Try again, or navigate elsewhere.") from error
                await asyncio.sleep(0.05)  # a navigation took the document away
        raise AssertionError

    async def find(self, target: str) -> Element:
        """Return the element that a caller means."""
        self.require_no_dialog()
        if self.shown is None:
            await self.look()
        try:
            return await self.guarded(self.documents.find(target))
        except DialogOpened:
            self.require_no_dialog()
            raise

    async def find_focused(self) -> Element | None:
        """Return what has the focus, if anything has."""
        self.require_no_dialog()
        try:
            return await self.guarded(self.documents.focused())
        except DialogOpened:
            self.require_no_dialog()
            raise

    async def act(
        self, work: Callable[[], Awaitable[Any]], frame: "Frame | None" = None, frames: int = _FRAMES
    ) -> Change:
        """Do something to the page, or in a frame of it, wait until it has settled, and return what changed."""
        self.require_no_dialog()
        if self.shown is None:
            await self.look()
        before, mark = self.shown or [], self.mark()
        was_stuck = self.context.page_with_dialog(besides=self) is not None
        try:
            await self.guarded(work())
        except DialogOpened:
            return self.change(mark, [])
        except StillBusy as busy:
            self.events.append(busy.event)
            return self.change(mark, [])
        except SiblingDialogOpened as opened:
            if was_stuck:  # before anything was done
                raise
            self.events.append(opened.event)
            return self.change(mark, [])
        return await self.settled(before, mark, frame, frames)

    async def act_at_once(self, target: str, work: "Callable[[Locator], Awaitable[Any]]") -> Change | None:
        """Act on the element of a reference; where there is something to tell before, do nothing and return None."""
        from playwright.async_api import Error

        self.require_no_dialog()
        found = self.documents.at_once(target) if self.shown is not None else None
        if found is None:
            return None
        frame, locator = found

        async def done() -> None:
            try:
                await work(locator)
            except Error as error:
                if is_under_way(error):
                    raise StillBusy(target) from error
                raise

        try:
            return await self.act(done, frame)
        except Error as error:
            if self.documents.is_unready(error):
                return None
            raise explained(error, target) from error

    async def settled(
        self, before: list[Line], mark: Mark, frame: "Frame | None" = None, frames: int = _FRAMES
    ) -> Change:
        """Wait until the page has settled; return what changed since."""
        try:
            await self.guarded(self._settle(mark, frame, frames))
            self.shown = await self.guarded(self.documents.compose(self.driven.main_frame))
        except DialogOpened:
            return self.change(mark, [])
        except SiblingDialogOpened as opened:  # which what was done may have brought
            self.events.append(opened.event)
            return self.change(mark, [])
        if self.navigated_since(mark, before):
            return self.change(mark, [line.shown() for line in self.shown])
        return self.change(mark, changes(before, self.shown))

    def navigated_since(self, mark: Mark, before: list[Line]) -> bool:
        """Whether another document is shown than at the mark."""
        if self.navigations == mark.navigations:
            return False
        number = f"{self.documents.document(self.driven.main_frame).number}e"
        return not any(line.reference.startswith(number) for line in before)

    def change(self, mark: Mark, lines: list[str]) -> Change:
        """Return lines with everything that happened since the mark."""
        events, self.events = [*self.events, *self.context.announcements()], []
        if self.dialog is not None:
            default = f" (default {self.dialog.default_value[:100]!r})" if self.dialog.default_value else ""
            told = f"dialog {self.dialog.type}: {self.dialog.message[:200]!r}{default}"
            events.append(f"{told}; answer it with answer_dialog")
        if self.driven.url.startswith("chrome-error:") and self.context.proxy.refused > mark.refused:
            events.append(f"refused: {self.context.proxy.refusals[-1].error.text()}")
        own = f"{self.driven.url}:"  # whose status is told already
        errors = [each for each in self.traffic.errors_since(mark.message) if not each.is_failure_of(own)]
        if errors:
            more = f" and {len(errors) - 1} more errors" if errors[1:] else ""
            events.append(f"console: {errors[0].text[:150]!r}{more}")
        return Change(self.navigations > mark.navigations, events, lines)

    async def _settle(self, mark: Mark, frame: "Frame | None", frames: int) -> None:
        """Wait until nothing is under way and the document has been quiet for a moment; take in its lines."""
        from playwright.async_api import Error

        started = busy = time.monotonic()
        leaving, looks, pause, patience = 0.0, 0, _FRAME_S, _PATIENCE_MS
        while True:
            await asyncio.sleep(pause)
            now, pause = time.monotonic(), _LOOK_S
            if self._is_busy(mark, now - started):
                busy = now
                continue
            if now - busy < _FIRST_LOOK_S and not frames:  # what was answered just now is about to change the document
                continue
            has_looked = looks >= _FEWEST_LOOKS or now - started > _NAVIGATION_S
            force = (has_looked and now - busy > _NEVER_QUIET_S) or leaving > _LEAVING_S
            main = self.driven.main_frame
            asked = [main] if frame is None or frame is main or frame.is_detached() else [frame, main]
            # The document may be on its way out: then it does not answer, and the next one is asked.
            try:
                if self.navigations > mark.navigations and now - started < _LOADING_S:
                    await main.wait_for_load_state("domcontentloaded", timeout=1_000)
                impatient = has_looked and now - started > _MOVING_S
                question = {"quiet": QUIET_MS, "force": force, "impatient": impatient, "frames": frames}
                answers = [await self.documents.settle(each, patience, question) for each in asked]
                frames, looks = 0, looks + 1
            except Error:
                if self.driven.is_closed() or now - started > _NAVIGATION_S:
                    return
                patience = min(2 * patience, _MOST_PATIENCE_MS)  # a gigantic document needs more
                continue
            if all("lines" in answer for answer in answers) and not self._is_busy(mark, now - started):
                saved = self.downloads - mark.downloads
                if sum(answer["saving"] for answer in answers) <= saved or now - started > _SAVING_S:
                    return
            pause = _pause(answers)
            if answers[-1]["leaving"]:  # its request is announced to us within this time, or was never made
                leaving += time.monotonic() - now + pause

    def _is_busy(self, mark: Mark, waited_s: float) -> bool:
        """Whether something is under way that will change the page."""
        if self.context.owner.awaits_popup(waited_s):
            return True
        if self._navigating is not None and waited_s < _NAVIGATION_S:
            return True
        return waited_s < _REQUESTS_S and bool(self.traffic.awaited_since(mark.request))

    async def go(self, url: str) -> None:
        """Navigate; the URL was judged already.

        Raises:
            PermissionDenied, NotFound, Unavailable: what the proxy or the browser says.
        """
        await self.navigating(lambda: self.driven.goto(url, wait_until="commit", timeout=_OPEN_MS))

    async def navigating(self, start: Callable[[], Awaitable[Any]]) -> None:
        """Begin a navigation and wait until its document is there."""
        from playwright.async_api import Error

        refused = len(self.context.proxy.refusals)
        try:
            response = await self.guarded(start())
        except DialogOpened:
            return
        except Error as error:
            if "Download is starting" in error.message or self.events:
                return
            if self._answered_nothing:
                self.events.append(f"the server answered {self.status}: nothing to show")
                return
            if "ERR_INVALID_AUTH_CREDENTIALS" in error.message:
                raise Unauthenticated(
                    "The page wants a user name and password by HTTP.",
                    hint="A context has those of the origin that it was opened for: use open_page without a context."
                    if self.context.logs_in and self.context.owner.secrets.has_users
                    else "The operator can give them: a secret with a user for this origin, and --allow-secrets.",
                ) from error
            if "interrupted by another navigation" in error.message:
                return
            self._raise_refusal(refused)
            reason = error.message.partition("\n")[0].removeprefix("Page.goto: ").partition(" at ")[0]
            raise Unavailable(f"The page could not be opened: {reason[:200]}.", hint="Check the address.") from error
        if response is not None and response.status in {403, 502}:
            self._raise_refusal(refused, response.url)

    def _raise_refusal(self, since: int, url: str | None = None) -> None:
        refusals = list(self.context.proxy.refusals)[since:]
        for refusal in reversed(refusals):
            if url is None or url.startswith(refusal.target) or refusal.target.startswith(url):
                raise type(refusal.error)(refusal.error.message, hint=refusal.error.hint)


def _pause(answers: "list[dict[str, Any]]") -> float:
    """Return how long it makes no sense to ask again."""
    lacking_s = max(0.0, QUIET_MS - min(answer["quiet"] for answer in answers)) / 1_000
    if any(answer["frames"] for answer in answers):
        return max(lacking_s, _FRAME_S)
    if any(answer["moving"] for answer in answers):
        return _MOVING_LOOK_S
    return lacking_s or _LOOK_S


async def _unheard(task: "asyncio.Future[Any]") -> None:
    with suppress(Exception):
        await task


def is_under_way(error: Exception) -> bool:
    """Whether an action timed out after it was done, for the page's script has not come back from it."""
    from playwright.async_api import TimeoutError as DrivenTimeout

    return isinstance(error, DrivenTimeout) and _UNDER_WAY.search(str(error)) is not None


def explained(error: Exception, what: str) -> Exception:  # noqa: PLR0911 - one for each sign
    """Return why acting on an element failed in words that help, for what Playwright says."""
    from playwright.async_api import TimeoutError as DrivenTimeout

    message = str(error)
    if is_under_way(error):
        return StillBusy(what)
    if "intercepts pointer events" in message:
        lines = [line.strip(" -") for line in message.splitlines() if "intercepts pointer events" in line]
        return Conflict(
            f"{what} is covered by another element.",
            untrusted=lines[-1][:300] if lines else "",
            hint="Close or act on what covers it; a snapshot shows it.",
        )
    for sign, why in (
        ("element is not enabled", "it is disabled"),
        ("element is not visible", "it is not visible"),
        ("element is not stable", "it keeps moving"),
        ("element is outside of the viewport", "it cannot be scrolled into view"),
        ("element is not editable", "it cannot be edited"),
    ):
        if sign in message:
            return Conflict(f"{what} cannot be used: {why}.", hint="A snapshot shows what else is there.")
    if "not an <input>" in message or "Input of type" in message or "Malformed value" in message:
        return Conflict(f"{what} does not take this value.", untrusted=message.splitlines()[0][:200])
    if "resolved to 0 elements" in message or "waiting for locator" in message or isinstance(error, DrivenTimeout):
        return NotFound(f"{what} went away or did not become usable in time.", hint="Take a new snapshot.")
    if "Target page, context or browser has been closed" in message or "Target closed" in message:
        return NotFound("The page was closed meanwhile.", hint="Open another by open_page.")
    return Unavailable(f"The browser could not do it with {what}.", untrusted=message.splitlines()[0][:300])
