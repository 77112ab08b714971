"""Clicking and typing. Names, docstrings, descriptions and error texts are prompts."""

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from mcp_server_shared.call import Call
from mcp_server_shared.errors import Conflict, ExpectedError, InvalidArgument, NotFound, did_you_mean
from mcp_server_shared.output import Document
from pydantic import BaseModel, ConfigDict, Field

from mcp_server_web_browser.contexts import Contexts
from mcp_server_web_browser.documents import Element
from mcp_server_web_browser.lines import Line
from mcp_server_web_browser.pages import ACTION_MS, SCROLLING_FRAMES, DialogOpened, Page, explained
from mcp_server_web_browser.tools.answers import PageName, Target, changed, opened

if TYPE_CHECKING:
    from playwright.async_api import Locator

_TYPED_CHARACTERS = 100_000
_ENTER = {"Enter", "NumpadEnter"}  # sends the form of a field
_SPACE = {"Space", " "}  # presses a button
_SCROLLING = {"End", "Home", "PageDown", "PageUp", "ArrowDown", "ArrowUp", *_SPACE}


async def click(
    call: Call[Contexts],
    page: PageName,
    target: Target,
    button: Annotated[Literal["left", "right", "middle"], Field(description="Of the mouse.")] = "left",
    count: Annotated[int, Field(ge=1, le=3, description="2 is a double click.")] = 1,
    modifiers: Annotated[
        list[Literal["Alt", "Control", "Meta", "Shift"]] | None, Field(description="Keys held down.", max_length=4)
    ] = None,
) -> Document:
    """Click an element."""

    def press(locator: "Locator") -> Awaitable[None]:
        return locator.click(
            button=button, click_count=count, modifiers=modifiers, timeout=ACTION_MS, no_wait_after=True
        )

    async with opened(call, page, target) as there:
        if (change := await there.act_at_once(target, press)) is not None:
            return changed(there, change)
        element = await there.find(target)
        await _confirm_submission(call, element)
        return await _acted(there, element, lambda: press(element.locator))


async def hover(call: Call[Contexts], page: PageName, target: Target) -> Document:
    """Move the mouse over an element, as for menus that open so."""
    async with opened(call, page, target) as there:
        if (change := await there.act_at_once(target, lambda it: it.hover(timeout=ACTION_MS))) is not None:
            return changed(there, change)
        element = await there.find(target)
        return await _acted(there, element, lambda: element.locator.hover(timeout=ACTION_MS))


async def drag(
    call: Call[Contexts],
    page: PageName,
    target: Target,
    to: Annotated[str, Field(description="Where to drop it, like target.", min_length=1, max_length=1_000)],
) -> Document:
    """Drag an element onto another."""
    async with opened(call, page, target, to) as there:
        element, other = await there.find(target), await there.find(to)
        return await _acted(there, element, lambda: element.locator.drag_to(other.locator, timeout=ACTION_MS))


async def type_text(
    call: Call[Contexts],
    page: PageName,
    target: Target,
    text: Annotated[str, Field(description="Replaces what is there.", max_length=_TYPED_CHARACTERS)],
    *,
    slowly: Annotated[bool, Field(description="Key by key after what is there, for fields that watch keys.")] = False,
    submit: Annotated[bool, Field(description="Then press Enter.")] = False,
) -> Document:
    """Type into one field. For several fields: fill_form."""
    async with opened(call, page, target) as there:
        element = await there.find(target)
        if submit or (slowly and "\n" in text):
            await _confirm_submission(call, element, enters=True)

        async def work() -> None:
            await _type(element, text, slowly=slowly)
            if submit:
                await element.locator.press("Enter", timeout=ACTION_MS, no_wait_after=True)

        return await _acted(there, element, work)


