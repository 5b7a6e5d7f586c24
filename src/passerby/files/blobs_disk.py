"""Files on the disk of one node."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby.files.blobs_index import PIECE, Index

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from passerby.clock import Clock
    from passerby.models import StoredFile


class DiskBlobStore:
    """Files in a private directory of this process. If the process is killed, the next one removes the directory."""

    is_durable: Final = False

    _PREFIX: Final = "passerby-files-"

    def __init__(self, clock: Clock, directory: str | None) -> None:
        """Create the directory in `directory`, by default the system's temporary directory. Raises OSError."""
        parent = Path(directory) if directory is not None else Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        self._remove_orphans(parent)
        self._index = Index(clock)
        self._folder = Path(tempfile.mkdtemp(prefix=self._PREFIX, dir=parent))
        unlocked = self._folder / "unlocked"
        lock = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until the process ends
        self._lock: int | None = lock
        unlocked.rename(self._folder / "lock")  # renamed after locking, so no other process finds it unlocked

    async def write(self, file_id: str, piece: bytes) -> None:
        """See BlobStore."""
        await self._finished(self._append, self._path(file_id), piece)

    async def amend(self, file_id: str, changes: Sequence[tuple[int, bytes]]) -> None:
        """See BlobStore."""
        await self._finished(self._overwrite, self._path(file_id), changes)

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
        while start < stop and self._index.get(file_id) is not None:
            part = await asyncio.to_thread(self._slice, self._path(file_id), start, min(PIECE, stop - start))
            if not part:
                return
            start += len(part)
            yield part

    async def remove(self, file_id: str) -> None:
        """See BlobStore."""
        self._index.remove(file_id)
        await asyncio.to_thread(self._unlink, self._path(file_id))

    async def sweep(self) -> int:
        """See BlobStore."""
        expired = self._index.expired()
        for file_id in expired:
            await self.remove(file_id)
        return len(expired)

    async def check(self) -> None:
        """See BlobStore."""
        await asyncio.to_thread(self._try_to_write)

    async def close(self) -> None:
        """See BlobStore."""
        self._index.clear()
        try:
            await asyncio.to_thread(self._remove_folder)
        finally:
            lock, self._lock = self._lock, None
            if lock is not None:
                os.close(lock)

    @staticmethod
    async def _finished(write: Callable[..., None], *arguments: object) -> None:
        """Write in a thread. If this is cancelled, it still waits for the thread: a removal must come after it."""
        writing = asyncio.ensure_future(asyncio.to_thread(write, *arguments))
        try:
            await asyncio.shield(writing)
        finally:
            await asyncio.wait([writing])

    def _try_to_write(self) -> None:
        path = self._path("check")
        self._append(path, b"x")
        self._unlink(path)

    def _remove_folder(self) -> None:
        """Remove all files, with a second attempt for those that fail. Raises OSError when one remains."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def _path(self, file_id: str) -> str:
        return f"{self._folder}/{file_id}.bin"

    @staticmethod
    def _append(path: str, piece: bytes) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "ab") as file:  # buffered: a full disk raises an error instead of a short write
            file.write(piece)

    @staticmethod
    def _overwrite(path: str, changes: Sequence[tuple[int, bytes]]) -> None:
        with open(path, "r+b") as file:
            for place, data in changes:
                file.seek(place)
                file.write(data)

    @staticmethod
    def _slice(path: str, start: int, size: int) -> bytes:
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(start)
                return file.read(size)
        except FileNotFoundError:
            return b""

    @staticmethod
    def _unlink(path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def _remove_orphans(self, parent: Path) -> None:
        """Remove the directories of processes that have ended: their locks are free."""
        for folder in parent.glob(f"{self._PREFIX}*"):
            try:
                descriptor = os.open(folder / "lock", os.O_RDWR)
            except OSError:
                continue  # not such a directory, or being created or removed
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            except BlockingIOError:
                pass  # the process is running
            finally:
                os.close(descriptor)
