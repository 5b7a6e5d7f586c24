"""Ogg (RFC 3533): removes comments, measures the duration, lists track types.

The packets with comments are replaced by empty ones, and pages are numbered anew. Streams of unknown codecs are
dropped.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from typing import TYPE_CHECKING, Final

from passerby.media.stream import MAX_TAKE, EndedError, damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passerby.media.stream import Parser, Stream

_PAGE: Final = re.compile(b"OggS")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_STREAMS_AT_MOST: Final = 16
_SEGMENTS_AT_MOST: Final = 255
_NOTHING: Final = bytes(8)
"""A list of comments without vendor and without comments."""
_MODES_AT_MOST: Final = 64
_TOLERANCE: Final = 1.0
"""Seconds that packets may last longer than the pages tell: the last one is cut, and some are filled up."""


def ogg(stream: Stream) -> Parser:
    """Parse an Ogg. It is as long as the last page tells, from where the first one begins."""
    with contextlib.suppress(EndedError):
        yield from _pages(stream)
    if not stream.position:
        raise damaged("sound")


def _pages(stream: Stream) -> Parser:
    streams: dict[bytes, _Logical] = {}
    before = 0.0
    is_beginning = True
    while True:
        yield from stream.skip_until(_PAGE, 3)
        header = yield from stream.take(27)
        if header[4]:
            continue
        table = yield from stream.take(header[26])
        body = yield from stream.take(sum(table))
        yield from stream.work(1 + len(table) // 8)
        serial = header[14:18]
        if header[5] & _FIRST and not is_beginning:  # another recording follows
            before += max((each.seconds for each in streams.values()), default=0.0)
            streams.clear()
            is_beginning = True
        if serial not in streams:
            if len(streams) < _STREAMS_AT_MOST and (logical := _recognised(header, body)) is not None:
                streams[serial] = logical
                stream.tracks.add(logical.kind)
        elif not header[5] & _FIRST:
            is_beginning = False
        if serial in streams:
            for page in streams[serial].passed(header, table, body):
                stream.give(page)
            stream.seconds = before + max(each.seconds for each in streams.values()) or None


class _Logical:
    """One stream of packets. Its headers are written anew."""

    kind = "audio"
    comment: bytes = _NOTHING
    headers = 2

    def __init__(self, serial: bytes, head: bytes) -> None:
        self._serial = serial
        self._sequence = 0
        self._left = self.headers
        """Headers to come."""
        self._packet = bytearray()
        """The header that is being read."""
        self._is_continued = False
        self._start: int | None = None
        """Where the first page begins, in samples."""
        self._counted = 0
        """Samples of all packets."""
        self._until = 0
        self.rate = 0
        self.skipped = 0
        self.head = self.begin(head)

    @property
    def seconds(self) -> float:
        """The duration."""
        if not self.rate or self._start is None:
            return 0.0
        told = max(0, self._until - self._start - self.skipped) / self.rate
        counted = (self._counted - self.skipped) / self.rate
        return counted if counted > told + _TOLERANCE else told

    # ── for each codec ────────────────────────────────────────────────────────────────────────────

    def begin(self, head: bytes) -> bytes:
        """Read the first header; return it as it passes."""
        return head

    def is_header(self, packet: bytes) -> bool:  # noqa: ARG002 - for codecs that need it
        """Return whether a packet that begins so is still a header."""
        return True

    def more(self, packet: bytes) -> bytes | None:
        """Read a header behind the comments; return it as it passes."""
        return packet

    def samples(self, start: bytes) -> int:  # noqa: ARG002 - for codecs that need it
        """Return how many samples a packet that begins with `start` has."""
        return 0

    def position(self, granule: int) -> int:
        """Return a page's position in samples."""
        return granule

    # ── pages ─────────────────────────────────────────────────────────────────────────────────────

    def passed(self, header: bytes, table: bytes, body: bytes) -> Iterator[bytes]:
        """Yield the pages to output for one page."""
        place = segment = 0
        while self._left and segment < len(table):
            stop = segment
            while stop < len(table) and table[stop] == 255:  # noqa: PLR2004 - the packet goes on
                stop += 1
            is_complete = stop < len(table)
            stop += is_complete
            size = sum(table[segment:stop])
            if not self._packet and self._left < self.headers and not self.is_header(body[place : place + size]):
                self._left = 0
                break
            self._packet += body[place : place + size]
            if self._left == self.headers - 1 and len(self._packet) > len(_NOTHING):
                del self._packet[len(_NOTHING) :]  # comments: they may be long, as with a picture
            if len(self._packet) > MAX_TAKE:
                raise damaged("sound")
            place, segment = place + size, stop
            if is_complete:
                yield from self._headed(bytes(self._packet))
                self._packet.clear()
        if self._left or (segment and segment == len(table)):
            return
        flags = header[5] if not segment else header[5] & _LAST
        self._count(header, table[segment:], body[place:])
        yield self._page(header[6:14], flags, table[segment:], body[place:], header if not segment else b"")

    def _headed(self, packet: bytes) -> Iterator[bytes]:
        self._left -= 1
        if self._left == self.headers - 1:
            yield from self._pages(self.head, _FIRST)
        elif self._left == self.headers - 2:
            yield from self._pages(self.comment, 0)
        else:
            passed = self.more(packet)
            if passed is not None:
                yield from self._pages(passed, 0)

    def _pages(self, packet: bytes, flags: int) -> Iterator[bytes]:
        table = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
        for start in range(0, len(table), _SEGMENTS_AT_MOST):
            part = table[start : start + _SEGMENTS_AT_MOST]
            is_last = start + len(part) == len(table)
            granule = bytes(8) if is_last else b"\xff" * 8
            yield self._page(granule, flags, part, packet[start * 255 : start * 255 + sum(part)])
            flags = _CONTINUED

    def _page(self, granule: bytes, flags: int, table: bytes, body: bytes, before: bytes = b"") -> bytes:
        sequence = self._sequence.to_bytes(4, "little")
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        if before[18:22] == sequence and before[5] == flags:
            return before + table + body
        start = b"OggS\0" + bytes([flags]) + granule + self._serial + sequence
        page = b"".join((start, bytes(4), bytes([len(table)]), table, body))
        return b"".join((start, _checksum(page), page[26:]))

    def _count(self, header: bytes, table: bytes, body: bytes) -> None:
        """Count the samples of a page."""
        place = 0
        is_start = not self._is_continued
        for size in table:
            if is_start and size:
                self._counted += self.samples(body[place : place + 2])
            place += size
            is_start = size < 255  # noqa: PLR2004 - the packet goes on
        self._is_continued = not is_start
        granule = int.from_bytes(header[6:14], "little", signed=True)
        if granule > 0:
            position = self.position(granule)
            if self._start is None:
                self._start = 0 if header[5] & _LAST else max(0, position - self._counted) if self._counted else 0
            self._until = max(self._until, position)


