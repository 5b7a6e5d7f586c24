"""WebM and Matroska (RFC 9559): removes metadata, measures the duration, repairs what browsers record.

Elements keep their places and sizes, so that the index stays valid: what is not needed to play the film becomes Void.
Firefox's recordings have neither a duration nor marks of the frames at which playing can begin, without which Chromium
does not play them: both are added.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, Final

from passerby.media import sei
from passerby.media.ogg import bare_headers
from passerby.media.stream import TO_THE_END, EndedError, damaged

if TYPE_CHECKING:
    from collections.abc import Generator

    from passerby.media.stream import Parser, Stream

_EBML, _SEGMENT, _INFO, _TRACK, _CLUSTER, _GROUP = 0x1A45DFA3, 0x18538067, 0x1549A966, 0xAE, 0x1F43B675, 0xA0
_VOID: Final = 0xEC
_ENDLESS: Final = frozenset({_SEGMENT, _CLUSTER})
"""Elements that may have an unknown size."""
_REWRITTEN: Final = frozenset({_EBML, _INFO, _TRACK})
_CONTAINERS: Final = frozenset(
    {
        *(_SEGMENT, _CLUSTER, _GROUP),
        0x1654AE6B,  # Tracks
        *(0x114D9B74, 0x4DBB),  # SeekHead, Seek
        *(0x1C53BB6B, 0xBB, 0xB7),  # Cues, CuePoint, CueTrackPositions
        *(0x75A1, 0xA6),  # BlockAdditions, BlockMore
    }
)
_NUMBERS: Final = frozenset(
    {
        *(0x53AB, 0x53AC),  # SeekID, SeekPosition
        *(0xB3, 0xF7, 0xF1, 0xF0, 0xB2, 0x5378, 0xEA),  # of a cue: time, track, positions, duration, block, state
        *(0xA7, 0xAB, 0x9B, 0xFA, 0xFB, 0x75A2, 0xEE),  # of a cluster or a block
    }
)
"""Elements that are numbers."""
_NUMBER_BYTES: Final = 8
_BLOCK, _SIMPLE_BLOCK, _TIME, _ADDITIONAL = 0xA1, 0xA3, 0xE7, 0xA5
_BLOCKS: Final = frozenset({_BLOCK, _SIMPLE_BLOCK})
_LONGEST: Final = float(1 << 62)
"""Maximum duration in ticks: a float may be infinite."""
_ELEMENTS_AT_MOST: Final = 256
"""Elements in a header that is rewritten as a whole, with those in its masters."""
_TRACKS_AT_MOST: Final = 16
_IN_EBML: Final = frozenset({0x4286, 0x42F7, 0x42F2, 0x42F3, 0x4282, 0x4287, 0x4285})
_SCALE, _DURATION, _MUXER, _WRITER = 0x2AD7B1, 0x4489, 0x4D80, 0x5741
_NUMBER, _TYPE, _CODEC, _PRIVATE, _VIDEO, _AUDIO, _ENCODINGS = 0xD7, 0x83, 0x86, 0x63A2, 0xE0, 0xE1, 0x6D80
_IN_TRACK: Final = frozenset(
    {
        *(_NUMBER, _TYPE, _CODEC, _PRIVATE, _VIDEO, _AUDIO, _ENCODINGS),
        *(0x73C5, 0xB9, 0x88, 0x55AA, 0x9C, 0x6DE7, 0x6DF8),  # its id, flags, lacing, caches
        *(0x23E383, 0x234E7A, 0x23314F, 0x55EE, 0x56AA, 0x56BB),  # durations, scale, additions, delay, pre-roll
    }
)
_MASTERS: Final = {
    _VIDEO: frozenset(
        {
            *(0x9A, 0x9D, 0x53B8, 0x53C0, 0xB0, 0xBA, 0x54AA, 0x54BB, 0x54CC, 0x54DD, 0x54B0, 0x54BA, 0x54B2, 0x54B3),
            *(0x2EB524, 0x55B0, 0x7670),
        }
    ),
    0x55B0: frozenset({*range(0x55B1, 0x55BE), 0x55D0}),  # Colour
    0x55D0: frozenset(range(0x55D1, 0x55DB)),  # MasteringMetadata: of the colours
    0x7670: frozenset(range(0x7671, 0x7676)),  # Projection
    _AUDIO: frozenset({0xB5, 0x78B5, 0x9F, 0x6264}),
    _ENCODINGS: frozenset({0x6240}),
    0x6240: frozenset({0x5031, 0x5032, 0x5033, 0x5034}),  # ContentEncoding
    0x5034: frozenset({0x4254, 0x4255}),  # ContentCompression
}
_MESSAGES: Final = frozenset({"V_MPEG4/ISO/AVC", "V_MPEGH/ISO/HEVC"})
"""Codecs with messages between the pictures."""
_KINDS: Final = {1: "video", 2: "audio"}
_NAME: Final = b"Passerby"
"""Muxer and writer, which the format requires."""
_FRAME_GAP: Final = 100
"""Milliseconds that the last frame lasts at most: nothing in the file says it."""


def webm(stream: Stream) -> Parser:
    """Parse a WebM or Matroska file. Browsers' recorders write no duration, so it is the end of the last block."""
    with contextlib.suppress(EndedError):
        yield from _File(stream).elements()
    if not stream.tracks:
        raise damaged("film")


