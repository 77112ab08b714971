"""Images and sounds, told by their first bytes."""

import struct
import zlib
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_server_filesystem.files import Files
from mcp_server_filesystem.media import MediaType, media_type
from mcp_server_shared.errors import TooLarge, Unsupported


def png(width: int, height: int) -> bytes:
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x04ab" + b"\xff\xe1\xff\xff" + b"\xff\xc0" * 32_766 + b"x" + b"\xff\xff\xc2\x00\x11\x08"
    b"\x00\x07\x01\x00\x03"
)
KNOWN = [
    (png(640, 480), MediaType("image/png", 640, 480)),
    (b"GIF89a" + struct.pack("<HH", 3, 5) + b"\0\0\0", MediaType("image/gif", 3, 5)),
    (JPEG, MediaType("image/jpeg", 256, 7)),
    (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 300, 0x4000 | 200)), MediaType("image/webp", 300, 200)),
    (webp(b"VP8L", b"\x2f" + struct.pack("<I", 299 | 199 << 14)), MediaType("image/webp", 300, 200)),
    (
        webp(b"VP8X", b"\0\0\0\0" + (299).to_bytes(3, "little") + (199).to_bytes(3, "little")),
        MediaType("image/webp", 300, 200),
    ),
    (b"BM" + bytes(12) + struct.pack("<Iii", 40, 30, -20), MediaType("image/bmp", 30, 20)),
    (b"BM" + bytes(12) + struct.pack("<IHH", 12, 30, 20), MediaType("image/bmp", 30, 20)),
    (b"RIFF\0\0\0\0WAVEfmt ", MediaType("audio/wav")),
    (b"ID3\x04", MediaType("audio/mpeg")),
    (b"OggS\0", MediaType("audio/ogg")),
    (b"fLaC\0", MediaType("audio/flac")),
]


@pytest.fixture
def files(tmp_path: Path) -> Generator[Files]:
    files = Files([tmp_path])
    yield files
    files.close()


@pytest.mark.parametrize(
    ("header", "expected"), KNOWN, ids=lambda value: value.name if isinstance(value, MediaType) else ""
)
def test_the_type_and_size_are_told(header: bytes, expected: MediaType) -> None:
    assert media_type(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"), KNOWN[:8], ids=lambda value: value.name if isinstance(value, MediaType) else ""
)
def test_an_image_that_ends_before_its_size_is_none(header: bytes, expected: MediaType) -> None:
    assert [media_type(header[:size]) for size in range(10)] == [None] * 10


@settings(deadline=None)
@given(st.binary(max_size=60), st.sampled_from([header for header, _ in KNOWN]), st.integers(0, 30))
def test_no_bytes_are_too_odd(odd: bytes, header: bytes, kept: int) -> None:
    media_type(header[:kept] + odd)


def test_an_image_is_read_whole(tmp_path: Path, files: Files) -> None:
    (tmp_path / "image.txt").write_bytes(png(4, 5))
    read = files.read_media("image.txt", max_bytes=1_000, max_pixels=20)
    assert (read.data, read.type) == (png(4, 5), MediaType("image/png", 4, 5))


def test_an_image_with_too_many_pixels_is_refused(tmp_path: Path, files: Files) -> None:
    (tmp_path / "image").write_bytes(png(60_000, 60_000))
    with pytest.raises(TooLarge, match="60,000 x 60,000 pixels"):
        files.read_media("image", max_bytes=1_000, max_pixels=1_000)


def test_an_image_with_too_many_bytes_is_refused(tmp_path: Path, files: Files) -> None:
    (tmp_path / "image").write_bytes(png(4, 5) + bytes(1_000))
    with pytest.raises(TooLarge, match="at most 1,000 bytes"):
        files.read_media("image", max_bytes=1_000, max_pixels=1_000)


def test_what_is_neither_names_the_tool_for_text(tmp_path: Path, files: Files) -> None:
    (tmp_path / "image.png").write_text("not really")
    with pytest.raises(Unsupported, match="no PNG, JPEG") as refused:
        files.read_media("image.png", max_bytes=1_000, max_pixels=1_000)
    assert "read_text_file" in refused.value.text()
