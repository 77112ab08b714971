"""Globs as regular expressions that never take long, whatever the glob and the name.

`*` and `?` stay inside a name, `**` as a whole name spans directories, `[a-z]` and `[!a-z]` are classes, a
backslash takes the next character as it is. Each star stops, for good, at the first place where what follows it
up to the next star fits: no later place could be better, and so nothing is tried twice.
"""

import re
from collections.abc import Callable, Sequence

MAX_ALTERNATIVES = 64

_TOKEN = re.compile(r"(?s)\*+|\?|\[!?\]?[^]/]*\]|\\?.")
_BRACES = re.compile(r"(?<!\\)\{([^{}]*,[^{}]*)(?<!\\)\}")


def glob_regex(glob: str) -> str:
    """Return a regular expression that fits (by `fullmatch`) the paths that the glob does."""
    groups: list[list[str]] = [[]]  # of names, between those that are "**"
    for name in glob.split("/"):
        if name != "**":
            groups[-1].append(_name_regex(name))
        elif groups[-1] or len(groups) == 1:
            groups.append([])
    first, *others = groups
    if not others:
        return "/".join(first)
    *between, last = others
    begin = "".join(f"{name}/" for name in first)
    middle = "".join(f"(?>(?:[^/]+/)*?{'/'.join(group)}/)" for group in between)
    return begin + middle + (f"(?:[^/]+/)*{'/'.join(last)}" if last else "(?s:.+)")


def any_of(regexes: Sequence[str], flags: int = 0) -> re.Pattern[str] | None:
    """Return one pattern for several regular expressions, None for none."""
    return re.compile("|".join(f"(?:{regex})" for regex in regexes), flags) if regexes else None


def path_matcher(globs: Sequence[str], *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return whether a path fits one of the globs, or any path where there are none.

    A glob without a slash fits a name at any depth; `{a,b}` stands for either.
    """
    each = [glob for braces in globs for glob in alternatives(braces)]
    anywhere = [glob if "/" in glob else f"**/{glob}" for glob in each]
    fits = any_of([glob_regex(glob.removeprefix("/")) for glob in anywhere], re.IGNORECASE if ignore_case else 0)
    return lambda path: fits is None or fits.fullmatch(path) is not None


def alternatives(glob: str) -> list[str]:
    """Return the globs that one with braces stands for: `*.{js,ts}` for `*.js` and `*.ts`; at most 64."""
    done: list[str] = []
    to_do = [glob]
    while to_do and len(done) + len(to_do) <= MAX_ALTERNATIVES:
        glob = to_do.pop()
        braces = _BRACES.search(glob)
        if braces is None:
            done.append(glob)
        else:
            to_do += [glob[: braces.start()] + choice + glob[braces.end() :] for choice in braces[1].split(",")]
    return (done + to_do)[:MAX_ALTERNATIVES]


def _name_regex(name: str) -> str:
    parts = [""]  # between the stars
    for token in _TOKEN.findall(name):
        if token.startswith("*"):
            parts.append("")
        else:
            parts[-1] += _token_regex(token)
    if len(parts) == 1:
        return parts[0]
    first, *between, last = parts
    return first + "".join(f"(?>[^/]*?{part})" for part in between) + "[^/]*" + last


def _token_regex(token: str) -> str:
    if token == "?":  # noqa: S105 - of a glob
        return "[^/]"
    if len(token) > 1 and token[0] == "[":
        return _class_regex(token[1:-1])
    return re.escape(token[1:] if len(token) > 1 else token)


def _class_regex(body: str) -> str:
    negated = body.startswith("!")
    members = re.findall("(?s).-.|.", body[negated:])
    ranges = [
        f"{re.escape(member[0])}-{re.escape(member[2])}"
        for member in members
        if len(member) > 1 and member[0] <= member[2]
    ]
    singles = [re.escape(member) for member in members if len(member) == 1]
    within = "".join(ranges + singles)
    if negated:
        return f"[^/{within}]"
    return f"(?!/)[{within}]" if within else "(?!)"
