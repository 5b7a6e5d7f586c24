"""Quotas: how many bytes of files a guest, a room, an address and the process may use.

An upload holds space for the bytes that have come, not for those that it has announced. So nobody can deny uploads to
others with a few bytes, and an upload may find, while it comes, that it no longer fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from passerby.errors import Code, ConflictError, PasserbyError, StorageFullError, TooLargeError
from passerby.limits import AddressCount

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.live import Room
    from passerby.models import StoredFile

STEP: Final = 256 * 1024
"""Bytes by which the space of an upload grows: few checks for a large file, little space for one that trickles."""


class Quotas(Struct, frozen=True, kw_only=True):
    """Limits in bytes, pixels and seconds; see the settings of the same names."""

    file: int
    room: int
    guest: int
    address: int
    process: int
    pixels: int
    seconds: float

    def too_large(self) -> TooLargeError:
        """Return the error for a file above the size limit."""
        return TooLargeError(Code.FILE_TOO_LARGE, f"A file has at most {self.file:,} bytes", field="file")


class NamedRoom(Protocol):
    """What is known of a room wherever it is."""

    id: str
    epoch: int


class Share(Protocol):
    """The space of one upload in its room, here or on another node. Its owner must call `publish` or `release`."""

    size: int
    """The announced bytes; if they are not known, those of the largest file."""
    held: int
    """Bytes that are held now."""

    @property
    def room(self) -> NamedRoom:
        """The room."""

    def check(self) -> None:
        """Raise ConflictError (room_closed), or UnavailableError, if nothing can be published any more."""

    async def extend(self, needed: int) -> None:
        """Hold at least `needed` bytes. Raises what `Space.check` and `check` raise."""

    async def publish(self, file: StoredFile) -> None:
        """The file, which is in the store, is one of the room's now. Raises what `extend` raises."""

    def release(self) -> None:
        """Release all bytes, and the file if it is published; a second call has no effect."""


class RoomFiles:
    """The files of one room, and the bytes used by them and by uploads, per guest."""

    __slots__ = ("downloads", "files", "is_open", "reservations", "room", "used")

    def __init__(self, room: Room) -> None:
        """Start without files."""
        self.room = room
        self.is_open = True
        """False when the room has closed: no downloads and no uploads any more."""
        self.files: dict[str, tuple[StoredFile, Reservation]] = {}
        self.used: dict[str, int] = {}
        self.reservations: set[Reservation] = set()
        """Those with bytes: of stored files and of uploads."""
        self.downloads: set[Callable[[], None]] = set()
        """Callbacks that abort the running downloads."""


