"""The documents of a page, each frame one: their lines, and where a reference leads."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mcp_server_shared.errors import InvalidArgument, NotFound

from mcp_server_web_browser.launching import ENGINE
from mcp_server_web_browser.lines import Line

if TYPE_CHECKING:
    from playwright.async_api import Frame, Locator, Page

_ASK_MS = 10_000
_FRAME_MS = 1_000  # for a frame inside: one that does not answer must not hold up the page
_MOST_FRAMES = 40
_REFERENCE = re.compile(r"(\d{1,9})e(\d{1,9})")
_NEW_REFERENCES = "Take a new snapshot; references end with their document."


@dataclass(eq=False)
class Document:
    """What one frame shows now."""

    candidate: int  # for the next document of the frame
    number: int = 0
    version: int = -1
    lines: list[Line] = field(default_factory=list[Line])
    inner: "dict[int, Frame | None]" = field(default_factory=dict[int, "Frame | None"])  # by the iframe's number

    def line(self, depth: int, text: str, number: int, interactive: int) -> Line:
        """Return a line as page_script.js tells it."""
        return Line(depth, text, f"{self.number}e{number}" if number else "", bool(interactive))


@dataclass(frozen=True)
class Element:
    """An element that was found again.

    Attributes:
        facts: role, name, type and so on, as page_script.js describes them.
    """

    reference: str
    frame: "Frame"
    locator: "Locator"
    facts: dict[str, Any]


def require_target(target: str) -> None:
    """Raise InvalidArgument for what names no element on any page."""
    how, _, what = target.partition("=")
    if not _REFERENCE.fullmatch(target) and not (how in {"css", "text", "label"} and what):
        raise InvalidArgument(
            f"'target' {target[:50]!r} is no reference.",
            hint="Give one from a snapshot, such as 3e12, or css=…, text=… (exact), label=… (of a field).",
        )


class Documents:
    """The documents of one page.

    Args:
        page: the page.
        numbers: of the documents of all pages, so that no reference means anything on another page.
        signal: what our scripts begin their own words with.
    """

    def __init__(self, page: "Page", numbers: "count[int]", signal: str) -> None:
        self._page = page
        self._numbers = numbers
        self._signal = signal
        self._by_frame: dict[Frame, Document] = {}
        self.secrets: set[str] = set()

    async def ask(self, frame: "Frame", timeout_ms: float = _ASK_MS, **question: Any) -> dict[str, Any]:
        """Ask page_script.js in a frame; a frame that shows another document than before starts anew."""
        known = self.document(frame)
        body = quote(json.dumps({"candidate": known.candidate, **question}), safe="")
        text = await frame.text_content(f"{ENGINE}={body}", timeout=timeout_ms, strict=True)
        answer: dict[str, Any] = json.loads(text or "{}")
        if known.number != answer["document"]:
            self._by_frame[frame] = Document(next(self._numbers), answer["document"])
        return answer

    def document(self, frame: "Frame") -> Document:
        """Return what is known of a frame."""
        if frame not in self._by_frame:
            self._by_frame[frame] = Document(next(self._numbers))
        return self._by_frame[frame]

    async def read(self, frame: "Frame | None" = None, *, depth: int = 0, room: int = _MOST_FRAMES) -> list[Line]:
        """Return the lines of a frame, or of the page, with those of the frames inside."""
        frame = frame or self._page.main_frame
        known = self.document(frame)
        is_main = frame == self._page.main_frame
        answer = await self.ask(frame, _ASK_MS if is_main else _FRAME_MS, do="snapshot", known=known.version)
        self.learn(frame, answer)
        return await self.compose(frame, depth=depth, room=room)

    async def settle(self, frame: "Frame", timeout_ms: float, question: dict[str, Any]) -> dict[str, Any]:
        """Ask a frame whether it has settled, and take in its lines when it has."""
        answer = await self.ask(frame, timeout_ms, do="settled", known=self.document(frame).version, **question)
        if "lines" in answer:
            self.learn(frame, answer)
        return answer

    def learn(self, frame: "Frame", answer: dict[str, Any]) -> None:
        """Take in the lines of an answer, which are those that changed."""
        document = self.document(frame)
        lines = [document.line(*each) for each in answer["lines"]]
        if answer["whole"]:
            document.lines = lines
        else:
            kept = len(document.lines) - answer["end"]
            document.lines = document.lines[: answer["start"]] + lines + document.lines[kept:]
        document.version = answer["version"]
        self.secrets.update(answer["secrets"])

    async def compose(self, frame: "Frame", *, depth: int = 0, room: int = _MOST_FRAMES) -> list[Line]:
        """Return the known lines of a frame with those of the frames inside, asked anew."""
        document = self.document(frame)
        lines: list[Line] = []
        for line in document.lines:
            lines.append(line._replace(depth=depth + line.depth) if depth else line)
            if line.reference and room > 0 and line.text.startswith("iframe"):
                room -= 1
                number = int(line.reference.partition("e")[2])
                lines += await self._inside(frame, document, number, depth + line.depth + 1, room)
        return lines

    async def _inside(self, frame: "Frame", document: Document, number: int, depth: int, room: int) -> list[Line]:
        from playwright.async_api import Error

        try:
            if number not in document.inner:
                handle = await self._locator(frame, document.number, number).element_handle(timeout=_FRAME_MS)
                document.inner[number] = await handle.content_frame()
                await handle.dispose()
            inner = document.inner[number]
            if inner is None or inner.is_detached():
                document.inner.pop(number, None)
                return []
            return await self.read(inner, depth=depth, room=room)
        except Error:
            return [Line(depth, 'text "(this frame does not answer)"', "", interactive=False)]

    async def find(self, target: str) -> Element:
        """Return the element that a caller means.

        Raises:
            InvalidArgument: it is no reference, or not exactly one element fits.
            NotFound: there is none, or no longer.
        """
        require_target(target)
        if parsed := _REFERENCE.fullmatch(target):
            frame, number, reference = self._frame_of(int(parsed[1])), int(parsed[2]), target
        else:
            how, _, what = target.partition("=")
            frame, number = await self._search(how, what)
            reference = f"{self.document(frame).number}e{number}"
        facts = await self.ask(frame, do="describe", number=number)
        if f"{facts['document']}e{number}" != reference or facts["state"] == "unknown":
            raise NotFound(f"There is no element {reference} on this page.", hint=_NEW_REFERENCES)
        if facts["state"] == "gone":
            raise NotFound(
                f"The element {reference} is gone from the page.",
                untrusted=facts.get("was") or "",
                hint="Take a new snapshot to see what is there now.",
            )
        return Element(reference, frame, self._locator(frame, facts["document"], number), facts)

    def at_once(self, reference: str) -> "tuple[Frame, Locator] | None":
        """Return what acts on the element of a reference without a question before; None for another target.

        Acting fails, with nothing done and `is_unready` of the error, where `find` has something to tell: the element
        is gone, it is no longer what it was shown as, or a click on it sends a form to another origin.
        """
        parsed = _REFERENCE.fullmatch(reference)
        if parsed is None:
            return None
        frame, number = self._frame_of(int(parsed[1])), int(parsed[2])
        return frame, self._locator(frame, self.document(frame).number, number, ready=True)

    def is_unready(self, error: Exception) -> bool:
        """Whether nothing was done because there is something to tell before."""
        return f"{self._signal}-unready" in str(error)

    async def focused(self) -> Element | None:
        """Return what has the focus, in whichever frame; None when nothing has."""
        frame = self._page.main_frame
        for _ in range(_MOST_FRAMES):
            answer = await self.ask(frame, do="focused")
            if not answer["number"]:
                return None
            if not answer["inner"]:
                return await self.find(f"{answer['document']}e{answer['number']}")
            handle = await self._locator(frame, answer["document"], answer["number"]).element_handle(timeout=_FRAME_MS)
            inner = await handle.content_frame()
            if inner is None:
                return None
            frame = inner
        return None

    def _frame_of(self, number: int) -> "Frame":
        for frame, document in self._by_frame.items():
            if document.number == number and not frame.is_detached():
                return frame
        raise NotFound(f"No document of this page has references {number}e….", hint=_NEW_REFERENCES)

    async def _search(self, how: str, what: str) -> "tuple[Frame, int]":
        from playwright.async_api import Error

        found: list[tuple[Frame, int, str]] = []
        for frame in self._page.frames[:_MOST_FRAMES]:
            try:
                answer = await self.ask(
                    frame, _ASK_MS if frame == self._page.main_frame else _FRAME_MS, do="find", how=how, what=what
                )
            except Error:
                continue
            if answer.get("invalid"):
                raise InvalidArgument(f"'target' {what[:80]!r} is no CSS selector.", hint="Try a reference instead.")
            found += [(frame, number, text) for number, text in answer["found"]]
        if not found:
            raise NotFound(f"Nothing on the page fits {how}={what[:80]}.", hint="snapshot shows what is there.")
        if len(found) > 1:
            candidates = "\n".join(f"{text} [{self.document(frame).number}e{n}]" for frame, n, text in found[:8])
            raise InvalidArgument(
                f"'target' fits {len(found)} elements.", untrusted=candidates, hint="Give the reference of one of them."
            )
        frame, number, _ = found[0]
        return frame, number

    def _locator(self, frame: "Frame", document: int, number: int, **how: Any) -> "Locator":
        body = quote(json.dumps({"do": "element", "document": document, "number": number, **how}), safe="")
        return frame.locator(f"{ENGINE}={body}")

    def secret_fields(self) -> "list[Locator]":
        """Return what finds the fields whose value nobody may see, in every frame."""
        body = quote(json.dumps({"do": "secret"}), safe="")
        return [frame.locator(f"{ENGINE}={body}") for frame in self._page.frames]

    async def cover(self, *, on: bool) -> None:
        """Show dots in those fields, or again what they hold; where a picture cannot be masked."""
        from playwright.async_api import Error

        for frame in self._page.frames:
            with suppress(Error):  # a frame that does not answer is not drawn anew either
                await self.ask(frame, _FRAME_MS, do="cover", on=on)

    async def learn_secrets(self) -> None:
        """Take in what stands in secret fields now, in every frame that answers."""
        from playwright.async_api import Error

        for frame in self._page.frames:
            with suppress(Error):
                answer = await self.ask(frame, _ASK_MS if frame == self._page.main_frame else _FRAME_MS, do="secrets")
                self.secrets.update(answer["values"])

    def forget(self, frame: "Frame") -> None:
        """Drop a frame that is gone."""
        self._by_frame.pop(frame, None)
