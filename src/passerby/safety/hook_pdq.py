"""Known pictures, by their perceptual hashes (PDQ): also smaller ones, and ones of another quality or format.

The file has a hash on each line, as 64 hexadecimal digits, and may name a rule after it (else `sexual`).
"""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from passerby.models import RULES, Rule
from passerby.safety.hook import ALLOW, Item, ItemKind, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTANCE: Final = 31
"""Bits of 256 in which two hashes of the same picture may differ, as the authors of PDQ recommend."""
QUALITY: Final = 50
"""Pictures with less of it (of 100) have nothing to be known by, such as a plain colour."""
_FRAMES: Final = 3
"""Pictures of an animation that are looked at: the first, the last, and one between."""
_AT_ONCE: Final = 1
"""Pictures that are decoded at the same time: each takes memory, and a core."""
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")
_MOST: Final = 1_000_000
"""Maximum hashes."""


class PictureListError(ValueError):
    """The list cannot be read; the message is one line that says why."""


class PictureList:
    """A hook for pictures. Needs `passerby[images]`."""

    name = "PICTURE_LIST"
    kinds: tuple[ItemKind, ...] = ("picture",)

    def __init__(self, path: str, *, pixels: int) -> None:
        """Read a file of hashes; larger pictures than `pixels` are not decoded. Raises PictureListError."""
        try:
            import numpy as np  # noqa: PLC0415 - an extra
            import pdqhash  # noqa: PLC0415 - an extra
            import PIL.Image  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise PictureListError("needs passerby[images]") from error
        self._numpy, self._pdq, self._pillow = np, pdqhash, PIL.Image
        self._pixels = pixels
        hashes, self._rules = _read(path)
        self._hashes = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def check(self, item: Item) -> Verdict:
        """See Hook. Raises OSError for a picture that cannot be decoded."""
        async with self._turn:
            return await asyncio.to_thread(self._look, item.content)

    async def close(self) -> None:
        """See Hook."""

    def _look(self, content: bytes) -> Verdict:
        for frame in self._frames(content):
            bits, quality = self._pdq.compute(frame)
            if quality < QUALITY:
                continue
            packed = self._numpy.packbits(bits.astype(self._numpy.uint8))
            distances = self._numpy.bitwise_count(self._hashes ^ packed).sum(axis=1)
            nearest = int(distances.argmin()) if len(distances) else 0
            if len(distances) and distances[nearest] <= DISTANCE:
                return Verdict(holds=True, rule=self._rules[nearest])
        return ALLOW

    def _frames(self, content: bytes) -> Iterator[Any]:
        with self._pillow.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > self._pixels:
                raise OSError("the picture has too many pixels")
            last = getattr(picture, "n_frames", 1) - 1
            for place in sorted({0, last // 2, last})[:_FRAMES]:
                picture.seek(place)
                yield self._numpy.asarray(picture.convert("RGB"))


def _read(path: str) -> tuple[list[bytes], list[Rule]]:
    hashes: list[bytes] = []
    rules: list[Rule] = []
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PictureListError(getattr(error, "strerror", None) or "is not UTF-8") from error
    for number, line in enumerate(lines, 1):
        entry, _, rule = line.partition("#")[0].strip().partition(" ")
        if not entry:
            continue
        known = next((one for one in RULES if one == (rule.strip() or "sexual")), None)
        if _HASH.fullmatch(entry) is None or known is None:
            raise PictureListError(f"line {number}: is not a hash of 64 hexadecimal digits, and a rule or none")
        if len(hashes) == _MOST:
            raise PictureListError(f"has more than {_MOST} hashes")
        hashes.append(bytes.fromhex(entry))
        rules.append(known)
    return hashes, rules
