"""What a page requested and what it printed, kept for whoever asks later."""

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import ConsoleMessage, Request

_MOST_KEPT = 1_000
_ADDRESS_CHARACTERS = 500
_STATIC = {"stylesheet", "script", "image", "font", "media", "manifest"}
_AWAITED = {"document", "fetch", "xhr", "script", "stylesheet"}  # what changes a page when it arrives


@dataclass(eq=False)
class Exchange:
    """One request and what became of it."""

    number: int
    request: "Request"
    status: int | None = None
    failure: str | None = None
    done: bool = False

    @property
    def is_static(self) -> bool:
        """Whether it fetched a part of the page rather than data."""
        return self.request.resource_type in _STATIC

    @property
    def is_awaited(self) -> bool:
        """Whether the page will look different when it is answered."""
        return not self.done and self.request.resource_type in _AWAITED

    def row(self) -> list[object]:
        """Return it as a line of the list."""
        outcome = self.status if self.status is not None else self.failure or ("done" if self.done else "pending")
        address = self.request.url[:_ADDRESS_CHARACTERS]
        return [self.number, self.request.method, self.request.resource_type, outcome, address]


@dataclass(frozen=True)
class Printed:
    """One message of the console."""

    number: int
    level: str
    text: str
    where: str

    def is_failure_of(self, where: str) -> bool:
        """Whether it says no more than that what is at this place was answered by an error."""
        return self.text.startswith("Failed to load resource") and self.where.startswith(where)


@dataclass(eq=False)
class Traffic:
    """The log of one page."""

    exchanges: deque[Exchange] = field(default_factory=lambda: deque[Exchange](maxlen=_MOST_KEPT))
    messages: deque[Printed] = field(default_factory=lambda: deque[Printed](maxlen=_MOST_KEPT))
    _by_request: "dict[Request, Exchange]" = field(default_factory=dict["Request", Exchange])
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _message_numbers: "count[int]" = field(default_factory=lambda: count(1))

    def started(self, request: "Request") -> None:
        """Note a request that was sent."""
        if len(self.exchanges) == _MOST_KEPT:
            self._by_request.pop(self.exchanges[0].request, None)
        exchange = Exchange(next(self._numbers), request)
        self.exchanges.append(exchange)
        self._by_request[request] = exchange

    def answered(self, request: "Request", status: int) -> None:
        """Note the status of an answer."""
        if exchange := self._by_request.get(request):
            exchange.status = status

    def ended(self, request: "Request", failure: str | None = None) -> None:
        """Note that nothing more will come."""
        if exchange := self._by_request.get(request):
            exchange.done, exchange.failure = True, failure

    def awaited_since(self, number: int) -> list[Exchange]:
        """Return the unanswered requests after a number that will change the page."""
        return [exchange for exchange in self.exchanges if exchange.number > number and exchange.is_awaited]

    @property
    def last_number(self) -> int:
        """The number of the newest request."""
        return self.exchanges[-1].number if self.exchanges else 0

    @property
    def last_message(self) -> int:
        """The number of the newest message."""
        return self.messages[-1].number if self.messages else 0

    def exchange(self, number: int) -> Exchange | None:
        """Return one of them."""
        return next((exchange for exchange in self.exchanges if exchange.number == number), None)

    def printed(self, message: "ConsoleMessage") -> None:
        """Note a message of the console."""
        place = message.location
        self.note(message.type, message.text, f"{place.get('url', '')}:{place.get('lineNumber', 0)}")

    def note(self, level: str, text: str, where: str = "") -> None:
        """Note what the console would show."""
        self.messages.append(Printed(next(self._message_numbers), level, text[:4_000], where[:300]))

    def errors_since(self, number: int) -> list[Printed]:
        """Return the errors after a number."""
        return [each for each in self.messages if each.number > number and each.level == "error"]
