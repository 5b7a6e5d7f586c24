"""Writes live guests' sessions to the store, asynchronously.

An event handler only marks a guest. One task writes all marked guests, each once even if it was marked several
times. So no handler waits for the store, and the last state of a session is always written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from passerby.background import Background
    from passerby.clock import Timer
    from passerby.guests.store import SessionStore
    from passerby.models import Guest

_PAUSE: Final = 1.0
"""Seconds until a retry after a failure of the store, unless a guest is marked earlier."""


class SessionWriter:
    """The single writing task. Writes of one session stay in order: a save never follows a removal."""

    def __init__(self, store: SessionStore, background: Background, session_ttl: float) -> None:
        """Nothing is written until a guest is marked."""
        self._store = store
        self._background = background
        self._ttl = session_ttl
        self._marked: dict[str, Guest | None] = {}
        self._removing: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._again: Timer | None = None

    def is_removing(self, session_id: str) -> bool:
        """Return whether a session has ended, even if the store still has it."""
        return session_id in self._removing

    def save(self, guest: Guest) -> None:
        """Mark `guest` to be saved with its state at the time of writing; ignored if it is marked for removal."""
        if guest.session_id in self._removing:
            return
        self._mark(guest.session_id, guest)

    def remove(self, session_id: str) -> None:
        """Mark the session for removal."""
        self._removing.add(session_id)
        self._mark(session_id, None)

    async def flush(self) -> None:
        """Wait until all marked sessions are written, or the store has failed."""
        self._begin()
        while self._task is not None:
            await asyncio.wait([self._task])

    def _mark(self, session_id: str, guest: Guest | None) -> None:
        self._marked[session_id] = guest
        self._begin()

    def _begin(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._task is None and self._marked:
            self._task = self._background.start("writing of sessions", self._write(), self._try_again)

    def _try_again(self) -> None:
        self._again = self._background.call_later("writing of sessions", _PAUSE, self._begin)

    async def _write(self) -> None:
        try:
            while self._marked:
                session_id, guest = self._marked.popitem()
                try:
                    if guest is None:
                        await self._store.remove(session_id)
                        self._removing.discard(session_id)
                    else:
                        await self._store.save(msgspec.structs.replace(guest), self._ttl)
                except BaseException:
                    self._marked.setdefault(session_id, guest)
                    raise
        finally:
            self._task = None