class _File:
    """One file: what is known of it so far."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._scale = 1_000_000
        self._written = 0.0
        """The duration in the file, in ticks."""
        self._segment_end = self._cluster_end = TO_THE_END
        self._is_group_removed = False
        self._cluster = 0
        """The time of the cluster."""
        self._before = 0
        self._last = 0
        """Times of the last two blocks."""
        self._duration_at: int | None = None
        """Where the duration is missing."""
        self._codecs: dict[int, str] = {}
        """Codecs of the tracks that pass."""

    def elements(self) -> Parser:
        """Read all elements. What contains others is not followed: they are told apart by their ids alone."""
        stream = self._stream
        try:
            while stream.consumed < self._segment_end:
                identifier, header, size = yield from _element(stream)
                if not identifier or (size == TO_THE_END and identifier not in _ENDLESS):
                    break  # what stands behind the film does not pass
                yield from self._element(identifier, header, size)
        finally:
            self._tell()
            if self._duration_at is not None and self._last:
                stream.amend(self._duration_at, struct.pack(">d", float(self._end())))

    def _element(self, identifier: int, header: bytes, size: int) -> Parser:
        stream = self._stream
        if identifier in _BLOCKS or identifier in _ENDLESS or identifier == _GROUP:
            self._is_group_removed = False
        if identifier in _CONTAINERS:
            self._enter(identifier, size)
            stream.give(header)
        elif self._is_group_removed:
            yield from _void(stream, len(header), size)
        elif identifier in _BLOCKS:
            yield from self._block(identifier, header, size)
        elif identifier in _REWRITTEN:
            yield from self._rewrite(identifier, header, size)
        elif identifier == _TIME and size <= _NUMBER_BYTES:
            time = yield from stream.take(size)
            stream.give(header + time)
            self._cluster = int.from_bytes(time)
        elif (identifier in _NUMBERS and size <= _NUMBER_BYTES) or identifier == _ADDITIONAL:
            stream.give(header)
            yield from stream.keep(size)
        elif self._segment_end == TO_THE_END and stream.consumed >= self._cluster_end:
            yield from stream.skip(size)  # nothing has its place there yet
        else:
            yield from _void(stream, len(header), size)

    def _enter(self, identifier: int, size: int) -> None:
        if identifier == _SEGMENT:
            self._segment_end = min(self._stream.consumed + size, TO_THE_END)
        elif identifier == _CLUSTER:
            self._cluster_end = self._stream.consumed + size if size < TO_THE_END else 0

    def _end(self) -> float:
        gap = min(self._last - self._before, int(_FRAME_GAP * 1e6 / max(self._scale, 1)))
        return self._last + max(gap, 0)

    def _tell(self) -> None:
        ticks = self._written or (self._end() if self._last else 0)
        self._stream.seconds = max(ticks, self._last) * self._scale / 1e9 or None

    # ── blocks ────────────────────────────────────────────────────────────────────────────────────

    def _block(self, identifier: int, header: bytes, size: int) -> Parser:
        """Pass on a block of a track that passes, with the mark of a frame at which playing can begin."""
        stream = self._stream
        start = yield from stream.take(min(size, 24))
        width = _width(start[0]) if start else 0
        track = int.from_bytes(start[:width]) & ((1 << 7 * width) - 1)
        codec = self._codecs.get(track)
        if codec is None or len(start) < width + 3:
            yield from _void(stream, len(header), size - len(start), blanked=len(start))
            self._is_group_removed = identifier == _BLOCK
            return
        time = self._cluster + int.from_bytes(start[width : width + 2], signed=True)
        if time > self._last:
            self._before, self._last = self._last, time
            self._tell()
        flags = start[width + 2]
        if identifier == _SIMPLE_BLOCK and _is_key(codec, flags, start[width + 3 :]):
            start = start[: width + 2] + bytes([flags | 0x80]) + start[width + 3 :]
        stream.give(header + start)
        if codec in _MESSAGES:
            yield from sei.keep(stream, size - len(start), start)
        else:
            yield from stream.keep(size - len(start))

    # ── headers ───────────────────────────────────────────────────────────────────────────────────

    def _rewrite(self, identifier: int, header: bytes, size: int) -> Parser:
        """Write a header anew, in the same size."""
        stream = self._stream
        body = yield from stream.take(size)
        elements = _Elements()
        children = elements.of(body)
        if identifier == _EBML:
            kept = [child for child in children if child[0] in _IN_EBML]
        elif identifier == _INFO:
            kept = self._info(children, size)
        else:
            kept = self._track(children, elements)
        yield from stream.work(elements.count)
        if not kept:
            yield from _void(stream, len(header), 0, blanked=size)
            return
        out = _fitted(kept, size)
        if identifier == _INFO and self._duration_at == -1:
            self._duration_at = stream.position + len(header) + 2 + _width(out[2])
        stream.give(header + out)

    def _info(self, children: list[tuple[int, bytes]], size: int) -> list[tuple[int, bytes]]:
        kept = []
        for identifier, body in children:
            if identifier == _SCALE and len(body) <= _NUMBER_BYTES:
                self._scale = int.from_bytes(body)
                kept.append((identifier, body))
            elif identifier == _DURATION and (written := _float(body)):
                self._written = written
                kept.append((identifier, body))
        self._tell()
        names = [(_MUXER, _NAME), (_WRITER, _NAME)]
        if not self._written and self._duration_at is None and _fits([*kept, (_DURATION, bytes(8))], size):
            kept.insert(0, (_DURATION, bytes(8)))  # the first one, so that its place is known
            self._duration_at = -1
        return [*kept, *names] if _fits([*kept, *names], size) else kept

    def _track(self, children: list[tuple[int, bytes]], elements: _Elements) -> list[tuple[int, bytes]]:
        """Return what passes of a track: nothing, unless it is sound or picture."""
        numbers = {identifier: body for identifier, body in children if identifier in {_NUMBER, _TYPE, _CODEC}}
        codec = numbers.get(_CODEC, b"").decode("ascii", "replace")
        kind = int.from_bytes(numbers.get(_TYPE, b"")) or {"V_": 1, "A_": 2}.get(codec[:2], 0)
        number = int.from_bytes(numbers.get(_NUMBER, b"\1"))
        if kind not in _KINDS or len(self._codecs) >= _TRACKS_AT_MOST:
            return []
        self._codecs[number] = codec if kind == 1 else "A_"
        self._stream.tracks.add(_KINDS[kind])
        if codec.startswith("V_"):
            self._stream.tracks.add("video")
        kept = []
        for identifier, body in children:
            if identifier == _PRIVATE:
                kept.append((identifier, _private(codec, body)))
            elif identifier in _MASTERS:
                kept.append((identifier, elements.allowed(identifier, body)))
            elif identifier in _IN_TRACK:
                kept.append((identifier, body))
        return kept


def _private(codec: str, body: bytes) -> bytes:
    """Return a codec's parameters without comments."""
    if codec in {"A_VORBIS", "V_THEORA"}:
        return bare_headers(body)
    if codec == "A_FLAC":
        start = body[4 * body.startswith(b"fLaC") :]
        return b"fLaC" + bytes([start[0] | 0x80]) + start[1:38] if start else b""
    return body


