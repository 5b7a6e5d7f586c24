"""Space for files: how many bytes a guest, a room and the process may take, and who has set aside how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from passerby.errors import Code, StorageFullError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.live import Room
    from passerby.models import StoredFile


class Quotas(Struct, frozen=True, kw_only=True):
    """Bytes, pixels and seconds; see Settings of the same names."""

    file: int
    room: int
    guest: int
    process: int
    pixels: int
    seconds: float

    def too_large(self) -> TooLargeError:
        """Return the refusal of a file beyond the limit."""
        return TooLargeError(Code.FILE_TOO_LARGE, f"A file has at most {self.file:,} bytes", field="file")


class Shelf:
    """The files of one room, and the bytes that they and its uploads take, by guest."""

    __slots__ = ("downloads", "files", "is_open", "room", "used")

    def __init__(self, room: Room) -> None:
        """Begin empty."""
        self.room = room
        self.is_open = True
        """False once the room has closed: nothing is served from here, and nothing comes here any more."""
        self.files: dict[str, StoredFile] = {}
        self.used: dict[str, int] = {}
        self.downloads: set[Callable[[], None]] = set()
        """What cuts each that is under way."""


class Reservation:
    """Bytes set aside on a shelf for one file. Whoever has one must `keep` what is stored, or `release` it."""

    __slots__ = ("_owner", "_shelf", "_space", "size")

    def __init__(self, space: Space, shelf: Shelf, owner: str, size: int) -> None:
        """Hold `size` bytes that `Space.reserve` has set aside."""
        self._space = space
        self._shelf = shelf
        self._owner = owner
        self.size = size

    def keep(self, size: int) -> None:
        """Keep `size` bytes for a file that is stored now, give back the others."""
        self._space.give_back(self._shelf, self._owner, self.size - size)
        self.size = size

    def release(self) -> None:
        """Give all of it back; nothing happens the second time."""
        self.keep(0)


class Space:
    """The bytes that files and uploads take, or have been promised."""

    def __init__(self, quotas: Quotas) -> None:
        """Begin empty."""
        self.quotas = quotas
        self.used = 0

    def reserve(self, shelf: Shelf, owner: str, size: int) -> Reservation:
        """Set aside `size` bytes for one of `owner`'s files.

        Raises StorageFullError, TooLargeError (room_storage_full, guest_storage_full).
        """
        quotas = self.quotas
        if self.used + size > quotas.process:
            raise StorageFullError(60)
        if sum(shelf.used.values()) + size > quotas.room:
            raise TooLargeError(Code.ROOM_STORAGE_FULL, "This conversation holds as many files as it may")
        if shelf.used.get(owner, 0) + size > quotas.guest:
            raise TooLargeError(Code.GUEST_STORAGE_FULL, "You have sent as much as you may in one conversation")
        self.used += size
        shelf.used[owner] = shelf.used.get(owner, 0) + size
        return Reservation(self, shelf, owner, size)

    def give_back(self, shelf: Shelf, owner: str, size: int) -> None:
        """Give back `size` bytes; those of a closed room have been given back already."""
        if shelf.is_open:
            self.used -= size
            shelf.used[owner] -= size

    def close(self, shelf: Shelf) -> None:
        """Give back all that a shelf holds, for good."""
        if shelf.is_open:
            shelf.is_open = False
            self.used -= sum(shelf.used.values())
