"""Watches the process: an event loop that stood still, and file descriptors that ran out.

A server that was paused (SIGSTOP, a frozen virtual machine, a blocked loop) finds all its timers due at once, and the
answers that clients have sent meanwhile not read yet. It must not blame the clients. So timers made here begin anew
what they had left: they are later by the time that was lost.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from passerby.clock import SystemClock, nothing, sleep
from passerby.logs import Sampled

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.background import Background
    from passerby.clock import Clock, Timer

log = logging.getLogger(__name__)

TICK: Final = 1.0
"""Seconds between two looks."""
LATE: Final = 3.0
"""Seconds that a look may be late: a busy loop is late too, but then clients wait as long as the server."""
RESERVED: Final = 256
"""Descriptors for what is no counted connection: files on disk, connections that are being refused, the loop's own."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)


class Loop(Protocol):
    """The part of the event loop that is needed."""

    def time(self) -> float:
        """Return monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once at `when`."""


def make_room(connections: int) -> int:
    """Let the process have descriptors for `connections`. Return for how many it may have them; log if they are fewer.

    Systems often begin a process with 1024, and let it raise that. Without room a few clients could use them all up,
    and nobody else would even be refused.
    """
    if sys.platform == "win32":
        return connections
    wanted = connections + RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # macOS has a limit below the one that it tells
        most = soft
    fitting = min(connections, max(most - RESERVED, most // 2))
    if fitting < connections:
        log.info(
            "fewer connections than MAX_CONNECTIONS fit (see ulimit -Hn)",
            extra={"connections": fitting, "descriptors": most},
        )
    return fitting


class Watch:
    """Looks once a second. Its timers wait longer by the time in which the event loop stood still.

    `time` and `call_at` are those of an event loop, so queues of delays can use it in place of one.
    """

    def __init__(self) -> None:
        """Nothing runs until `start`."""
        self._loop: Loop | None = None
        self._last = 0.0
        self._tick: Timer | None = None
        self._listeners: list[Callable[[float], object]] = []
        self._background: Background | None = None
        self.lost = 0.0
        """Seconds in which the event loop stood still, in all."""
        self._exhausted = Sampled(log.error, "no file descriptors left: new connections are refused (see ulimit -n)")

    def start(self, background: Background, loop: Loop | None = None) -> None:
        """Look once a second from now on. A listener that fails is reported to `background`."""
        self._background = background
        self._loop = loop or asyncio.get_running_loop()
        self._last = self._loop.time()
        self._look_later()

    def stop(self) -> None:
        """Stop looking. No time is lost any more."""
        self._background = None
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None

    def on_lost(self, listener: Callable[[float], object]) -> None:
        """Call `listener` with the seconds that were lost, before any timer of this object is called."""
        self._listeners.append(listener)

    # ── a loop that stood still ───────────────────────────────────────────────────────────────────

    def _look_later(self) -> None:
        self._tick = self.loop.call_at(self._last + TICK, self._look_again)

    def _look_again(self) -> None:
        self.look()
        self._last = self.loop.time()
        self._look_later()

    def look(self) -> None:
        """Notice lost time. Every timer looks first: which of those that are due is called first is not known."""
        now = self.loop.time()
        gap = now - self._last
        if self._background is None or gap <= TICK + LATE:
            return
        self._last = now
        self.lost += gap
        log.warning("the event loop stood still: all time limits are extended", extra={"seconds": round(gap, 1)})
        for listener in self._listeners:
            self._background.attempt("extension of time limits", listener, gap)

    @property
    def loop(self) -> Loop:
        """The event loop."""
        return self._loop or asyncio.get_running_loop()

    def time(self) -> float:
        """Return the event loop's time."""
        return self.loop.time()

    def call_at(self, when: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once at `when`, or later by the time that is lost until then."""
        return _PatientTimer(self, when, callback)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds (≥ 0) from now, or later by the time that is lost until then."""
        return _PatientTimer(self, self.loop.time() + delay, callback)

    # ── descriptors ───────────────────────────────────────────────────────────────────────────────

    async def look_at_descriptors(self, clock: Clock) -> None:
        """Wait for the next look, and log, once a minute, that no descriptor is left."""
        await sleep(clock, TICK)
        # uvloop tells nobody that it drops connections for want of descriptors, so ask the system.
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._exhausted.note()

    def handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what the event loop reports: Python's own loop reports each connection that it cannot accept."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _EXHAUSTED:
            self._exhausted.note()
        else:
            loop.default_exception_handler(context)


class _PatientTimer:
    __slots__ = ("_callback", "_lost", "_timer", "_watch", "_when")

    def __init__(self, watch: Watch, when: float, callback: Callable[[], object]) -> None:
        self._watch = watch
        self._when = when
        self._callback = callback
        self._lost = watch.lost
        self._timer = watch.loop.call_at(when, self._fire)

    def cancel(self) -> None:
        self._timer.cancel()
        self._callback = nothing  # it may refer to this timer

    def _fire(self) -> None:
        watch = self._watch
        watch.look()
        lost = watch.lost - self._lost
        if lost:
            self._lost = watch.lost
            self._when += lost
            self._timer = watch.loop.call_at(self._when, self._fire)
        else:
            callback = self._callback
            self.cancel()
            callback()


class PatientClock(SystemClock):
    """The system's clock, with the timers of a Watch."""

    def __init__(self, watch: Watch) -> None:
        """Make timers with `watch`."""
        self.call_later = watch.call_later  # type: ignore[method-assign]  # the same signature