def _is_key(codec: str, flags: int, frame: bytes) -> bool:
    """Return whether playing can begin at a frame."""
    if codec == "A_":
        return True
    if flags & 0x06 or not frame:
        return False
    if codec == "V_VP8":
        return not frame[0] & 1
    if codec == "V_VP9":
        bits = frame[0] << 8 | (frame[1] if len(frame) > 1 else 0)
        shift = 9 if frame[0] & 0x30 == 0x30 else 10  # noqa: PLR2004 - profile 3 has a reserved bit
        return frame[0] >> 6 == 2 and not bits >> shift & 0b11  # noqa: PLR2004 - the marker of a frame
    if codec == "V_AV1":
        place = 2 if frame[:2] == b"\x12\0" else 0
        return len(frame) > place and frame[place] >> 3 & 0xF == 1
    return False


# ── EBML (RFC 8794) ───────────────────────────────────────────────────────────────────────────────


def _element(stream: Stream) -> Generator[None, None, tuple[int, bytes, int]]:
    """Take the header of the next element: id (0 if there is none), header and size; TO_THE_END if unknown."""
    first = yield from stream.take(1)
    width = _width(first[0])
    if width > 4:  # noqa: PLR2004 - the longest id
        return 0, first, 0
    rest = yield from stream.take(width)
    size_width = _width(rest[-1])
    more = yield from stream.take(size_width - 1)
    unknown = (1 << 7 * size_width) - 1
    size = int.from_bytes(rest[-1:] + more) & unknown
    return int.from_bytes(first + rest[:-1]), first + rest + more, TO_THE_END if size == unknown else size


