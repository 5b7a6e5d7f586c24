"""The port to the session store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.models import Guest


class SessionStore(Protocol):
    """Guests' sessions by session id, each with an expiry."""

    async def save(self, guest: Guest, lifetime: float) -> None:
        """Store `guest` for `lifetime` seconds (> 0) from now, replacing an earlier version; atomic."""

    async def load(self, session_id: str) -> Guest | None:
        """Return the session, or None when it does not exist or has expired, or is no session of ours.

        Raises OSError when it cannot be read: None would end the guest's session.
        """

    async def remove(self, session_id: str) -> None:
        """Remove the session; no effect when it does not exist."""

    async def release(self, session_id: str) -> None:
        """Another process keeps the session from now on: forget what this one knows of it, but do not remove it."""

    async def ended(self, session_id: str) -> None:
        """Another process has removed the session: do not bring it back. What this one writes just now is removed."""

    def saved(self) -> AsyncIterator[Guest]:
        """Yield all sessions, in no order, for a process that begins. One that is saved meanwhile may be missing.

        Raises OSError when they cannot be read.
        """

    async def count(self) -> int:
        """Return the number of stored sessions. Sessions that are expired but not yet swept may be included."""

    async def sweep(self) -> int:
        """Remove expired sessions, if the store does not do so itself; return their number."""

    async def check(self) -> None:
        """Raise OSError when the port cannot serve now."""

    async def close(self) -> None:
        """Release all resources; the port is not used afterwards."""
