"""Text within films of H.264 and H.265: messages of cameras and encoders in the stream (SEI, user_data_unregistered).

Camcorders write the date and the place of each picture there. The streams are not decoded: messages are found by their
form, and overwritten with zeros when the film is stored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from passerby.errors import Code
from passerby.media.stream import MediaError

if TYPE_CHECKING:
    from passerby.media.stream import Parser, Stream

_UNIT: Final = re.compile(
    rb"\0\0(?P<length>..)(?:\x06|[\x4e\x50]\x01)\x05(?P<more>\xff{0,8})(?P<size>[^\xff])"
    rb"|\x05(?P<more_2>\xff{0,8})(?P<size_2>[^\xff])(?=\x17\xee\x8c\x60\xf8\x4d\x11\xd9\x8c\xd6\x08\0\x20\x0c\x9a\x66)",
    re.DOTALL,
)
"""A unit with a length that has one message, or a message of a camcorder (AVCHD's MDPM)."""
_CAMCORDER: Final = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66")
_LONGEST: Final = 48
"""More than the bytes of a match and of an identifier."""
_IDENTIFIER: Final = 16
"""Bytes that say of what kind a message is."""
_AT_MOST: Final = 1 << 16
"""Messages of a film: memory must not grow with it."""
_PART: Final = 16 * 1024
"""Bytes to search at once."""


def keep(stream: Stream, count: int, before: bytes = b"") -> Parser:
    """Output the next `count` bytes as they arrive, and note the messages in them and in `before`, output last."""
    held = before
    while count > 0:
        data = yield from stream.some(min(count, _PART))
        stream.give(data)
        count -= len(data)
        held += data
        looked = len(held) if not count else max(0, len(held) - _LONGEST)
        yield from stream.work(1 + _note(stream, held, looked))
        held = held[looked:]


def _note(stream: Stream, data: bytes, end: int) -> int:
    """Note the messages that begin before `end`; return how many matches there were. `data` was output last."""
    found = 0
    for match in _UNIT.finditer(data):
        if match.start() >= end:
            break
        found += 1
        told = match["length"]
        size = 255 * len(match["more"] or match["more_2"] or b"") + (match["size"] or match["size_2"])[0]
        head = match.end() - match.start() - 4
        is_unit = told is not None and int.from_bytes(told) == head + size + 1  # which is none by chance
        if size <= _IDENTIFIER or not (is_unit or data.startswith(_CAMCORDER, match.end())):
            continue
        place = stream.position - len(data) + match.end()
        if len(stream.blanks) >= 2 * _AT_MOST:
            raise MediaError(Code.UNSUPPORTED_TYPE, "From this film, place and time cannot be removed")
        stream.blanks.extend((place + _IDENTIFIER, size - _IDENTIFIER))
    return found
