"""ICC profiles (ICC.1:2022): removes date, device, maker and all texts; the colours stay the same."""

from __future__ import annotations

import struct
from typing import Final

_HEADER: Final = 128
_TAGS_AT_MOST: Final = 64
_CLASSES: Final = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})
_SPACES: Final = frozenset({b"RGB ", b"GRAY", b"CMYK", b"Lab ", b"XYZ "})
_TYPES: Final = {
    name: frozenset(types)
    for names, types in (
        (b"rXYZ gXYZ bXYZ wtpt bkpt", (b"XYZ ",)),
        (b"rTRC gTRC bTRC kTRC", (b"curv", b"para")),
        (b"A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 gamt", (b"mft1", b"mft2", b"mAB ", b"mBA ")),
        (b"D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3", (b"mpet",)),
        (b"chad", (b"sf32",)),
        (b"cicp", (b"cicp",)),
    )
    for name in names.split()
}
"""The tags that say what colours are, and the types that they may have."""
_FIXED: Final = {b"XYZ ": 20, b"sf32": 44, b"cicp": 12}
"""The sizes of types that have only one here."""
_PARAMETERS: Final = (1, 3, 4, 5, 7)
"""Numbers of each kind of parametric curve."""
_TEXT: Final = "Colours"
"""Description and copyright, which the format requires."""
_D50: Final = bytes.fromhex("0000f6d6 00010000 0000d32d")


def bare(profile: bytes) -> bytes | None:
    """Return a profile without all that is not colour, at most as long plus two short texts; None if it is damaged."""
    if len(profile) < _HEADER + 4 or profile[36:40] != b"acsp":
        return None
    if profile[12:16] not in _CLASSES or not {profile[16:20], profile[20:24]} <= _SPACES:
        return None
    count = int.from_bytes(profile[_HEADER : _HEADER + 4])
    end = _HEADER + 4 + 12 * count
    if count > _TAGS_AT_MOST or end > len(profile):
        return None
    tags: dict[bytes, bytes] = {}
    shared: dict[tuple[int, int], bytes] = {}
    total = 0
    for name, place, size in struct.iter_unpack(">4sII", profile[_HEADER + 4 : end]):
        if name not in _TYPES or name in tags:
            continue
        tag = shared.get((place, size)) or _bare_tag(profile[place : place + size])
        if tag is None or tag[:4] not in _TYPES[name] or size > len(profile) - place:
            return None
        total += 0 if (place, size) in shared else len(tag)
        if total > len(profile):
            return None
        tags[name] = shared[place, size] = tag
    return _written(profile, tags) if tags else None


def _bare_tag(tag: bytes) -> bytes | None:
    """Return a tag without what stands behind its numbers; None if it is damaged."""
    kind = tag[:4]
    if len(tag) < 12:  # noqa: PLR2004 - the least of all types
        return None
    size = len(tag)
    if kind in _FIXED:
        size = _FIXED[kind]
    elif kind == b"curv":
        size = 12 + 2 * int.from_bytes(tag[8:12])
    elif kind == b"para":
        form = int.from_bytes(tag[8:10])
        if form >= len(_PARAMETERS):
            return None
        size = 12 + 4 * _PARAMETERS[form]
    return kind + bytes(4) + tag[8:size] if size <= len(tag) else None


def _written(profile: bytes, tags: dict[bytes, bytes]) -> bytes:
    is_old = profile[8] < 4  # noqa: PLR2004 - version 4 has other texts
    told = {b"desc": _described(), b"cprt": b"text" + bytes(4) + _TEXT.encode() + b"\0"}
    if not is_old:
        told = dict.fromkeys(told, _translated())
    tags = {**told, **tags}
    place = _HEADER + 4 + 12 * len(tags)
    table, bodies = [], []
    places: dict[bytes, int] = {}
    for name, tag in tags.items():
        if tag not in places:
            places[tag] = place
            bodies.append(tag + bytes(-len(tag) % 4))
            place += len(bodies[-1])
        table.append(struct.pack(">4sII", name, places[tag], len(tag)))
    header = b"".join(
        (
            place.to_bytes(4),
            bytes(4),
            profile[8:24],  # version, class, colours
            bytes(12),  # the date
            b"acsp",
            bytes(24),  # platform, flags, device, its attributes
            profile[64:68],  # the intent
            _D50,
            bytes(48),  # creator, identifier
        )
    )
    return b"".join((header, len(tags).to_bytes(4), *table, *bodies))


def _described() -> bytes:
    """Return a description of version 2: in ASCII, and empty in others."""
    text = _TEXT.encode() + b"\0"
    return b"desc" + bytes(4) + len(text).to_bytes(4) + text + bytes(8 + 3 + 67)


def _translated() -> bytes:
    """Return a text of version 4, in English."""
    text = _TEXT.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(text), 28) + text