class _Opus(_Logical):
    """RFC 7845."""

    comment = b"OpusTags" + _NOTHING

    def begin(self, head: bytes) -> bytes:
        self.rate, self.skipped = 48_000, int.from_bytes(head[10:12], "little")
        return head[: 19 if len(head) > 18 and not head[18] else 21 + (head[9] if len(head) > 9 else 0)]  # noqa: PLR2004 - without, with a table of channels

    def samples(self, start: bytes) -> int:
        """See RFC 6716 §3.1."""
        mode, code = start[0] >> 3, start[0] & 3
        if mode < 12:  # noqa: PLR2004 - SILK
            frame = (480, 960, 1920, 2880)[mode & 3]
        elif mode < 16:  # noqa: PLR2004 - hybrid
            frame = (480, 960)[mode & 1]
        else:
            frame = 120 << (mode & 3)
        count = (1, 2, 2, start[1] & 63 if len(start) > 1 else 0)[code]
        return min(frame * count, 5760)


class _Vorbis(_Logical):
    """Vorbis I, §4.2."""

    comment = b"\x03vorbis" + _NOTHING + b"\x01"
    headers = 3

    def begin(self, head: bytes) -> bytes:
        self.rate = int.from_bytes(head[12:16], "little")
        sizes = head[28] if len(head) > 28 else 0  # noqa: PLR2004 - as far as the sizes of blocks
        self._sizes = 1 << (sizes & 15), 1 << (sizes >> 4)
        self._modes: list[int] = [1]
        self._before = 0
        return head[:30]

    def more(self, packet: bytes) -> bytes:
        self._modes = vorbis_modes(packet)
        return packet

    def samples(self, start: bytes) -> int:
        if start[0] & 1:
            return 0
        mode = start[0] >> 1 & ((1 << (len(self._modes) - 1).bit_length()) - 1)
        size = self._sizes[self._modes[mode] if mode < len(self._modes) else 0]
        before, self._before = self._before, size
        return (before + size) // 4 if before else 0


class _Theora(_Logical):
    """Theora, §6.2. Counted in milliseconds."""

    kind = "video"
    comment = b"\x81theora" + _NOTHING
    headers = 3

    def begin(self, head: bytes) -> bytes:
        self.rate = 1000
        head = head[:42].ljust(42, b"\0")
        self._frames, self._seconds = int.from_bytes(head[22:26]), int.from_bytes(head[26:30])
        self._shift = (head[40] & 3) << 3 | head[41] >> 5
        return head

    def position(self, granule: int) -> int:
        frames = (granule >> self._shift) + (granule & ((1 << self._shift) - 1))
        return frames * self._seconds * 1000 // self._frames if self._frames else 0


