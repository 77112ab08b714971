"""Google Docs, Sheets and Slides as their APIs answer them."""

import re
from typing import Any

from fake_google.storage import GOOGLE, Stored

Json = dict[str, Any]

DOC = GOOGLE + "document"
SHEET = GOOGLE + "spreadsheet"
SLIDES = GOOGLE + "presentation"


def paragraph(text: str, style: str = "NORMAL_TEXT", **fields: Any) -> Json:
    """Return a paragraph of a document."""
    run: Json = {"textRun": {"content": text + "\n", "textStyle": {}}}
    return {"paragraph": {"elements": [run], "paragraphStyle": {"namedStyleType": style}, **fields}}


def tab(title: str, content: list[Json], children: list[Json] | None = None, **parts: Any) -> Json:
    """Return a tab of a document."""
    return {
        "tabProperties": {"tabId": f"t.{title}", "title": title},
        "documentTab": {"body": {"content": content}, **parts},
        "childTabs": children or [],
    }


def document(file_id: str, *tabs: Json) -> Json:
    """Return a document."""
    return {"documentId": file_id, "title": file_id, "revisionId": "doc-1", "tabs": list(tabs)}


def spreadsheet(file_id: str, **tabs: list[list[Any]]) -> Json:
    """Return a spreadsheet; the rows of each tab ride along for `values`."""
    sheets = [
        {
            "properties": {
                "sheetId": number,
                "title": title,
                "index": number,
                "gridProperties": {
                    "rowCount": max(len(rows), 100),
                    "columnCount": max([26, *(len(row) for row in rows)]),
                },
            }
        }
        for number, (title, rows) in enumerate(tabs.items())
    ]
    return {"spreadsheetId": file_id, "sheets": sheets, "_rows": tabs}


def without_values(told: Json) -> Json:
    """Return a spreadsheet as spreadsheets.get answers it, without cells."""
    return {name: value for name, value in told.items() if name != "_rows"}


def values(file: Stored, asked: str) -> Json:
    """Return the cells of a range."""
    title, rows, columns = _range(file, asked)
    first, last = rows
    left, right = columns
    cells = [row[left : right + 1] for row in file.native["_rows"][title][first : last + 1]]
    while cells and not any(cell != "" for cell in cells[-1]):
        cells.pop()
    trimmed = [_without_empty_end([str(cell) for cell in row]) for row in cells]
    return {"range": asked, "majorDimension": "ROWS", "values": trimmed}


def put_values(file: Stored, asked: str, cells: list[list[Any]]) -> Json:
    """Write cells from the beginning of a range."""
    title, (first, _), (left, _) = _range(file, asked)
    rows = file.native["_rows"][title]
    for down, wanted in enumerate(cells):
        while len(rows) <= first + down:
            rows.append([])
        row = rows[first + down]
        row += [""] * (left + len(wanted) - len(row))
        row[left : left + len(wanted)] = wanted
    return {"spreadsheetId": file.id, "updatedRange": asked, "updatedCells": sum(map(len, cells))}


def _without_empty_end(row: list[str]) -> list[str]:
    while row and row[-1] == "":
        row.pop()
    return row


def _range(file: Stored, asked: str) -> tuple[str, tuple[int, int], tuple[int, int]]:
    quoted = re.fullmatch(r"'((?:[^']|'')*)'(?:!(.*))?", asked)
    if quoted:
        title, cells = quoted[1].replace("''", "'"), quoted[2] or ""
    else:
        title, _, cells = asked.rpartition("!")
        if not title:  # one word: a tab if there is one of that name, else cells of the first
            tabs = list(file.native["_rows"])
            title, cells = (cells, "") if cells in tabs else (tabs[0], cells)
    if title not in file.native["_rows"]:
        raise KeyError(title)
    match = re.fullmatch(r"([A-Z]*)(\d*)(?::([A-Z]*)(\d*))?", cells)
    if match is None:
        raise KeyError(cells)
    left, top, right, bottom = match.groups()
    far = 10**7
    if ":" not in cells and cells:
        right, bottom = left, top
    rows = (int(top or 1) - 1, int(bottom) - 1 if bottom else far)
    return title, rows, (_column(left) if left else 0, _column(right) if right else far)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def presentation(file_id: str, *slides: tuple[list[str], str]) -> Json:
    """Return a presentation: for each slide the texts on it, and its notes."""
    return {
        "presentationId": file_id,
        "title": file_id,
        "revisionId": "slides-1",
        "slides": [
            {
                "objectId": f"slide{number}",
                "pageElements": [_shape(f"e{number}-{i}", text) for i, text in enumerate(texts)],
                "slideProperties": {
                    "notesPage": {
                        "notesProperties": {"speakerNotesObjectId": f"n{number}"},
                        "pageElements": [_shape(f"n{number}", notes)],
                    }
                },
            }
            for number, (texts, notes) in enumerate(slides, 1)
        ],
    }


def _shape(object_id: str, text: str) -> Json:
    elements = [{"textRun": {"content": text + "\n"}}] if text else []
    return {"objectId": object_id, "shape": {"shapeType": "TEXT_BOX", "text": {"textElements": elements}}}


def convert(file: Stored, content: bytes | None) -> None:
    """Make what was uploaded into Google's own kind, roughly as Google does."""
    text = (content or b"").decode(errors="replace")
    if file.media_type == DOC:
        number = int(str(file.native.get("revisionId", "doc-0")).rpartition("-")[2]) + 1
        file.native = document(file.id, tab("Tab 1", [paragraph(line) for line in text.splitlines()]))
        file.native["revisionId"] = f"doc-{number}"
    elif file.media_type == SHEET:
        file.native = spreadsheet(file.id, Sheet1=[line.split(",") for line in text.splitlines()])
    elif file.media_type == SLIDES:
        file.native = presentation(file.id, ([text], ""))


def edit(file: Stored, wanted: Json) -> Json:
    """Carry out one change of a document."""
    if "replaceAllText" not in wanted:
        raise NotImplementedError(wanted)
    old = wanted["replaceAllText"]["containsText"]["text"]
    new = wanted["replaceAllText"]["replaceText"]
    count = 0
    for one in file.native["tabs"]:
        for element in one["documentTab"]["body"]["content"]:
            for part in element.get("paragraph", {}).get("elements", ()):
                run = part["textRun"]
                count += run["content"].count(old)
                run["content"] = run["content"].replace(old, new)
    file.native["revisionId"] = f"doc-{int(file.native['revisionId'].rpartition('-')[2]) + 1}"
    return {"replaceAllText": {"occurrencesChanged": count}}
