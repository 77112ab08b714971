"""What kinds of files there are, in one word each, and the media types they stand for."""

from typing import Literal

Kind = Literal[
    "folder", "doc", "sheet", "slides", "pdf", "word", "excel", "powerpoint", "text", "image", "video", "audio"
]

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
DOC = "application/vnd.google-apps.document"
SHEET = "application/vnd.google-apps.spreadsheet"
SLIDES = "application/vnd.google-apps.presentation"
PDF = "application/pdf"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"

GOOGLE = "application/vnd.google-apps."

_KINDS: dict[str, Kind] = {
    FOLDER: "folder",
    DOC: "doc",
    SHEET: "sheet",
    SLIDES: "slides",
    PDF: "pdf",
    WORD: "word",
    EXCEL: "excel",
    POWERPOINT: "powerpoint",
}
_FAMILIES: tuple[Kind, ...] = ("text", "image", "video", "audio")
_TEXT_TYPES = {
    "application/json",
    "application/javascript",
    "application/sql",
    "application/toml",
    "application/x-httpd-php",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
    "image/svg+xml",
}


def kind_of(media_type: str) -> str:
    """Return the word for a media type, or what comes nearest to one."""
    if media_type in _TEXT_TYPES:
        return "text"
    family = media_type.partition("/")[0]
    if family in _FAMILIES:
        return family
    return _KINDS.get(media_type) or media_type.removeprefix(GOOGLE)


def condition(kind: Kind) -> str:
    """Return what selects a kind in a query."""
    exact = [media_type for media_type, word in _KINDS.items() if word == kind]
    return f"mimeType = '{exact[0]}'" if exact else f"mimeType contains '{kind}/'"
