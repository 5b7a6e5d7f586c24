"""Files and voice notes: who may bring one, who may fetch it, and that it goes with its room."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from passerby.errors import Code, ConflictError, ForbiddenError, InvalidInputError, NotFoundError, RateLimitedError
from passerby.files.content import extras_of, named_file
from passerby.files.space import Shelf, Space
from passerby.files.upload import Upload, not_your_room
from passerby.limits import Rate, TokenBucket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.files.blobs import BlobStore
    from passerby.files.links import Links
    from passerby.files.space import Quotas
    from passerby.live import LiveGuest, Member, Room
    from passerby.models import FileInfo, StoredFile

_PIECE: Final = 64 * 1024
"""Bytes read from the store at a time: while a client does not read, nothing else of a file is held for it."""


class Files:
    """All files of the process. What a room's members have brought is gone when `room_closed` returns."""

    def __init__(
        self,
        store: BlobStore,
        links: Links,
        clock: Clock,
        background: Background,
        *,
        quotas: Quotas,
        ttl: float,
        rate: Rate,
    ) -> None:
        """`ttl` is in seconds, `rate` is each guest's."""
        self._store = store
        self._links = links
        self._clock = clock
        self._background = background
        self._ttl = ttl
        self._rate = rate
        self.space = Space(quotas)
        self._shelves: dict[str, Shelf] = {}
        """Of the open rooms, by their ids."""
        self._unremoved: set[str] = set()
        """Files that are over, but still in the store: it failed to remove them, and is asked again."""

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
        shelf = self._shelves.get(guest.member.room.id) if guest is not None and guest.member is not None else None
        if guest is None or shelf is None:
            raise ConflictError(Code.NOT_IN_ROOM, "You are not in a conversation")
        if room_id not in (None, shelf.room.id):
            raise not_your_room()
        quotas = self.space.quotas
        if size == 0:
            raise InvalidInputError(Code.FILE_EMPTY, "The file is empty", field="file")
        if size is not None and size > quotas.file:
            raise quotas.too_large()
        now = self._clock.monotonic()
        bucket = guest.buckets.setdefault("uploads", TokenBucket(self._rate, now))
        wait = bucket.take(now)
        if wait:
            raise RateLimitedError(wait, "files")
        owner = guest.guest.id
        return Upload(
            self._store,
            shelf,
            self.space.reserve(shelf, owner, quotas.file if size is None else size),
            self._clock,
            owner=owner,
            quotas=quotas,
            ttl=self._ttl,
            discard=self._discard,
            name=name,
            claimed=claimed,
            voice=voice,
        )

    # ── fetching one ──────────────────────────────────────────────────────────────────────────────

    async def signed(self, file_id: str, expires: str | None, signature: str | None) -> StoredFile:
        """Return the file that a link is for. Raises NotFoundError, ForbiddenError (link_invalid)."""
        file = await self._find(file_id)
        if not self._links.opens(file, expires, signature):
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
        if file is None or self._shelf_of(file) is None:
            raise _not_found()
        return file

    def _shelf_of(self, file: StoredFile) -> Shelf | None:
        """Return where a file stands, None when it is not served (any more)."""
        shelf = self._shelves.get(file.room_id)
        is_served = shelf is not None and shelf.room.epoch == file.epoch and file.expires_at > self._clock.time()
        return shelf if is_served else None

    async def read(self, file: StoredFile, start: int, stop: int) -> AsyncIterator[bytes]:
        """Return bytes `start` up to `stop`; they end early when the room closes or the file expires."""
        while start < stop and self._shelf_of(file) is not None:
            parts = [part async for part in self._store.read(file.id, start, min(start + _PIECE, stop))]
            if not parts or self._shelf_of(file) is None:
                return
            for part in parts:
                start += len(part)
                yield part

    @contextlib.contextmanager
    def serving(self, file: StoredFile, cut: Callable[[], None]) -> Iterator[None]:
        """Call `cut` should the room close meanwhile: who reads slowly, or not at all, is not to keep anything."""
        shelf = self._shelf_of(file)
        downloads = shelf.downloads if shelf is not None else set()
        downloads.add(cut)
        try:
            yield
        finally:
            downloads.discard(cut)

    def info(self, file: StoredFile) -> FileInfo:
        """Return what the two of a room are told of a file, with signed links."""
        return self._links.info(file)

    # ── messages ──────────────────────────────────────────────────────────────────────────────────

    async def content(
        self, sender: LiveGuest, written: str | Mapping[str, msgspec.Raw], *, voice: bool
    ) -> dict[str, Any]:
        """Return the content of a message about a file that its sender has uploaded to their room.

        It is what the server knows; of what the client wrote, fields that the server does not know pass.
        Raises InvalidInputError (invalid_payload), NotFoundError (file_not_found).
        """
        if isinstance(written, str):
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Expected the upload's answer as content", field="content")
        file = await self.of_member(named_file(written), sender)
        if file.owner != sender.guest.id or file.voice != voice:
            raise _not_found()
        known: dict[str, Any] = msgspec.to_builtins(self.info(file))
        return extras_of(written) | known

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def room_opened(self, room: Room) -> None:
        """See RoomObserver: from now on its members may bring files."""
        self._shelves[room.id] = Shelf(room)

    def member_back(self, member: Member) -> None:
        """See RoomObserver: files have waited."""

    def room_closed(self, room: Room) -> None:
        """See RoomObserver: forget the room's files. From now on none of them is served."""
        shelf = self._shelves.get(room.id)
        if shelf is None or shelf.room is not room:
            return
        del self._shelves[room.id]
        self.space.close(shelf)
        for cut in list(shelf.downloads):
            self._background.attempt("cutting a download", cut)
        if shelf.files:
            self._unremoved.update(shelf.files)
            self._background.start("removal of a room's files", self._remove(list(shelf.files)))

    async def _discard(self, file_id: str) -> None:
        self._unremoved.add(file_id)
        await self._remove([file_id])

    async def _remove(self, file_ids: list[str]) -> None:
        """Remove each of the files, whatever becomes of the others."""
        for file_id in file_ids:
            try:
                await self._store.remove(file_id)
            except Exception as error:  # noqa: BLE001 - the others must go, and this one is tried again
                self._background.failed("removal of a file", error)
            else:
                self._unremoved.discard(file_id)

    async def sweep(self) -> None:
        """Remove what has expired, and what could not be removed before."""
        now = self._clock.time()
        for shelf in self._shelves.values():
            for file in [file for file in shelf.files.values() if file.expires_at <= now]:
                del shelf.files[file.id]
                self.space.give_back(shelf, file.owner, file.size)
        await self._remove(list(self._unremoved))
        await self._store.sweep()

    def close(self) -> None:
        """Forget all rooms' files: none is served any more. The store's own `close` removes what is left of them."""
        for shelf in list(self._shelves.values()):
            self.room_closed(shelf.room)


def _not_found() -> NotFoundError:
    return NotFoundError(Code.FILE_NOT_FOUND, "There is no such file, or no longer")
