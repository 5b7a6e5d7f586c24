"""The port to where the bytes of files are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.models import StoredFile


class BlobStore(Protocol):
    """The bytes of temporary files, each with what is known about it and an expiry.

    A file is written in pieces that nobody sees, then published whole, or removed.
    """

    async def write(self, file_id: str, piece: bytes) -> None:
        """Append `piece` (1 byte to 64 KiB) to a file that is not published yet; the first one begins it.

        Raises OSError when there is no space for it.
        """

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """Let `file` be found, with all pieces written under its id, for `lifetime` seconds (> 0) from now."""

    async def find(self, file_id: str) -> StoredFile | None:
        """Return a published file that has not expired, or None."""

    def read(self, file_id: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """Return bytes `start` up to `stop` of a published file in pieces; they end early if it goes or expires."""

    async def remove(self, file_id: str) -> None:
        """Forget a file, published or not; nothing happens when there is none."""

    async def sweep(self) -> int:
        """Remove what has expired, where the store does not do so by itself; return how many."""

    async def check(self) -> None:
        """Raise OSError when files cannot be written now."""

    async def close(self) -> None:
        """Remove everything: nothing outlives the process. Raises OSError when something stays."""
