"""Who is who: names are asked for when they are first seen, and kept for a while."""

from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic

import anyio
from mcp_server_shared.errors import ExpectedError, NotFound

from mcp_server_slack.answers import Answer, an_object
from mcp_server_slack.slack_api import Read

_KEPT_S = 3_600.0
_MOST_KEPT = 20_000
_AT_ONCE = 8
_MOST_ASKED = 60  # names for one result; the rest stay ids


@dataclass(frozen=True)
class Person:
    """Somebody, or some bot, of the workspace.

    Attributes:
        handle: unique in the workspace.
        name: what others see.
    """

    id: str
    handle: str
    name: str
    real_name: str = ""
    title: str = ""
    timezone: str = ""
    bot: bool = False
    deactivated: bool = False


def person_of(raw: Answer) -> Person:
    """Return somebody as Slack describes them."""
    profile = an_object(raw.get("profile"))
    real_name = str(profile.get("real_name") or raw.get("real_name") or "")
    return Person(
        id=str(raw.get("id", "")),
        handle=str(raw.get("name") or ""),
        name=str(profile.get("display_name") or real_name or raw.get("name") or ""),
        real_name=real_name,
        title=str(profile.get("title") or ""),
        timezone=str(raw.get("tz") or ""),
        bot=bool(raw.get("is_bot")),
        deactivated=bool(raw.get("deleted")),
    )


class People:
    """The names seen lately."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[float, str]] = {}

    def remember(self, person: Person) -> None:
        """Keep a name that came along with something else."""
        self._names.pop(person.id, None)
        self._names[person.id] = (monotonic(), person.name)
        if len(self._names) > _MOST_KEPT:
            del self._names[next(iter(self._names))]

    async def names(self, read: Read, ids: Iterable[str]) -> dict[str, str]:
        """Return the names of some people; whoever's cannot be found out is left out."""
        wanted = list(dict.fromkeys(filter(None, ids)))
        unknown = [who for who in wanted if self._known(who) is None][:_MOST_ASKED]
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as tasks:

            async def ask(who: str) -> None:
                async with limiter:
                    try:
                        self.remember(person_of((await read("users.info", user=who))["user"]))
                    except NotFound:
                        self.remember(Person(id=who, handle="", name=""))
                    except ExpectedError:  # a name is not worth more: no scope, too many requests
                        tasks.cancel_scope.cancel()

            for who in unknown:
                tasks.start_soon(ask, who)
        return {who: name for who in wanted if (name := self._known(who))}

    def _known(self, who: str) -> str | None:
        learnt, name = self._names.get(who, (0.0, ""))
        return name if learnt and monotonic() - learnt < _KEPT_S else None
