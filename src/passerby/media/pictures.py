"""Removes metadata from pictures: place, time, device, author, and all bytes after the end of the picture.

Nothing is decoded: segments, chunks and blocks that are needed for the picture are kept, all others are dropped. The
size in pixels is in the first bytes, so pictures with too many pixels are refused early.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from passerby.errors import Code
from passerby.media.stream import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from passerby.media.stream import Parser, Stream

_DAMAGED: Final = "The picture is damaged"


def _check(stream: Stream, width: int, height: int, max_pixels: int) -> None:
    if not width or not height:
        raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
    if width * height > max_pixels:
        raise _too_large(max_pixels)
    stream.size = width, height


def _too_large(max_pixels: int) -> MediaError:
    return MediaError(Code.PICTURE_TOO_LARGE, f"A picture has at most {max_pixels:,} pixels")


# ── JPEG (ITU-T T.81, annex B) ────────────────────────────────────────────────────────────────────

_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""A marker within scan data: not a stuffed zero, not a restart marker."""
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})
_SCAN, _END, _ADOBE = 0xDA, 0xD9, 0xEE
_JFIF, _EXIF, _ICC = 0xE0, 0xE1, 0xE2
_ORIENTATION: Final = 0x0112


def jpeg(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for JPEG. Of the metadata only the orientation is kept, so that the picture is not rotated."""

    def parse(stream: Stream) -> Parser:
        yield from stream.keep(2)
        while True:
            marker = yield from _next_marker(stream)
            if marker == _END:
                if stream.size is None:
                    raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
                stream.give(b"\xff\xd9")
                return
            length = int.from_bytes((yield from stream.take(2))) - 2
            if length < 0:
                raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
            segment = yield from stream.take(length)
            if marker in _FRAMES:
                height, width = struct.unpack(">xHH", segment[:5].ljust(5, b"\0"))
                _check(stream, width, height, max_pixels)
            kept = _kept(marker, segment)
            if kept is not None:
                stream.give(struct.pack(">BBH", 0xFF, marker, len(kept) + 2) + kept)
            if marker == _SCAN:
                if stream.size is None:
                    raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
                yield from stream.keep_until(_MARKER, 1)

    return parse


def _next_marker(stream: Stream) -> Generator[None, None, int]:
    first = yield from stream.take(1)
    marker = yield from stream.take(1)
    while marker == b"\xff":  # fill bytes
        marker = yield from stream.take(1)
    if first != b"\xff" or marker == b"\0":
        raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
    return marker[0]


def _kept(marker: int, segment: bytes) -> bytes | None:
    """Return the part of a segment to keep, or None."""
    if marker in _FRAMES or marker in _TABLES or marker == _SCAN:
        return segment
    if marker == _JFIF and segment.startswith(b"JFIF\0") and len(segment) >= 14:  # noqa: PLR2004 - length of its fixed part
        return segment[:12] + b"\0\0"  # without the thumbnail, which may show a part that was cropped
    if marker == _ICC and segment.startswith(b"ICC_PROFILE\0"):
        return segment
    if marker == _ADOBE and segment.startswith(b"Adobe"):
        return segment[:12]  # the colour transform, without trailing bytes
    if marker == _EXIF and segment.startswith(b"Exif\0\0"):
        orientation = _orientation(segment[6:])
        if orientation is not None:
            ifd = struct.pack(">HHHIHHI", 1, _ORIENTATION, 3, 1, orientation, 0, 0)
            return b"Exif\0\0MM\0*\0\0\0\x08" + ifd
    return None


def _orientation(tiff: bytes) -> int | None:
    """Return the orientation (1-8) from Exif's TIFF structure, or None."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return None
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == _ORIENTATION:
                return value if kind == 3 and 1 <= value <= 8 else None  # noqa: PLR2004 - type SHORT; eight orientations
    except struct.error:
        pass
    return None


# ── PNG (W3C PNG, 3rd edition) ────────────────────────────────────────────────────────────────────

_CHUNKS: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs acTL fcTL fdAT".split()
)


