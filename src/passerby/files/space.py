"""Quotas: how many bytes of files a guest, a room and the process may use, and reservations for uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from passerby.errors import Code, StorageFullError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.live import Room
    from passerby.models import StoredFile


class Quotas(Struct, frozen=True, kw_only=True):
    """Limits in bytes, pixels and seconds; see the settings of the same names."""

    file: int
    room: int
    guest: int
    process: int
    pixels: int
    seconds: float

    def too_large(self) -> TooLargeError:
        """Return the error for a file above the size limit."""
        return TooLargeError(Code.FILE_TOO_LARGE, f"A file has at most {self.file:,} bytes", field="file")


class RoomFiles:
    """The files of one room, and the bytes used by them and by uploads, per guest."""

    __slots__ = ("downloads", "files", "is_open", "room", "used")

    def __init__(self, room: Room) -> None:
        """Start without files."""
        self.room = room
        self.is_open = True
        """False when the room has closed: no downloads and no uploads any more."""
        self.files: dict[str, StoredFile] = {}
        self.used: dict[str, int] = {}
        self.downloads: set[Callable[[], None]] = set()
        """Callbacks that abort the running downloads."""


class Reservation:
    """Bytes reserved in a room for one upload. Its owner must call `keep` or `release`."""

    __slots__ = ("_owner", "_room_files", "_space", "size")

    def __init__(self, space: Space, room_files: RoomFiles, owner: str, size: int) -> None:
        """Hold `size` bytes reserved by `Space.reserve`."""
        self._space = space
        self._room_files = room_files
        self._owner = owner
        self.size = size

    def keep(self, size: int) -> None:
        """Keep `size` bytes for the stored file; release the rest."""
        self._space.give_back(self._room_files, self._owner, self.size - size)
        self.size = size

    def release(self) -> None:
        """Release all bytes; a second call has no effect."""
        self.keep(0)


class Space:
    """Counts the bytes used by files and reserved by uploads."""

    def __init__(self, quotas: Quotas) -> None:
        """Start with no bytes used."""
        self.quotas = quotas
        self.used = 0

    def reserve(self, room_files: RoomFiles, owner: str, size: int) -> Reservation:
        """Reserve `size` bytes for one of `owner`'s files.

        Raises StorageFullError, TooLargeError (room_storage_full, guest_storage_full).
        """
        quotas = self.quotas
        if self.used + size > quotas.process:
            raise StorageFullError
        if sum(room_files.used.values()) + size > quotas.room:
            raise TooLargeError(Code.ROOM_STORAGE_FULL, "This conversation holds as many files as it may")
        if room_files.used.get(owner, 0) + size > quotas.guest:
            raise TooLargeError(Code.GUEST_STORAGE_FULL, "You have sent as much as you may in one conversation")
        self.used += size
        room_files.used[owner] = room_files.used.get(owner, 0) + size
        return Reservation(self, room_files, owner, size)

    def give_back(self, room_files: RoomFiles, owner: str, size: int) -> None:
        """Release `size` bytes; ignored for a closed room, whose bytes are already released."""
        if room_files.is_open:
            self.used -= size
            room_files.used[owner] -= size

    def close(self, room_files: RoomFiles) -> None:
        """Release all bytes of a room, permanently."""
        if room_files.is_open:
            room_files.is_open = False
            self.used -= sum(room_files.used.values())
