"""Text out of PDF and Office files, and pictures made smaller: a program of its own, for what it reads may be hostile.

`python -m mcp_server_drive.extraction KIND BYTES SECONDS LIMIT` reads the file from stdin and writes sections
to stdout, a line of JSON each; for the kind "image", a smaller picture of at most LIMIT bytes. Its memory (BYTES) and
its time are limited.
"""

# These libraries ship few types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import csv
import io
import json
import logging
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

FAILED = 3  # the exit code when a file is broken or hostile
LOCKED = 4  # when it is encrypted

_MOST_UNPACKED = 512 * 2**20
_MOST_RATIO = 200
_LONGEST_EDGE = 1_568  # pixels; models see no more
_EDGE_STEP = 0.7

Part = tuple[str, str]


class Locked(Exception):
    """The file cannot be read without its password."""


def pdf(data: bytes) -> Iterator[Part]:
    """Yield the pages of a PDF."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Locked
    for number, page in enumerate(reader.pages, 1):
        yield f"Page {number}", page.extract_text().strip()


def word(data: bytes) -> Iterator[Part]:
    """Yield the text of a Word document as Markdown."""
    import docx
    from docx.table import Table

    document = docx.Document(_checked(data))
    blocks = [
        _table([[cell.text for cell in row.cells] for row in block.rows]) if isinstance(block, Table) else _line(block)
        for block in document.iter_inner_content()
    ]
    yield "", "\n\n".join(block for block in blocks if block)


def _line(paragraph: Any) -> str:
    text: str = paragraph.text.strip()
    style: str = (paragraph.style.name if paragraph.style is not None else "") or ""
    if not text:
        return ""
    if style == "Title":
        return f"# {text}"
    if style.startswith("Heading ") and style[8:].isdigit():
        return "#" * min(int(style[8:]), 6) + f" {text}"
    if style.startswith("List"):
        return ("1. " if "Number" in style else "- ") + text
    return text


def excel(data: bytes) -> Iterator[Part]:
    """Yield the tabs of an Excel workbook as CSV, with the values that its formulas had."""
    from openpyxl import load_workbook

    workbook = load_workbook(_checked(data), read_only=True, data_only=True)
    for sheet in workbook.worksheets:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        blank = 0
        for row in sheet.iter_rows(values_only=True):
            cells = ["" if cell is None else str(cell) for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if not cells:
                blank += 1  # written only once something follows: a sheet may claim a million empty rows
                continue
            text.write("\n" * min(blank, 1_000))
            blank = 0
            writer.writerow(cells)
        yield sheet.title, text.getvalue()


def powerpoint(data: bytes) -> Iterator[Part]:
    """Yield the slides of a PowerPoint presentation, with their notes."""
    from pptx import Presentation

    for number, slide in enumerate(Presentation(_checked(data)).slides, 1):
        parts = [text for shape in slide.shapes for text in _shape(shape)]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            parts += [f"Notes:\n{notes}"] if notes else []
        yield f"Slide {number}", "\n\n".join(parts)


def _shape(shape: Any) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        for inner in shape.shapes:
            yield from _shape(inner)
    elif getattr(shape, "has_table", False):
        yield _table([[cell.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_text_frame", False) and shape.text_frame.text.strip():
        yield shape.text_frame.text.strip()


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [
        "| " + " | ".join(cell.strip().replace("|", "\\|").replace("\n", "<br>") for cell in row) + " |" for row in rows
    ]
    width = max((len(row) for row in rows), default=0)
    return "\n".join([*lines[:1], "|" + " --- |" * width, *lines[1:]]) if lines else ""


def _checked(data: bytes) -> io.BytesIO:
    """Refuse an archive that unpacks to far more than it is."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > min(_MOST_UNPACKED, max(len(data), 2**20) * _MOST_RATIO):
        raise ValueError("it unpacks to too much")
    return io.BytesIO(data)


def smaller_image(data: bytes, most_bytes: int) -> bytes:
    """Return a picture as JPEG or PNG with at most so many bytes."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened)
        transparent = image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
        edge = _LONGEST_EDGE
        while True:
            image.thumbnail((edge, edge))
            written = io.BytesIO()
            image.save(written, "PNG" if transparent else "JPEG", optimize=True)
            if written.tell() <= most_bytes or edge < 16:  # noqa: PLR2004
                return written.getvalue()
            edge = int(edge * _EDGE_STEP)


EXTRACTORS: dict[str, Callable[[bytes], Iterator[Part]]] = {
    "pdf": pdf,
    "word": word,
    "excel": excel,
    "powerpoint": powerpoint,
}


def _limit(memory: int, seconds: int) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(kind: str, memory: int, seconds: int, limit: int) -> int:
    """Read stdin, write stdout; return the exit code."""
    _limit(memory, seconds)
    logging.disable()  # the libraries tell a log what is wrong with a file
    with os.fdopen(0, "rb") as file, os.fdopen(1, "wb") as out:
        data = file.read()
        try:
            if kind == "image":
                out.write(smaller_image(data, limit))
                return 0
            written = 0
            for title, text in EXTRACTORS[kind](data):
                line = json.dumps([title, text[: limit - written]]).encode() + b"\n"
                out.write(line)
                written += len(text)
                if written >= limit:
                    break
        except Locked:
            return LOCKED
        except Exception:  # noqa: BLE001 - whatever a broken file makes these libraries raise
            return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
