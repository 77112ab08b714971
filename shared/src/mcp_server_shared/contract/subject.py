"""What a server tells the contract suite about itself."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_server_shared.start import Program


@dataclass(frozen=True)
class Example:
    """A call of a tool, or the use of a prompt, that succeeds alike each time when the upstream is there.

    Attributes:
        name: the tool or prompt.
        arguments: what it is given.
        paged: whether the result has more than 1,000 characters and comes whole by following its cursors. Two such
            examples of one tool that differ in more than the size of a page prove that a cursor is bound to its call.
        needs_upstream: whether it fails while there is no upstream.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    paged: bool = False
    needs_upstream: bool = True


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The server whose promises are checked.

    Attributes:
        program: the function of the server's `__main__.py`.
        arguments: the command line of a server whose upstream is there. The checks only read: a tool that changes
            something is called with arguments that have to be refused, and by a server without upstream.
        environment: its environment, beside PATH.
        examples: calls of tools that read; the more, the more is proven.
        resources: URIs that can be read.
        prompts: uses of prompts.
        slow: calls of tools that read, and take longer than anybody waits.
        upstream_hint: words that the error of an example has while there is no upstream, since they say how to supply
            it; without them nothing needs an upstream.
        command: what starts the server; by default the package of `program`, as a module.
        most_tokens: what a model may have to read of it, read-only and with every grant.
    """

    program: "Callable[[], Program[Any]]"
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    examples: Sequence[Example] = ()
    resources: Sequence[str] = ()
    prompts: Sequence[Example] = ()
    slow: Sequence[Example] = ()
    upstream_hint: str = ""
    command: Sequence[str] = ()
    most_tokens: tuple[int, int] = (1_600, 2_600)

    @property
    def package(self) -> str:
        """The import package of the server."""
        return self.program.__module__.removesuffix(".__main__")

    @property
    def command_line(self) -> list[str]:
        """What starts the server, without its arguments."""
        return list(self.command) or [sys.executable, "-m", self.package]

    @property
    def every_grant(self) -> list[str]:
        """The flags that give every grant."""
        return [grant.flag for grant in self.program().about.grants]

    def is_slow(self, tool: str) -> bool:
        """Whether a tool is for the checks of deadlines alone."""
        return tool in {example.name for example in self.slow}

    def values_for(self, tool: str) -> Mapping[str, Any]:
        """Return arguments that the tool understands, from its first example."""
        return next((example.arguments for example in self.examples if example.name == tool), dict[str, Any]())
