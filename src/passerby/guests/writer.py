"""Writes live guests' sessions to the store, asynchronously.

An event handler only marks a guest. One task writes all marked guests, each once even if it was marked several
times. So no handler waits for the store, and the last state of a session is always written.

A store that lets the task wait gets help: several sessions are written at the same time, so that one turn of the event
loop carries many of them.
"""

from __future__ import annotations

import asyncio
from operator import length_hint
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
"""Failures in one run after which the rest waits for the retry."""
_TOGETHER: Final = 64
"""Maximum number of sessions that are written at the same time: enough to share the way to the store, and few enough
that their answers take about a millisecond of one turn of the event loop."""
_LATE: Final = 60.0
"""Seconds after which no answer of the store is in flight any more."""
_PAUSE: Final = 1.0
"""Seconds until a retry after a failure of the store, unless a guest is marked earlier."""


class SessionWriter:
    """The single writing task. Writes of one session stay in order: a save never follows a removal."""

    def __init__(self, store: SessionStore, background: Background, session_ttl: float, *, delay: float = 0) -> None:
        """A session is written `delay` seconds (≥ 0) after it was marked: all its changes until then are one write."""
        self._store = store
        self._background = background
        self._ttl = session_ttl
        self._delay = delay
        self._flushing = 0
        """How many wait until everything is written."""
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
            self._begin_soon()

    def remove(self, session_id: str) -> None:
        """Mark the session for removal."""
        self._removing.add(session_id)
        self._marked[session_id] = None
        if self._again is None:  # else it is due, or the store has just failed
            self._begin_soon()

    def release(self, session_id: str) -> None:
        """Another process writes the session from now on."""
        if session_id not in self._removing:
            self._marked.pop(session_id, None)
            self._background.start("release of a session", self._store.release(session_id))

    def ended(self, session_id: str) -> None:
        """Another process has removed the session."""
        if session_id not in self._removing:
            self._marked.pop(session_id, None)
            self._note_ended(session_id)
            self._background.start("end of a session elsewhere", self._store.ended(session_id))

    async def flush(self) -> None:
        """Try at once to write all marked sessions; return when they are written, or the store has failed."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._flushing += 1
        try:
            self._begin()
            while self._task is not None and not self._task.done():  # after the end of all work it never begins
                await asyncio.wait([self._task])
        finally:
            self._flushing -= 1

    def _begin_soon(self) -> None:
        if not self._delay:
            self._begin()
        elif self._task is None:
            self._again = self._background.call_later("writing of sessions", self._delay, self._begin)

    def _begin(self) -> None:
        self._again = None
        if self._task is None and self._marked:
            self._task = self._background.start("writing of sessions", self._write(), self._try_again)

    def _try_again(self) -> None:
        if self._again is None:
            self._again = self._background.call_later("writing of sessions", _PAUSE, self._begin)

    async def _write(self) -> None:
        """Write what is marked, the oldest first. A session that cannot be written waits, the others do not."""
        run = _Run(self._take())
        try:
            while True:
                run.waiting = run.loop.call_soon(self._help, run)  # called only if the store lets this task wait
                await self._write_some(run)
                run.waiting.cancel()
                if run.helpers:
                    await asyncio.wait(run.helpers)  # so there is never more than one write of a session
                    run.helpers = []
                if run.error is not None or not self._marked or (self._delay and not self._flushing):
                    break
                run.left = self._take()
            run.finish()
        except BaseException:
            run.cancel()
            self._marked = {**run.unwritten, **dict(run.left), **self._marked}  # a newer mark wins
            raise
        finally:
            self._task = None
        if self._marked:
            self._begin_soon()

    def _take(self) -> Iterator[tuple[str, Guest | None]]:
        marked, self._marked = self._marked, {}
        return iter(marked.items())

    def _help(self, run: _Run) -> None:
        """The store lets the task wait: limit the time, and write other sessions meanwhile."""
        if not run.waits:
            run.waits = True
            run.limit.reschedule(run.loop.time() + _TIMEOUT)
        count = min(_TOGETHER - 1, length_hint(run.left))
        run.helpers = [
            run.loop.create_task(self._write_some(run), name="help with the writing of sessions") for _ in range(count)
        ]

    async def _write_some(self, run: _Run) -> None:
        """Write sessions of `run`, one after the other, until none is left. If the store seems to fail, end the run."""
        while run.error is None:
            try:
                async with asyncio.timeout(_TIMEOUT if run.waits else None) as run.limit:
                    await self._write_each(run, run.limit)
                    return
            except FAILURES as error:
                if not is_failure(error):
                    raise
                run.failed(error)

    async def _write_each(self, run: _Run, limit: asyncio.Timeout) -> None:
        """Write sessions of `run` until one cannot be written, or none is left.

        `limit` is for each session; it is put off rarely, because most stores take less time than a timer does.
        """
        time, unwritten = run.loop.time, run.unwritten
        renewal = time() + _RENEWAL
        for session_id, guest in run.left:
            unwritten[session_id] = guest
            now = time()
            if now > renewal:
                renewal = now + _RENEWAL
                limit.reschedule(now + _TIMEOUT)
            if guest is None:
                await self._remove(session_id)
            else:
                await self._store.save(msgspec.structs.replace(guest), self._ttl)
            del unwritten[session_id]

    async def _remove(self, session_id: str) -> None:
        await self._store.remove(session_id)
        self._note_ended(session_id)
        self._removing.discard(session_id)

    def _note_ended(self, session_id: str) -> None:
        self._forget_ended()
        self._ended[session_id] = self._background.clock.monotonic()

    def _forget_ended(self) -> None:
        too_old = self._background.clock.monotonic() - _LATE
        while self._ended and next(iter(self._ended.values())) < too_old:
            del self._ended[next(iter(self._ended))]


class _Run:
    """One run of the writing task."""

    __slots__ = ("_failures", "error", "helpers", "left", "limit", "loop", "unwritten", "waiting", "waits")

    waiting: asyncio.Handle
    """Calls for help, if the task has to wait."""
    limit: asyncio.Timeout
    """Of the task, until there are helpers."""

    def __init__(self, left: Iterator[tuple[str, Guest | None]]) -> None:
        self.loop = asyncio.get_running_loop()
        self.left = left
        """What is to be written."""
        self.unwritten: dict[str, Guest | None] = {}
        """What is being written, or could not be."""
        self.waits = False
        """Whether the store has let the task wait, so that it needs a limit."""
        self.helpers: list[asyncio.Task[None]] = []
        """Tasks that write too."""
        self._failures = 0
        self.error: BaseException | None = None
        """Why the run has ended before all was tried."""

    def failed(self, error: BaseException) -> None:
        """A session could not be written. After several it is the store, not one session, and the run ends."""
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            self.error = error
            self.unwritten.update(self.left)

    def finish(self) -> None:
        """Raise why the run has ended early, or OSError if a session could not be written."""
        if self.error is not None:
            raise self.error
        if self.unwritten:
            raise OSError(f"{len(self.unwritten)} sessions could not be written")

    def cancel(self) -> None:
        """The task ends before its work."""
        self.waiting.cancel()
        for helper in self.helpers:
            helper.cancel()
