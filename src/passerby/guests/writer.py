"""Writes live guests' sessions to the store, behind the events that change them.

An event handler only marks a guest; one task writes what is marked, each guest once however often it
was marked meanwhile. So no handler waits for the store, and a session's last state always gets there.
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
"""Seconds from a failure of the store to the next attempt, should nothing be marked before."""


class SessionWriter:
    """The one task that writes. Order for one session is kept: a removal is never overtaken by a save."""

    def __init__(self, store: SessionStore, background: Background, session_ttl: float) -> None:
        """Nothing is written until something is marked."""
        self._store = store
        self._background = background
        self._ttl = session_ttl
        self._marked: dict[str, Guest | None] = {}
        self._removing: set[str] = set()
        self._task: asyncio.Task[bool] | None = None
        self._again: Timer | None = None

    def is_removing(self, session_id: str) -> bool:
        """Tell whether a session is over, though the store may still have it."""
        return session_id in self._removing

    def save(self, guest: Guest) -> None:
        """Mark `guest` to be saved as it will be when its turn comes; nothing once it is marked to be removed."""
        session_id = guest.session_id
        if session_id in self._removing:
            return
        self._marked[session_id] = guest
        if self._task is None or self._again is not None:  # else there is nothing to begin: this is called often
            self._begin()

    def remove(self, session_id: str) -> None:
        """Mark the session to be removed."""
        self._removing.add(session_id)
        self._marked[session_id] = None
        self._begin()

    async def flush(self) -> None:
        """Wait until all that is marked is written, or the store has failed to."""
        self._begin()
        while self._task is not None:
            await asyncio.wait([self._task])

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
