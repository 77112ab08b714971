"""Google Slides as text: what is on each slide, and its notes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcp_server_drive.content import Content, Section, bounded, without_images
from mcp_server_drive.documents import table_of

Json = Mapping[str, Any]

FIELDS = "slides(objectId,pageElements,slideProperties(isSkipped,notesPage(notesProperties,pageElements)))"


def text_of(presentation: Json) -> Content:
    """Write a presentation, as presentations.get answers it, a section a slide."""
    return bounded(_slide(number, slide) for number, slide in enumerate(presentation.get("slides", ()), 1))


def _slide(number: int, slide: Json) -> Section:
    properties = slide.get("slideProperties", {})
    notes_page = properties.get("notesPage", {})
    speaker = notes_page.get("notesProperties", {}).get("speakerNotesObjectId")
    spoken = [element for element in notes_page.get("pageElements", ()) if element.get("objectId") == speaker]
    parts = [*_texts(slide.get("pageElements", ()))]
    notes = "\n".join(_texts(spoken)).strip()
    if notes:
        parts.append(f"Notes:\n{notes}")
    return Section(
        f"Slide {number}" + (" (skipped)" if properties.get("isSkipped") else ""), without_images("\n\n".join(parts))
    )


def _texts(elements: Sequence[Json]) -> Iterator[str]:
    for element in elements:
        match element:
            case {"shape": shape}:
                text = _runs(shape.get("text", {}))
            case {"table": table}:
                text = table_of(
                    [
                        [
                            _runs(cell.get("text", {})).replace("|", "\\|").replace("\n", "<br>")
                            for cell in row["tableCells"]
                        ]
                        for row in table.get("tableRows", ())
                    ]
                )
            case {"elementGroup": group}:
                text = "\n\n".join(_texts(group.get("children", ())))
            case {"image": _}:
                text = f"[image: {element.get('description') or element.get('title') or ''}]".replace(": ]", "]")
            case {"wordArt": art}:
                text = art.get("renderedText", "")
            case _:
                text = ""
        if text:
            yield text


def _runs(text: Json) -> str:
    written = "".join(
        run.get("textRun", run.get("autoText", {})).get("content", "") for run in text.get("textElements", ())
    )
    return written.replace("\v", "\n").strip("\n")
