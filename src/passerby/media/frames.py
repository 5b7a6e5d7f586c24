"""MP3, AAC in ADTS and FLAC: passes only frames of sound, and what is needed to read them; measures the duration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from passerby.media.stream import EndedError, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from passerby.media.stream import Parser, Stream


class Frame(NamedTuple):
    """What the header of a frame says."""

    size: int
    samples: int
    rate: int
    same: bytes
    """What all frames of a file have in common."""


_BITRATES: Final = {
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 0),
}
"""kbit/s by version and layer (as they are coded: 3 is MPEG 1, 1 is layer III); of other versions, `_LOW`."""
_LOW: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_RATES: Final = {3: (44_100, 48_000, 32_000, 0), 2: (22_050, 24_000, 16_000, 0), 0: (11_025, 12_000, 8_000, 0)}
_AAC_RATES: Final = (96, 88.2, 64, 48, 44.1, 32, 24, 22.05, 16, 12, 11.025, 8, 7.35)
_HEADER: Final = 7
"""Bytes that tell what a frame is: of ADTS; MP3 needs four."""


def mp3_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of MPEG audio, layer II or III (ISO/IEC 11172-3 §2.4.1.3)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:  # noqa: PLR2004 - its size; eleven ones
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate = _BITRATES.get((version, layer), _LOW)[header[2] >> 4] * 1000
    rate = _RATES.get(version, (0, 0, 0, 0))[header[2] >> 2 & 3]
    if layer not in {1, 2} or not bitrate or not rate or header[3] & 3 == 2:  # noqa: PLR2004 - a reserved emphasis
        return None
    samples = 576 if layer == 1 and version != 3 else 1152  # noqa: PLR2004 - MPEG 1
    size = samples // 8 * bitrate // rate + (header[2] >> 1 & 1)
    return Frame(size, samples, rate, bytes([header[1] & 0xFE, header[2] & 0x0C]))


def adts_frame(header: bytes) -> Frame | None:
    """Read the header of a frame of AAC (ISO/IEC 14496-3, ADTS)."""
    if len(header) < _HEADER or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:  # noqa: PLR2004 - twelve ones, layer 0
        return None
    rate, size = header[2] >> 2 & 15, (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if rate >= len(_AAC_RATES) or size < (_HEADER if header[1] & 1 else _HEADER + 2):
        return None
    samples = 1024 * ((header[6] & 3) + 1)
    return Frame(size, samples, round(_AAC_RATES[rate] * 1000), bytes([header[1] & 0xF8, header[2] & 0xFC]))


def is_frames(head: bytes, read: Callable[[bytes], Frame | None]) -> bool:
    """Return whether `head`, the beginning of a file, has two frames in a row, or is a whole file of one."""
    first = read(head[:_HEADER])
    if first is None:
        return False
    if len(head) <= first.size:
        return len(head) == first.size
    second = read(head[first.size : first.size + _HEADER])
    return second is not None and second.same == first.same


_MP3_SYNC: Final = re.compile(rb"\xff[\xe2-\xff]")
_ADTS_SYNC: Final = re.compile(rb"\xff[\xf0\xf1\xf8\xf9]")


def mp3(stream: Stream) -> Parser:
    """Parse an MP3: tags before, between and behind the frames are dropped."""
    yield from _frames(stream, mp3_frame, _MP3_SYNC)


def adts(stream: Stream) -> Parser:
    """Parse AAC: tags before, between and behind the frames are dropped."""
    yield from _frames(stream, adts_frame, _ADTS_SYNC)


def tagged(stream: Stream) -> Parser:
    """Parse a file that begins with ID3: MP3, or what else is behind it."""
    start = b"ID3"
    while start == b"ID3":
        yield from _skip_id3(stream)
        start = yield from stream.take(3)
        stream.back(start)
    if start == b"fLa":
        stream.subtype = "flac"
        yield from flac(stream)
    elif start[0] == 0xFF and start[1] & 0xF6 == 0xF0:  # noqa: PLR2004 - ADTS
        stream.subtype = "aac"
        yield from adts(stream)
    else:
        yield from mp3(stream)


def _skip_id3(stream: Stream) -> Parser:
    header = yield from stream.take(10)
    size = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
    yield from stream.skip(size + (10 if header[5] & 0x10 else 0))  # with a footer


def _frames(stream: Stream, read: Callable[[bytes], Frame | None], sync: re.Pattern[bytes]) -> Parser:
    """Pass only frames: two in a row at least, or the only one of a file."""
    count = _Count(stream)
    held: tuple[Frame, bytes] | None = None
    is_adjacent = False
    try:
        while True:
            header = yield from stream.take(_HEADER)
            frame = read(header)
            same = held[0].same if held else count.same
            if frame is not None and same in {None, frame.same}:
                stream.back(header)
                body = yield from stream.take(frame.size)
                if held:
                    count.give(*held)
                if held or is_adjacent:
                    count.give(frame, body)
                    held, is_adjacent = None, True
                else:
                    held = frame, body
                continue
            stream.back(header)
            if held and held[1][:3] != b"ID3":
                stream.back(held[1])
            held, is_adjacent = None, False
            if header.startswith(b"ID3"):
                yield from _skip_id3(stream)
                continue
            yield from stream.skip(1)
            yield from stream.work(8)
            yield from stream.skip_until(sync, 1)
    except EndedError:
        rest = stream.rest()
        frame = read(rest[:_HEADER])
        if held and (stream.consumed == held[0].size or (frame is not None and frame.same == held[0].same)):
            count.give(*held)
    if not count.frames:
        raise damaged("sound")


class _Count:
    """Passes frames, and counts how long they play."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.frames = 0
        self._samples = 0
        self.same: bytes | None = None

    def give(self, frame: Frame, body: bytes) -> None:
        """Pass a frame."""
        stream = self._stream
        stream.give(body)
        self.frames += 1
        self.same = frame.same
        if self.frames == 1 and (silent := _silent(body)) is not None:
            self._samples -= silent  # not sound, but what an encoder says of it
        else:
            self._samples += frame.samples
        stream.seconds = max(0, self._samples) / frame.rate or None


