"""MP4 and QuickTime (ISO/IEC 14496-12): removes metadata, measures the duration, lists track types.

Boxes keep their places and sizes, so that offsets to samples stay valid: what is not needed to play the film becomes
free space of zeros. That is every box that is not in `_INSIDE`, all times, names and languages, and every track that
is neither sound nor picture, with its samples.
"""

from __future__ import annotations

import contextlib
import struct
from array import array
from typing import TYPE_CHECKING, Final

from passerby.errors import Code
from passerby.media.stream import TO_THE_END, EndedError, MediaError, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from passerby.media.stream import Parser, Stream

_FILE: Final = b"file"
_SAMPLES: Final = b"stsd stts ctts cslg stss stsc stsz stz2 stco co64 stps sdtp sgpd sbgp subs"
_INSIDE: Final = {
    parent: frozenset(children.split())
    for parent, children in {
        _FILE: b"ftyp styp moov mdat moof sidx mfra",
        b"moov": b"mvhd trak mvex",
        b"trak": b"tkhd edts mdia",
        b"edts": b"elst",
        b"mdia": b"mdhd hdlr minf",
        b"minf": b"vmhd smhd hdlr dinf stbl",
        b"dinf": b"dref",
        b"stbl": _SAMPLES,
        b"mvex": b"mehd trex",
        b"moof": b"mfhd traf",
        b"traf": b"tfhd tfdt trun sdtp sbgp sgpd subs",
        b"mfra": b"tfra mfro",
    }.items()
}
"""What may stand within each box: all that a player needs, and nothing that says where, when, with what or by whom."""
_HANDLERS: Final = {b"soun": "audio", b"vide": "video"}
_TRACKS_AT_MOST: Final = 16
"""Maximum number of tracks whose fragments are counted: memory must not grow with the file."""
_AT_ONCE: Final = 256
"""Bytes of a table to read at once."""
_REMOVED_AT_MOST: Final = 1 << 15
"""Samples, chunks and places of tracks that are removed: memory must not grow with the file."""
_JUNK: Final = 1 << 29
"""A box at the end that is longer is not one: its length is letters."""
_UNDETERMINED: Final = b"\x55\xc4"
"""The language "und"."""


def mp4(stream: Stream) -> Parser:
    """Parse an MP4 or a QuickTime film."""
    film = _Film(stream)
    with contextlib.suppress(EndedError):
        yield from film.boxes(_FILE, TO_THE_END)
    if not film.is_film:
        raise damaged("film")


def unsupported() -> MediaError:
    """Return the refusal of a film whose metadata cannot be removed."""
    return MediaError(Code.UNSUPPORTED_TYPE, "From this film, place and time cannot be removed")


class _Track:
    """The track that is being read."""

    def __init__(self) -> None:
        self.number = 0
        self.handler: bytes | None = None
        self.scale = 0
        self.ticks = 0
        self.is_edited = False
        self.size = 0
        """The size of each sample of a track that is removed; 0 if they differ."""
        self.sizes = array("I")
        self.runs = array("I")
        """First chunk and samples in each chunk, alternately."""
        self.chunks = array("Q")

    @property
    def is_removed(self) -> bool:
        """Whether the track is neither sound nor picture, as far as it is read."""
        return self.handler is not None and self.handler not in _HANDLERS


