"""Writes live guests' sessions to the store, asynchronously.

An event handler only marks a guest. One task writes all marked guests, each once even if it was marked several
times. So no handler waits for the store, and the last state of a session is always written.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from passerby.background import FAILURES, is_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from passerby.background import Background
    from passerby.clock import Timer
    from passerby.guests.store import SessionStore
    from passerby.models import Guest

_TIMEOUT: Final = 5.0
"""Maximum number of seconds (real time) for writing one session, so that one that hangs does not block the others."""
_RENEWAL: Final = 0.5
"""Seconds between two renewals of that limit: so much less a session may have."""
_MAX_FAILURES: Final = 3
"""Failures in one pass after which the rest waits for the retry."""
_LATE: Final = 60.0
"""Seconds after which no answer of the store is in flight any more."""
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
        self._ended: dict[str, float] = {}
        """When each session was removed: an answer of the store from before may still be in flight."""
        self._task: asyncio.Future[bool] | None = None
        self._again: Timer | None = None

    def is_ended(self, session_id: str) -> bool:
        """Return whether a session has ended, even if the store still has it, or has just answered with it."""
        return session_id in self._removing or session_id in self._ended

    def save(self, guest: Guest) -> None:
        """Mark `guest` to be saved with its state at the time of writing; ignored if it is marked for removal."""
        session_id = guest.session_id
        if session_id in self._removing:
            return
        self._marked[session_id] = guest
        if self._task is None and self._again is None:  # `_begin` looks too, but this is called often
            self._begin()

    def remove(self, session_id: str) -> None:
        """Mark the session for removal."""
        self._removing.add(session_id)
        self._marked[session_id] = None
        if self._again is None:  # else the store has just failed, and a retry is due
            self._begin()

    async def flush(self) -> None:
        """Try at once to write all marked sessions; return when they are written, or the store has failed."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._begin()
        while self._task is not None and not self._task.done():  # after the end of all work it never begins
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        self._again = None
        if self._task is None and self._marked:
            self._task = self._background.start("writing of sessions", self._write(), self._try_again)

    def _try_again(self) -> None:
        if self._again is None:
            self._again = self._background.call_later("writing of sessions", _PAUSE, self._begin)

    async def _write(self) -> None:
        """Write what is marked, the oldest first. A session that cannot be written waits, the others do not."""
        failed: dict[str, Guest | None] = {}
        left = self._take()
        try:
            while True:
                try:
                    async with asyncio.timeout(_TIMEOUT) as limit:
                        await self._write_all(left, failed, limit)
                except FAILURES as error:
                    if len(failed) >= _MAX_FAILURES or not is_failure(error):
                        raise  # it is the store, not one session, or the end of this task
                    continue
                if not self._marked:
                    break
                left = self._take()
            if failed:
                raise OSError(f"{len(failed)} sessions could not be written")
        finally:
            self._task = None
            self._marked = {**failed, **dict(left), **self._marked}  # a newer mark wins

    def _take(self) -> Iterator[tuple[str, Guest | None]]:
        marked, self._marked = self._marked, {}
        return iter(marked.items())

    async def _write_all(
        self, left: Iterator[tuple[str, Guest | None]], failed: dict[str, Guest | None], limit: asyncio.Timeout
    ) -> None:
        """Write the sessions of `left` until one cannot be written, which is in `failed` then.

        `limit` is for each session; it is put off rarely, because most stores take less time than a timer does.
        """
        time = asyncio.get_running_loop().time
        renewal = time() + _RENEWAL
        for session_id, guest in left:
            failed[session_id] = guest
            now = time()
            if now > renewal:
                renewal = now + _RENEWAL
                limit.reschedule(now + _TIMEOUT)
            if guest is None:
                await self._remove(session_id)
            else:
                await self._store.save(msgspec.structs.replace(guest), self._ttl)
            del failed[session_id]

    async def _remove(self, session_id: str) -> None:
        await self._store.remove(session_id)
        self._forget_ended()
        self._ended[session_id] = self._background.clock.monotonic()
        self._removing.discard(session_id)

    def _forget_ended(self) -> None:
        too_old = self._background.clock.monotonic() - _LATE
        while self._ended and next(iter(self._ended.values())) < too_old:
            del self._ended[next(iter(self._ended))]
