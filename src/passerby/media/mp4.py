"""MP4 and QuickTime (ISO/IEC 14496-12): removes metadata, measures the duration, lists track types.

Boxes keep their places and sizes, so that offsets to samples stay valid: what is not needed to play the film becomes
free space of zeros. That is every box that is not in `_INSIDE`, all times, names and languages, and every track that
is neither sound nor picture, with its samples.
"""

from __future__ import annotations

import contextlib
import struct
from array import array
from itertools import accumulate, repeat
from operator import add
from typing import TYPE_CHECKING, Final

from passerby.errors import Code
from passerby.media import sei
from passerby.media.stream import TO_THE_END, EndedError, MediaError, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

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
_EDITS_AT_MOST: Final = 16
"""Edits that may stand before the first one that shows something."""
_DURATIONS: Final = 0x100
_OFFSETS: Final = 0x800
"""Flags of a fragment's table: each sample has a duration, and an offset from when it is decoded to when it plays."""
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


class _Timeline:
    """When a track plays, in its own ticks, as far as its fragments are read."""

    def __init__(self) -> None:
        self.scale = 0
        """Ticks a second; 0 if they are those of the film."""
        self.default = 0
        """The duration of a sample whose fragment does not say it."""
        self.delay = 0
        """How long nothing plays before it, in ticks of the film."""
        self.skipped = 0
        """What does not play of its beginning."""
        self.next = 0
        """When the next sample is decoded."""
        self.ticks = 0
        """Its samples together."""
        self.is_known = False
        """Whether there were samples."""
        self.first = 0
        """When the first one begins to play."""
        self.last = 0, 0
        """When the last one begins to play, and for how long."""

    def sample(self, durations: Sequence[int], offsets: Iterable[int]) -> None:
        """Add samples: how long each plays, and how much later than it is decoded it does."""
        *decoded, following = accumulate(durations, initial=self.next)
        shown = list(map(add, decoded, offsets))
        # Of a sample that others play after, the duration is only how long nothing else is decoded.
        last = max(zip(shown, durations, strict=True))
        if self.is_known:
            self.first, self.last = min(self.first, *shown), max(self.last, last)
        else:
            self.first, self.last, self.is_known = min(shown), last, True
        self.ticks += following - self.next
        self.next = following

    def fill(self, ticks: int) -> None:
        """Add samples that play as they are decoded."""
        self.sample((ticks,), (0,))

    def seconds(self, film: int) -> tuple[float, float, float]:
        """Return when it begins and ends, and its samples together; `film` is the film's ticks a second."""
        scale, delay = self.scale or film or 1, self.delay / (film or 1)
        first = max(self.first - self.skipped, 0) if self.skipped else self.first
        return delay + first / scale, delay + (sum(self.last) - self.skipped) / scale, self.ticks / scale


