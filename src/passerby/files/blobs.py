"""The port to the storage of file contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from passerby.models import StoredFile


class BlobStore(Protocol):
    """The contents of temporary files, each with its metadata and an expiry.

    A file is written in invisible pieces, then either published as a whole or removed.
    """

    is_durable: ClassVar[bool]
    """Whether files outlive the process."""

    async def write(self, file_id: str, piece: bytes) -> None:
        """Append `piece` (1 byte to 64 KiB) to an unpublished file; the first piece creates it.

        Raises OSError when there is no space.
        """

    async def amend(self, file_id: str, changes: Sequence[tuple[int, bytes]]) -> None:
        """Overwrite parts of an unpublished file: places and their new bytes, together at most 64 KiB in 64 parts.

        All of them are within what has been written. Raises OSError when they cannot be written.
        """

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """Make `file` visible, with all pieces written under its id, for `lifetime` seconds (> 0) from now."""

    async def find(self, file_id: str) -> StoredFile | None:
        """Return a published file that has not expired, or None."""

    def read(self, file_id: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield bytes `start` to `stop` (exclusive) of a published file; end early if it is removed or expires."""

    async def files(self) -> list[StoredFile]:
        """Return all published files that have not expired."""

    async def remove(self, file_id: str) -> None:
        """Remove a file, published or not; no effect when it does not exist."""

    async def sweep(self) -> int:
        """Remove expired files, if the store does not do so itself; return their number."""

    async def check(self) -> None:
        """Raise OSError when files cannot be written now."""

    async def close(self) -> None:
        """Release all resources; unless the store is durable, remove all files. Raises OSError when one remains."""
