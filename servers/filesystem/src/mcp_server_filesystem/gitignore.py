"""What `.gitignore` files leave out, by the rules of git.

Our own reading of the format, because such files belong to whoever wrote the tree: a pattern of theirs must not
take long, and the libraries for it translate to regular expressions that can (`*a*a*a*b`).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcp_server_shared.globs import any_of, glob_regex

MAX_BYTES = 262_144  # of one file; what follows is not read

_TRAILING_BLANKS = re.compile(r"(?<!\\) +$")


@dataclass(frozen=True)
class _Rule:
    regex: re.Pattern[str]
    ignores: bool
    directories_only: bool
    names_only: bool


class IgnoreFile:
    """The rules of one `.gitignore`, for paths relative to its directory."""

    def __init__(self, text: str) -> None:
        self._rules = [rule for line in text.split("\n") if (rule := _rule(line.removesuffix("\r")))]
        self._rules.reverse()  # the last one that fits decides
        self._some_name = any_of([rule.regex.pattern for rule in self._rules if rule.names_only])
        self._path_rules = any(not rule.names_only for rule in self._rules)

    def verdict(self, path: str, *, is_directory: bool) -> bool | None:
        """Tell whether the path is ignored; None where no rule is about it."""
        name = path.rpartition("/")[2]
        if not self._path_rules and not (self._some_name and self._some_name.fullmatch(name)):
            return None
        for rule in self._rules:
            if rule.directories_only and not is_directory:
                continue
            if rule.regex.fullmatch(name if rule.names_only else path):
                return rule.ignores
        return None


class Ignored:
    """The `.gitignore` files of a tree, each read when the first path beneath it is asked about.

    Args:
        read: returns the text of a directory's `.gitignore`, given the directory's names; "" where there is none.
        above: those of the directories above the tree, outermost first, each with its names below that directory.
    """

    def __init__(
        self, read: Callable[[Sequence[str]], str], above: Sequence[tuple[IgnoreFile, Sequence[str]]] = ()
    ) -> None:
        self._read = read
        self._above = above
        self._files: dict[tuple[str, ...], IgnoreFile | None] = {}
        self._directories: dict[tuple[str, ...], bool] = {(): False}

    def ignores(self, names: Sequence[str], *, is_directory: bool) -> bool:
        """Tell whether an entry is ignored; the directories above it are taken to be walked."""
        if names[-1] == ".git":
            return True
        for depth in range(len(names) - 1, -1, -1):
            file = self._file(tuple(names[:depth]))
            verdict = file and file.verdict("/".join(names[depth:]), is_directory=is_directory)
            if verdict is not None:
                return verdict
        for file, between in reversed(self._above):
            verdict = file.verdict("/".join([*between, *names]), is_directory=is_directory)
            if verdict is not None:
                return verdict
        return False

    def hides(self, names: Sequence[str]) -> bool:
        """Tell whether a file, or a directory on the way to it, is ignored."""
        return self._hides_directory(tuple(names[:-1])) or self.ignores(names, is_directory=False)

    def _hides_directory(self, names: tuple[str, ...]) -> bool:
        if names not in self._directories:
            above = self._hides_directory(names[:-1])
            self._directories[names] = above or self.ignores(names, is_directory=True)
        return self._directories[names]

    def _file(self, names: tuple[str, ...]) -> IgnoreFile | None:
        if names not in self._files:
            text = self._read(names)
            self._files[names] = IgnoreFile(text) if text else None
        return self._files[names]


def _rule(line: str) -> _Rule | None:
    pattern = _TRAILING_BLANKS.sub("", line)
    if not pattern or pattern.startswith("#"):
        return None
    ignores = not pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    directories_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    names_only = "/" not in pattern
    pattern = pattern.removeprefix("/")
    return _Rule(re.compile(glob_regex(pattern)), ignores, directories_only, names_only) if pattern else None
