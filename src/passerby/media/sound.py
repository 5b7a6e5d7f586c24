"""Sound and video except MP4: measures the duration, lists track types."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from passerby.media.stream import TO_THE_END

if TYPE_CHECKING:
    from collections.abc import Generator

    from passerby.media.stream import Parser, Stream

# ── WebM (Matroska, RFC 9559) ─────────────────────────────────────────────────────────────────────

_CONTAINERS: Final = frozenset({0x18538067, 0x1F43B675, 0x1549A966, 0xA0, 0x1654AE6B, 0xAE})
"""Segment, Cluster, Info, BlockGroup, Tracks, TrackEntry."""
_TRACK_TYPE, _CODEC = 0x83, 0x86
_TRACKS: Final = {b"\1": "video", b"V_": "video", b"\2": "audio", b"A_": "audio"}
_SCALE, _DURATION, _TIME, _SIMPLE_BLOCK, _BLOCK = 0x2AD7B1, 0x4489, 0xE7, 0xA3, 0xA1
_LONGEST: Final = float(1 << 62)
"""Maximum duration in ticks: a float may be infinite."""


def webm(stream: Stream) -> Parser:
    """Parse a WebM. Browsers' recorders write no duration, so it is the time of the last block."""
    scale, cluster, last, written = 1_000_000, 0, 0, 0.0
    while True:
        element, size = yield from _element(stream)
        if element in _CONTAINERS:
            continue
        if element in (_TRACK_TYPE, _CODEC):
            start = yield from stream.take(min(size, 2))
            stream.give(start)
            if start in _TRACKS:
                stream.tracks.add(_TRACKS[start])
            size -= len(start)
        elif element in (_SCALE, _TIME, _DURATION, _SIMPLE_BLOCK, _BLOCK):
            start = yield from stream.take(min(size, 12))
            stream.give(start)
            if element == _SCALE:
                scale = int.from_bytes(start)
            elif element == _TIME:
                cluster = int.from_bytes(start)
            elif element == _DURATION:
                written = _float(start)
            else:
                track = 1 + (start[:1] < b"\x80")  # the track number takes one or two bytes
                last = max(last, cluster + int.from_bytes(start[track : track + 2], signed=True))
            stream.seconds = max(written, last) * scale / 1e9 or None
            size -= len(start)
        yield from stream.keep(size)


def _float(data: bytes) -> float:
    form = {4: ">f", 8: ">d"}.get(len(data))
    value: float = struct.unpack(form, data)[0] if form else 0.0
    return value if 0 < value <= _LONGEST else 0.0  # not NaN, not infinite


def _element(stream: Stream) -> Generator[None, None, tuple[int, int]]:
    """Return the id and the size of the next element; TO_THE_END for an unknown size."""
    identifier = yield from _number(stream, 4)
    size = yield from _number(stream, 8)
    unknown = (1 << 7 * len(size)) - 1
    known = int.from_bytes(size) & unknown
    return int.from_bytes(identifier), TO_THE_END if known == unknown else known


def _number(stream: Stream, longest: int) -> Generator[None, None, bytes]:
    first = yield from stream.take(1)
    stream.give(first)
    more = yield from stream.take(min(_length(first[0]), longest) - 1)
    stream.give(more)
    return first + more


def _length(first: int) -> int:
    return 9 - first.bit_length() if first else 8


# ── Ogg (RFC 3533), with Opus (RFC 7845) or Vorbis ────────────────────────────────────────────────


def ogg(stream: Stream) -> Parser:
    """Parse an Ogg. The granule position of the last page is the number of samples."""
    rate, skipped, serial = 0, 0, b""
    while True:
        header = yield from stream.take(27)
        stream.give(header)
        table = yield from stream.take(header[26])
        stream.give(table)
        body = sum(table)
        start = yield from stream.take(min(body, 16))
        stream.give(start)
        if start.startswith((b"OpusHead", b"\x01vorbis")):
            stream.tracks.add("audio")
        elif start.startswith(b"\x80theora"):
            stream.tracks.add("video")
        if start.startswith(b"OpusHead"):
            rate, skipped, serial = 48_000, int.from_bytes(start[10:12], "little"), header[14:18]
        elif start.startswith(b"\x01vorbis"):
            rate, skipped, serial = int.from_bytes(start[12:16], "little"), 0, header[14:18]
        played = int.from_bytes(header[6:14], "little", signed=True)
        if rate and header[14:18] == serial and played > skipped:  # granule positions of video have another unit
            stream.seconds = max(stream.seconds or 0.0, (played - skipped) / rate)
        yield from stream.keep(body - len(start))


# ── WAV ───────────────────────────────────────────────────────────────────────────────────────────


def wav(stream: Stream) -> Parser:
    """Parse a WAV: duration is the data size divided by the bytes a second."""
    stream.give((yield from stream.take(12)))
    rate = 0
    while True:
        header = yield from stream.take(8)
        stream.give(header)
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        if kind == b"fmt ":
            start = yield from stream.take(min(size, 16))
            stream.give(start)
            rate = int.from_bytes(start[8:12], "little")
            size -= len(start)
        elif kind == b"data" and rate and 0 < size < 0xFFFFFFFF:  # noqa: PLR2004 - the size of an unfinished stream
            stream.seconds = size / rate
        yield from stream.keep(size + size % 2)


# ── MP3 ───────────────────────────────────────────────────────────────────────────────────────────

_BITRATES_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_BITRATES_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_RATES: Final = {3: (44_100, 48_000, 32_000, 0), 2: (22_050, 24_000, 16_000, 0), 0: (11_025, 12_000, 8_000, 0)}


def mp3(stream: Stream) -> Parser:
    """Parse an MP3 frame by frame: every frame has a known duration. Counting ends at the first invalid frame."""
    header = yield from stream.take(10)
    stream.give(header)
    if header.startswith(b"ID3"):
        size = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
        yield from stream.keep(size)
        header = b""
    while True:
        if len(header) < 4:  # noqa: PLR2004 - a frame's header
            more = yield from stream.take(4 - len(header))
            stream.give(more)
            header += more
        version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
        bitrate = (_BITRATES_1 if version == 3 else _BITRATES_2)[header[2] >> 4] * 1000  # noqa: PLR2004 - MPEG 1
        rate = _RATES.get(version, (0, 0, 0, 0))[header[2] >> 2 & 3]
        if header[:1] != b"\xff" or layer != 1 or not bitrate or not rate:
            break
        samples = 1152 if version == 3 else 576  # noqa: PLR2004 - MPEG 1
        stream.seconds = (stream.seconds or 0.0) + samples / rate
        size = samples // 8 * bitrate // rate + (header[2] >> 1 & 1) - len(header)
        header = b""
        if size > 0:
            yield from stream.keep(size)
    yield from stream.keep(TO_THE_END)


def anything(stream: Stream) -> Parser:
    """Keep all bytes."""
    yield from stream.keep(TO_THE_END)
