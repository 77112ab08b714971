"""A browser of a Selenium grid, or of one WebDriver server: a session there, driven by the DevTools protocol."""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcp_server_shared.errors import Unavailable

if TYPE_CHECKING:
    from playwright.async_api import APIRequestContext, Playwright

_START_MS = 120_000  # a grid may have to start a container first


@dataclass(frozen=True)
class GridSession:
    """One session.

    Attributes:
        endpoint: where its browser speaks the DevTools protocol.
    """

    endpoint: str
    _requests: "APIRequestContext"
    _address: str

    @classmethod
    async def open(cls, playwright: "Playwright", grid: str, arguments: list[str]) -> "GridSession":
        """Start a Chromium there.

        Args:
            playwright: whose requests are used.
            grid: its address.
            arguments: for the browser.

        Raises:
            Unavailable: there is none, or it gives no way to its DevTools.
        """
        from playwright.async_api import Error

        requests = await playwright.request.new_context()
        options = {"args": ["--headless=new", *arguments]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}}
        sessions = f"{grid.rstrip('/')}/session"
        try:
            answer = await requests.post(sessions, data=wanted, timeout=_START_MS)
            value: dict[str, Any] = (await answer.json()).get("value") or {}
        except (Error, ValueError, AttributeError) as error:
            await requests.dispose()
            raise Unavailable("The grid does not answer.", hint="The operator named it by --grid.") from error
        capabilities: dict[str, Any] = value.get("capabilities") or {}
        endpoint = _endpoint(grid, capabilities)
        if endpoint is None or "sessionId" not in value:
            await requests.dispose()
            message = str(value.get("message") or "It starts no Chromium whose DevTools can be reached.")
            raise Unavailable("The grid gives no browser.", untrusted=message[:300])
        return cls(endpoint, requests, f"{sessions}/{value['sessionId']}")

    async def close(self) -> None:
        """End the session, and its browser with it."""
        from playwright.async_api import Error

        with suppress(Error):  # the grid is gone, or has ended it by itself
            await self._requests.delete(self._address)
        await self._requests.dispose()


def _endpoint(grid: str, capabilities: dict[str, Any]) -> str | None:
    """Return the address that the grid itself relays to, or that of the browser on the grid's machine."""
    if isinstance(relayed := capabilities.get("se:cdp"), str):
        return relayed
    options: dict[str, Any] = capabilities.get("goog:chromeOptions") or {}
    address = options.get("debuggerAddress")
    if not isinstance(address, str):
        return None
    return f"http://{urlsplit(grid).hostname}:{address.rpartition(':')[2]}"
