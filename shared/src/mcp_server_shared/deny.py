"""Names that stay closed even inside a root: secrets and keys, by glob."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from mcp_server_shared.errors import PermissionDenied
from mcp_server_shared.globs import any_of, glob_regex

DEFAULT_DENY = (
    "**/.env",
    "**/.env.*",
    "**/.envrc",
    "!**/.env.example",
    "!**/.env.sample",
    "!**/.env.template",
    "**/.git/**",
    "**/.git-credentials",
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/.aws/credentials",
    "**/.docker/config.json",
    "**/.kube/config",
    "**/.netrc",
    "**/.pgpass",
    "**/.pypirc",
    "**/id_rsa",
    "**/id_dsa",
    "**/id_ecdsa",
    "**/id_ed25519",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/*.kdbx",
)


_UNSEEN = ("Cf", "Mn")


class DenyGlobs:
    r"""Globs matched, whatever the case, on paths relative to a root.

    `*` and `?` stay inside a name, `**` spans directories, and a pattern without a slash fits at any depth.
    A match closes the entry and all beneath it, so `dir/**` closes `dir` too. A pattern that begins with `!`
    makes an exception, wherever it stands in the list. A name that is closed is closed as well in every spelling
    that some file system takes for the same: `.env.`, `.e\u200bnv`.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        denied = [glob for glob in patterns if not glob.startswith("!")]
        self._denied = _Matcher(denied)
        self._each_denied = {glob: _Matcher([glob]) for glob in denied}
        self._excepted = _Matcher([glob[1:] for glob in patterns if glob.startswith("!")])

    def denies(self, directory: str, name: str) -> bool:
        """Tell whether an entry of a relative directory ("" for the root) is closed; its parents are not looked at."""
        return any(self._closes(*spelling) for spelling in _spellings(directory, name))

    def _closes(self, directory: str, name: str) -> bool:
        return self._denied.matches(directory, name) and not self._excepted.matches(directory, name)

    def check(self, names: Sequence[str], asked: str, *, checked: int = 0) -> None:
        """Raise PermissionDenied if the entry that `names` lead to, or a directory on the way, is closed.

        The first `checked` names are known to be open; `asked` is the path that the error names.
        """
        for depth in range(checked, len(names)):
            closed = filter(lambda spelling: self._closes(*spelling), _spellings("/".join(names[:depth]), names[depth]))
            if spelling := next(closed, None):
                pattern = next(glob for glob, matcher in self._each_denied.items() if matcher.matches(*spelling))
                raise PermissionDenied(
                    f"{asked!r} is closed by the deny pattern '{pattern}'.",
                    hint="The operator decides this with --deny when starting the server; work without this file.",
                )


class _Matcher:
    """Several globs at once. Most are about a name alone, and those never look at the directory."""

    def __init__(self, globs: Sequence[str]) -> None:
        self._names = any_of([_regex(glob) for glob in globs if _is_name(glob)], re.IGNORECASE)
        self._paths = any_of([_regex(glob) for glob in globs if not _is_name(glob)], re.IGNORECASE)

    def matches(self, directory: str, name: str) -> bool:
        if self._names and self._names.fullmatch(name):
            return True
        return bool(self._paths and self._paths.fullmatch(f"{directory}/{name}" if directory else name))


def _spellings(directory: str, name: str) -> list[tuple[str, str]]:
    """Return an entry as it is named, and as some file system may read that."""
    given, plain = (directory, name), (_plain_path(directory), _plain(name))
    return [given] if plain == given else [given, plain]


@lru_cache(maxsize=1_024)
def _plain_path(path: str) -> str:
    return "/".join(map(_plain, path.split("/")))


def _plain(name: str) -> str:
    """Return a name without what some file systems take for nothing: marks no one sees, dots and blanks at its end."""
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
        name = "".join(character for character in name if unicodedata.category(character) not in _UNSEEN)
    return name.rstrip(" .") or name


def _is_name(glob: str) -> bool:
    return "/" not in _core(glob)


def _core(glob: str) -> str:
    """Return the glob without what only says "at any depth" and "and all beneath it"."""
    if glob.startswith("**/"):
        glob = glob.removeprefix("**/").removesuffix("/**")
        return glob if "/" not in glob else f"**/{glob}"
    return glob.removesuffix("/")


def _regex(glob: str) -> str:
    return glob_regex(_core(glob).removeprefix("/").removesuffix("/**"))
