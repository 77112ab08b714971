"""What kind of image or sound a file is, told by its first bytes."""

import struct
from dataclasses import dataclass

HEADER_BYTES = 65_536  # a JPEG may have that much before its size, as an embedded profile or preview

_SOUNDS = (
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
    (b"\xff\xf2", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"fLaC", 0, "audio/flac"),
    (b"ftypM4A", 4, "audio/mp4"),
)
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers of a frame, whatever its coding
_JPEG_BARE = {0x01, *range(0xD0, 0xDA)}  # markers without a length


@dataclass(frozen=True)
class MediaType:
    """A media type, and the size in pixels if it is an image."""

    name: str
    width: int | None = None
    height: int | None = None


def media_type(header: bytes) -> MediaType | None:
    """Return what the first `HEADER_BYTES` of a file belong to; None if no image or sound that models take.

    An image whose size cannot be told from them is not recognised.
    """
    try:
        return _image(header) or _sound(header)
    except (struct.error, IndexError):  # the header ends too early
        return None


def _image(header: bytes) -> MediaType | None:
    if header.startswith(b"\x89PNG\r\n\x1a\n") and header[12:16] == b"IHDR":
        return MediaType("image/png", *struct.unpack_from(">II", header, 16))
    if header.startswith((b"GIF87a", b"GIF89a")):
        return MediaType("image/gif", *struct.unpack_from("<HH", header, 6))
    if header.startswith(b"\xff\xd8\xff"):
        return _jpeg(header)
    if header.startswith(b"RIFF") and header[8:12] == b"WEBP":
        return _webp(header)
    if header.startswith(b"BM") and header[6:10] == b"\0\0\0\0":
        return _bmp(header)
    return None


def _sound(header: bytes) -> MediaType | None:
    if header.startswith(b"RIFF") and header[8:12] == b"WAVE":
        return MediaType("audio/wav")
    names = (name for magic, offset, name in _SOUNDS if header.startswith(magic, offset))
    return next((MediaType(name) for name in names), None)


def _jpeg(header: bytes) -> MediaType | None:
    at = 2
    while header[at] == 0xFF:  # noqa: PLR2004 - every marker begins so
        marker = header[at + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", header, at + 5)
            return MediaType("image/jpeg", width, height)
        if marker == 0xFF:  # noqa: PLR2004 - padding
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", header, at + 2)[0]
    return None


def _webp(header: bytes) -> MediaType | None:
    match header[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", header, 26)
            return MediaType("image/webp", width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            bits = struct.unpack_from("<I", header, 21)[0]
            return MediaType("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            width = int.from_bytes(header[24:27], "little") + 1
            return MediaType("image/webp", width, struct.unpack_from("<I", header[27:30] + b"\0")[0] + 1)
        case _:
            return None


def _bmp(header: bytes) -> MediaType:
    if struct.unpack_from("<I", header, 14)[0] == 12:  # noqa: PLR2004 - the oldest kind of header
        return MediaType("image/bmp", *struct.unpack_from("<HH", header, 18))
    width, height = struct.unpack_from("<ii", header, 18)
    return MediaType("image/bmp", abs(width), abs(height))
