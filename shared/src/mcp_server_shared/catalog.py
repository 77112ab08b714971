"""What a server says of itself: what it is for, what it may do, what it never does."""

from dataclasses import dataclass, field
from typing import Literal

State = Literal["none", "caller", "process"]


@dataclass(frozen=True)
class Grant:
    """A permission beyond reading that the operator gives with one switch.

    Attributes:
        setting: the boolean field of the server's settings that gives it, for example "allow_write".
        allows: what it lets the server do, as in "create and change files".
        needs: the least privilege of the credential that this takes.
    """

    setting: str
    allows: str
    needs: str

    @property
    def name(self) -> str:
        """The short name, which a caller's token has: "write" for "allow_write"."""
        return self.setting.removeprefix("allow_")

    @property
    def flag(self) -> str:
        """The switch on the command line."""
        return "--" + self.setting.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class About:
    """The facts of one server that its code decides; `catalog.yaml` is generated from them.

    Attributes:
        package: the distribution and the command, for example "mcp-server-postgres".
        title: the name for people.
        purpose: what it is for, in one line.
        reading_needs: the least privilege of the credential for everything that is not granted separately.
        grants: the permissions beyond reading.
        state: what the server remembers between calls: nothing, something for each caller for a while, or
            live things of this process behind handles (an open cursor, a browser page).
        never: what it does not do, whatever it is asked.
        links: further reading, by label.
        example: arguments that make a sensible first run.
        confidentiality: whether what it reads is private to the operator or public.
    """

    package: str
    title: str
    purpose: str
    reading_needs: str
    grants: tuple[Grant, ...] = ()
    state: State = "none"
    never: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict[str, str])
    example: tuple[str, ...] = ()
    confidentiality: Literal["private", "public"] = "private"

    @property
    def name(self) -> str:
        """The short name: "postgres" for "mcp-server-postgres"."""
        return self.package.removeprefix("mcp-server-")


@dataclass(frozen=True)
class Finding:
    """One thing that `check` found out.

    Attributes:
        level: "problem" when the server cannot do its work, "warning" when it could do with less privilege.
        text: what was found.
        advice: what to do about it, exactly.
    """

    level: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""