class Reservation:
    """The bytes of one upload, and of its file: `held` now; `size` is announced. Its owner must call `release`."""

    __slots__ = ("_address", "_is_announced", "_room_files", "_space", "held", "owner", "size")

    def __init__(self, space: Space, room_files: RoomFiles, owner: str, address: str, size: int | None) -> None:
        """Hold nothing yet. Without an announced `size` it is that of the largest file."""
        self._space = space
        self._room_files = room_files
        self.owner = owner
        """The id of the guest."""
        self._address: str | None = address
        self._is_announced = size is not None
        self.size = space.quotas.file if size is None else size
        self.held = 0

    @property
    def room(self) -> Room:
        """See Share."""
        return self._room_files.room

    def check(self) -> None:
        """See Share."""
        if not self._room_files.is_open:
            raise room_closed()

    async def extend(self, needed: int) -> None:
        """See Share."""
        self.cover(needed)

    async def publish(self, file: StoredFile) -> None:
        """See Share."""
        self.add(file)

    def add(self, file: StoredFile) -> None:
        """Do as `publish`, at once."""
        self.check()
        self.cover(file.size)
        self._room_files.files[file.id] = (file, self)
        self._space.stored += 1
        self._space.stored_bytes += file.size
        self.keep(file.size)

    def cover(self, needed: int) -> None:
        """Hold at least `needed` bytes, in steps of STEP. Raises what `Space.check` raises.

        They are those that have come, or those that are stored: a few more, where a file is completed.
        """
        if needed <= self.held:
            return
        wanted = max(needed, min(-(-needed // STEP) * STEP, self.size))
        try:
            self._take(wanted - self.held)
        except PasserbyError:
            if self._is_announced:
                raise  # the rest of the file would not fit either
            self._take(needed - self.held)

    def _take(self, size: int) -> None:
        space, room_files, address = self._space, self._room_files, self._address or ""
        space.check(room_files, self.owner, address, size)
        if room_files.is_open:
            space.addresses.take(address, size)
            self._hold(size)

    def _hold(self, size: int) -> None:
        space, room_files = self._space, self._room_files
        space.used += size
        room_files.used[self.owner] = room_files.used.get(self.owner, 0) + size
        room_files.reservations.add(self)
        self.held += size

    def recall(self) -> None:
        """Hold all of a file that an earlier process has stored, also if it does not fit now.

        Its address is not known any more, so nobody's share is smaller by it.
        """
        self._address = None
        self._hold(self.size)

    def keep(self, size: int) -> None:
        """Keep `size` bytes (≤ `held`) for the stored file; release the rest. Ignored after the room has closed."""
        room_files, rest = self._room_files, self.held - size
        if rest and room_files.is_open:
            self.held = size
            self._space.used -= rest
            room_files.used[self.owner] -= rest
            self.give_back_address(rest)
            if not size:
                room_files.reservations.discard(self)

    def release(self) -> None:
        """See Share. Only of a file on another node it is not known whether it was published."""
        self.keep(0)

    def give_back_address(self, size: int) -> None:
        """Release `size` bytes of the address only."""
        if self._address is not None:
            self._space.addresses.give_back(self._address, size)


def room_closed() -> ConflictError:
    """Return the error for an upload whose conversation has ended."""
    return ConflictError(Code.ROOM_CLOSED, "The conversation is over")


def _boundless(_size: int) -> None:
    """There is memory."""


class Space:
    """Counts the bytes used by files and held by uploads."""

    def __init__(self, quotas: Quotas) -> None:
        """Start with no bytes used."""
        self.quotas = quotas
        self.used = 0
        self.stored = self.stored_bytes = 0
        """Files that guests have sent since the start, and their bytes."""
        self.addresses = AddressCount(quotas.address, quotas.process)
        self.check_memory: Callable[[int], None] = _boundless
        """Raises StorageFullError if the process has no memory for so many bytes, if they are to be in memory."""

    def change(self, quotas: Quotas) -> None:
        """Have other limits from now on. What is stored stays."""
        self.quotas = quotas
        self.addresses.change(quotas.address, quotas.process)

    def reserve(self, room_files: RoomFiles, owner: str, address: str, size: int | None) -> Reservation:
        """Return a reservation for one of `owner`'s files. It holds nothing until bytes come.

        An announced `size` is checked against all limits now. Raises what `check` raises.
        """
        self.check(room_files, owner, address, 1 if size is None else size)
        return Reservation(self, room_files, owner, address, size)

    def recall(self, room_files: RoomFiles, file: StoredFile) -> Reservation:
        """Return the reservation of a file that an earlier process has stored: it counts, also if it does not fit."""
        reservation = Reservation(self, room_files, file.owner, "", file.size)
        reservation.recall()
        return reservation

    def check(self, room_files: RoomFiles, owner: str, address: str, size: int) -> None:
        """Raise StorageFullError or TooLargeError (room_storage_full, guest_storage_full) if `size` more do not fit."""
        self.check_memory(size)
        quotas = self.quotas
        if self.used + size > quotas.process:
            raise StorageFullError
        if sum(room_files.used.values()) + size > quotas.room:
            raise TooLargeError(Code.ROOM_STORAGE_FULL, "This conversation holds as many files as it may")
        if room_files.used.get(owner, 0) + size > quotas.guest:
            raise TooLargeError(Code.GUEST_STORAGE_FULL, "You have sent as much as you may in one conversation")
        if not self.addresses.fits(address, size):
            raise StorageFullError(message="The files from your address use as much space as they may")

    def close(self, room_files: RoomFiles) -> None:
        """Release all bytes of a room, permanently."""
        if room_files.is_open:
            room_files.is_open = False
            self.used -= sum(room_files.used.values())
            for reservation in room_files.reservations:
                reservation.give_back_address(reservation.held)
            room_files.reservations.clear()
