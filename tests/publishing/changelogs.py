"""The changelog of a package: one section for each version, and one for what is not released yet."""

import re

_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<body>(?:(?!## ).*\n?)*)", re.MULTILINE)
_UNRELEASED = "Unreleased"


def sections(text: str) -> dict[str, str]:
    """Return what changed, by version; "Unreleased" is what has none yet."""
    return {found["title"].partition(" - ")[0]: found["body"].strip() for found in _SECTION.finditer(text)}


def released(text: str, version: str, day: str) -> str:
    """Return the changelog with what was not released yet under a version and the day of its release.

    Raises:
        ValueError: nothing has changed, or the version has been released.
    """
    known = sections(text)
    if version in known:
        raise ValueError(f"the changelog has {version} already")
    if not known.get(_UNRELEASED):
        raise ValueError("the changelog has nothing under 'Unreleased'")
    return text.replace(f"## {_UNRELEASED}\n", f"## {_UNRELEASED}\n\n## {version} - {day}\n", 1)
