"""Removes metadata from pictures: place, time, device, author, and all bytes after the end of the picture.

Nothing is decoded: segments, chunks and blocks that are needed for the picture are kept, all others are dropped. The
size in pixels is in the first bytes, so pictures with too many pixels are refused early.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING, Final

from passerby.errors import Code
from passerby.media.colours import bare
from passerby.media.stream import MAX_TAKE, STEPS, EndedError, MediaError, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from passerby.media.stream import Parser, Stream


def _check(stream: Stream, width: int, height: int, max_pixels: int) -> None:
    if not width or not height:
        raise damaged("picture")
    if width * height > max_pixels:
        raise _too_large(max_pixels)
    stream.size = width, height


def _too_large(max_pixels: int) -> MediaError:
    return MediaError(Code.PICTURE_TOO_LARGE, f"A picture has at most {max_pixels:,} pixels")


# ── JPEG (ITU-T T.81, annex B) ────────────────────────────────────────────────────────────────────

_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""A marker within scan data: not a stuffed zero, not a restart marker."""
_BEGIN: Final = _MARKER
"""Restart markers have no segment either."""
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_TABLES: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})
_START, _SCAN, _END, _ADOBE = 0xD8, 0xDA, 0xD9, 0xEE
_JFIF, _EXIF, _ICC = 0xE0, 0xE1, 0xE2
_ORIENTATION: Final = 0x0112
_PROFILE: Final = b"ICC_PROFILE\0"
_PROFILE_AT_MOST: Final = 1 << 20
"""Bytes of a colour profile of a JPEG: those for print are large."""
_PART_OF_PROFILE: Final = 65_533 - 14
"""Bytes of a profile in one segment."""


def jpeg(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for JPEG. Of the metadata only the orientation is kept, so that the picture is not rotated.

    What browsers show in spite of damage passes: bytes between segments are dropped, a missing end is added.
    """

    def parse(stream: Stream) -> Parser:
        yield from stream.keep(2)
        picture = _Jpeg(stream, max_pixels)
        try:
            yield from picture.segments()
        except EndedError:
            if not picture.has_data:
                raise
            stream.give(stream.rest().rstrip(b"\xff") if picture.is_in_scan else b"")
        stream.give(b"\xff\xd9")

    return parse


class _Jpeg:
    def __init__(self, stream: Stream, max_pixels: int) -> None:
        self._stream = stream
        self._max_pixels = max_pixels
        self._orientation: int | None = None
        self._size: tuple[int, int] | None = None
        self._profile: bytearray | None = bytearray()
        """The colour profile as far as it is read; None if there is no more to come."""
        self._parts = 0
        """Its segments so far."""
        self.has_data = False
        """Whether there is something to show."""
        self.is_in_scan = False

    def segments(self) -> Parser:
        """Pass on all segments before the end of the picture. Raises MediaError, EndedError."""
        stream = self._stream
        while True:
            self.is_in_scan = False
            marker = yield from _next_marker(stream)
            if marker == _END:
                if not self.has_data:
                    raise damaged("picture")
                return
            length = int.from_bytes((yield from stream.take(2))) - 2
            if length < 0 or marker == _START:
                raise damaged("picture")
            segment = yield from stream.take(length)
            is_turned = self._orientation is not None
            self._read(marker, segment)
            if marker == _ICC and segment.startswith(_PROFILE):
                yield from self._colours(segment)
            kept = None if is_turned and marker == _EXIF else _kept(marker, segment)
            if kept is not None:
                stream.give(struct.pack(">BBH", 0xFF, marker, len(kept) + 2) + kept)
            if marker == _SCAN:
                if self._size is None:
                    raise damaged("picture")
                self.has_data = self.is_in_scan = True
                yield from stream.keep_until(_MARKER, 1)

    def _colours(self, segment: bytes) -> Parser:
        """Read a segment of the colour profile; pass on the profile when it is whole. One in disorder is dropped."""
        stream, profile = self._stream, self._profile
        if profile is None:
            return
        self._parts += 1
        profile += segment[14:]
        number, count = segment[12:14].ljust(2, b"\0")
        if number != self._parts or number > count or len(profile) > _PROFILE_AT_MOST:
            self._profile = None
        elif number == count:
            self._profile = None
            yield from stream.work(STEPS)
            clean = bare(bytes(profile)) or b""
            parts = [clean[at : at + _PART_OF_PROFILE] for at in range(0, len(clean), _PART_OF_PROFILE)]
            for place, part in enumerate(parts, 1):
                head = struct.pack(">BBH", 0xFF, _ICC, len(part) + 16) + _PROFILE
                stream.give(head + bytes([place, len(parts)]) + part)
            yield from stream.work(STEPS)

    def _read(self, marker: int, segment: bytes) -> None:
        """Note the size and how the picture is turned."""
        if marker in _FRAMES:
            height, width = struct.unpack(">xHH", segment[:5].ljust(5, b"\0"))
            _check(self._stream, width, height, self._max_pixels)
            self._size = width, height
        elif marker == _EXIF and segment.startswith(b"Exif\0\0") and self._orientation is None:
            self._orientation = _orientation(segment[6:])
        if self._size is not None:
            self._stream.size = _shown(self._size, self._orientation)


def _shown(size: tuple[int, int], orientation: int | None) -> tuple[int, int]:
    """Return width and height as shown: the orientations from 5 on are turned by a quarter."""
    return size[::-1] if orientation is not None and orientation >= 5 else size  # noqa: PLR2004 - as above


def _next_marker(stream: Stream) -> Generator[None, None, int]:
    """Take the next marker that begins a segment; what is before it is dropped, as decoders do."""
    while True:
        yield from stream.skip_until(_BEGIN, 1)
        marker = yield from stream.take(2)
        if marker[1] != 1:  # a marker for private use without a segment
            return marker[1]


def _kept(marker: int, segment: bytes) -> bytes | None:
    """Return the part of a segment to keep, or None."""
    if marker in _FRAMES or marker in _TABLES or marker == _SCAN:
        return segment
    if marker == _JFIF and segment.startswith(b"JFIF\0") and len(segment) >= 14:  # noqa: PLR2004 - length of its fixed part
        return segment[:12] + b"\0\0"  # without the thumbnail, which may show a part that was cropped
    if marker == _ADOBE and segment.startswith(b"Adobe"):
        return segment[:12]  # the colour transform, without trailing bytes
    if marker == _EXIF and segment.startswith(b"Exif\0\0"):
        orientation = _orientation(segment[6:])
        if orientation is not None:
            return b"Exif\0\0" + _only_orientation(orientation)
    return None


def _only_orientation(orientation: int) -> bytes:
    """Return Exif's TIFF structure with the orientation alone."""
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, _ORIENTATION, 3, 1, orientation, 0, 0)


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

