"""The browser itself: started when it is first needed, started again when it crashed, gone when the server is.

Chromium is driven over a pipe that it reads until nobody is left to write, and the driver reads another one from us; so
neither outlives this process, however that ends.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mcp_server_shared.errors import ExpectedError, NotFound, Unavailable, did_you_mean, sentence
from mcp_server_shared.redaction import redact_text

from mcp_server_web_browser.grid import GridSession
from mcp_server_web_browser.installation import program_of
from mcp_server_web_browser.memory import children, memory_mb

if TYPE_CHECKING:
    from playwright.async_api import Browser, Playwright

logger = logging.getLogger(__name__)

ENGINE = "mcp"  # the selector engine that page_script.js is

# Names are resolved by our proxy alone, and no datagram goes past it.
_CHROMIUM_ARGUMENTS = (
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--no-pings",
)
# Pages under the address bar, which nobody sees: two for every context, which cost more than its own page.
_UNSEEN_FEATURES = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup")
# What Playwright turns off, by the same switch, of which the last one counts (its chromiumSwitches.ts).
_PLAYWRIGHTS_FEATURES = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "TcpPortRandomizationWin",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "msForceBrowserSignIn",
    "msEdgeUpdateLaunchServicesPreferredVersion",
)
_FIREFOX_PREFERENCES = {
    "media.peerconnection.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.http.http3.enable": False,
    "network.proxy.failover_direct": False,
}
_WITHOUT_FEATURES = f"--disable-features={','.join((*_PLAYWRIGHTS_FEATURES, *_UNSEEN_FEATURES))}"
_LAUNCH_MS = 30_000


@dataclass(frozen=True, kw_only=True)
class BrowserChoice:
    """Which browser, and where it is.

    Attributes:
        kind: "chromium", "firefox" or "webkit".
        executable: its program; None for the one that is found.
        headed: whether its windows are shown.
        cdp_endpoint: the address of a Chromium that runs already.
        playwright_server: the address of a Playwright server.
        grid: the address of a Selenium grid.
    """

    kind: str = "chromium"
    executable: Path | None = None
    headed: bool = False
    cdp_endpoint: str | None = None
    playwright_server: str | None = None
    grid: str | None = None


class BrowserProcess:
    """One browser, shared by all contexts.

    Attributes:
        popups_created: how many there were, as far as the browser itself tells.
        signal: what our scripts begin their own words with; no page can know it.

    Args:
        choice: which browser, and where it is.
        lost: called when it has crashed or was closed by somebody.
        downloads: tells the folder that it writes downloads to.
    """

    def __init__(self, choice: BrowserChoice, lost: Callable[[], None], downloads: Callable[[], Path]) -> None:
        self._choice = choice
        self._lost = lost
        self._downloads = downloads
        self._playwright: Playwright | None = None
        self._starting: asyncio.Task[Browser] | None = None
        self._session: GridSession | None = None
        self._drivers: set[int] = set()
        self.popups_created = 0
        self.signal = f"mcp-{secrets.token_hex(8)}"

    def script(self, name: str) -> str:
        """Return one of our scripts; two of them speak by events that no page knows the name of."""
        return files("mcp_server_web_browser").joinpath(name).read_text(encoding="utf-8").replace("SIGNAL", self.signal)

    @property
    def is_remote(self) -> bool:
        """Whether it was started by somebody else."""
        return bool(self._choice.cdp_endpoint or self._choice.playwright_server or self._choice.grid)

    def memory_mb(self) -> float:
        """Return how much memory the browser and its driver take on this machine; 0 where nothing tells."""
        return memory_mb(self._drivers)

    async def get(self) -> "Browser":
        """Return the browser, started if need be.

        Raises:
            Unsupported: none is installed.
            Unavailable: it does not start, or the remote one does not answer.
        """
        if self._starting is None or (self._starting.done() and not self._is_up(self._starting)):
            self._starting = asyncio.create_task(self._start())
        # A call that ends early must not stop what the next one waits for.
        return await asyncio.shield(self._starting)

    def device(self, name: str) -> dict[str, Any]:
        """Return what Playwright knows of a device; the browser has been started.

        Raises:
            NotFound: it knows none of this name.
        """
        assert self._playwright is not None  # noqa: S101 - there is a page
        devices = cast(Any, self._playwright).devices
        if name not in devices:
            near = sentence(did_you_mean(name, devices))
            raise NotFound(f"No device '{name}' is known.", hint=near or f"Some are {', '.join(list(devices)[::12])}.")
        return devices[name]

    async def close(self) -> None:
        """End the browser and its driver."""
        if self._starting is not None:
            self._starting.cancel() if not self._starting.done() else None
            with suppress(asyncio.CancelledError, ExpectedError):
                browser = await self._starting
                with suppress(Exception):
                    await browser.close()
        await self._end_session()
        if self._playwright is not None:
            await self._playwright.stop()
            self._playwright = None

    async def _end_session(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    @staticmethod
    def _is_up(starting: "asyncio.Task[Browser]") -> bool:
        return not starting.cancelled() and starting.exception() is None and starting.result().is_connected()

    async def _start(self) -> "Browser":
        # It takes a while to import, and the loop has others to serve.
        await asyncio.to_thread(import_module, "playwright.async_api")
        from playwright.async_api import Error, async_playwright

        if self._playwright is None:
            before = set(children(os.getpid()))
            self._playwright = await async_playwright().start()
            self._drivers = set(children(os.getpid())) - before
            await self._playwright.selectors.register(ENGINE, self.script("page_script.js"), content_script=True)
        try:
            browser = await (self._connect(self._playwright) if self.is_remote else self._launch(self._playwright))
        except Error as error:
            where = "answer at the address that the operator gave" if self.is_remote else "start"
            no_display = self._choice.headed and "DISPLAY" in str(error)
            raise Unavailable(
                f"The browser does not {where}.",
                untrusted=redact_text(str(error)[:400]),
                hint="--headed needs a display, and there is none." if no_display else "The operator can look.",
            ) from error
        browser.on("disconnected", lambda _: self._lost())
        if self._choice.kind == "chromium":
            session: Any = await browser.new_browser_cdp_session()
            session.on("Target.targetCreated", self._on_target)
            await session.send("Target.setDiscoverTargets", {"discover": True})
        return browser

    def _on_target(self, event: dict[str, Any]) -> None:
        # Playwright tells of a popup when it is ready, which is too late to tell which action opened it.
        if event["targetInfo"]["type"] == "page" and event["targetInfo"].get("openerId"):
            self.popups_created += 1

    async def _connect(self, playwright: "Playwright") -> "Browser":
        if self._choice.grid:
            await self._end_session()
            self._session = await GridSession.open(playwright, self._choice.grid, self._arguments())
            return await playwright.chromium.connect_over_cdp(self._session.endpoint, timeout=_LAUNCH_MS)
        if self._choice.cdp_endpoint:
            return await playwright.chromium.connect_over_cdp(self._choice.cdp_endpoint, timeout=_LAUNCH_MS)
        kind = getattr(playwright, self._choice.kind)
        return await kind.connect(self._choice.playwright_server, timeout=_LAUNCH_MS)

    async def _launch(self, playwright: "Playwright") -> "Browser":
        choice = self._choice
        kind = getattr(playwright, choice.kind)
        program = program_of(choice.kind, kind.executable_path, choice.executable)
        return await kind.launch(
            executable_path=program if program != Path(kind.executable_path) else None,
            headless=not choice.headed,
            downloads_path=self._downloads(),
            args=[*self._arguments(), _WITHOUT_FEATURES] if choice.kind == "chromium" else [],
            firefox_user_prefs=_FIREFOX_PREFERENCES if choice.kind == "firefox" else None,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
            timeout=_LAUNCH_MS,
        )

    @staticmethod
    def _arguments() -> list[str]:
        if not runs_without_sandbox():
            return [*_CHROMIUM_ARGUMENTS]
        logger.warning("running as root: Chromium refuses its sandbox there, so it runs without (--no-sandbox)")
        return [*_CHROMIUM_ARGUMENTS, "--no-sandbox"]


def runs_without_sandbox() -> bool:
    """Whether Chromium has to do without its sandbox: only as root on Linux, where it refuses to have one."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
