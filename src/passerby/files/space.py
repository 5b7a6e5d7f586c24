"""Space for files: how many bytes a guest, a room and the process may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from passerby.models import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable


class Quotas(Struct, frozen=True, kw_only=True):
    """Bytes, pixels and seconds; see Settings of the same names."""

    file: int
    room: int
    guest: int
    process: int
    pixels: int
    seconds: float


class Shelf:
    """The files of a room that is open, and the bytes that they and its uploads take, by guest."""

    def __init__(self) -> None:
        self.files: dict[str, StoredFile] = {}
        self.used: dict[str, int] = {}
        self.downloads: set[Callable[[], None]] = set()
        """What cuts each that is under way."""