def png(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for PNG: text, time, Exif and unknown chunks are dropped."""

    def parse(stream: Stream) -> Parser:
        yield from stream.keep(8)
        kind = b""
        while kind != b"IEND":
            header = yield from stream.take(8)
            length, kind = int.from_bytes(header[:4]), header[4:]
            if (stream.size is None) != (kind == b"IHDR"):
                raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
            if kind == b"IHDR":
                if length != 13:  # noqa: PLR2004 - defined by the specification
                    raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
                start = yield from stream.take(8)
                width, height = struct.unpack(">II", start)
                _check(stream, width, height, max_pixels)
                stream.give(header + start)
                yield from stream.keep(5 + 4)
            elif kind in _CHUNKS:
                stream.give(header)
                yield from stream.keep(length + 4)
            else:
                yield from stream.skip(length + 4)

    return parse


# ── GIF (89a) ─────────────────────────────────────────────────────────────────────────────────────

_IMAGE, _EXTENSION, _TRAILER = b",", b"!", b";"
_CONTROL, _APPLICATION = b"\xf9", b"\xff"
_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def gif(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for GIF: of the extensions, only those for animation are kept."""

    def parse(stream: Stream) -> Parser:
        header = yield from stream.take(13)
        width, height, flags = struct.unpack_from("<HHB", header, 6)
        _check(stream, width, height, max_pixels)
        stream.give(header)
        yield from stream.keep(_colours(flags))
        while True:
            block = yield from stream.take(1)
            if block == _TRAILER:
                stream.give(block)
                return
            if block == _IMAGE:
                descriptor = yield from stream.take(9)
                left, top, across, down = struct.unpack_from("<HHHH", descriptor)
                if (left + across) * (
                    top + down
                ) > max_pixels:  # browsers allocate memory for frames outside the screen
                    raise _too_large(max_pixels)
                stream.give(block + descriptor)
                yield from stream.keep(_colours(descriptor[8]) + 1)
                yield from _sub_blocks(stream, keep=True)
            elif block == _EXTENSION:
                yield from _extension(stream)
            else:
                raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)

    return parse


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _extension(stream: Stream) -> Parser:
    label = yield from stream.take(1)
    length = yield from stream.take(1)
    first = yield from stream.take(length[0])
    keep = label == _CONTROL or (label == _APPLICATION and first in _LOOPS)
    if keep:
        stream.give(_EXTENSION + label + length + first)
    if length != b"\0":
        yield from _sub_blocks(stream, keep=keep)


def _sub_blocks(stream: Stream, *, keep: bool) -> Parser:
    while True:
        length = yield from stream.take(1)
        if keep:
            stream.give(length)
        if length == b"\0":
            return
        yield from (stream.keep if keep else stream.skip)(length[0])


# ── WebP (RFC 9649) ───────────────────────────────────────────────────────────────────────────────

_METADATA_FLAGS: Final = 0x08 | 0x04
"""Flags of VP8X: Exif, XMP."""
_STILL: Final = frozenset({b"ALPH", b"ANIM", b"ICCP"})
_FRAME: Final = frozenset({b"ALPH", b"VP8 ", b"VP8L"})


def webp(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for WebP. The header contains the size, so metadata is overwritten as JUNK of the same size."""

    def parse(stream: Stream) -> Parser:
        riff = yield from stream.take(12)
        stream.give(riff)
        left = int.from_bytes(riff[4:8], "little") - 4
        while left > 0:
            header = yield from stream.take(8)
            kind, length = header[:4], int.from_bytes(header[4:], "little")
            padded = length + length % 2
            left -= 8 + padded
            if kind in (b"VP8X", b"VP8 ", b"VP8L"):
                start = yield from stream.take(min(10, padded))
                width, height = _webp_size(kind, start.ljust(10, b"\0"))
                _check(stream, width, height, max_pixels)
                if kind == b"VP8X":
                    if length != 10:  # noqa: PLR2004 - defined by the specification
                        raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)
                    start = bytes([start[0] & ~_METADATA_FLAGS]) + start[1:]
                stream.give(header + start)
                yield from stream.keep(padded - len(start))
            elif kind == b"ANMF":
                stream.give(header)
                yield from _frame(stream, padded)
            else:
                yield from _chunk(stream, header, padded, _STILL)
        if stream.size is None:
            raise MediaError(Code.UNSUPPORTED_TYPE, _DAMAGED)

    return parse


def _chunk(stream: Stream, header: bytes, padded: int, kept: frozenset[bytes]) -> Parser:
    if header[:4] in kept:
        stream.give(header)
        yield from stream.keep(padded)
    else:
        stream.give(b"JUNK" + header[4:])
        yield from stream.blank(padded)


def _frame(stream: Stream, left: int) -> Parser:
    """Process an animation frame, which contains chunks of its own."""
    start = min(left, 16)
    yield from stream.keep(start)
    left -= start
    while left >= 8:  # noqa: PLR2004 - a chunk's header
        header = yield from stream.take(8)
        length = int.from_bytes(header[4:], "little")
        padded = min(length + length % 2, left - 8)
        left -= 8 + padded
        yield from _chunk(stream, header, padded, _FRAME)
    yield from stream.blank(left)


def _webp_size(kind: bytes, start: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return int.from_bytes(start[4:7], "little") + 1, int.from_bytes(start[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(start[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", start, 6)
    return width & 0x3FFF, height & 0x3FFF
