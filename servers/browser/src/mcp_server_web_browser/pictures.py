"""Pictures of a page, with its secret fields covered."""

import base64
from typing import Any, Literal

from mcp_server_shared.errors import Conflict, Unsupported

from mcp_server_web_browser.documents import Element
from mcp_server_web_browser.pages import Page

Format = Literal["jpeg", "png"]

_QUALITY = 70
_PICTURE_MS = 15_000


async def picture(page: Page, element: Element | None, *, full_page: bool, kind: Format, scale: float) -> bytes:
    """Return a picture of an element, of the window, or of the whole page."""
    if element is not None:
        box = await element.locator.bounding_box(timeout=_PICTURE_MS)
        if box is None or not (box["width"] and box["height"]):
            raise Conflict(f"{element.reference} is not visible.", hint="Take a picture of the page.")
    if scale != 1:
        return await _scaled(page, element, full_page=full_page, kind=kind, scale=scale)
    options: dict[str, Any] = {
        "type": kind,
        "quality": _QUALITY if kind == "jpeg" else None,
        "scale": "css",
        "mask": page.documents.secret_fields(),
        "animations": "disabled",
        "timeout": _PICTURE_MS,
    }
    if element is not None:
        return await element.locator.screenshot(**options)
    return await page.driven.screenshot(full_page=full_page, **options)


async def pdf(page: Page) -> bytes:
    """Print a page."""
    if page.driven.context.browser is None or page.driven.context.browser.browser_type.name != "chromium":
        raise Unsupported("Only Chromium prints to PDF.", hint="Take a screenshot of the full page.")
    await page.documents.cover(on=True)
    try:
        return await page.driven.pdf(outline=True, tagged=True, print_background=True)
    finally:
        await page.documents.cover(on=False)


async def _scaled(page: Page, element: Element | None, *, full_page: bool, kind: Format, scale: float) -> bytes:
    """Let the browser itself draw it smaller; only Chromium can."""
    from playwright.async_api import Error

    try:
        session: Any = await page.context.driven.new_cdp_session(page.driven)
    except Error:
        raise Unsupported("Only Chromium scales pictures.", hint="Leave scale out.") from None
    await page.documents.cover(on=True)
    try:
        layout = await session.send("Page.getLayoutMetrics")
        view, content = layout["cssVisualViewport"], layout["cssContentSize"]
        clip = {"x": view["pageX"], "y": view["pageY"], "width": view["clientWidth"], "height": view["clientHeight"]}
        if full_page:
            clip = {"x": 0, "y": 0, "width": content["width"], "height": content["height"]}
        if element is not None and (box := await element.locator.bounding_box(timeout=_PICTURE_MS)):
            clip = {**box, "x": box["x"] + view["pageX"], "y": box["y"] + view["pageY"]}
        shot = await session.send(
            "Page.captureScreenshot",
            {
                "format": kind,
                "clip": {**clip, "scale": scale},
                "captureBeyondViewport": True,
                **({"quality": _QUALITY} if kind == "jpeg" else {}),
            },
        )
        return base64.b64decode(shot["data"])
    finally:
        await page.documents.cover(on=False)
        await session.detach()