def _silent(body: bytes) -> int | None:
    """Return how many samples of the frames that follow are no sound, if a frame of MP3 only describes them."""
    if body[1] & 0xF6 == 0xF0:  # noqa: PLR2004 - ADTS
        return None
    place = next((at for tag in (b"Xing", b"Info") if (at := body.find(tag, 4, 48)) >= 0), -1)
    if place < 0:
        return 0 if body[36:40] == b"VBRI" else None
    flags = body[place + 7] if len(body) > place + 7 else 0
    place += 8 + 4 * (flags & 1) + 2 * (flags & 2) + 25 * (flags & 4) + (flags & 8) // 2
    if body[place : place + 4] not in {b"LAME", b"Lavf", b"Lavc"}:
        return 0
    delays = int.from_bytes(body[place + 21 : place + 24])
    return (delays >> 12) + (delays & 0xFFF)


# ── FLAC (RFC 9639) ───────────────────────────────────────────────────────────────────────────────

_STREAMINFO, _SEEKTABLE, _LAST = 0, 3, 0x80
_INFO_BYTES: Final = 34
_TAIL: Final = 512
"""Bytes held back: an ID3 tag of version 1, and its extension, are the end of the file."""
_OLD_TAG: Final = re.compile(rb"(?:TAG\+.{223})?TAG[\0\x20-\xff]{0,125}\Z", re.DOTALL)
_APE: Final = b"APETAGEX"
_APE_BYTES: Final = 32
"""Bytes of the header and of the footer of an APE tag."""
_WINDOW: Final = 1024
"""Bytes to search at once."""
_FRAME_HEADER: Final = 16
_OR_TAG: Final = (
    rb"[\x10-\xff][\x00-\xbf]|APETAGEX[\xd0\xe8][\x07\x03]\0\0|LYRICSBEGIN|ID3[\x02-\x04]\0[\x00-\xf0][\x00-\x7f]{4}"
)
_BLOCKS: Final = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)


def _crc(byte: int) -> int:
    for _ in range(8):
        byte = byte << 1 ^ (0x107 if byte & 0x80 else 0)
    return byte


_CRC: Final = bytes(map(_crc, range(256)))
"""The polynomial x⁸ + x² + x + 1."""


def flac(stream: Stream) -> Parser:
    """Parse FLAC: of the metadata, only STREAMINFO and SEEKTABLE pass. It is as long as its frames."""
    yield from stream.skip(4)
    header = yield from stream.take(4)
    length = int.from_bytes(header[1:])
    if header[0] & 0x7F != _STREAMINFO or length < _INFO_BYTES:
        raise damaged("sound")
    info = yield from stream.take(_INFO_BYTES)
    yield from stream.skip(length - _INFO_BYTES)
    has_table = False
    while not header[0] & _LAST:
        header = yield from stream.take(4)
        length = int.from_bytes(header[1:])
        if header[0] & 0x7F == _SEEKTABLE and not has_table:
            has_table = True
            stream.give(b"fLaC\0\0\0\x22" + info + bytes([_SEEKTABLE | _LAST]) + header[1:])
            yield from stream.keep(length)
        else:
            yield from stream.skip(length)
    if not has_table:
        stream.give(b"fLaC\x80\0\0\x22" + info)
    yield from _Flac(stream, info).frames()