def _width(first: int) -> int:
    return 9 - first.bit_length() if first else 8


class _Elements:
    """Reads the elements of one header, and of the masters in it: `count` of them so far, all together."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, body: bytes) -> list[tuple[int, bytes]]:
        """Return the elements in the body of a master element. Raises MediaError."""
        found: list[tuple[int, bytes]] = []
        place = 0
        while place < len(body):
            self.count += 1
            width = _width(body[place])
            start = place + width
            if width > 4 or start >= len(body) or self.count > _ELEMENTS_AT_MOST:  # noqa: PLR2004 - the longest id
                raise damaged("film")
            size_width = _width(body[start])
            size = int.from_bytes(body[start : start + size_width]) & ((1 << 7 * size_width) - 1)
            begin = start + size_width
            if begin + size > len(body):
                raise damaged("film")
            found.append((int.from_bytes(body[place:start]), body[begin : begin + size]))
            place = begin + size
        return found

    def allowed(self, identifier: int, body: bytes) -> bytes:
        """Return the elements of a master element that a decoder needs. Raises MediaError."""
        return b"".join(
            _encoded(child, self.allowed(child, inner) if child in _MASTERS else inner)
            for child, inner in self.of(body)
            if child in _MASTERS[identifier]
        )


def _encoded(identifier: int, body: bytes, *, wider: int = 0) -> bytes:
    width = 1
    while len(body) >= (1 << 7 * width) - 1:
        width += 1
    width += wider
    size = (1 << 7 * width | len(body)).to_bytes(width)
    return identifier.to_bytes((identifier.bit_length() + 7) // 8) + size + body


def _fits(children: list[tuple[int, bytes]], size: int) -> bool:
    left = size - sum(len(_encoded(*child)) for child in children)
    return left >= 0


def _fitted(children: list[tuple[int, bytes]], size: int) -> bytes:
    """Return elements in exactly `size` bytes, followed by Void. They were no longer before."""
    out = b"".join(_encoded(*child) for child in children)
    left = size - len(out)
    if left < 0:
        raise damaged("film")
    if left == 1:  # no element is so short: the first one gets a longer size
        return _encoded(*children[0], wider=1) + out[len(_encoded(*children[0])) :]
    if left:
        header = _void_header(left)
        out += header + bytes(left - len(header))
    return out


def _void_header(total: int) -> bytes:
    """Return the header of a Void element that is `total` bytes long with its header."""
    width = 1
    while total - 1 - width >= (1 << 7 * width) - 1:
        width += 1
    return bytes([_VOID]) + (1 << 7 * width | total - 1 - width).to_bytes(width)


def _void(stream: Stream, header: int, size: int, *, blanked: int = 0) -> Parser:
    """Output an element as Void: `size` bytes are still to come, and `blanked` have been taken."""
    start = _void_header(header + size + blanked)
    stream.give(start + bytes(header + blanked - len(start)))
    yield from stream.blank(size)


def _float(data: bytes) -> float:
    form = {4: ">f", 8: ">d"}.get(len(data))
    value: float = struct.unpack(form, data)[0] if form else 0.0
    return value if 0 < value <= _LONGEST else 0.0  # not NaN, not infinite
