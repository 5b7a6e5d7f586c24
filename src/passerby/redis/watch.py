"""Watches Redis: whether it can be used, and whether it still has our data.

    NORMAL ──────────────▶ DEGRADED     it is lost, or refuses to serve
       ╲                      │         a probe succeeds: the marker could be written
        ╲  the marker is gone ▼
         ╰──────────────▶ RESYNC        everything is written again
       ▲                      │
       ╰──────────────────────╯         all is written

Each change is one line in the log, and is counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Final

from passerby.background import FAILURES, is_failure
from passerby.clock import sleep, time_limit
from passerby.redis.errors import UNFIT, LostError, RedisError, RefusedError
from passerby.redis.opening import meaning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from passerby.background import Background
    from passerby.redis.links import Link

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
"""Seconds between two attempts; doubled after each that fails, so that thousands of them do not hurt a server."""
LONGEST_PAUSE: Final = 1.0
"""Maximum seconds between two attempts: a server that is back is in use soon."""
LONGEST_RESYNC_PAUSE: Final = 2.0
"""The same if it takes writes, but then fails: each attempt writes everything again."""
STEADY: Final = 5.0
"""Seconds of NORMAL after which the pauses begin anew: a server that fails each time is not asked without a pause."""


class State(Enum):
    """How Redis stands."""

    NORMAL = "normal"
    """It is in use, and has all data."""
    DEGRADED = "degraded"
    """It is not used: the memory of this process goes on alone."""
    RESYNC = "resync"
    """It is in use, and everything that it may lack is being written."""


class Watch:
    """Keeps a link to Redis, as long as the process runs."""

    def __init__(self, background: Background, place: str, connect: Callable[[], Awaitable[Link]]) -> None:
        """`connect` opens a link, or raises RedisError; `place` is how the log names it."""
        self.state = State.DEGRADED
        self.reason = "not connected yet"
        """Why it is so, in plain words."""
        self.changes: Counter[State] = Counter()
        """How often each state began."""
        self.link: Link | None = None
        """What commands go to; None while Redis is not to be used."""
        self._background = background
        self._clock = background.clock
        self._place = place
        self._connect = connect
        self._current: Link | None = None
        """The open link, also while Redis refuses to serve."""
        self._resyncs: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._uses: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self._failures = 0
        """Number of attempts in a row that failed."""
        self._told: set[str] = set()
        """Reasons that were logged since Redis was in use."""
        self._trouble = asyncio.Event()
        """Set when something is wrong with the current link."""
        self._is_lost = False
        self.reached = {state: asyncio.Event() for state in State}
        """The event of the current state is set."""
        self.reached[self.state].set()
        self._is_closed = False

    # ── interface ─────────────────────────────────────────────────────────────────────────────────

    def on_resync(self, name: str, resync: Callable[[], Awaitable[None]]) -> None:
        """Await `resync()` whenever Redis may lack data, in the order of registration.

        It may be cancelled, and begins anew later. What it raises is logged, if it is not Redis' own error, and
        leads to another attempt.
        """
        self._resyncs.append((name, resync))

    def on_use(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """Also call `begin()` before Redis is used and gets everything again, and `end()` when it is used no longer."""
        self._uses.append((begin, end))

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._background.repeat("watch on Redis", self._attempt)

    async def ready(self, seconds: float) -> bool:
        """Wait until the state is NORMAL, for at most `seconds`; return whether it is."""
        try:
            async with time_limit(self._clock, seconds):
                await self.reached[State.NORMAL].wait()
        except TimeoutError:
            return False
        return True

    async def close(self, seconds: float) -> None:
        """End the link, after at most `seconds` for answers to what was sent."""
        link, self._current, self._is_closed = self._current, None, True
        if link is None:
            return
        try:
            async with time_limit(self._clock, seconds):
                await link.drain()
        except OSError:  # also TimeoutError
            pass
        self.link = None
        link.close()

    # ── what the link tells ───────────────────────────────────────────────────────────────────────

    def lost(self, error: LostError) -> None:
        """See Watcher."""
        if not self._is_lost:  # else it is given up, and the reason known
            self._is_lost = True
            self._degrade(str(error), is_loss=True)

    def refused(self, error: RefusedError) -> None:
        """See Watcher."""
        if error.code in UNFIT:
            # Another server may be the primary now, or another login is needed.
            self._is_lost = self._is_lost or error.code in ("READONLY", "MASTERDOWN", "NOAUTH")
            self._degrade(meaning(error))

    def missed(self, reason: str) -> None:
        """See Watcher."""
        if self.state is not State.DEGRADED:
            self._enter(State.RESYNC, reason)
            self._trouble.set()

    # ── the states ────────────────────────────────────────────────────────────────────────────────

    def _degrade(self, reason: str, *, is_loss: bool = False) -> None:
        """Use Redis no longer. A loss is logged once, however each attempt fails; what has to be repaired always is."""
        self._trouble.set()
        self.link = None
        if self._is_closed:
            return
        if self.state is not State.DEGRADED:
            self._told.clear()
            self._enter(State.DEGRADED, reason)
            for _, end in self._uses:
                self._background.attempt("end of the use of Redis", end)
        self.reason = reason
        if reason not in self._told and not (is_loss and self._told):
            self._told.add(reason)
            log.warning(
                "Redis cannot be used: the memory of this process goes on alone",
                extra={"redis": self._place, "reason": reason},
            )

    def _enter(self, state: State, reason: str) -> None:
        self.reached[self.state].clear()
        self.reached[state].set()
        self.state = state
        self.reason = reason
        self.changes[state] += 1
        if state is State.NORMAL:
            log.info("Redis is in use", extra={"redis": self._place})
        elif state is State.RESYNC:
            log.info("Redis gets everything again", extra={"redis": self._place, "reason": reason})

    # ── the loop ──────────────────────────────────────────────────────────────────────────────────

    async def _attempt(self) -> None:
        """Connect, and use the link until it is lost; then pause."""
        if self._is_closed:
            await asyncio.Event().wait()  # until the loops are cancelled
        self._is_lost = False
        try:
            link = self._current = await self._connect()
        except RedisError as error:
            self._degrade(str(error), is_loss=isinstance(error, LostError))
            await self._pause()
            return
        # When the process stops, its loops are cancelled first: the link stays until `close`, for the last writes.
        while not self._is_lost:
            await self._use(link)
        link.close()
        self._current = None
        await self._pause()

    async def _use(self, link: Link) -> None:
        """Go from DEGRADED or RESYNC to NORMAL, and wait until that ends; or pause after a failure."""
        self._trouble.clear()
        longest = LONGEST_PAUSE
        try:
            await link.claim()
        except RedisError as error:
            reason = meaning(error) if isinstance(error, RefusedError) else str(error)
            self._degrade(reason, is_loss=isinstance(error, LostError))
        if not self._trouble.is_set():
            longest = LONGEST_RESYNC_PAUSE
            if self.state is State.DEGRADED:
                self._enter(State.RESYNC, "it can be used")
            for begin, _ in self._uses:
                self._background.attempt("begin of the use of Redis", begin)
            self.link = link
            if await self._resync():
                self._enter(State.NORMAL, "it has everything")
                since = self._clock.monotonic()
                await self._trouble.wait()
                if self._clock.monotonic() - since >= STEADY:
                    self._failures = 0
        if self.state is State.DEGRADED and not self._is_lost:
            await self._pause(longest)

    async def _resync(self) -> bool:
        """Run all that is registered; return whether it succeeded and nothing has happened meanwhile."""
        trouble = asyncio.ensure_future(self._trouble.wait())
        work = asyncio.ensure_future(self._run_all())
        try:
            await asyncio.wait((trouble, work), return_when=asyncio.FIRST_COMPLETED)
        finally:
            trouble.cancel()
            work.cancel()
        await asyncio.wait((work,))
        if self._trouble.is_set():
            return False
        failed = None if work.cancelled() else work.result()
        if failed is None:
            return True
        self._degrade(failed)
        return False

    async def _run_all(self) -> str | None:
        """Return why it failed, or None."""
        for name, resync in self._resyncs:
            try:
                await resync()
            except RedisError as error:
                return meaning(error) if isinstance(error, RefusedError) else str(error)
            except FAILURES as error:
                if not is_failure(error):
                    raise
                self._background.failed(f"resync of {name}", error)
                return f"the resync of {name} failed"
        return None

    async def _pause(self, longest: float = LONGEST_PAUSE) -> None:
        """Wait before the next attempt, longer each time, but at most `longest` seconds."""
        if self._failures:
            await sleep(self._clock, min(FIRST_PAUSE * 2 ** (self._failures - 1), longest))
        self._failures = min(self._failures + 1, 10)
