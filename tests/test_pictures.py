"""The pictures in the documents are of what a person sees today."""

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pictures
import pytest

SVG = "{http://www.w3.org/2000/svg}"
MOST_BYTES = 100_000
# What differs from one run to the next: numbers, names of folders, handles, delimiters.
VARYING = re.compile(r"mcp-console-\w+|untrusted-\w+|\b[pc]_[\w-]{22}|\d+")


def lines(svg: str) -> list[str]:
    """Return the lines of a picture, without what differs from one run to the next."""
    rows: dict[float, list[str]] = {}
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):  # noqa: S314 - it is our own
        rows.setdefault(float(text.attrib["y"]), []).append(text.text or "")
    return [VARYING.sub("#", " ".join(" ".join(row).split())) for row in rows.values()]


def committed(name: str) -> Path:
    return pictures.ROOT / "docs/pictures" / f"{name}.svg"


def compare(name: str) -> None:
    """Make a picture again and compare what can be read in it."""
    now, then = lines(pictures.picture(name)), lines(committed(name).read_text(encoding="utf-8"))
    assert now == then, "run: python tests/pictures.py, and look at what has changed"


@pytest.mark.slow
def test_a_session_at_the_console_is_as_in_its_picture() -> None:
    compare("console")


@pytest.mark.slow
def test_the_browser_at_work_is_as_in_its_picture() -> None:
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("no Chromium: on Debian, apt-get install chromium")
    compare("browser")


@pytest.mark.parametrize("name", list(pictures.PICTURES))
def test_a_picture_is_small_and_shows_a_session(name: str) -> None:
    assert committed(name).stat().st_size < MOST_BYTES
    assert lines(committed(name).read_text(encoding="utf-8"))[0] == "$ python# tests/bootstrap.py console " + " ".join(
        pictures.PICTURES[name][1]
    )
