"""Files in this process's memory."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING, Final

from passerby.files.allocator import give_back
from passerby.files.blobs_index import PIECE, Index

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from passerby.clock import Clock
    from passerby.models import StoredFile


_GIVE_BACK_AFTER: Final = 32 << 20
"""Removed bytes after which freed memory is returned to the system; 1 MiB if no other files exist."""


class MemoryBlobStore:
    """Files as lists of received pieces, so that no file needs one large block of memory."""

    is_durable: Final = False

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for expiry."""
        self._index = Index(clock)
        self._pieces: dict[str, list[bytes]] = {}
        self._removed = 0
        """Bytes removed, but not yet returned to the system."""

    async def write(self, file_id: str, piece: bytes) -> None:
        """See BlobStore."""
        self._pieces.setdefault(file_id, []).append(piece)

    async def amend(self, file_id: str, changes: Sequence[tuple[int, bytes]]) -> None:
        """See BlobStore."""
        pieces = self._pieces.get(file_id, [])
        ends = list(itertools.accumulate(map(len, pieces)))
        changed: dict[int, bytearray] = {}
        for place, data in changes:
            number = bisect.bisect_right(ends, place)
            while data:
                piece = changed.setdefault(number, bytearray(pieces[number]))
                at = place - (ends[number] - len(piece))
                part = data[: len(piece) - at]
                piece[at : at + len(part)] = part
                place, data, number = place + len(part), data[len(part) :], number + 1  # noqa: PLW2901 - what is left
        for number, piece in changed.items():
            pieces[number] = bytes(piece)

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """See BlobStore."""
        self._index.add(file, lifetime)

    async def find(self, file_id: str) -> StoredFile | None:
        """See BlobStore."""
        return self._index.get(file_id)

    async def files(self) -> list[StoredFile]:
        """See BlobStore."""
        return self._index.all()

    async def read(self, file_id: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """See BlobStore."""
        place = 0
        for piece in self._pieces.get(file_id, ()):
            if self._index.get(file_id) is None or place >= stop:
                return
            part = piece[max(0, start - place) : stop - place]
            place += len(piece)
            if part:
                yield part

    async def remove(self, file_id: str) -> None:
        """See BlobStore."""
        self._index.remove(file_id)
        self._removed += sum(map(len, self._pieces.pop(file_id, ())))
        if self._removed > (_GIVE_BACK_AFTER if self._pieces else PIECE * 16):
            self._removed = 0
            give_back()

    async def sweep(self) -> int:
        """See BlobStore."""
        expired = self._index.expired()
        for file_id in expired:
            await self.remove(file_id)
        return len(expired)

    async def check(self) -> None:
        """See BlobStore."""

    async def close(self) -> None:
        """See BlobStore."""
        self._index.clear()
        self._pieces.clear()
