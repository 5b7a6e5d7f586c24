"""Builds AVIF and HEIC (HEIF, ISO/IEC 23008-12) as phones write them: turned, mirrored, with place and time."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Final

from tests.media.containers import box, exif

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 96
HEIGHT: Final = 64
"""Pixels as they are coded."""
COLOURS: Final = ((230, 30, 30), (30, 200, 30), (30, 30, 230), (240, 240, 240))
"""Red, green, blue, white: of the four quarters as they are coded, row by row."""
_CODED: Final = {
    "avif": """
    AAAAGGF2MUOBAAwACgoAAAADLf/AL4AECgoAAAADLf/Gr5gEMmMQAJ0BBBAggIB4BLRmcqNZ9egEaaLzis2+xKFZuQwpteEQkppQ6/04nDyqoA0f
    La6zHZb+iuCsH/jGJmxtqcIjjgcLSnD8gkrySNuNGnByEApWE7TdsfhQemS7JioHc789Nyk=
    """,
    "heic": """
    AAAAdWh2Y0MBAWAAAACQAAAAAAAe8AD8/fj4AAAPA6AAAQAYQAEMAf//AWAAAAMAkAAAAwAAAwAelZgJoQABAChCAQEBYAAAAwCQAAADAAADAB6g
    MIEFllZpJMrmgIAAAAMAgAAAAwCEogABAAdEAcFytCJAAAAAYigBrxOAp3KvcKyH//m4T/Y9T/CM+0C0chfH9JO96DmIWe1HVsYk/gHP8wxJwrQ4
    YBMEjMH+/Z/rR9zEVNsooHcgQrgV20zLAttKeXOtJ9vSKMblA+QaXvZreLyh+QJuKuJA
    """,
}
"""A decoder's configuration and the picture, by SVT-AV1 and x265."""
_PICTURE, _EXIF = 1, 2
"""Items of the file."""


def heif(brand: str, *, turns: int = 0, mirror: int | None = None, orientation: int = 1) -> bytes:
    """Return an "avif" or a "heic".

    It is shown after `turns` quarters anticlockwise (0 to 3) and then mirrored: 0 exchanges top and bottom, 1 left and
    right. `orientation` is what its Exif says, which does not count (ISO/IEC 23008-12 §A.2.1).
    """
    coded = base64.b64decode(_CODED[brand])
    end = int.from_bytes(coded[:4])
    described, picture = coded[:end], coded[end:]
    kind = {b"av1C": b"av01", b"hvcC": b"hvc1"}[described[4:8]]
    told = struct.pack(">I", 6) + exif(orientation)
    shape = box(b"ispe", bytes(4), struct.pack(">II", WIDTH, HEIGHT))
    properties = [shape, box(b"pixi", bytes(4), b"\3\x08\x08\x08"), described, box(b"irot", bytes([turns]))]
    if mirror is not None:
        properties.append(box(b"imir", bytes([mirror])))
    essential = [0x80 | number if number > 2 else number for number in range(1, len(properties) + 1)]
    of_picture = struct.pack(">IHB", 1, _PICTURE, len(essential)) + bytes(essential)

    def meta(start: int) -> bytes:
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", _PICTURE)),
            box(b"iloc", bytes(4), b"\x44\0", *_places(start, [picture, told])),
            box(b"iinf", bytes(4), struct.pack(">H", 2), _item(_PICTURE, kind), _item(_EXIF, b"Exif")),
            box(b"iref", bytes(4), box(b"cdsc", struct.pack(">HHH", _EXIF, 1, _PICTURE))),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", bytes(4), of_picture)),
        )

    head = box(b"ftyp", brand.encode(), bytes(4), b"mif1miaf", brand.encode())
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", picture, told)


def _item(number: int, kind: bytes) -> bytes:
    return box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), kind, b"\0")


def _places(start: int, items: Sequence[bytes]) -> list[bytes]:
    places = [struct.pack(">H", len(items))]
    for number, item in enumerate(items, 1):
        places.append(struct.pack(">HHHII", number, 0, 1, start, len(item)))
        start += len(item)
    return places