class _Film:
    """One file. A fragmented recording is as long as the sum of its fragments."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.is_film = False
        """Whether there is what a player needs."""
        self._scale = 0
        self._played: float | None = None
        """Duration by the film's own header."""
        self._longest = 0.0
        """Duration of the longest track that is not edited, by its samples."""
        self._track = _Track()
        self._free = b""
        """The header of the track that is being read, as free space."""
        self._number = 0
        """The track of the boxes that follow."""
        self._removed: set[int] = set()
        self._scales: dict[int, int] = {}
        self._defaults: dict[int, int] = {}
        self._ticks: dict[int, int] = {}
        self._default = 0
        """The default sample duration of the current fragment."""
        self._known: dict[bytes, Callable[[int], Parser]] = {
            b"stsd": self._stsd,
            b"dref": self._dref,
            b"mvhd": self._mvhd,
            b"tkhd": self._tkhd,
            b"mdhd": self._mdhd,
            b"hdlr": self._hdlr,
            b"elst": self._elst,
            b"stts": self._stts,
            b"stsc": self._stsc,
            b"stsz": self._stsz,
            b"stz2": self._stz2,
            b"stco": self._stco,
            b"co64": self._co64,
            b"trex": self._trex,
            b"tfhd": self._tfhd,
            b"trun": self._trun,
        }

    def boxes(self, parent: bytes, left: int) -> Parser:
        """Read the boxes within `parent`, which has `left` bytes."""
        stream, allowed = self._stream, _INSIDE[parent]
        while left >= 8:  # noqa: PLR2004 - a header
            header = yield from stream.take(8)
            length, kind = int.from_bytes(header[:4]), header[4:]
            if length == 1 and left >= 16:  # noqa: PLR2004 - a large header
                header += yield from stream.take(8)
                length = int.from_bytes(header[8:])
            elif length == 0:
                length = left
            is_known = kind in allowed and length >= len(header)
            if parent == _FILE and kind not in allowed and length >= _JUNK and header[:4] != bytes(4):
                return  # no box: what stands behind the film does not pass
            if length < len(header):
                length = len(header)
                header = struct.pack(">I", length) + header[4:8] + bytes(length - 8)
            body = min(length, left) - len(header)
            left -= len(header) + body
            if is_known:
                yield from self._box(kind, header, body)
            else:
                stream.give(header[:4] + b"free" + header[8:])
                yield from stream.blank(body)
        yield from stream.blank(left)  # QuickTime ends some lists with four zeros

    def _box(self, kind: bytes, header: bytes, body: int) -> Parser:
        if kind == b"trak":
            yield from self._trak(header, body)
            return
        self._stream.give(header)
        self.is_film = self.is_film or kind == b"moov"
        if kind in self._known:
            yield from self._known[kind](body)
        elif kind in _INSIDE:
            if kind == b"minf" and self._track.handler is None:
                raise damaged("film")
            yield from self.boxes(kind, body)
        else:
            yield from self._stream.keep(body)

    # ── headers ───────────────────────────────────────────────────────────────────────────────────

    def _start(self, body: int, count: int) -> Generator[None, None, bytes]:
        """Take the first `count` bytes of a body, or all of it; return them with zeros behind them."""
        start = yield from self._stream.take(min(body, count))
        return start.ljust(count, b"\0")

    def _timed(self, body: int, count: int, *, language: bool = False) -> Generator[None, None, bytes]:
        """Pass on a header that begins with two times, without them; return its first `count` bytes."""
        start = yield from self._start(body, count)
        large = start[0] == 1
        times = 16 if large else 8
        out = start[:4] + bytes(times) + start[4 + times :]
        if language:
            place = 32 if large else 20
            out = out[:place] + _UNDETERMINED + out[place + 2 :]
        self._stream.give(out[: min(body, count)])
        yield from self._stream.keep(body - min(body, count))
        return start

    def _mvhd(self, body: int) -> Parser:
        start = yield from self._timed(body, 32)
        self._scale = _number(start, 20 if start[0] == 1 else 12)
        self._played = _film_seconds(start)
        self._tell()

    def _tkhd(self, body: int) -> Parser:
        start = yield from self._timed(body, 24)
        self._number = _number(start, 20 if start[0] == 1 else 12)

    def _mdhd(self, body: int) -> Parser:
        start = yield from self._timed(body, 36, language=True)
        self._track.scale = _number(start, 20 if start[0] == 1 else 12)
        self._note(self._scales, self._track.scale)

    def _hdlr(self, body: int) -> Parser:
        start = yield from self._start(body, 12)
        self._stream.give(start[: min(body, 12)])
        track = self._track
        if track.handler is None:
            track.handler = start[8:12]
            if track.handler in _HANDLERS:
                self._stream.tracks.add(_HANDLERS[track.handler])
                self._stream.release()
            else:
                self._remove()
        yield from self._stream.blank(body - min(body, 12))  # its name: often that of the camera or of its maker

    def _elst(self, body: int) -> Parser:
        self._track.is_edited = True
        yield from self._stream.keep(body)

    def _dref(self, body: int) -> Parser:
        """Pass on where the samples are, without the path that they had."""
        stream = self._stream
        count = min(body, 8)
        yield from stream.keep(count)
        body -= count
        while body >= 12:  # noqa: PLR2004 - a box and its flags
            header = yield from stream.take(12)
            stream.give(header)
            length = min(max(_number(header, 0), 12), body)
            yield from stream.blank(length - 12)
            body -= length
        yield from stream.blank(body)

    # ── tracks ────────────────────────────────────────────────────────────────────────────────────

    def _trak(self, header: bytes, body: int) -> Parser:
        """Read a track. What stands before its handler is held back: it decides whether the track passes."""
        stream = self._stream
        track = self._track = _Track()
        self._free = header[:4] + b"free" + header[8:]
        stream.hold()
        stream.give(header)
        yield from self.boxes(b"trak", body)
        if track.handler is None:
            self._remove()
        stream.show()
        if track.is_removed:
            yield from self._remove_samples(track)
        elif track.handler == b"soun" and track.scale and not track.is_edited:
            self._longest = max(self._longest, track.ticks / track.scale)
            self._tell()

    def _remove(self) -> None:
        if len(self._removed) >= _TRACKS_AT_MOST:
            raise unsupported()
        self._removed.add(self._number)
        self._stream.blank_held(self._free)

    def _stsd(self, body: int) -> Parser:
        if self._track.is_removed:
            yield from self._stream.keep(body)
        else:
            descriptions = yield from self._stream.take(body)
            self._stream.give(_descriptions(descriptions, is_video=self._track.handler == b"vide"))

    def _table(self, body: int, head: int, form: str, each: Callable[[tuple[int, ...]], None]) -> Parser:
        """Pass on a table whose `head` bytes end with the number of its entries; call `each` with parts of it."""
        stream = self._stream
        start = yield from stream.take(min(body, head))
        stream.give(start)
        count, left, width = _number(start, head - 4), body - len(start), struct.calcsize(">" + form)
        while count > 0 and left >= width:
            entries = min(count, left // width, _AT_ONCE // width)
            table = yield from stream.take(entries * width)
            stream.give(table)
            each(struct.unpack(">" + form * entries, table))
            count -= entries
            left -= len(table)
        yield from stream.keep(left)

    def _stts(self, body: int) -> Parser:
        track = self._track

        def each(numbers: tuple[int, ...]) -> None:
            track.ticks += sum(count * ticks for count, ticks in zip(numbers[::2], numbers[1::2], strict=True))

        yield from self._table(body, 8, "II", each)

    def _collect(self, body: int, head: int, form: str, to: array[int], stride: int = 0) -> Parser:
        """Pass on a table; of a track that is removed, remember its numbers (without every third of `stride` 3)."""

        def each(numbers: tuple[int, ...]) -> None:
            if len(to) > _REMOVED_AT_MOST:
                raise unsupported()
            if stride:
                for first, samples in zip(numbers[::stride], numbers[1::stride], strict=True):
                    to.extend((first, samples))
            else:
                to.extend(numbers)

        if self._track.is_removed:
            yield from self._table(body, head, form, each)
        else:
            yield from self._stream.keep(body)

    def _stsc(self, body: int) -> Parser:
        return self._collect(body, 8, "III", self._track.runs, stride=3)

    def _stco(self, body: int) -> Parser:
        return self._collect(body, 8, "I", self._track.chunks)

    def _co64(self, body: int) -> Parser:
        return self._collect(body, 8, "Q", self._track.chunks)

    def _stsz(self, body: int) -> Parser:
        if self._track.is_removed and body >= 12:  # noqa: PLR2004 - its fixed part
            start = yield from self._stream.take(8)
            self._stream.give(start)
            self._track.size = _number(start, 4)
            yield from self._collect(body - 8, 4, "I", self._track.sizes)
        else:
            yield from self._stream.keep(body)

    def _stz2(self, body: int) -> Parser:
        if self._track.is_removed:
            raise unsupported()
        yield from self._stream.keep(body)

    def _remove_samples(self, track: _Track) -> Parser:
        """Note where the samples of a track are, so that they are overwritten when the whole file is stored."""
        stream, run, sample, end = self._stream, 0, 0, 0
        for number, chunk in enumerate(track.chunks, 1):
            while 2 * run + 2 < len(track.runs) and track.runs[2 * run + 2] <= number:
                run += 1
                yield from stream.work(1)
            samples = track.runs[2 * run + 1] if track.runs else 1
            if track.size:
                length = track.size * samples
            else:
                length = sum(track.sizes[sample : sample + samples])
                sample += samples
            if chunk < end:
                raise damaged("film")
            end = chunk + length
            if len(stream.blanks) > 2 * _REMOVED_AT_MOST:
                raise unsupported()
            if end < TO_THE_END:
                stream.blanks.extend((chunk, length))
            yield from stream.work(1 + min(samples, len(track.sizes)) // 64)

    def _tell(self) -> None:
        """Note the duration: the film's own, unless its sound is longer."""
        played = self._played or 0.0
        self._stream.seconds = (self._longest if self._longest > played + 1 else played) or None

    # ── fragments ─────────────────────────────────────────────────────────────────────────────────

    def _trex(self, body: int) -> Parser:
        start = yield from self._start(body, 16)
        self._stream.give(start[: min(body, 16)])
        self._number = _number(start, 4)
        self._note(self._defaults, _number(start, 12))
        yield from self._stream.keep(body - min(body, 16))

    def _tfhd(self, body: int) -> Parser:
        start = yield from self._start(body, 24)
        self._number = _number(start, 4)
        if self._number in self._removed:
            raise unsupported()
        behind = 8 + 8 * (start[3] & 1) + 2 * (start[3] & 2)
        own = start[3] & 8
        self._default = _number(start, behind) if own else self._defaults.get(self._number, 0)
        self._stream.give(start[: min(body, 24)])
        yield from self._stream.keep(body - min(body, 24))

    def _note(self, numbers: dict[int, int], number: int) -> None:
        if self._number in numbers or len(numbers) < _TRACKS_AT_MOST:
            numbers[self._number] = number

    def _trun(self, body: int) -> Parser:
        """Add up the duration of a fragment's samples."""
        start = yield from self._start(body, 8)
        self._stream.give(start[: min(body, 8)])
        left = body - min(body, 8)
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
        ticks += self._ticks.get(self._number, 0)
        self._note(self._ticks, ticks)
        scale = self._scales.get(self._number, 0) or self._scale
        if scale and ticks:
            self._stream.seconds = max(self._stream.seconds or 0.0, ticks / scale)
        yield from self._stream.keep(left)


# ── descriptions of samples ───────────────────────────────────────────────────────────────────────

_NEEDED: Final = frozenset(
    b"avcC hvcC lhvC vvcC av1C vpcC esds colr pasp fiel clap btrt dvcC dvvC dvwC mdcv clli SmDm CoLL gama d263 glbl"
    b" st3d sv3d dOps dfLa alac chan wave frma enda mp4a damr dac3 dec3 dac4 srat pcmC chnl".split()
) | {bytes(4)}
"""Boxes that a decoder needs to know its codec's parameters."""
_BOXES_AT_MOST: Final = 64


def _descriptions(data: bytes, *, is_video: bool) -> bytes:
    """Return the descriptions of a track's samples without the names of encoder and maker."""
    out = bytearray(data)
    place, left = 8, _BOXES_AT_MOST
    while place + 16 <= len(out) and left:
        length = _number(out, place)
        if not 16 <= length <= len(out) - place:  # noqa: PLR2004 - its fixed part
            break
        end, left = place + length, left - 1
        out[place + 8 : place + 14] = bytes(6)
        maker = slice(place + 20, min(place + 24, end))
        if length >= 24:  # noqa: PLR2004 - as far as the maker
            out[maker] = bytes(4)
        inner = place + 86 if is_video else place + 36
        if is_video and length >= 82:  # noqa: PLR2004 - as far as the encoder
            out[place + 50 : place + 82] = bytes(32)
            if length >= 94 and out[place + 84 : place + 86] == b"\0\0":  # noqa: PLR2004 - QuickTime's colour table
                inner += 8 + 8 * (int.from_bytes(out[place + 92 : place + 94]) + 1)
        elif not is_video and length >= 36 and out[0] == 0:  # noqa: PLR2004 - QuickTime's versions 1 and 2 have more
            inner += {1: 16, 2: 36}.get(int.from_bytes(out[place + 16 : place + 18]), 0)
        _blank_boxes(out, inner, end)
        place = end
    out[place:] = bytes(max(0, len(out) - place))
    return bytes(out)


def _blank_boxes(out: bytearray, place: int, end: int, depth: int = 0) -> None:
    """Overwrite all boxes that a decoder does not need, as free space."""
    left = _BOXES_AT_MOST
    while place + 8 <= end and left:
        length, kind, left = _number(out, place), bytes(out[place + 4 : place + 8]), left - 1
        if not 8 <= length <= end - place:  # noqa: PLR2004 - a header
            break
        if kind not in _NEEDED:
            out[place + 4 : place + length] = b"free" + bytes(length - 8)
        elif kind == b"wave" and not depth:
            _blank_boxes(out, place + 8, place + length, depth + 1)
        elif kind == b"dfLa":
            _blank_flac(out, place + 12, place + length)
        place += length
    if place < end:
        out[place:end] = bytes(end - place)


def _blank_flac(out: bytearray, place: int, end: int) -> None:
    """Overwrite all metadata of FLAC but the first block, as padding."""
    left = _BOXES_AT_MOST
    while place + 4 <= end and left:
        stop, left = min(end, place + 4 + int.from_bytes(out[place + 1 : place + 4])), left - 1
        if out[place] & 0x7F:
            out[place] = out[place] & 0x80 | 1
            out[place + 4 : stop] = bytes(stop - place - 4)
        place = stop
    if place < end:
        out[place:end] = bytes(end - place)


def _number(data: bytes | bytearray, place: int) -> int:
    return int.from_bytes(data[place : place + 4])


def _film_seconds(start: bytes) -> float | None:
    place, form, unknown = (20, ">IQ", 0xFFFFFFFFFFFFFFFF) if start[0] == 1 else (12, ">II", 0xFFFFFFFF)
    scale, duration = struct.unpack_from(form, start, place)
    # Fragmented recordings have no duration here: all zeros or all ones.
    return duration / scale if scale and duration not in {0, unknown} else None
