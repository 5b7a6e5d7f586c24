"""Files on the disk of one node."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import DecodeError, Struct, json

from passerby.files.blobs_index import PIECE, Index
from passerby.models import StoredFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from passerby.clock import Clock

log = logging.getLogger(__name__)


class _About(Struct):
    """The metadata beside a kept file's content."""

    file: StoredFile
    until: float
    """When it expires, in seconds since the Unix epoch."""


class DiskBlobStore:
    """Files in a private directory of this process. If the process is killed, the next one removes the directory.

    With `keep` published files outlive the process, each in a directory `passerby-files-kept/<id>` with its content
    and its metadata. A directory comes into being, and goes, by a renaming: at no time is there half a file.
    Processes that keep files may share `directory`; one that keeps none removes what others have kept and left.
    """

    _PREFIX: Final = "passerby-files-"
    _KEPT: Final = "passerby-files-kept"

    def __init__(self, clock: Clock, directory: str | None, *, keep: bool = False) -> None:
        """Create the directory in `directory`, by default the system's temporary directory. Raises OSError."""
        self.is_durable = keep
        parent = Path(directory) if directory is not None else Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._index = Index(clock)
        self._locks: list[int] = []
        self._kept = str(parent / self._KEPT)
        if keep:
            self._share(parent / self._KEPT)
        self._remove_orphans(parent)
        self._folder = Path(tempfile.mkdtemp(prefix=self._PREFIX, dir=parent))
        unlocked = self._folder / "unlocked"
        lock = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)  # held until the process ends
        self._locks.append(lock)
        unlocked.rename(self._folder / "lock")  # renamed after locking, so no other process finds it unlocked
        if keep:
            self._find_kept()

    async def write(self, file_id: str, piece: bytes) -> None:
        """See BlobStore."""
        await self._finished(self._append, self._path(file_id), piece)

    async def amend(self, file_id: str, changes: Sequence[tuple[int, bytes]]) -> None:
        """See BlobStore."""
        await self._finished(self._overwrite, self._path(file_id), changes)

    async def publish(self, file: StoredFile, lifetime: float) -> None:
        """See BlobStore."""
        if self.is_durable:
            await self._finished(self._keep, _About(file, self._clock.time() + lifetime))
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
            part = await asyncio.to_thread(self._slice, self._content(file_id), start, min(PIECE, stop - start))
            if not part:
                return
            start += len(part)
            yield part

    async def remove(self, file_id: str) -> None:
        """See BlobStore."""
        self._index.remove(file_id)
        await asyncio.to_thread(self._unlink, self._path(file_id))
        if self.is_durable:
            await asyncio.to_thread(self._forget, file_id)

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
            while self._locks:
                os.close(self._locks.pop())

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
        """Remove all files that are not kept, with a second attempt. Raises OSError when one remains."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._folder.exists():
            shutil.rmtree(self._folder)

    def _path(self, file_id: str) -> str:
        return f"{self._folder}/{file_id}.bin"

    def _content(self, file_id: str) -> str:
        """Return the path of a published file."""
        return f"{self._kept}/{file_id}/content" if self.is_durable else self._path(file_id)

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

    # ── files that outlive the process ────────────────────────────────────────────────────────────

    def _keep(self, about: _About) -> None:
        """Complete the file's directory, then rename it to where it is found. Raises OSError."""
        folder = f"{self._folder}/{about.file.id}"
        os.mkdir(folder, 0o700)
        os.rename(self._path(about.file.id), f"{folder}/content")
        with open(f"{folder}/content", "rb") as content:
            os.fdatasync(content)  # before the renaming, in case the machine loses its power
        with open(f"{folder}/about.json", "wb", opener=_private) as file:
            file.write(json.encode(about))
            file.flush()
            os.fdatasync(file)
        os.rename(folder, f"{self._kept}/{about.file.id}")

    def _forget(self, file_id: str) -> None:
        """Remove a file's directory, wherever it is. Raises OSError."""
        folder = f"{self._folder}/{file_id}"
        for _ in range(2):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(folder)
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self._kept}/{file_id}", folder)

    def _find_kept(self) -> None:
        """Index the files that processes have kept. What is damaged or has expired is removed."""
        now = self._clock.time()
        for file_id in os.listdir(self._kept):
            if file_id == "lock":
                continue
            about = self._about(file_id)
            if about is not None and about.until > now:
                self._index.add(about.file, about.until - now)
                continue
            if about is None:
                log.warning("a kept file is damaged, it is removed", extra={"file": file_id})
            with contextlib.suppress(OSError):  # the next process tries again
                self._forget(file_id)

    def _about(self, file_id: str) -> _About | None:
        """Return a kept file's metadata, or None if it is not whole."""
        try:
            with open(f"{self._kept}/{file_id}/about.json", "rb") as file:
                about = json.decode(file.read(), type=_About)
            size = os.stat(f"{self._kept}/{file_id}/content").st_size
        except (OSError, DecodeError):
            return None
        return about if (about.file.id, about.file.size) == (file_id, size) else None

    def _share(self, folder: Path) -> None:
        """Create the directory of kept files, and lock it for all that keep files. Raises OSError."""
        while True:
            folder.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a process that keeps nothing has just removed it
                lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
                fcntl.flock(lock, fcntl.LOCK_SH)
                self._locks.append(lock)
                if os.path.samestat(os.fstat(lock), (folder / "lock").stat()):
                    return

    # ── other processes ───────────────────────────────────────────────────────────────────────────

    def _remove_orphans(self, parent: Path) -> None:
        """Remove the directories of processes that have ended: nobody holds their locks."""
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


def _private(path: str, flags: int) -> int:
    """Open a file that only this user can read."""
    return os.open(path, flags, 0o600)
