"""Where lines come from: a terminal with completion and history, or a pipe."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mcp_server_shared.commands.console import paint, say
from mcp_server_shared.untrusted import show_invisible

from console.completion import Candidate
from console.rendering import WIDTH, fitted

try:
    import readline
except ImportError:  # Windows: lines without completion
    readline = None

MOST_CANDIDATES = 30
Complete = Callable[[str], dict[str, Candidate]]


@dataclass
class Terminal:
    """Asks a person for lines, or reads them from a pipe.

    Attributes:
        complete: how a line may go on, by the whole line.
        prompt: what stands before it.
    """

    complete: Complete
    prompt: str = "mcp> "
    _found: dict[str, Candidate] = field(default_factory=dict[str, Candidate])

    @property
    def is_interactive(self) -> bool:
        """Whether a person types."""
        return sys.stdin.isatty()

    def __post_init__(self) -> None:
        """Let the tabulator complete the whole line, so that words in quotation marks are completed too."""
        if readline and self.is_interactive:
            readline.set_completer(self._complete)
            readline.set_completer_delims("")
            readline.set_completion_display_matches_hook(self._show)
            is_libedit = "libedit" in (readline.__doc__ or "")
            readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")

    def read(self, question: str | None = None) -> str | None:
        """Return the next line, of the person or of the pipe, where it is shown; None at the end.

        Args:
            question: what stands before it instead of the prompt.
        """
        before = question or self.prompt
        if self.is_interactive:
            try:
                return input(before if question else f"\x01\x1b[32m\x02{before}\x01\x1b[0m\x02")
            except EOFError:
                return None
        line = sys.stdin.readline()
        if not line:
            return None
        say(f"{paint(before, 'green')}{line.rstrip()}")
        return line.rstrip()

    def _complete(self, text: str, number: int) -> str | None:
        if number == 0:
            self._found = self.complete(text)
        lines = list(self._found)
        return lines[number] if number < len(lines) else None

    def _show(self, _text: str, lines: Sequence[str], _longest: int) -> None:
        """Print the candidates with what they are, and the line again below."""
        shown = [each for line, each in self._found.items() if line in lines]  # which readline has sorted
        room = max((len(each.word) for each in shown), default=0)
        room = min(room, WIDTH // 2)
        say()
        for each in shown[:MOST_CANDIDATES]:
            hint = show_invisible(" ".join(each.hint.split()))
            say(f"  {paint(fitted(each.word, room), 'cyan')}  {paint(fitted(hint, WIDTH - room - 4).rstrip(), 'dim')}")
        if len(shown) > MOST_CANDIDATES:
            say(paint(f"  … and {len(shown) - MOST_CANDIDATES} more", "dim"))
        sys.stdout.write(f"{paint(self.prompt, 'green')}{readline.get_line_buffer() if readline else ''}")
        sys.stdout.flush()
