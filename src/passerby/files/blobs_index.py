"""Index of published files and their expiry, shared by the stores of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.models import StoredFile


PIECE: Final = 64 * 1024
"""Bytes per read."""


class Index:
    """Published files and their expiry."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for expiry."""
        self._clock = clock
        self._files: dict[str, tuple[StoredFile, float]] = {}

    def add(self, file: StoredFile, lifetime: float) -> None:
        """Publish `file` for `lifetime` seconds (> 0) from now."""
        self._files[file.id] = file, self._clock.monotonic() + lifetime

    def get(self, file_id: str) -> StoredFile | None:
        """Return a published file that has not expired, or None."""
        entry = self._files.get(file_id)
        return entry[0] if entry is not None and entry[1] > self._clock.monotonic() else None

    def all(self) -> list[StoredFile]:
        """Return the published files that have not expired."""
        now = self._clock.monotonic()
        return [file for file, until in self._files.values() if until > now]

    def remove(self, file_id: str) -> None:
        """Remove a file; no effect when it does not exist."""
        self._files.pop(file_id, None)

    def clear(self) -> None:
        """Remove all files."""
        self._files.clear()

    def expired(self) -> list[str]:
        """Return the ids of expired files."""
        now = self._clock.monotonic()
        return [file_id for file_id, (_, until) in self._files.items() if until <= now]
