"""Known pictures, by their perceptual hashes (PDQ): also smaller ones, and ones of another quality or format.

The file has a hash on each line, as 64 hexadecimal digits, and may name a rule after it (else `sexual`).
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor
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
_SIDE: Final = 512
"""Pixels to which larger pictures are made smaller before they are hashed, as the authors of PDQ do."""
_MOST_FRAMES: Final = 1000
"""Maximum pictures of an animation."""
_ANIMATION: Final = 4
"""How many of the largest pictures an animation may have pixels of, in all its pictures together."""
_UNCHECKED: Final = Verdict(
    holds=True, words="This picture could not be checked. Send it as JPEG or PNG, or a smaller one", checked=False
)
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")
_MOST: Final = 1_000_000
"""Maximum hashes."""


class PictureListError(ValueError):
    """The list cannot be read; the message is one line that says why."""


class _UndecodableError(ValueError):
    """A picture is broken, too large, of a format that is not known, or the time for it is over."""


class PictureList:
    """A hook for pictures. Needs `passerby[images]`."""

    name = "PICTURE_LIST"
    kinds: tuple[ItemKind, ...] = ("picture",)

    def __init__(self, path: str, *, pixels: int) -> None:
        """Read a file of hashes; larger pictures than `pixels` are held, not decoded. Raises PictureListError."""
        try:
            import numpy as np  # noqa: PLC0415 - an extra
            import pdqhash  # noqa: PLC0415 - an extra
            import PIL.Image  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise PictureListError("needs passerby[images]") from error
        self._numpy, self._pdq, self._pillow = np, pdqhash, PIL.Image
        self._pixels = pixels
        hashes, self._rules = _read(path)
        # Four columns of 64 bits: a million hashes are compared in a few hundredths of a second.
        self._hashes = np.frombuffer(b"".join(hashes), dtype=np.uint64).reshape(-1, 4).T.copy()
        self._turn = asyncio.Semaphore(1)
        """One picture at a time: each takes memory, and a core. The turn lasts until the thread is done with it."""
        self._worker = ThreadPoolExecutor(1, "pictures")

    async def check(self, item: Item) -> Verdict:
        """See Hook. A picture that cannot be decoded is held."""
        await self._turn.acquire()
        loop = asyncio.get_running_loop()
        over = threading.Event()
        look = self._worker.submit(self._look, item.content, over)
        look.add_done_callback(lambda _: self._next(loop))
        try:
            return await asyncio.wrap_future(look)
        finally:
            over.set()

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            loop.call_soon_threadsafe(self._turn.release)

    async def close(self) -> None:
        """See Hook."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _look(self, content: bytes, over: threading.Event) -> Verdict:
        """Do as `check`, in a thread. When nobody waits for it any more, `over` is set, and it ends soon."""
        try:
            for frame in self._frames(content, over):
                rule = self._find(frame)
                if rule is not None:
                    return Verdict(holds=True, rule=rule)
        except _UndecodableError:
            return _UNCHECKED
        return ALLOW

    def _find(self, frame: Any) -> Rule | None:  # noqa: ANN401 - numpy is an extra
        """Return the rule of the known picture that this is, turned or mirrored in any way; None: it is none.

        Its metadata may say how it is turned, and need not be read: all eight ways are looked at. PDQ can derive their
        hashes from one, but not closely enough: up to 48 bits of them are others, also if the picture is the same.
        """
        np = self._numpy
        for way in range(8):
            mirrored = frame if way < 4 else np.fliplr(frame)  # noqa: PLR2004 - four turns of each
            bits, quality = self._pdq.compute(np.ascontiguousarray(np.rot90(mirrored, way)))
            if quality < QUALITY or not self._rules:
                return None
            packed = np.packbits(bits.astype(np.uint8)).view(np.uint64)
            distances = np.bitwise_count(self._hashes ^ packed[:, None]).sum(axis=0, dtype=np.uint16)
            nearest = int(distances.argmin())
            if distances[nearest] <= DISTANCE:
                return self._rules[nearest]
        return None

    def _frames(self, content: bytes, over: threading.Event) -> Iterator[Any]:
        """Yield a picture; of an animation the first, the last, and those between with the numbers 1, 2, 4, 8, and on.

        How many there are, only decoding them all tells: headers may lie. Raises _UndecodableError.
        """
        left = self._pixels * _ANIMATION
        try:
            with self._pillow.open(io.BytesIO(content)) as picture:
                for number in range(_MOST_FRAMES):
                    pixels = picture.width * picture.height
                    left -= pixels
                    if pixels > self._pixels or left < 0 or over.is_set():
                        break
                    frame = self._small(picture)
                    is_looked_at = number & (number - 1) == 0
                    if is_looked_at:
                        yield frame
                    try:
                        picture.seek(number + 1)
                    except EOFError:
                        if not is_looked_at:
                            yield frame
                        return
        except Exception as error:  # Pillow raises errors of nearly every type for what is broken
            raise _UndecodableError from error
        raise _UndecodableError

    def _small(self, picture: Any) -> Any:  # noqa: ANN401 - Pillow and numpy are extras
        """Return the pixels of a picture, which stays as it is."""
        picture.draft("RGB", (_SIDE, _SIDE))  # a large JPEG is not decoded in full
        whole = picture if picture.mode in ("RGB", "L") else picture.convert("RGB")
        size = (min(whole.width, _SIDE), min(whole.height, _SIDE))
        small = whole if size == whole.size else whole.resize(size, reducing_gap=2.0)
        return self._numpy.asarray(small.convert("RGB"))


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
