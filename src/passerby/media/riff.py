"""WAV and AVI: passes only the chunks that are needed to play them, measures the duration."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from passerby.errors import Code
from passerby.media import sei
from passerby.media.stream import TO_THE_END, EndedError, MediaError, damaged

if TYPE_CHECKING:
    from passerby.media.stream import Parser, Stream

# ── WAV ───────────────────────────────────────────────────────────────────────────────────────────

_FORMAT_BYTES: Final = 1024
"""Maximum bytes of a description of the sound."""
_UNKNOWN: Final = 0xFFFFFFFF
"""A size that was not known when it was written, or is in the chunk "ds64"."""
_BLOCKS: Final = frozenset({0x02, 0x11, 0x31})
"""ADPCM of Microsoft and IMA, GSM 6.10: blocks with a number of samples."""
_PLAIN: Final = frozenset({0x01, 0x03, 0x06, 0x07, 0xFFFE})
"""Sound with as many samples as frames: PCM, floats, A-law, µ-law, and what is described by an identifier."""


class _Data:
    """Where the sound of a WAV is."""

    def __init__(self) -> None:
        self.form = b""
        """The description of the sound."""
        self.samples = 0
        self.begin = 0
        self.claimed = 0
        self.end: int | None = None


def wav(stream: Stream) -> Parser:
    """Parse a WAV: everything but `fmt `, `fact` and `data` is dropped, and wrong sizes are corrected."""
    head = yield from stream.take(12)
    stream.give(b"RIFF" + head[4:])
    data = _Data()
    try:
        yield from _chunks(stream, data, is_endless=int.from_bytes(head[4:8], "little") in {0, _UNKNOWN})
    except EndedError:
        if data.begin and data.end is None:
            data.end = stream.position
    if data.end is None:
        raise damaged("sound")
    if (data.end - data.begin) % 2 and stream.position == data.end:
        stream.give(b"\0")
    size = data.end - data.begin
    for place, known, right in ((4, head[4:8], stream.position - 8), (data.begin - 4, None, size)):
        written = min(right, _UNKNOWN).to_bytes(4, "little")
        if written != known:
            stream.amend(place, written)
    stream.seconds = _seconds(data.form, size, data.samples)


def _chunks(stream: Stream, data: _Data, *, is_endless: bool) -> Parser:
    large = 0
    while True:
        header = yield from stream.take(8)
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        if kind == b"fmt " and not data.form:
            if not 14 <= size <= _FORMAT_BYTES:  # noqa: PLR2004 - its fixed part
                raise damaged("sound")
            form = yield from stream.take(size + size % 2)
            extra = int.from_bytes(form[16:18], "little") if size >= 18 else 0  # noqa: PLR2004 - how much more
            data.form = form[: min(size, 18 + extra) if size >= 18 else size]  # noqa: PLR2004 - as above
            stream.give(b"fmt " + len(data.form).to_bytes(4, "little") + data.form + bytes(len(data.form) % 2))
        elif kind == b"fact" and size >= 4 and not data.begin:  # noqa: PLR2004 - a number
            number = yield from stream.take(4)
            data.samples = int.from_bytes(number, "little")
            stream.give(b"fact\4\0\0\0" + number)
            yield from stream.skip(size - 4 + size % 2)
        elif kind == b"ds64" and 24 <= size <= _FORMAT_BYTES:  # noqa: PLR2004 - its fixed part
            sizes = yield from stream.take(size + size % 2)
            large = int.from_bytes(sizes[8:16], "little")
        elif kind == b"data" and data.form and not data.begin:
            stream.give(header)
            data.begin = stream.position
            if size == _UNKNOWN or (not size and is_endless):
                size = large or TO_THE_END
            yield from stream.keep(size)
            data.end = stream.position
            yield from stream.keep(size % 2)
        else:
            yield from stream.skip(size + size % 2)


def _seconds(form: bytes, size: int, samples: int) -> float | None:
    """Return the duration of `size` bytes of sound, of which `fact` says that they are `samples`."""
    code, rate, speed, block = (
        int.from_bytes(form[place : place + length], "little") for place, length in ((0, 2), (4, 4), (8, 4), (12, 2))
    )
    each = int.from_bytes(form[18:20], "little")
    seconds = 0.0
    if code in _BLOCKS and each and block and rate:
        seconds = (size // block * each + each * (size % block) // block) / rate
        told = samples / rate
        if seconds - each / rate <= told < seconds:  # the last block is filled up
            seconds = told
    elif code in _PLAIN and block and rate:
        seconds = size / (block * rate)
    elif speed:
        seconds = size / speed
    elif rate:
        seconds = samples / rate
    return seconds or None


# ── AVI ───────────────────────────────────────────────────────────────────────────────────────────

_LISTS: Final = frozenset({b"hdrl", b"strl", b"odml", b"movi", b"rec "})
_NEEDED: Final = re.compile(rb"avih|strh|strf|indx|dmlh|vprp|idx1|[0-9A-F]{2}(?:d[bc]|wb|pc)|ix[0-9A-F]{2}")
_TYPES: Final = {b"vids": "video", b"auds": "audio"}
_DIGITAL_VIDEO: Final = re.compile(rb"iavs|....dv[a-z0-9]{2}", re.IGNORECASE | re.DOTALL)
"""Streams of digital video, which contain the time of the recording in each frame."""


def avi(stream: Stream) -> Parser:
    """Parse an AVI. The index has places, so all other chunks become JUNK of the same size."""
    with contextlib.suppress(EndedError):
        yield from _avi(stream)
    if not stream.tracks:
        raise damaged("film")


def _avi(stream: Stream) -> Parser:
    head = yield from stream.take(12)
    stream.give(head)
    end = _end(stream, head)
    is_played = True  # whether the stream whose headers are read is sound or picture
    while True:
        header = yield from stream.take(8)
        kind, size = header[:4], int.from_bytes(header[4:], "little")
        padded = size + size % 2
        if kind == b"RIFF":
            form = yield from stream.take(4)
            stream.give(header + form)
            end = _end(stream, header)
        elif stream.consumed - 8 >= end:
            return  # what stands behind the film does not pass
        elif kind == b"LIST" and size >= 4:  # noqa: PLR2004 - its type
            form = yield from stream.take(4)
            is_known = form in _LISTS
            stream.give(header + form if is_known else b"JUNK" + header[4:] + bytes(4))
            yield from stream.blank(0 if is_known else padded - 4)
        elif kind == b"strh":
            start = yield from stream.take(min(size, 56))
            is_played = _is_played(stream, start)
            stream.give(header + start[:14] + bytes(len(start[14:16])) + start[16:])  # without the language
            yield from stream.blank(padded - len(start))
        elif _NEEDED.fullmatch(kind) and (is_played or kind != b"strf"):
            stream.give(header)
            yield from sei.keep(stream, padded)
        else:
            stream.give(b"JUNK" + header[4:])
            yield from stream.blank(padded)


def _is_played(stream: Stream, start: bytes) -> bool:
    """Read the header of a stream; return whether it is sound or picture. Raises MediaError."""
    if _DIGITAL_VIDEO.match(start):
        raise MediaError(Code.UNSUPPORTED_TYPE, "From digital video, the time cannot be removed")
    if start[:4] not in _TYPES:
        return False
    stream.tracks.add(_TYPES[start[:4]])
    scale, rate, count = (int.from_bytes(start[at : at + 4], "little") for at in (20, 24, 32))
    if scale and rate and count:
        stream.seconds = max(stream.seconds or 0.0, count * scale / rate)
    return True


def _end(stream: Stream, header: bytes) -> int:
    """Return where a RIFF ends, of which the header and the type have been taken."""
    size = int.from_bytes(header[4:8], "little")
    return stream.consumed - 4 + size if size else TO_THE_END
