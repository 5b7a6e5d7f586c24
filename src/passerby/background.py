"""Supervised background work: every task that no caller awaits, every loop and every timer of the services.

A failure is logged with the name of the work and counted; it affects only that attempt. If a guest waits for the
work, `failed` informs them; see docs/architecture.md, "When something fails".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from passerby.clock import sleep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from passerby.clock import Clock, Timer

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
"""Seconds before a failed loop runs its next step; doubled after each further failure in a row."""
LOG_INTERVAL: Final = 1.0
"""Minimum number of seconds between two log records about the same work; all failures are counted."""
LONGEST_PAUSE: Final = 30.0
"""Maximum pause of a loop in seconds: a loop that keeps failing is retried twice a minute."""
_CANCELLED: Final = 1.0
"""Seconds that cancelled work has to end: enough for its `finally` blocks."""


FAILURES: Final = (Exception, asyncio.CancelledError, BaseExceptionGroup)
"""What awaited work may raise when it fails. A cancellation may be of something that it awaited, see `is_failure`."""


def is_failure(error: BaseException) -> bool:
    """Return whether one of FAILURES is an error of the work, and not the cancellation of the running task."""
    return not (isinstance(error, asyncio.CancelledError) and _is_cancelled())


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Background:
    """The tasks, loops and timers of one process. After `stop` none of them runs."""

    def __init__(self, clock: Clock) -> None:
        """Use `clock` for timers and pauses."""
        self.clock = clock
        self._tasks: set[asyncio.Task[bool]] = set()
        self._loops: set[asyncio.Task[None]] = set()
        self.timers: set[_Timer] = set()
        """The pending timers."""
        self.failures: Counter[str] = Counter()
        """Number of failures by name of the work."""
        self._logged: dict[str, float] = {}
        """When each was logged last, in seconds of the monotonic clock."""

    # ── failures ──────────────────────────────────────────────────────────────────────────────────

    def failed(self, name: str, error: BaseException) -> None:
        """Count a failure of the work called `name`, and log it, at most once a second for each name."""
        self.failures[name] += 1
        now = self.clock.monotonic()
        if now - self._logged.get(name, -LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged[name] = now
            log.error("%s failed", name, exc_info=error, extra={"failures": self.failures[name]})

    def attempt(self, name: str, work: Callable[..., object], *arguments: object) -> bool:
        """Call `work(*arguments)`; return whether it succeeded. An exception is logged, so later steps still run."""
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - the next step must run after any error
            self.failed(name, error)
            return False
        return True

    # ── work ──────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, name: str, work: Coroutine[Any, Any, None], failed: Callable[[], object] | None = None
    ) -> asyncio.Task[bool]:
        """Run `work` in a task. If it fails, `failed` is called, so that a waiting client can be informed."""
        task = asyncio.get_running_loop().create_task(self._ends_well(name, work, failed), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ends_well(self, name: str, work: Awaitable[None], failed: Callable[[], object] | None = None) -> bool:
        try:
            await work
        except FAILURES as error:
            if not is_failure(error):
                raise
            self.failed(name, error)
            if _is_cancelled():
                raise asyncio.CancelledError from error  # the work has answered the cancellation with another error
        else:
            return True
        if failed is not None:
            self.attempt(f"{name}, telling so", failed)
        return False

    def repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Await `step()` repeatedly until `stop`. After a failed step there is a pause (exponential back-off)."""
        task = asyncio.get_running_loop().create_task(self._repeat(name, step), name=name)
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        pause = 0.0
        while True:
            if await self._ends_well(name, step()):
                pause = 0.0
            else:
                pause = min(max(FIRST_PAUSE, pause * 2), LONGEST_PAUSE)
                await sleep(self.clock, pause)

    def call_later(self, name: str, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds (≥ 0) from now, unless it is cancelled or `stop` is called first."""
        return _Timer(self, name, delay, callback)

    # ── stopping ──────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """Wait until all started tasks have ended, including tasks that they start. Loops continue."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self, deadline: float) -> None:
        """Cancel loops and timers. Started tasks get `deadline` seconds (real time), then they are cancelled."""
        for timer in list(self.timers):
            timer.cancel()
        loops, self._loops = self._loops, set()
        for task in loops:
            task.cancel()
        if loops:
            await asyncio.wait(loops, timeout=_CANCELLED)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self.settle()
        late = set(self._tasks)
        for work in late:
            log.error("%s did not end in time", work.get_name())
            work.cancel()
        if late:
            await asyncio.wait(late, timeout=_CANCELLED)

    async def finish(self, name: str, work: Coroutine[Any, Any, None], deadline: float) -> bool:
        """Await `work` for at most `deadline` seconds; return whether it succeeded. Its exceptions are logged."""
        task = asyncio.get_running_loop().create_task(self._ends_well(name, work), name=name)
        done, _ = await asyncio.wait({task}, timeout=deadline)
        if done:
            return task.result()
        self.failed(name, TimeoutError(f"not done within {deadline:g} seconds"))
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCELLED)
        return False


class _Timer:
    """A pending call of `Background.call_later`."""

    __slots__ = ("_background", "_callback", "_name", "_timer")

    def __init__(self, background: Background, name: str, delay: float, callback: Callable[[], object]) -> None:
        self._background = background
        self._name = name
        self._callback = callback
        self._timer = background.clock.call_later(delay, self._fire)
        background.timers.add(self)

    def cancel(self) -> None:
        self._timer.cancel()
        self._background.timers.discard(self)

    def _fire(self) -> None:
        self._background.timers.discard(self)
        self._background.attempt(self._name, self._callback)