class _Film:
    """One file. A fragmented recording lasts from when its first sample plays until its last one has played."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.is_film = False
        """Whether there is what a player needs, and the whole of it: else nobody knows whose samples lie where."""
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
        self._timelines: dict[int, _Timeline] = {}
        self._timeline = _Timeline()
        """That of the boxes that follow."""
        self._is_fragmented = False
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
            b"tfdt": self._tfdt,
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
        if kind == b"moov":
            self.is_film = False
            yield from self.boxes(kind, body)
            self.is_film = True
        elif kind in self._known:
            yield from self._known[kind](body)
        elif kind in _INSIDE:
            if kind == b"minf" and self._track.handler is None:
                raise damaged("film")
            yield from self.boxes(kind, body)
        elif kind == b"mdat":
            yield from sei.keep(self._stream, body)
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
        self._follow(_number(start, 20 if start[0] == 1 else 12))

    def _mdhd(self, body: int) -> Parser:
        start = yield from self._timed(body, 36, language=True)
        self._track.scale = _number(start, 20 if start[0] == 1 else 12)
        self._timeline.scale = self._track.scale

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
        """Learn when the track begins. How long a film without fragments lasts with its edits, its header says."""
        self._track.is_edited = True
        line = self._timeline
        start = yield from self._start(body, 8)
        self._stream.give(start[: min(body, 8)])
        form = ">QqI" if start[0] == 1 else ">IiI"
        size, left = struct.calcsize(form), max(0, body - 8)
        edits = min(_number(start, 4), left // size, _EDITS_AT_MOST)
        table = yield from self._stream.take(edits * size)
        self._stream.give(table)
        for ticks, place, _ in struct.iter_unpack(form, table):
            if place >= 0:
                line.skipped = place
                break
            line.delay += ticks
        yield from self._stream.keep(left - len(table))

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
            return
        if track.ticks:
            self._timeline.fill(track.ticks)
        if track.handler == b"soun" and track.scale and not track.is_edited:
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
        """Note the duration: the film's own, unless its sound is longer, or there are fragments."""
        played = self._played or 0.0
        seconds = self._longest if self._longest > played + 1 else played
        told = [line.seconds(self._scale) for line in self._timelines.values() if line.is_known]
        if told and self._is_fragmented:
            firsts, ends, sums = zip(*told, strict=True)
            seconds = max(seconds, max(ends) - min(firsts), *sums)
        self._stream.seconds = seconds or None

    # ── fragments ─────────────────────────────────────────────────────────────────────────────────

    def _follow(self, number: int) -> None:
        """Note the track of the boxes that follow."""
        self._number = number
        line = self._timelines.get(number)
        if line is None:
            line = _Timeline()
            if len(self._timelines) < _TRACKS_AT_MOST:
                self._timelines[number] = line
        self._timeline = line

    def _trex(self, body: int) -> Parser:
        start = yield from self._start(body, 16)
        self._stream.give(start[: min(body, 16)])
        self._follow(_number(start, 4))
        self._timeline.default = _number(start, 12)
        yield from self._stream.keep(body - min(body, 16))

    def _tfhd(self, body: int) -> Parser:
        start = yield from self._start(body, 24)
        self._follow(_number(start, 4))
        if self._number in self._removed:
            raise unsupported()
        behind = 8 + 8 * (start[3] & 1) + 2 * (start[3] & 2)
        own = start[3] & 8
        self._default = _number(start, behind) if own else self._timeline.default
        self._stream.give(start[: min(body, 24)])
        yield from self._stream.keep(body - min(body, 24))

    def _tfdt(self, body: int) -> Parser:
        start = yield from self._start(body, 12)
        self._stream.give(start[: min(body, 12)])
        self._timeline.next = int.from_bytes(start[4:]) if start[0] == 1 else _number(start, 4)
        yield from self._stream.keep(body - min(body, 12))

    def _trun(self, body: int) -> Parser:
        """Add the samples of a fragment."""
        start = yield from self._start(body, 8)
        self._stream.give(start[: min(body, 8)])
        left = body - min(body, 8)
        flags, count = _number(start, 0), _number(start, 4)
        if flags & (_DURATIONS | _OFFSETS):
            before = min(left, 4 * (flags & 1) + (flags & 4))
            yield from self._stream.keep(before)
            left -= before
            left -= yield from self._samples(flags, min(count, left // (4 * (flags & 0xF00).bit_count())))
        elif count * self._default:
            self._timeline.fill(count * self._default)
        self._is_fragmented = True
        self._tell()
        yield from self._stream.work(len(self._timelines))
        yield from self._stream.keep(left)

    def _samples(self, flags: int, count: int) -> Generator[None, None, int]:
        """Pass on a table of samples and add them; return its bytes."""
        words = (flags & 0xF00).bit_count()
        form = "I" * (words - 1) + "i" if flags & _OFFSETS else "I" * words
        size, most = 4 * words, _AT_ONCE // (4 * words)
        for done in range(0, count, most):
            samples = min(most, count - done)
            table = yield from self._stream.take(samples * size)
            self._stream.give(table)
            numbers = struct.unpack(">" + form * samples, table)
            durations = numbers[::words] if flags & _DURATIONS else (self._default,) * samples
            self._timeline.sample(durations, numbers[words - 1 :: words] if flags & _OFFSETS else repeat(0))
            yield from self._stream.work(samples // 16)
        return count * size


# ── descriptions of samples ───────────────────────────────────────────────────────────────────────

_NEEDED: Final = frozenset(
    b"avcC hvcC lhvC vvcC av1C vpcC esds colr pasp fiel clap btrt dvcC dvvC dvwC mdcv clli SmDm CoLL gama d263 glbl"
    b" st3d sv3d dOps dfLa alac chan wave frma enda mp4a damr dac3 dec3 dac4 srat pcmC chnl".split()
) | {bytes(4)}
"""Boxes that a decoder needs to know its codec's parameters."""
_BOXES_AT_MOST: Final = 512
"""In all descriptions of a track together. Those beyond are overwritten."""


def _descriptions(data: bytes, *, is_video: bool) -> bytes:
    """Return the descriptions of a track's samples without the names of encoder and maker."""
    out = bytearray(data)
    place, budget = 8, iter(range(_BOXES_AT_MOST))
    while place + 16 <= len(out) and next(budget, None) is not None:
        length = _number(out, place)
        if not 16 <= length <= len(out) - place:  # noqa: PLR2004 - its fixed part
            break
        end = place + length
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
        _blank_boxes(out, inner, end, budget)
        place = end
    out[place:] = bytes(max(0, len(out) - place))
    return bytes(out)


def _blank_boxes(out: bytearray, place: int, end: int, budget: Iterator[int], depth: int = 0) -> None:
    """Overwrite all boxes that a decoder does not need, as free space; take each box from the `budget`."""
    while place + 8 <= end and next(budget, None) is not None:
        length, kind = _number(out, place), bytes(out[place + 4 : place + 8])
        if not 8 <= length <= end - place:  # noqa: PLR2004 - a header
            break
        if kind not in _NEEDED:
            out[place + 4 : place + length] = b"free" + bytes(length - 8)
        elif kind == b"wave" and not depth:
            _blank_boxes(out, place + 8, place + length, budget, depth + 1)
        elif kind == b"dfLa":
            _blank_flac(out, place + 12, place + length, budget)
        place += length
    if place < end:
        out[place:end] = bytes(end - place)


def _blank_flac(out: bytearray, place: int, end: int, budget: Iterator[int]) -> None:
    """Overwrite all metadata of FLAC but the first block, as padding; take each block from the `budget`."""
    while place + 4 <= end and next(budget, None) is not None:
        stop = min(end, place + 4 + int.from_bytes(out[place + 1 : place + 4]))
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