_END_CHUNK: Final = b"\0\0\0\0IEND\xae\x42\x60\x82"
_PART: Final = 64 * 1024
"""Bytes of a chunk to pass on at once."""
_UNPACKED_AT_MOST: Final = 64 * 1024
"""Bytes of a colour profile, without compression. Those of screens are smaller."""
_CHUNKS: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs acTL fcTL fdAT".split()
)


_DATA: Final = frozenset({b"IDAT", b"fdAT"})
_CHUNK_NAME: Final = re.compile(rb"[A-Za-z]{4}")


def png(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for PNG: text, time and unknown chunks are dropped. Of Exif only the orientation is kept.

    If the file ends too early, its last chunk and the picture are completed.
    """

    def parse(stream: Stream) -> Parser:
        yield from stream.keep(8)
        picture = _Png(stream, max_pixels)
        try:
            yield from picture.chunks()
        except EndedError:
            if not picture.has_data:
                raise
            picture.complete()

    return parse


class _Png:
    def __init__(self, stream: Stream, max_pixels: int) -> None:
        self._stream = stream
        self._max_pixels = max_pixels
        self.has_data = False
        """Whether there is something to show."""
        self._has_orientation = self._has_profile = False
        self._open = b""
        """The type of the data chunk that is being read."""
        self._length = 0
        self._at = 0
        """Where it begins in the output."""
        self._crc = 0

    def chunks(self) -> Parser:
        """Pass on all chunks. Raises MediaError, EndedError."""
        stream = self._stream
        kind = b""
        while kind != b"IEND":
            header = yield from stream.take(8)
            length, kind = int.from_bytes(header[:4]), header[4:]
            if (stream.size is None) != (kind == b"IHDR") or not _CHUNK_NAME.fullmatch(kind):
                raise damaged("picture")
            if kind == b"IEND" and not self.has_data:
                raise damaged("picture")
            if kind == b"IHDR":
                yield from self._header(header, length)
            elif kind in _DATA:
                yield from self._data(header, length)
            elif kind == b"eXIf" and length <= MAX_TAKE and not self._has_orientation:
                self._exif((yield from stream.take(length + 4))[:length])
            elif kind == b"iCCP" and length + 4 <= MAX_TAKE and not self._has_profile:
                yield from self._colours((yield from stream.take(length + 4))[:length])
            elif kind in _CHUNKS and length + 12 <= MAX_TAKE:
                stream.give(header + (yield from stream.take(length + 4)))
            elif kind in _CHUNKS:
                stream.give(header)
                yield from stream.keep(length + 4)
            else:
                yield from stream.skip(length + 4)

    def _header(self, header: bytes, length: int) -> Parser:
        stream = self._stream
        if length != 13:  # noqa: PLR2004 - defined by the specification
            raise damaged("picture")
        start = yield from stream.take(8)
        width, height = struct.unpack(">II", start)
        _check(stream, width, height, self._max_pixels)
        stream.give(header + start)
        yield from stream.keep(5 + 4)

    def _data(self, header: bytes, length: int) -> Parser:
        """Pass on a chunk with pixels, and compute its checksum in case that it ends too early."""
        stream = self._stream
        self._open, self._length, self._at = header[4:], length, stream.position
        self._crc = zlib.crc32(header[4:])
        stream.give(header)
        left = length
        while left:
            part = yield from stream.some(min(left, _PART))
            stream.give(part)
            self._crc = zlib.crc32(part, self._crc)
            left -= len(part)
            self.has_data = self.has_data or self._open == b"IDAT"
        stream.give((yield from stream.take(4)))
        self._open = b""

    def _colours(self, told: bytes) -> Parser:
        """Pass on a colour profile, which has a name, and is compressed. A large or damaged one is dropped."""
        stream = self._stream
        self._has_profile = True
        yield from stream.work(STEPS)
        clean = _unpacked(told[told.find(b"\0") + 1 :])
        if clean is not None:
            stream.give(_png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(clean, 1)))
        yield from stream.work(STEPS)

    def _exif(self, told: bytes) -> None:
        orientation = _orientation(told)
        if orientation is None:
            return
        self._has_orientation = True
        self._stream.give(_png_chunk(b"eXIf", _only_orientation(orientation)))
        if not self.has_data and self._stream.size is not None:  # browsers do not read it behind the pixels
            self._stream.size = _shown(self._stream.size, orientation)

    def complete(self) -> None:
        """Complete the chunk that was cut, and the picture."""
        stream = self._stream
        if self._open:
            length = min(self._length, stream.position - self._at - 8)
            stream.amend(self._at, length.to_bytes(4))
            stream.give(self._crc.to_bytes(4))
        stream.give(_END_CHUNK)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)


def _unpacked(packed: bytes) -> bytes | None:
    """Return a compressed colour profile without metadata; None if it is large or damaged."""
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(packed[1:], _UNPACKED_AT_MOST)
    except zlib.error:
        return None
    return bare(profile) if unpacking.eof and packed[0] == 0 else None


# ── GIF (89a) ─────────────────────────────────────────────────────────────────────────────────────

_IMAGE, _EXTENSION, _TRAILER = b",", b"!", b";"
_CONTROL, _APPLICATION = b"\xf9", b"\xff"
_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_LOOP_BLOCKS: Final = 8
"""An extension for animation has fewer blocks."""


def gif(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for GIF: of the extensions, only those for animation are kept.

    A picture that ends too early is completed. Bytes between blocks end it, as in browsers.
    """

    def parse(stream: Stream) -> Parser:
        header = yield from stream.take(13)
        width, height, flags = struct.unpack_from("<HHB", header, 6)
        _check(stream, width, height, max_pixels)
        stream.give(header)
        yield from stream.keep(_colours(flags))
        has_frame = is_in_frame = False
        try:
            while True:
                block = yield from stream.take(1)
                if block == _IMAGE:
                    descriptor = yield from stream.take(9)
                    left, top, across, down = struct.unpack_from("<HHHH", descriptor)
                    if (left + across) * (
                        top + down
                    ) > max_pixels:  # browsers allocate memory for frames outside the screen
                        raise _too_large(max_pixels)
                    begin = yield from stream.take(_colours(descriptor[8]) + 1)
                    stream.give(block + descriptor + begin)
                    has_frame = is_in_frame = True
                    yield from _pixels(stream)
                    is_in_frame = False
                elif block == _EXTENSION:
                    yield from _extension(stream)
                elif block == _TRAILER or has_frame:
                    break
                else:
                    raise damaged("picture")
        except EndedError:
            if not has_frame:
                raise
            if is_in_frame:
                stream.give(b"\0")
        stream.give(_TRAILER)

    return parse


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _extension(stream: Stream) -> Parser:
    label = yield from stream.take(1)
    length = yield from stream.take(1)
    first = yield from stream.take(length[0])
    kept = [_EXTENSION + label + length + first]
    while length != b"\0":
        length = yield from stream.take(1)
        if len(kept) < _LOOP_BLOCKS:
            kept.append(length + (yield from stream.take(length[0])))
        else:
            yield from stream.skip(length[0])
    if (label == _CONTROL or (label == _APPLICATION and first in _LOOPS)) and len(kept) < _LOOP_BLOCKS:
        stream.give(b"".join(kept))


def _pixels(stream: Stream) -> Parser:
    """Pass on the sub-blocks of a frame."""
    length = b""
    while length != b"\0":
        length = yield from stream.take(1)
        stream.give(length + (yield from stream.take(length[0])))


# ── WebP (RFC 9649) ───────────────────────────────────────────────────────────────────────────────

_METADATA_FLAGS: Final = 0x08 | 0x04
"""Flags of VP8X: Exif, XMP."""
_COLOURED: Final = 0x20
"""The flag of VP8X for a colour profile."""
_STILL: Final = frozenset({b"ALPH", b"ANIM"})
_FRAME: Final = frozenset({b"ALPH", b"VP8 ", b"VP8L"})


def webp(max_pixels: int) -> Callable[[Stream], Parser]:
    """Return the parser for WebP. The header contains the size, so metadata is overwritten as JUNK of the same size.

    Browsers show what there is of a file that ends too early, so it passes.
    """

    def parse(stream: Stream) -> Parser:
        picture = _Webp(stream, max_pixels)
        try:
            yield from picture.chunks()
        except EndedError:
            if not picture.has_data:
                raise
        if stream.size is None:
            raise damaged("picture")
        picture.complete()

    return parse


class _Webp:
    def __init__(self, stream: Stream, max_pixels: int) -> None:
        self._stream = stream
        self._max_pixels = max_pixels
        self.has_data = False
        """Whether there is something to show."""
        self._flags_at = self._flags = 0
        self._has_colours = False

    def chunks(self) -> Parser:
        """Pass on all chunks. Raises MediaError, EndedError."""
        stream = self._stream
        riff = yield from stream.take(12)
        stream.give(riff)
        left = int.from_bytes(riff[4:8], "little") - 4
        while left > 0:
            header = yield from stream.take(8)
            kind, length = header[:4], int.from_bytes(header[4:], "little")
            padded = length + length % 2
            left -= 8 + padded
            if kind in (b"VP8X", b"VP8 ", b"VP8L"):
                yield from self._sized(header, padded)
            elif kind == b"ANMF":
                self.has_data = True
                stream.give(header)
                yield from _frame(stream, padded)
            elif kind == b"ICCP" and padded <= MAX_TAKE:
                yield from self._colours(header, padded)
            else:
                yield from _chunk(stream, header, padded, _STILL)

    def _sized(self, header: bytes, padded: int) -> Parser:
        """Pass on a chunk that says the size."""
        stream, kind = self._stream, header[:4]
        start = yield from stream.take(min(10, padded))
        width, height = _webp_size(kind, start.ljust(10, b"\0"))
        _check(stream, width, height, self._max_pixels)
        if kind == b"VP8X":
            if int.from_bytes(header[4:], "little") != 10:  # noqa: PLR2004 - defined by the specification
                raise damaged("picture")
            start = bytes([start[0] & ~_METADATA_FLAGS]) + start[1:]
            self._flags_at, self._flags = stream.position + 8, start[0]
        self.has_data = self.has_data or kind != b"VP8X"
        stream.give(header + start)
        yield from stream.keep(padded - len(start))

    def _colours(self, header: bytes, padded: int) -> Parser:
        stream = self._stream
        profile = yield from stream.take(padded)
        yield from stream.work(STEPS)
        clean = _padded(profile[: int.from_bytes(header[4:], "little")], padded)
        stream.give(b"JUNK" + header[4:] + bytes(padded) if clean is None else header + clean)
        self._has_colours = self._has_colours or clean is not None
        yield from stream.work(STEPS)

    def complete(self) -> None:
        """Correct the flag of a colour profile that was dropped."""
        if self._flags & _COLOURED and not self._has_colours:
            self._stream.amend(self._flags_at, bytes([self._flags & ~_COLOURED]))


def _padded(profile: bytes, size: int) -> bytes | None:
    """Return a colour profile without metadata in `size` bytes; None if it is damaged, or does not fit."""
    clean = bare(profile)
    if clean is None or len(clean) > size:
        return None
    return size.to_bytes(4) + clean[4:] + bytes(size - len(clean))


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
