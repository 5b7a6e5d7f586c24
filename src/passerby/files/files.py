"""Files and voice notes: who may bring one, how much there may be, who may fetch it, and that it goes with its room."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from passerby.clock import Timestamps, sleep
from passerby.errors import (
    Code,
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    StorageFullError,
    TooLargeError,
)
from passerby.files.content import extras_of, named_file
from passerby.files.space import Shelf
from passerby.files.upload import Upload
from passerby.limits import Rate, TokenBucket
from passerby.models import FileInfo, StoredFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from passerby.chat.events import SendMessage
    from passerby.chat.rooms import Rooms
    from passerby.clock import Clock
    from passerby.files.blobs import BlobStore
    from passerby.files.space import Quotas
    from passerby.live import LiveGuest, Room

PATH: Final = "/api/temp-files"
_PIECE: Final = 64 * 1024
"""Bytes read from the store at a time: while a client does not read, nothing else of a file is held for it."""


class Files:
    """All files of the process. What a room's members have brought is gone when `room_closed` returns."""

    def __init__(
        self, store: BlobStore, rooms: Rooms, clock: Clock, *, key: bytes, quotas: Quotas, ttl: float, rate: Rate
    ) -> None:
        """`key` signs links, `ttl` is in seconds, `rate` is each guest's."""
        self._store = store
        self._rooms = rooms
        self._clock = clock
        self._timestamps = Timestamps(clock)
        self._key = key
        self.quotas = quotas
        self._ttl = ttl
        self._rate = rate
        self._shelves: dict[Room, Shelf] = {}
        self.used = 0
        """Bytes that files and uploads take, or have been promised."""
        self._tasks: set[asyncio.Task[None]] = set()

    # ── bringing one ──────────────────────────────────────────────────────────────────────────────

    def begin(
        self,
        guest: LiveGuest | None,
        *,
        name: str,
        claimed: str,
        size: int | None,
        voice: bool,
        room_id: str | None = None,
    ) -> Upload:
        """Begin an upload into the guest's room; `size` is what is announced, or None, and so is `room_id`.

        Space is set aside for all of it now, so that of many uploads at once those that begin also end.
        Raises ConflictError (not_in_room), ForbiddenError (not_your_room), RateLimitedError,
        InvalidInputError (file_empty), TooLargeError, StorageFullError.
        """
        if guest is None or guest.member is None:
            raise ConflictError(Code.NOT_IN_ROOM, "You are not in a conversation")
        if room_id not in (None, guest.member.room.id):
            raise not_your_room()
        if size == 0:
            raise InvalidInputError(Code.FILE_EMPTY, "The file is empty", field="file")
        if size is not None and size > self.quotas.file:
            raise self.too_large()
        now = self._clock.monotonic()
        bucket = guest.buckets.setdefault("uploads", TokenBucket(self._rate, now))
        wait = bucket.take(now)
        if wait:
            raise RateLimitedError(wait, "files")
        room = guest.member.room
        promised = self.quotas.file if size is None else size
        self._set_aside(room, guest.guest.id, promised)
        return Upload(self, self._store, room, guest.guest.id, promised, name=name, claimed=claimed, voice=voice)

    def too_large(self) -> TooLargeError:
        """Return the refusal of a file beyond the limit."""
        return TooLargeError(Code.FILE_TOO_LARGE, f"A file has at most {self.quotas.file:,} bytes", field="file")

    def _set_aside(self, room: Room, owner: str, size: int) -> None:
        shelf = self._shelves.setdefault(room, Shelf())
        if self.used + size > self.quotas.process:
            raise StorageFullError(60)
        if sum(shelf.used.values()) + size > self.quotas.room:
            raise TooLargeError(Code.ROOM_STORAGE_FULL, "This conversation holds as many files as it may")
        if shelf.used.get(owner, 0) + size > self.quotas.guest:
            raise TooLargeError(Code.GUEST_STORAGE_FULL, "You have sent as much as you may in one conversation")
        self.used += size
        shelf.used[owner] = shelf.used.get(owner, 0) + size

    def release(self, room: Room, owner: str, size: int) -> None:
        """Give back space that was set aside and is not needed; of a closed room it has been given back already."""
        shelf = self._shelves.get(room)
        if shelf is not None:
            self.used -= size
            shelf.used[owner] -= size

    def is_open(self, room: Room) -> bool:
        """Tell whether a room goes on."""
        return self._rooms.find(room.id) is room

    async def publish(self, room: Room, upload: Upload) -> StoredFile:
        """Make a finished upload a file of its room. Raises ConflictError (room_closed)."""
        file = upload.described(self._clock.time() + self._ttl)
        await self._store.publish(file, self._ttl)
        if not self.is_open(room):
            raise room_closed()
        self._shelves[room].files[file.id] = file
        return file

    # ── fetching one ──────────────────────────────────────────────────────────────────────────────

    async def signed(self, file_id: str, expires: str | None, signature: str | None) -> StoredFile:
        """Return the file that a link is for. Raises NotFoundError, ForbiddenError (link_invalid)."""
        file = await self._find(file_id)
        if not (expires and signature and hmac.compare_digest(signature.encode(), self._sign(file, expires))):
            raise ForbiddenError(Code.LINK_INVALID, "This link does not open the file")
        return file

    async def of_member(self, file_id: str, guest: LiveGuest | None) -> StoredFile:
        """Return a file of the room that a guest is in. Raises NotFoundError, for all others too."""
        file = await self._find(file_id)
        room = guest.member.room if guest is not None and guest.member is not None else None
        if room is None or (room.id, room.epoch) != (file.room_id, file.epoch):
            raise _not_found()
        return file

    async def _find(self, file_id: str) -> StoredFile:
        file = await self._store.find(file_id)
        if file is None or not self._is_served(file):
            raise _not_found()
        return file

    def _is_served(self, file: StoredFile) -> bool:
        room = self._rooms.find(file.room_id)
        return room is not None and room.epoch == file.epoch and file.expires_at > self._clock.time()

    async def read(self, file: StoredFile, start: int, stop: int) -> AsyncIterator[bytes]:
        """Return bytes `start` up to `stop`; they end early when the room closes or the file expires."""
        while start < stop and self._is_served(file):
            parts = [part async for part in self._store.read(file.id, start, min(start + _PIECE, stop))]
            if not parts or not self._is_served(file):
                return
            for part in parts:
                start += len(part)
                yield part

    @contextlib.contextmanager
    def serving(self, file: StoredFile, cut: Callable[[], None]) -> Iterator[None]:
        """Call `cut` should the room close meanwhile: who reads slowly, or not at all, is not to keep anything."""
        room = self._rooms.find(file.room_id)
        shelf = self._shelves.get(room) if room is not None else None
        downloads = shelf.downloads if shelf is not None else set()
        downloads.add(cut)
        try:
            yield
        finally:
            downloads.discard(cut)

    def info(self, file: StoredFile) -> FileInfo:
        """Return what the two of a room are told of a file, with signed links."""
        expires = str(int(file.expires_at))
        query = f"{file.id}?expires={expires}&signature={self._sign(file, expires).decode()}"
        return FileInfo(
            file_id=file.id,
            filename=file.filename,
            file_type=file.category,
            mime_type=file.mime_type,
            file_size=file.size,
            file_url=f"{PATH}/temp/{query}",
            temp_url=f"{PATH}/temp/{query}",
            download_url=f"{PATH}/download/{query}",
            is_image=file.category == "image",
            file_type_category=file.category,
            expires_at=self._timestamps.at(file.expires_at),
            duration=UNSET if file.seconds is None else file.seconds,
            width=UNSET if file.width is None else file.width,
            height=UNSET if file.height is None else file.height,
        )

    def _sign(self, file: StoredFile, expires: str) -> bytes:
        what = f"{file.room_id} {file.epoch} {file.id} {expires}"
        return base64.urlsafe_b64encode(hmac.digest(self._key, what.encode(), "sha256")[:24])

    # ── messages ──────────────────────────────────────────────────────────────────────────────────

    async def content(self, sender: LiveGuest, payload: SendMessage) -> dict[str, Any]:
        """Return the content of a message about a file that its sender has uploaded to their room.

        It is what the server knows; of what the client wrote, fields that the server does not know pass.
        Raises InvalidInputError (invalid_payload), NotFoundError (file_not_found).
        """
        written = payload.content
        if isinstance(written, str):
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Expected the upload's answer as content", field="content")
        file = await self.of_member(named_file(written), sender)
        if file.owner != sender.guest.id or file.voice != (payload.type == "voice"):
            raise _not_found()
        known: dict[str, Any] = msgspec.to_builtins(self.info(file))
        return extras_of(written) | known

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def room_closed(self, room: Room) -> None:
        """Forget a room's files. From now on none of them is served."""
        shelf = self._shelves.pop(room, None)
        if shelf is not None:
            self.used -= sum(shelf.used.values())
            for cut in list(shelf.downloads):
                cut()
            if shelf.files:
                self._spawn(self._remove(list(shelf.files)))

    async def _remove(self, file_ids: list[str]) -> None:
        for file_id in file_ids:
            await self._store.remove(file_id)

    async def sweep(self, interval: float) -> None:
        """Remove expired files every `interval` seconds, for ever."""
        while True:
            await sleep(self._clock, interval)
            await self.sweep_once()

    async def sweep_once(self) -> None:
        """Remove expired files."""
        now = self._clock.time()
        for room, shelf in self._shelves.items():
            for file in [file for file in shelf.files.values() if file.expires_at <= now]:
                del shelf.files[file.id]
                self.release(room, file.owner, file.size)
        await self._store.sweep()

    async def close(self) -> None:
        """Remove everything."""
        for room in list(self._shelves):
            self.room_closed(room)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._store.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def not_your_room() -> ForbiddenError:
    """Return the refusal of an upload into another conversation."""
    return ForbiddenError(Code.NOT_YOUR_ROOM, "That is not your conversation")


def room_closed() -> ConflictError:
    """Return the refusal of an upload whose conversation has ended."""
    return ConflictError(Code.ROOM_CLOSED, "The conversation is over")


def _not_found() -> NotFoundError:
    return NotFoundError(Code.FILE_NOT_FOUND, "There is no such file, or no longer")
