"""The port to where sessions are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from passerby.models import Guest


class SessionStore(Protocol):
    """Guests' sessions by session id, each with an expiry."""

    async def save(self, guest: Guest, lifetime: float) -> None:
        """Store `guest`, in place of what was there, for `lifetime` seconds (> 0) from now; atomic."""

    async def load(self, session_id: str) -> Guest | None:
        """Return the session, or None when there is none or it has expired."""

    async def remove(self, session_id: str) -> None:
        """Remove the session; nothing happens when there is none."""

    async def count(self) -> int:
        """Return how many sessions are stored. One expired but not yet swept may still count."""

    async def sweep(self) -> int:
        """Remove what has expired, where the store does not do so by itself; return how many."""

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Let go of what the port holds; nothing is asked of it any more."""
