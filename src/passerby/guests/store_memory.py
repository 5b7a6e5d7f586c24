"""Sessions in this process's memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from passerby.models import Guest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from passerby.clock import Clock


class MemorySessionStore:
    """Sessions as encoded JSON, so that `load` returns a copy, as any other store would."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for expiry."""
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Guest)

    async def save(self, guest: Guest, lifetime: float) -> None:
        """See SessionStore."""
        self._sessions.pop(guest.session_id, None)
        self._sessions[guest.session_id] = (
            self._clock.monotonic() + lifetime,
            self._encoder.encode(guest),
        )

    async def load(self, session_id: str) -> Guest | None:
        """See SessionStore."""
        found = self.read(session_id)
        return None if found is None else self._decoder.decode(found[1])

    async def saved(self) -> AsyncIterator[Guest]:
        """See SessionStore."""
        for session_id in self.ids():
            guest = await self.load(session_id)
            if guest is not None:
                yield guest

    def read(self, session_id: str) -> tuple[float, bytes] | None:
        """Return the seconds until the session expires (> 0), and its JSON; None as with `load`."""
        entry = self._sessions.get(session_id)
        if entry is None or (left := entry[0] - self._clock.monotonic()) <= 0:
            return None
        return left, entry[1]

    def ids(self) -> list[str]:
        """Return the ids of all sessions, also of those that have just expired."""
        return list(self._sessions)

    async def remove(self, session_id: str) -> None:
        """See SessionStore."""
        self._sessions.pop(session_id, None)

    async def release(self, session_id: str) -> None:
        """See SessionStore. No other process can have it."""

    async def ended(self, session_id: str) -> None:
        """See SessionStore."""
        await self.remove(session_id)

    async def count(self) -> int:
        """See SessionStore."""
        # Sessions saved earliest come first, and usually expire first.
        now = self._clock.monotonic()
        while self._sessions and next(iter(self._sessions.values()))[0] <= now:
            self._sessions.popitem(last=False)
        return len(self._sessions)

    async def sweep(self) -> int:
        """See SessionStore."""
        now = self._clock.monotonic()
        expired = [key for key, (expires, _) in self._sessions.items() if expires <= now]
        for key in expired:
            del self._sessions[key]
        return len(expired)

    async def check(self) -> None:
        """See SessionStore."""

    async def close(self) -> None:
        """See SessionStore."""
        self._sessions.clear()