class _Vp8(_Logical):
    """VP8 in Ogg, whose comments may be missing."""

    kind = "video"
    comment = b"OVP80\x02 " + _NOTHING

    def begin(self, head: bytes) -> bytes:
        return head[:26]

    def is_header(self, packet: bytes) -> bool:
        return packet.startswith(b"OVP80")


class _Speex(_Logical):
    """The Speex manual, §7.3. More headers than two are dropped."""

    headers = 66

    def begin(self, head: bytes) -> bytes:
        head = head[:80].ljust(80, b"\0")
        self.rate = int.from_bytes(head[36:40], "little")
        self._samples = int.from_bytes(head[56:60], "little") * max(1, int.from_bytes(head[64:68], "little"))
        self.headers = 2 + min(int.from_bytes(head[68:72], "little"), 64)
        self._left = self.headers
        return head[:68] + bytes(4) + head[72:]

    def more(self, packet: bytes) -> None:  # noqa: ARG002 - for codecs that need it
        return None

    def samples(self, start: bytes) -> int:  # noqa: ARG002 - for codecs that need it
        return min(self._samples, self.rate)


class _Flac(_Logical):
    """FLAC in Ogg (RFC 9639 §10.1). Only the first header passes, and empty comments, which must follow it."""

    comment = b"\x84\0\0\x08" + _NOTHING
    headers = 1 << 20

    def begin(self, head: bytes) -> bytes:
        head = head[:51].ljust(51, b"\0")
        self.rate = int.from_bytes(head[27:30]) >> 4
        self._samples = int.from_bytes(head[19:21])
        return head[:7] + b"\0\1" + head[9:13] + bytes([head[13] & 0x7F]) + head[14:]

    def is_header(self, packet: bytes) -> bool:
        return not packet.startswith(b"\xff")

    def more(self, packet: bytes) -> None:  # noqa: ARG002 - for codecs that need it
        return None

    def samples(self, start: bytes) -> int:  # noqa: ARG002 - for codecs that need it
        return self._samples


_CODECS: Final[dict[bytes, type[_Logical]]] = {
    b"OpusHead": _Opus,
    b"\x01vorbis": _Vorbis,
    b"\x80theora": _Theora,
    b"OVP80\x01": _Vp8,
    b"Speex   ": _Speex,
    b"\x7fFLAC": _Flac,
}


def _recognised(header: bytes, body: bytes) -> _Logical | None:
    for start, codec in _CODECS.items():
        if body.startswith(start):
            return codec(header[14:18], body)
    return None


def vorbis_modes(setup: bytes) -> list[int]:
    """Return for each mode of a Vorbis setup header whether its blocks are long (1) or short (0).

    The modes are its last part, and what is before cannot be skipped. So it is read backwards from the last bit, until
    the number of modes that have been read stands before them.
    """
    bits = int.from_bytes(setup[-400:], "little")
    flags: list[int] = []
    place, found = bits.bit_length() - 1, [1]
    while place >= 41 + 6 and len(flags) < _MODES_AT_MOST:
        place -= 41
        mode = bits >> place & ((1 << 41) - 1)
        if mode >> 33 > 63 or mode >> 1 & 0xFFFFFFFF:  # noqa: PLR2004 - the highest mapping
            break
        flags.append(mode & 1)
        if bits >> (place - 6) & 63 == len(flags) - 1:
            found = flags[::-1]
    return found


def bare_headers(private: bytes) -> bytes:
    """Return the three headers of Vorbis or Theora as Matroska stores them, with empty comments. Raises MediaError."""
    if private[:1] != b"\2":
        raise damaged("film")
    sizes, place = [], 1
    for _ in range(2):
        ones = len(private) - place - len(private[place:].lstrip(b"\xff"))  # the number goes on
        size, place = 255 * ones, place + ones
        if place >= len(private):
            raise damaged("film")
        sizes.append(size + private[place])
        place += 1
    first = private[place : place + sizes[0]]
    setup = private[place + sum(sizes) :]
    comment = _Vorbis.comment if first.startswith(b"\x01vorbis") else _Theora.comment
    lacing = b"".join(b"\xff" * (len(each) // 255) + bytes([len(each) % 255]) for each in (first, comment))
    return b"\2" + lacing + first + comment + setup


# ── checksums ─────────────────────────────────────────────────────────────────────────────────────

_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> bytes:
    """Return the CRC of a page whose CRC is zero: as zlib's, but with all bits mirrored, from 0, and not inverted."""
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4).translate(_MIRRORED)
