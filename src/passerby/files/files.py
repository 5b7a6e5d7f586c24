"""Files and voice notes: who may upload and download them, and their removal with their room."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from passerby import ids
from passerby.background import ANSWER_LIMIT, FAILURES, is_failure
from passerby.clock import SteadyClock, nothing, sleep, time_limit
from passerby.errors import (
    Code,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from passerby.files.content import extras_of, named_file
from passerby.files.space import RoomFiles, Space
from passerby.files.turns import Turns
from passerby.files.upload import Upload, new_id, not_your_room, unavailable
from passerby.limits import Rate, TokenBucket
from passerby.live import RoomObserver, not_in_room

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from passerby.background import Background
    from passerby.clock import Clock
    from passerby.files.blobs import BlobStore
    from passerby.files.links import Links
    from passerby.files.space import Quotas, Reservation, Share
    from passerby.live import LiveGuest, Room
    from passerby.models import FileInfo, Guest, StoredFile

_PIECE: Final = 64 * 1024
"""Bytes per read from the store. While a client does not read, no more than this is held in memory for it."""

_LOOK: Final = 1.0
"""Seconds between two looks whether a file is still there that is being downloaded, of a room on another node."""
_AT_ONCE: Final = 500
"""Files that are given back to their rooms in one turn of the event loop."""


class Elsewhere(Protocol):
    """The rooms on other nodes, whose files are in the same store."""

    async def has(self, room_id: str, epoch: int) -> bool:
        """Return whether a room is open on another node, or will be again. Raises UnavailableError."""

    async def reserve(
        self, session_id: str, file_id: str, size: int | None, address: str, room_id: str | None
    ) -> Share | None:
        """Return space for an upload to the room of a guest who lives on another node. None: they live on none.

        Raises what `Files.reserve` raises, and UnavailableError.
        """


class Nowhere:
    """There are no other nodes."""

    async def has(self, room_id: str, epoch: int) -> bool:  # noqa: ARG002 - as in Elsewhere
        """See Elsewhere."""
        return False

    async def reserve(
        self,
        session_id: str,  # noqa: ARG002 - as in Elsewhere
        file_id: str,  # noqa: ARG002 - as in Elsewhere
        size: int | None,  # noqa: ARG002 - as in Elsewhere
        address: str,  # noqa: ARG002 - as in Elsewhere
        room_id: str | None,  # noqa: ARG002 - as in Elsewhere
    ) -> Share | None:
        """See Elsewhere."""
        return None


class Files(RoomObserver):
    """All files of the process. When `room_closed` returns, no file of the room is served any more."""

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
        """`ttl` is in seconds; `rate` applies per guest."""
        self._store = store
        self._links = links
        self._clock = SteadyClock(clock)  # a wall clock that is set ends no file
        self._background = background
        self._ttl = ttl
        self.rate = rate
        """Of uploads, for each guest."""
        self.space = Space(quotas)
        self.elsewhere: Elsewhere = Nowhere()
        """The rooms on other nodes."""
        self.check_new: Callable[[], None] = nothing
        """Called before an upload. Raises StorageFullError if there is no memory for it, or StoppingError."""
        self._uploads: set[Upload] = set()
        """Those under way."""
        self.sent_bytes = 0
        """Bytes that downloads have taken."""
        self._turns = Turns()
        self._open: dict[str, Room] = {}
        """The open rooms by their ids."""
        self._by_room: dict[str, RoomFiles] = {}
        """Files of the open rooms, by room id."""
        self._incomplete: set[str] = set()
        """Rooms of an earlier process that have not got their files back yet, by id."""
        self._unremoved: set[str] = set()
        """Files whose removal from the store has failed; it is retried."""

    # ── uploading ─────────────────────────────────────────────────────────────────────────────────

    def begin(
        self,
        guest: LiveGuest | None,
        *,
        name: str,
        claimed: str,
        size: int | None,
        voice: bool,
        address: str = "",
        room_id: str | None = None,
    ) -> Upload:
        """Start an upload to the guest's room. `size` and `room_id` are the announced ones, or None.

        Raises what `reserve` raises.
        """
        share = self.reserve(guest, size=size, address=address, room_id=room_id)
        return self._upload(share, owner=share.owner, name=name, claimed=claimed, voice=voice)

    async def begin_elsewhere(
        self,
        guest: Guest,
        *,
        name: str,
        claimed: str,
        size: int | None,
        voice: bool,
        address: str = "",
        room_id: str | None = None,
    ) -> Upload:
        """Do as `begin` for a guest who does not live here. The bytes go from here to the store, which is shared.

        Raises what `begin` raises, and UnavailableError.
        """
        file_id = new_id()
        share = await self.elsewhere.reserve(guest.session_id, file_id, size, address, room_id)
        if share is None:
            raise not_in_room()
        return self._upload(share, owner=guest.id, name=name, claimed=claimed, voice=voice, file_id=file_id)

    def _upload(
        self, share: Share, *, owner: str, name: str, claimed: str, voice: bool, file_id: str | None = None
    ) -> Upload:
        upload = Upload(
            self._store,
            share,
            self._clock,
            owner=owner,
            quotas=self.space.quotas,
            turns=self._turns,
            ttl=self._ttl,
            discard=self.discard,
            name=name,
            claimed=claimed,
            voice=voice,
            file_id=file_id,
            ended=self._uploads.discard,
        )
        self._uploads.add(upload)
        return upload

    @property
    def is_uploading(self) -> bool:
        """Return whether an upload is under way."""
        return bool(self._uploads)

    def rooms_of_uploads(self) -> Iterator[str]:
        """Yield the id of the room of each upload that is under way."""
        return (upload.room.id for upload in self._uploads)

    def reserve(
        self, guest: LiveGuest | None, *, size: int | None, address: str = "", room_id: str | None = None
    ) -> Reservation:
        """Return space for an upload to the guest's room; see `begin`.

        `address` is the client's. An announced size that does not fit now is refused now. Space is taken as bytes
        come, so `Upload.write` may raise TooLargeError and StorageFullError too.
        Raises ConflictError (not_in_room), ForbiddenError (not_your_room), RateLimitedError,
        InvalidInputError (file_empty), TooLargeError, StorageFullError, StoppingError.
        """
        room = guest.member.room if guest is not None and guest.member is not None else None
        if guest is None or room is None or self._open.get(room.id) is not room:
            raise not_in_room()
        if room_id not in (None, room.id):
            raise not_your_room()
        quotas = self.space.quotas
        if size == 0:
            raise InvalidInputError(Code.FILE_EMPTY, "The file is empty", field="file")
        if size is not None and size > quotas.file:
            raise quotas.too_large()
        self.check_new()
        now = self._clock.monotonic()
        bucket = guest.buckets.setdefault("uploads", TokenBucket(self.rate, now))
        wait = bucket.take(now)
        if wait:
            raise RateLimitedError(wait, "files", limit="uploads")
        room_files = self._by_room.get(room.id)
        if room_files is None:
            room_files = self._by_room[room.id] = RoomFiles(room)
        return self.space.reserve(room_files, guest.guest.id, address, size)

    # ── downloading ───────────────────────────────────────────────────────────────────────────────

    async def signed(self, file_id: str, expires: str | None, signature: str | None) -> StoredFile:
        """Return the file of a link. Raises NotFoundError, ForbiddenError (link_invalid), UnavailableError."""
        file = await self._find(file_id)
        if not self._links.opens(file, expires, signature):
            raise ForbiddenError(Code.LINK_INVALID, "This link does not open the file")
        return file

    async def of_member(self, file_id: str, guest: LiveGuest | None) -> StoredFile:
        """Return a file of the guest's room. Raises NotFoundError, also for files of other rooms, UnavailableError."""
        file = await self._find(file_id)
        room = guest.member.room if guest is not None and guest.member is not None else None
        if room is None or (room.id, room.epoch) != (file.room_id, file.epoch):
            raise _not_found()
        return file

    async def of_guest(self, file_id: str, guest_id: str) -> StoredFile:
        """Do as `of_member` for a guest who does not live here: whoever the room's id names is in it while it is open.

        Raises NotFoundError, UnavailableError.
        """
        file = await self._find(file_id)
        if guest_id not in ids.members(file.room_id):
            raise _not_found()
        return file

    async def _find(self, file_id: str) -> StoredFile:
        try:
            file = await self._store.find(file_id)
        except ConnectionError as error:
            raise unavailable() from error
        if file is None or not (self._room_files_of(file) is not None or await self._is_elsewhere(file)):
            raise _not_found()
        return file

    async def _is_elsewhere(self, file: StoredFile) -> bool:
        """Return whether the file is of a room on another node."""
        if file.room_id in self._by_room or file.id in self._unremoved or file.expires_at <= self._clock.time():
            return False
        return await self.elsewhere.has(file.room_id, file.epoch)

    def _room_files_of(self, file: StoredFile) -> RoomFiles | None:
        """Return the room's files that `file` belongs to; None when it is not served (any more)."""
        room_files = self._by_room.get(file.room_id)
        is_served = (
            room_files is not None and room_files.room.epoch == file.epoch and file.expires_at > self._clock.time()
        )
        return room_files if is_served else None

    async def read(self, file: StoredFile, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield bytes `start` to `stop` (exclusive); end early when the room closes, or the file expires or is lost.

        Raises ConnectionError when the store cannot be reached.
        """
        is_here = self._room_files_of(file) is not None
        if not is_here and not await self._is_elsewhere(file):
            return
        while start < stop and (not is_here or self._room_files_of(file) is not None):
            # When a room ends elsewhere, its files go from the store.
            parts = [part async for part in self._store.read(file.id, start, min(start + _PIECE, stop))]
            if not parts or (is_here and self._room_files_of(file) is None):
                return
            for part in parts:
                start += len(part)
                yield part

    async def whole(self, file: StoredFile) -> bytes:
        """Return all bytes of a file. Raises NotFoundError if it is gone before its end, and what `read` raises."""
        content = b"".join([part async for part in self.read(file, 0, file.size)])
        if len(content) != file.size:
            raise _not_found()
        return content

    @contextlib.contextmanager
    def serving(self, file: StoredFile, cut: Callable[[], None]) -> Iterator[None]:
        """Call `cut` if the room closes during the download, so that slow clients do not keep the file available."""
        room_files = self._room_files_of(file)
        if room_files is None:
            watch = self._background.start("watch of a download", self._watch(file, cut))
            try:
                yield
            finally:
                watch.cancel()
            return
        room_files.downloads.add(cut)
        try:
            yield
        finally:
            room_files.downloads.discard(cut)

    async def _watch(self, file: StoredFile, cut: Callable[[], None]) -> None:
        """Call `cut` when a file of a room on another node is gone. While nobody can say, it is there."""
        is_there = True
        while is_there:
            await sleep(self._clock, _LOOK)
            with contextlib.suppress(ConnectionError, UnavailableError):
                async with time_limit(self._clock, ANSWER_LIMIT):
                    found = await self._store.find(file.id)
                    is_there = found is not None and await self.elsewhere.has(file.room_id, file.epoch)
        cut()

    def info(self, file: StoredFile) -> FileInfo:
        """Return the file's information for the room's members, with signed links."""
        return self._links.info(file)

    # ── messages ──────────────────────────────────────────────────────────────────────────────────

    async def content(
        self, sender: LiveGuest, written: str | Mapping[str, msgspec.Raw], *, voice: bool
    ) -> dict[str, Any]:
        """Return the content of a message about a file that the sender has uploaded to their room.

        It consists of the server's metadata and the client's unknown fields.
        Raises InvalidInputError (invalid_payload), NotFoundError (file_not_found), UnavailableError.
        """
        if isinstance(written, str):
            raise InvalidInputError(Code.INVALID_PAYLOAD, "Expected the upload's answer as content", field="content")
        file = await self.of_member(named_file(written), sender)
        if file.owner != sender.guest.id or file.voice != voice:
            raise _not_found()
        known: dict[str, Any] = msgspec.to_builtins(self.info(file))
        return extras_of(written) | known

    # ── removal ───────────────────────────────────────────────────────────────────────────────────

    def room_opened(self, room: Room) -> None:
        """See RoomObserver. From now on members may upload files."""
        self._open[room.id] = room

    def room_recalled(self, room: Room, notes: Mapping[str, bytes]) -> None:  # noqa: ARG002 - as in RoomObserver
        """See RoomObserver. `recall` gives it its files back."""
        self._open[room.id] = room
        self._incomplete.add(room.id)

    async def recall(self, is_somewhere: Callable[[str], Awaitable[bool]]) -> None:
        """Give the files that are stored to their rooms; remove those of no room.

        Nothing is removed of the rooms with the ids of which `is_somewhere` is true: they may still be opened, or are
        open on another node. Raises what the store and `is_somewhere` raise, and TimeoutError.
        """
        others = await self.give_back()
        somewhere = {room_id: await is_somewhere(room_id) for room_id in {file.room_id for file in others}}
        orphans = [file.id for file in others if not somewhere[file.room_id]]
        self._unremoved.update(orphans)
        self._background.start("removal of files of no room", self._remove(orphans))

    async def give_back(self) -> list[StoredFile]:
        """Give the files that are stored to the rooms that were recalled; return those of no open room.

        Raises what the store raises, and TimeoutError.
        """
        async with time_limit(self._clock, ANSWER_LIMIT):
            stored = await self._store.files()
        incomplete, self._incomplete = self._incomplete, set()
        others: list[StoredFile] = []
        for number, file in enumerate(stored, 1):
            room = self._open.get(file.room_id)
            if room is None or room.epoch != file.epoch:
                others.append(file)
            elif room.id in incomplete:
                self._give_back(room, file)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return others

    def _give_back(self, room: Room, file: StoredFile) -> None:
        room_files = self._by_room.get(room.id)
        if room_files is None:
            room_files = self._by_room[room.id] = RoomFiles(room)
        if file.id not in room_files.files:
            room_files.files[file.id] = (file, self.space.recall(room_files, file))

    def room_lost(self, room: Room) -> None:
        """See RoomObserver. The files stay in the store."""
        self._close(room, is_over=False)

    def room_closed(self, room: Room) -> None:
        """See RoomObserver. Removes the room's files; from now on none of them is served."""
        self._close(room, is_over=True)

    def _close(self, room: Room, *, is_over: bool) -> None:
        """Serve no file of the room any more. If it is over, remove them."""
        if self._open.get(room.id) is not room:
            return
        del self._open[room.id]
        self._incomplete.discard(room.id)
        room_files = self._by_room.pop(room.id, None)
        if room_files is None:
            return
        if is_over:
            self._unremoved.update(room_files.files)  # first, so that whatever fails below the next sweep removes them
        if not self._background.attempt("release of a room's space", self.space.close, room_files):
            room_files.is_open = False  # no upload is published any more
        for cut in list(room_files.downloads):
            self._background.attempt("abort of a download", cut)
        if is_over and room_files.files:
            self._background.start("removal of a room's files", self._remove(list(room_files.files)))
        room_files.files.clear()  # their reservations refer to it

    def withdraw(self, room_id: str, file_id: str) -> None:
        """Do not count a file as one of the room's any more, of which nobody knows; whoever stored it removes it."""
        room_files = self._by_room.get(room_id)
        found = None if room_files is None else room_files.files.pop(file_id, None)
        if found is not None:
            found[1].release()

    async def discard(self, file_id: str) -> None:
        """Remove a file that is in no room, published or not; if that fails, `sweep` tries it again."""
        self._unremoved.add(file_id)
        await self._remove([file_id])

    async def _remove(self, file_ids: list[str]) -> None:
        """Remove all the files; a failure does not affect the others. If the store is away, `sweep` removes them."""
        for file_id in file_ids:
            try:
                async with time_limit(self._clock, ANSWER_LIMIT):
                    await self._store.remove(file_id)
            except ConnectionError:
                return
            except FAILURES as error:  # the others must be removed, and this one is retried
                if not is_failure(error):
                    raise
                self._background.failed("removal of a file", error)
            else:
                self._unremoved.discard(file_id)

    async def sweep(self) -> None:
        """Remove expired files, and retry failed removals."""
        now = self._clock.time()
        for room_files in self._by_room.values():
            for file, reservation in list(room_files.files.values()):
                if file.expires_at <= now:
                    del room_files.files[file.id]
                    self._unremoved.add(file.id)
                    reservation.release()
        await self._remove(list(self._unremoved))
        async with time_limit(self._clock, ANSWER_LIMIT):
            await self._store.sweep()

    def close(self) -> None:
        """Serve no file any more. All are removed, unless they outlive the process: then their rooms are not over.

        What cannot be removed here, the store's own `close` removes.
        """
        is_over = not self._store.is_durable
        for room in list(self._open.values()):
            self._background.attempt("removal of a room's files", partial(self._close, room, is_over=is_over))


def _not_found() -> NotFoundError:
    return NotFoundError(Code.FILE_NOT_FOUND, "There is no such file, or no longer")
