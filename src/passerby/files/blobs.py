"""The port to the storage of file contents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from passerby.models import StoredFile


class BlobStore(Protocol):
    """The contents of temporary files, each with its metadata and an expiry.

    A file is written in invisible pieces, then either published as a whole or removed.

    Every method but `close` raises ConnectionError (an OSError) when the store cannot be reached now: a retry may help.
    Then it is unknown whether the call had an effect; only `remove` makes sense.
    """

    @property
    def is_durable(self) -> bool:
        """Whether published files outlive the process: the next one finds them with `files`."""

    async def write(self, file_id: str, piece: bytes) -> None:
        """Append `piece` (1 byte to 64 KiB) to an unpublished file; the first piece creates it.

        Raises OSError when there is no space.
        """

    async def amend(self, file_id: str, changes: Sequence[tuple[int, bytes]]) -> None:
        """Overwrite parts of an unpublished file: places and their new bytes, together at most 64 KiB in 64 parts.

        All of them are within what has been written. Raises OSError when they cannot be written.
        """

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """Make `file` visible, with all pieces written under its id, for `lifetime` seconds (> 0) from now.

        Raises OSError when there is no space, or when a piece has been lost; then the file is not visible.
        """

    async def find(self, file_id: str) -> StoredFile | None:
        """Return a published file that has not expired, or None."""

    async def files(self) -> list[StoredFile]:
        """Return all published files that have not expired, in any order; of a durable store also those of others."""

    def read(self, file_id: str, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield bytes `start` to `stop` (exclusive) of a published file; end early if it is removed or expires.

        A part of a file that the store has lost ends it too: what is yielded is always the file's bytes, in order.
        """

    async def remove(self, file_id: str) -> None:
        """Remove a file, published or not; no effect when it does not exist."""

    async def sweep(self) -> int:
        """Remove expired files, if the store does not do so itself; return their number."""

    async def check(self) -> None:
        """Raise OSError when this process cannot write files, although others may."""

    async def close(self) -> None:
        """Remove what does not outlive the process: all files, or if the store is durable, those not published.

        From now on none is found here. Raises OSError when a file remains that should not.
        """
