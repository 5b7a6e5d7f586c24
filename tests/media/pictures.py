"""Pictures full of private metadata, and their expected versions without it."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from passerby.media import pictures
from tests.media import recordings
from tests.media.colours import LARGE, PROFILE
from tests.media.containers import (
    PNG_MAGIC,
    SECRET,
    blocks,
    chunk,
    exif,
    only_orientation,
    riff,
    riff_chunk,
    riff_chunks,
    segment,
    segments,
    sub_blocks,
    vp8x,
)

if TYPE_CHECKING:
    from tests.media.feeding import Parse

MAX_PIXELS = 50_000_000
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>' + SECRET + b"</rdf:RDF></x:xmpmeta>"


class Picture(NamedTuple):
    """A picture: `laden` with metadata, the expected result `clean`, and the size as it is shown."""

    parse: Parse
    laden: bytes
    clean: bytes
    size: tuple[int, int] = (17, 9)


# ── JPEG ──────────────────────────────────────────────────────────────────────────────────────────

ICC = b"".join(
    segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 2]) + part)
    for number, part in enumerate((LARGE[:65_519], LARGE[65_519:]), 1)
)
ADOBE = segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
_THUMBNAIL = SECRET + bytes(36 * 3 - len(SECRET))
JFIF = b"JFIF\0\1\2\1\0\x48\0\x48"


def laden_jpeg(plain: bytes, orientation: bytes) -> bytes:
    """Return a JPEG with all kinds of metadata, before the picture and between its scans."""
    start, jfif, *rest = segments(plain)
    assert jfif.startswith(b"\xff\xe0")
    comment = segment(0xFE, SECRET)
    told = [
        segment(0xE0, JFIF + b"\x09\x04" + _THUMBNAIL),
        segment(0xE0, b"JFXX\0\x10\xff\xd8" + SECRET + b"\xff\xd9"),
        segment(0xE1, orientation),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + XMP),
        segment(0xE2, b"MPF\0MM\0*" + SECRET),
        ICC,
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + SECRET),
        *(segment(marker, SECRET) for marker in (*range(0xE3, 0xED), 0xEF)),
        ADOBE,
        comment,
        b"\xff\xff\xff",  # fill bytes, before the next marker
    ]
    return start + b"".join(told) + b"".join(comment + each for each in rest)


def clean_jpeg(plain: bytes, orientation: bytes) -> bytes:
    start, _, *rest = segments(plain)
    return start + segment(0xE0, JFIF + b"\0\0") + orientation + ICC + ADOBE + b"".join(rest)


def _jpeg(plain: bytes, orientation: int) -> Picture:
    laden = laden_jpeg(plain, exif(orientation))
    clean = clean_jpeg(plain, only_orientation(orientation))
    return Picture(pictures.jpeg(MAX_PIXELS), laden, clean, (17, 9) if orientation < 5 else (9, 17))


# ── PNG ───────────────────────────────────────────────────────────────────────────────────────────

ROWS = b"".join(b"\0" + bytes(range(row, row + 17)) for row in range(9))
"""17 by 9 grey pixels, each row with its filter byte."""


def ihdr(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


_DATA = zlib.compress(ROWS)
_COLOURS = [
    chunk(b"cHRM", bytes(32)),
    chunk(b"gAMA", struct.pack(">I", 45455)),
    chunk(b"iCCP", b"icc\0\0" + zlib.compress(PROFILE, 1)),
    chunk(b"sBIT", b"\x08"),
    chunk(b"cICP", b"\1\x0d\0\1"),
    chunk(b"bKGD", b"\0\0"),
    chunk(b"tRNS", b"\0\0"),
    chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
]
_STILL = [ihdr(17, 9), *_COLOURS, chunk(b"IDAT", _DATA[:20]), chunk(b"IDAT", _DATA[20:]), chunk(b"IEND")]


def _fctl(number: int) -> bytes:
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 17, 9, 0, 0, 1, 10, 0, 0))


_ANIMATED = [
    ihdr(17, 9),
    chunk(b"acTL", struct.pack(">II", 2, 0)),
    _fctl(0),
    chunk(b"IDAT", _DATA),
    _fctl(1),
    chunk(b"fdAT", struct.pack(">I", 2) + _DATA),
    chunk(b"IEND"),
]
_TOLD = [
    chunk(b"tEXt", b"Comment\0" + SECRET),
    chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(SECRET)),
    chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
    chunk(b"eXIf", exif(6)[6:]),
    chunk(b"tIME", b"\x07\xe8\1\2\3\4\5"),
    chunk(b"sPLT", SECRET),
    chunk(b"prVt", SECRET),
    chunk(b"caBX", SECRET),
    chunk(b"ABCD", SECRET),
]


ORIENTATION = chunk(b"eXIf", only_orientation(6)[10:])


def _png(plain: list[bytes]) -> Picture:
    laden = plain[0] + b"".join(b"".join(_TOLD) + each for each in plain[1:])
    clean = plain[0] + ORIENTATION + b"".join(plain[1:])
    return Picture(pictures.png(MAX_PIXELS), PNG_MAGIC + laden, PNG_MAGIC + clean, (9, 17))


# ── GIF ───────────────────────────────────────────────────────────────────────────────────────────

XMP_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
"""Follows an XMP packet, which is not a sequence of sub-blocks. Wherever a reader is, these bytes lead to the end."""


def _gif() -> Picture:
    header, *rest = blocks(recordings.GIF)
    told = (
        b"!\xfe" + sub_blocks(SECRET * 20),
        b"!\xff\x0bXMP DataXMP" + XMP + XMP_TRAILER,
        b"!\xff\x0bICCRGBG1012" + sub_blocks(SECRET),
        b"!\xff\x0bMGK8BIM0000" + sub_blocks(SECRET),
        b"!\x01\x0c" + bytes(12) + sub_blocks(SECRET),
        b"!\x7e" + sub_blocks(SECRET),
        b"!\xfe\0",
    )
    laden = header + b"".join(b"".join(told) + each for each in rest)
    return Picture(pictures.gif(MAX_PIXELS), laden, recordings.GIF)


# ── WebP ──────────────────────────────────────────────────────────────────────────────────────────

_ICCP, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04
_ODD = exif(6)[6:] + b"!" * (1 - len(exif(6)) % 2)
_BEHIND = ((b"EXIF", _ODD), (b"XMP ", XMP), (b"xtra", SECRET), (b"JUNK", SECRET))


def _webp(first: int, *parts: tuple[bytes, bytes]) -> Picture:
    colours = (b"ICCP", PROFILE)
    pixels = [riff_chunk(kind, body) for kind, body in (colours, *parts)]
    told = [riff_chunk(kind, body) for kind, body in _BEHIND]
    blank = [riff_chunk(b"JUNK", bytes(len(body))) for _, body in _BEHIND]
    kept = first | _ICCP
    return Picture(
        pictures.webp(MAX_PIXELS),
        riff(b"WEBP", vp8x(kept | _EXIF | _XMP, 17, 9), *told, *pixels, *told),
        riff(b"WEBP", vp8x(kept, 17, 9), *blank, *pixels, *blank),
    )


_LOSSY, _LOSSLESS = riff_chunks(recordings.LOSSY), riff_chunks(recordings.LOSSLESS)
_MOVING = riff_chunks(recordings.ANIMATED)

PICTURES = {
    "jpeg": _jpeg(recordings.BASELINE, 6),
    "jpeg_progressive": _jpeg(recordings.PROGRESSIVE, 8),
    "jpeg_with_restarts": _jpeg(recordings.RESTARTS, 1),
    "png": _png(_STILL),
    "png_animated": _png(_ANIMATED),
    "gif": _gif(),
    "webp": Picture(pictures.webp(MAX_PIXELS), recordings.LOSSY, recordings.LOSSY),
    "webp_extended": _webp(0, *_LOSSY),
    "webp_lossless": _webp(_ALPHA, *_LOSSLESS),
    "webp_with_alpha": _webp(_ALPHA, (b"ALPH", b"\0" + bytes(17 * 9)), *_LOSSY),
    "webp_animated": _webp(_MOVING[0][1][0], *_MOVING[1:]),
}

TAILS = {
    "another_jpeg": laden_jpeg(recordings.BASELINE, exif(3)),
    "zip": b"PK\x03\x04" + SECRET + b"PK\x05\x06" + bytes(18),
    "html": b"<!doctype html><script>alert(1)</script>" + SECRET,
    "film": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + SECRET,
    "zero": b"\0",
}
