"""MP4 (ISO/IEC 14496-12): removes metadata such as the location, measures the duration, lists track types."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from passerby.media.stream import TO_THE_END

if TYPE_CHECKING:
    from collections.abc import Generator

    from passerby.media.stream import Parser, Stream

_CONTAINERS: Final = frozenset({b"moov", b"trak", b"mdia", b"mvex", b"moof", b"traf"})
_PERSONAL: Final = frozenset({b"udta", b"meta", b"uuid"})
"""Boxes in which phones store location, time and model."""
_READ: Final = {b"mvhd": 32, b"tkhd": 24, b"mdhd": 24, b"hdlr": 12, b"trex": 16, b"tfhd": 24, b"trun": 8}
"""Bytes to read of each box type."""
_HANDLERS: Final = {b"soun": "audio", b"vide": "video"}
_TRACKS_AT_MOST: Final = 16
"""Maximum number of tracks whose fragments are counted: memory must not grow with the file."""
_AT_ONCE: Final = 256
"""Bytes of a fragment's table to read at once."""


def mp4(stream: Stream) -> Parser:
    """Parse an MP4. Metadata boxes are overwritten as free space of the same size, so that offsets stay valid."""
    times = _Times(stream)
    while True:
        header = yield from stream.take(8)
        length, kind, used = int.from_bytes(header[:4]), header[4:], 8
        stream.give(header[:4] + (b"free" if kind in _PERSONAL else kind))
        if length == 1:
            large = yield from stream.take(8)
            stream.give(large)
            length, used = int.from_bytes(large), 16
        body = max(length - used, 0) if length else TO_THE_END
        if kind in _CONTAINERS:
            continue
        if kind in _PERSONAL:
            yield from stream.blank(body)
        elif kind in _READ:
            start = yield from stream.take(min(body, _READ[kind]))
            stream.give(start)
            yield from times.read(kind, start.ljust(_READ[kind], b"\0"), body - len(start))
        else:
            yield from stream.keep(body)


class _Times:
    """Duration of an MP4 from its boxes. A fragmented recording is as long as the sum of its fragments."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._scale = 0
        self._track = 0
        """The track of the boxes that follow."""
        self._scales: dict[int, int] = {}
        self._defaults: dict[int, int] = {}
        self._ticks: dict[int, int] = {}
        self._default = 0
        """The default sample duration of the current fragment."""

    def read(self, kind: bytes, start: bytes, left: int) -> Parser:
        """Read a box that begins with `start`, followed by `left` bytes."""
        place = 20 if start[0] == 1 else 12
        if kind == b"mvhd":
            self._scale = _number(start, place)
            self._stream.seconds = _mvhd(start)
        elif kind == b"tkhd":
            self._track = _number(start, place)
        elif kind == b"mdhd":
            self._note(self._scales, _number(start, place))
        elif kind == b"hdlr" and start[8:] in _HANDLERS:
            self._stream.tracks.add(_HANDLERS[start[8:]])
        elif kind == b"trex":
            self._track = _number(start, 4)
            self._note(self._defaults, _number(start, 12))
        elif kind == b"tfhd":
            self._track = _number(start, 4)
            behind = 8 + 8 * (start[3] & 1) + 2 * (start[3] & 2)
            own = start[3] & 8
            self._default = _number(start, behind) if own else self._defaults.get(self._track, 0)
        elif kind == b"trun":
            left = yield from self._run(start, left)
        yield from self._stream.keep(left)

    def _note(self, numbers: dict[int, int], number: int) -> None:
        if self._track in numbers or len(numbers) < _TRACKS_AT_MOST:
            numbers[self._track] = number

    def _run(self, start: bytes, left: int) -> Generator[None, None, int]:
        """Add up the duration of a fragment's samples; return the number of bytes left in the box."""
        flags, count = _number(start, 0), _number(start, 4)
        ticks = 0 if flags & 0x100 else count * self._default
        if flags & 0x100:
            before = min(left, 4 * (flags & 1) + (flags & 4))
            yield from self._stream.keep(before)
            left -= before
            words = (flags & 0xF00).bit_count()
            while count and left >= 4 * words:
                samples = min(count, left // (4 * words), _AT_ONCE // (4 * words))
                table = yield from self._stream.take(samples * 4 * words)
                self._stream.give(table)
                ticks += sum(struct.unpack(f">{samples * words}I", table)[::words])
                count -= samples
                left -= len(table)
        ticks += self._ticks.get(self._track, 0)
        self._note(self._ticks, ticks)
        scale = self._scales.get(self._track, 0) or self._scale
        if scale and ticks:
            self._stream.seconds = max(self._stream.seconds or 0.0, ticks / scale)
        return left


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4])


def _mvhd(start: bytes) -> float | None:
    place, form, unknown = (20, ">IQ", 0xFFFFFFFFFFFFFFFF) if start[0] == 1 else (12, ">II", 0xFFFFFFFF)
    scale, duration = struct.unpack_from(form, start, place)
    # Fragmented recordings have no duration here: all zeros or all ones.
    return duration / scale if scale and duration not in {0, unknown} else None