class _Flac:
    """The frames of a file. Their headers say where they are: that is how long they play."""

    def __init__(self, stream: Stream, info: bytes) -> None:
        self._stream = stream
        self._block = int.from_bytes(info[:2])
        self._rate = int.from_bytes(info[10:13]) >> 4
        self._info = info
        self._start = self._end = -1

    def frames(self) -> Parser:
        """Pass the frames, but no tag behind them. Raises MediaError."""
        stream = self._stream
        first = stream.position
        start = yield from stream.take(2)
        if start not in {b"\xff\xf8", b"\xff\xf9"} or not self._rate:
            raise damaged("sound")
        frame = re.compile(re.escape(start) + _OR_TAG)
        held = start
        try:
            while True:
                data = held + (yield from stream.some(_WINDOW))
                end = max(0, len(data) - _TAIL)
                stop = yield from self._look(frame, data, end)
                if stop is not None:
                    self._cut(data, stop, first)
                    break
                stream.give(data[:end])
                held = data[end:]
        except EndedError:
            stop = yield from self._look(frame, held, len(held))
            tag = _OLD_TAG.search(held)
            self._cut(held, stop if stop is not None else tag.start() if tag else len(held), first)
        self._tell()

    def _cut(self, data: bytes, stop: int, first: int) -> None:
        """Pass on what stands before a tag. The items of an APE tag without a header stand before its footer."""
        stream, tag = self._stream, data[stop : stop + _APE_BYTES]
        stream.give(data[:stop])
        if tag.startswith(_APE) and len(tag) == _APE_BYTES and not tag[23] & 0x20:
            items = max(0, int.from_bytes(tag[12:16], "little") - _APE_BYTES)
            begin = max(first, stream.position - items)
            stream.blanks.extend((begin, stream.position - begin))

    def _look(self, frame: re.Pattern[bytes], data: bytes, end: int) -> Generator[None, None, int | None]:
        """Note the frames that begin before `end`; return where a tag begins."""
        looked = 0
        for match in frame.finditer(data):
            if match.start() >= end:
                break
            looked += 1
            if match[0][:1] != b"\xff":
                yield from self._stream.work(looked)
                return match.start()
            self._note(data[match.start() : match.start() + _FRAME_HEADER])
        yield from self._stream.work(looked)
        return None

    def _note(self, header: bytes) -> None:
        read = _flac_frame(header)
        if read is None:
            return
        number, samples = read
        place = number if header[1] & 1 else number * self._block
        if self._start < 0:
            self._start = self._end = place
        if 0 <= place - self._end <= 16 * samples:  # not a frame by chance
            self._end = place + samples

    def _tell(self) -> None:
        samples = self._end - self._start
        if self._start < 0 or samples <= 0:
            raise damaged("sound")
        self._stream.seconds = samples / self._rate
        known = int.from_bytes(self._info[13:18]) & 0xFFFFFFFFF
        if not known:
            total = (int.from_bytes(self._info[13:18]) & ~0xFFFFFFFFF) | min(samples, 0xFFFFFFFFF)
            self._stream.amend(8 + 13, total.to_bytes(5))


def _flac_frame(header: bytes) -> tuple[int, int] | None:
    """Return a frame's number (or its first sample's) and its samples, if its checksum is right (RFC 9639 §9.1)."""
    block, rate = header[2] >> 4, header[2] & 15
    first = header[4] if len(header) > 4 else 0xFF  # noqa: PLR2004 - as far as the number
    if first == 0xFF or 0x80 <= first < 0xC0:  # noqa: PLR2004 - no first byte of a number
        return None
    more = 7 - (first ^ 0xFF).bit_length() if first & 0x80 else 0
    place = 5 + more
    number = first if not more else first & ((1 << (6 - more)) - 1)
    for byte in header[5:place]:
        number = number << 6 | byte & 0x3F
    samples = _BLOCKS[block]
    if block in {6, 7}:
        samples = int.from_bytes(header[place : place + block - 5]) + 1
        place += block - 5
    place += {12: 1, 13: 2, 14: 2}.get(rate, 0)
    crc = 0
    for byte in header[:place]:
        crc = _CRC[crc ^ byte]
    is_right = samples and rate != 15 and place < len(header) and crc == header[place]  # noqa: PLR2004 - an invalid rate
    return (number, samples) if is_right else None