# How a field of a kind wants its value, and an example.
_WANTED = {
    "date": (r"\d{4,6}-\d\d-\d\d", "2026-01-31"),
    "time": (r"\d\d:\d\d(:\d\d(\.\d+)?)?", "09:30"),
    "datetime-local": (r"\d{4,6}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?", "2026-01-31T09:30"),
    "month": (r"\d{4,6}-\d\d", "2026-01"),
    "week": (r"\d{4,6}-W\d\d", "2026-W05"),
    "color": ("#[0-9a-fA-F]{6}", "#ff8800"),
    "number": (r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", "12.5"),
}


async def _type(element: Element, text: str, *, slowly: bool = False) -> None:
    kind = element.facts["type"]
    pattern, example = _WANTED.get("number" if kind == "range" else kind, (".*", ""))
    if text and not slowly and not re.fullmatch(pattern, text, re.DOTALL):
        raise InvalidArgument(f"{element.reference} is a field for a {kind}.", hint=f"Give it as {example}.")
    if slowly:
        await element.locator.press_sequentially(text, timeout=ACTION_MS + 20 * len(text))
    else:
        await element.locator.fill(text, timeout=ACTION_MS)


class FormField(BaseModel):
    """One field of a form and what it should be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    target: Annotated[str, Field(min_length=1, max_length=1_000)]
    value: Annotated[str, Field(max_length=_TYPED_CHARACTERS)]


async def fill_form(
    call: Call[Contexts],
    page: PageName,
    fields: Annotated[
        list[FormField],
        Field(
            description="value: text; true/false for boxes; the option's label for lists.", min_length=1, max_length=50
        ),
    ],
) -> Document:
    """Fill several fields at once, of any kind. Tells which worked; nothing is submitted."""
    async with opened(call, page) as there:
        problems: list[str] = []
        done = 0

        async def work() -> None:
            nonlocal done
            for wanted in fields:
                try:
                    await _fill(there, wanted.target, wanted.value)
                    done += 1
                except ExpectedError as error:
                    problems.append(f"not filled: {wanted.target[:100]}: {error.message} {error.hint}".strip())

        change = await there.act(work)
        return changed(there, change, "\n".join(problems), filled=done, failed=len(problems))


async def _fill(page: Page, target: str, value: str) -> None:
    element = await page.documents.find(target)
    kind = element.facts["type"]
    if element.facts["tag"] == "SELECT":
        await _choose(element, [value])
    elif kind in {"checkbox", "radio"} or element.facts["now"].startswith(("checkbox", "switch", "radio")):
        if value.lower() not in {"true", "false"}:
            raise InvalidArgument("A box takes true or false.")
        await _done(element, lambda: element.locator.set_checked(value.lower() == "true", timeout=ACTION_MS))
    else:
        await _done(element, lambda: _type(element, value))


async def select_option(
    call: Call[Contexts],
    page: PageName,
    target: Target,
    values: Annotated[
        list[str], Field(description="Labels or values; several for a list that takes several.", max_length=100)
    ],
) -> Document:
    """Choose in a drop-down list."""
    async with opened(call, page, target) as there:
        element = await there.find(target)
        if element.facts["tag"] != "SELECT":
            raise InvalidArgument(
                f"{element.reference} is no native list.", hint="Click it, then click the option that appears."
            )
        return await _acted(there, element, lambda: _choose(element, values))


async def _choose(element: Element, values: Sequence[str]) -> None:
    options: list[tuple[str, str, bool]] = [tuple(option) for option in element.facts["options"]]
    indices: list[int] = []
    for wanted in values:
        fitting = [n for n, (label, value, _) in enumerate(options) if wanted in {label, value}]
        if not fitting:
            labels = [label for label, _, _ in options]
            near = did_you_mean(wanted, labels) or f"There is: {', '.join(labels[:20])}."
            raise NotFound(f"The list has no option '{wanted[:100]}'.", untrusted=near)
        if options[fitting[0]][2]:
            raise Conflict(f"The option '{wanted[:100]}' is disabled.")
        indices.append(fitting[0])
    if len(indices) > 1 and not element.facts["multiple"]:
        raise InvalidArgument("This list takes one value.")
    await _done(element, lambda: element.locator.select_option(index=indices, timeout=ACTION_MS))


async def press_key(
    call: Call[Contexts],
    page: PageName,
    key: Annotated[str, Field(description="Enter, Escape, ArrowDown, a, Control+a…", min_length=1, max_length=50)],
    target: Annotated[str | None, Field(description="Focus this first.", max_length=1_000)] = None,
) -> Document:
    """Press a key or a combination."""
    async with opened(call, page, target) as there:
        from playwright.async_api import Error

        element = await there.find(target) if target is not None else await there.find_focused()
        if element is not None and key in {*_ENTER, *_SPACE}:
            await _confirm_submission(call, element, enters=key in _ENTER)

        async def work() -> None:
            if target is not None and element is not None:
                await _done(element, partial(element.locator.focus, timeout=ACTION_MS))
            keyboard = there.driven.keyboard
            await (keyboard.press(key) if len(key) > 1 or key.isascii() else keyboard.insert_text(key))

        frames = {"frames": SCROLLING_FRAMES} if key in _SCROLLING else {}
        before = _focused(there)
        try:
            change = await there.act(work, element and element.frame, **frames)
            after = _focused(there)
            is_elsewhere = after is not None and (before is None or before.reference != after.reference)
            return changed(there, change, f"the focus is on {after.shown()}" if after and is_elsewhere else "")
        except Error as error:
            raise InvalidArgument(f"'key' {key!r} is no key.", hint="Names are as in KeyboardEvent.key.") from error


def _focused(page: Page) -> Line | None:
    return next((line for line in page.shown or [] if line.is_focused()), None)


async def answer_dialog(
    call: Call[Contexts],
    page: PageName,
    accept: Annotated[bool, Field(description="OK, or cancel.")],
    text: Annotated[str | None, Field(description="For a prompt.", max_length=10_000)] = None,
) -> Document:
    """Answer the dialog (alert, confirm, prompt) that a page shows."""
    async with opened(call, page) as there:
        dialog = there.dialog
        if dialog is None:
            raise NotFound("No dialog is open on this page.", hint="Go on with the page.")
        before, mark = there.shown or [], there.mark()
        there.dialog = None
        try:
            answer = dialog.default_value if text is None else text
            await there.guarded(dialog.accept(answer) if accept else dialog.dismiss())
        except DialogOpened:  # the next one
            return changed(there, there.change(mark, []))
        return changed(there, await there.settled(before, mark))


async def _acted(page: Page, element: Element, work: Callable[[], Awaitable[Any]]) -> Document:
    change = await page.act(lambda: _done(element, work), element.frame)
    was, now = element.facts.get("was"), element.facts["now"]
    note = f"{element.reference} is now {now}; it was {was}" if was and was != now else ""
    return changed(page, change, note)


async def _done(element: Element, work: Callable[[], Awaitable[Any]]) -> None:
    from playwright.async_api import Error

    try:
        await work()
    except Error as error:
        raise explained(error, element.reference) from error


async def _confirm_submission(call: Call[Contexts], element: Element, *, enters: bool = False) -> None:
    """Ask a person before a click, or Enter in a field, sends a form to another origin than the page's."""
    to = element.facts["submitsTo"]
    if to and (element.facts["submits"] or (enters and element.facts["tag"] == "INPUT")):
        await call.confirm("submit", f"Send this form of {element.frame.url[:200]} to {to}?")
