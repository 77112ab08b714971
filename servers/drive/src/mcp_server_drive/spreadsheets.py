"""Google Sheets as CSV: every tab, one, or a range."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mcp_server_shared.errors import NotFound, TooLarge, did_you_mean

from mcp_server_drive.content import Content, Section, bounded
from mcp_server_drive.files import DriveFile, Files

_MOST_TAB_BYTES = 16_777_216  # as JSON
_TABS_AT_ONCE = 20
_RANGE = re.compile(r"(?:(?P<tab>.+)!)?(?P<cells>[A-Za-z]{0,3}\d{0,7}(?::[A-Za-z]{0,3}\d{0,7})?)")


def read(files: Files, file: DriveFile, part: str | None) -> Content:
    """Return all tabs, or the tab or range that `part` names."""
    titles = tabs(files, file)
    if part is None:
        return bounded(_tab_sections(files, file, titles))
    wanted = address(part, titles)
    return bounded([Section(part, _csv(values(files, file, wanted)))])


def tabs(files: Files, file: DriveFile) -> list[str]:
    """Return the titles of the tabs that have cells."""
    request = files.api.requests.spreadsheets.get(
        spreadsheetId=file.id, fields="sheets(properties(title,sheetType,gridProperties))"
    )
    told = files.api.read(request, files.pace)
    properties = [sheet["properties"] for sheet in told.get("sheets", ())]
    return [tab["title"] for tab in properties if "gridProperties" in tab]


def address(part: str, titles: Sequence[str]) -> str:
    """Return a tab or range in Google's notation, the tab's title quoted so that it is nothing but a title.

    Raises:
        NotFound: there is no such tab.
    """
    if part in titles:
        return quoted(part)
    if part.isdigit() and 0 < int(part) <= len(titles):
        return quoted(titles[int(part) - 1])
    match = None if part.isdigit() else _RANGE.fullmatch(part)
    if match and match["cells"] and (match["tab"] is None or _unquoted(match["tab"]) in titles):
        return f"{quoted(_unquoted(match['tab']) if match['tab'] else titles[0])}!{match['cells'].upper()}"
    raise NotFound(
        "It has no such tab or range.",
        hint="Pass a tab's title, a range such as A1:D20 (of the first tab), or both: Title!A1:D20.",
        untrusted=did_you_mean(part, titles) or ", ".join(titles)[:400],
    )


def quoted(title: str) -> str:
    """Return a tab's title as Google's notation has it."""
    return "'" + title.replace("'", "''") + "'"


def _unquoted(tab: str) -> str:
    return tab[1:-1].replace("''", "'") if len(tab) > 1 and tab[0] == tab[-1] == "'" else tab


def _tab_sections(files: Files, file: DriveFile, titles: Sequence[str]) -> Iterator[Section]:
    for first in range(0, len(titles), _TABS_AT_ONCE):
        some = titles[first : first + _TABS_AT_ONCE]
        for title, rows in zip(some, _values_of_tabs(files, file, some), strict=True):
            yield Section(title, _csv(rows))


def _values_of_tabs(files: Files, file: DriveFile, titles: Sequence[str]) -> Iterable[list[list[Any]]]:
    """Return the rows of some tabs: in one request, or one for each where that is too much at once."""
    ranges = [quoted(title) for title in titles]
    request = files.api.requests.values.batchGet(spreadsheetId=file.id, ranges=ranges, fields="valueRanges(values)")
    try:
        told = files.api.read(request, files.pace, most_bytes=_MOST_TAB_BYTES)
    except TooLarge:
        return (values(files, file, wanted) for wanted in ranges)
    return [one.get("values", []) for one in told["valueRanges"]]


def values(files: Files, file: DriveFile, wanted: str) -> list[list[Any]]:
    """Return the rows of a range, as they are displayed."""
    request = files.api.requests.values.get(spreadsheetId=file.id, range=wanted, fields="values")
    try:
        return files.api.read(request, files.pace, most_bytes=_MOST_TAB_BYTES).get("values", [])
    except TooLarge:
        raise TooLarge(
            "One tab has too many cells to be read at once.", hint="Pass a range as part, such as Title!A1:Z5000."
        ) from None


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
