"""Supervised background work: every task that nobody awaits, every loop and every timer of the services.

A failure is logged with the name of what failed, counted, and ends nothing but the one attempt. Where a guest waits
for the work, `failed` tells them; see docs/architecture.md, "When something fails".
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
"""Seconds before a loop whose step has failed goes on; twice as long for each further failure in a row."""
LONGEST_PAUSE: Final = 30.0
"""Seconds that a loop pauses at most: what has failed for long is tried again twice a minute."""
_CANCELLED: Final = 1.0
"""Seconds that cancelled work has to end: long enough for a `finally`."""


class Background:
    """The tasks, loops and timers of one process. `stop` leaves none of them running."""

    def __init__(self, clock: Clock) -> None:
        """Wait by `clock`."""
        self.clock = clock
        self._tasks: set[asyncio.Task[bool]] = set()
        self._loops: set[asyncio.Task[None]] = set()
        self.timers: set[_Timer] = set()
        """Those that are pending."""
        self.failures: Counter[str] = Counter()
        """How often each kind of work has failed, by its name."""

    # ── failures ──────────────────────────────────────────────────────────────────────────────────

    def failed(self, name: str, error: BaseException) -> None:
        """Log and count a failure of the work called `name`."""
        self.failures[name] += 1
        log.error("%s failed", name, exc_info=error, extra={"failures": self.failures[name]})

    def attempt(self, name: str, work: Callable[..., object], *arguments: object) -> bool:
        """Call `work(*arguments)`, one of several steps that all must be tried; tell whether it went well."""
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next step is tried
            self.failed(name, error)
            return False
        return True

    # ── work ──────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, name: str, work: Coroutine[Any, Any, None], failed: Callable[[], object] | None = None
    ) -> asyncio.Task[bool]:
        """Run `work` in a task. Should it fail, `failed` is called: whoever waits for it must learn of it."""
        task = asyncio.get_running_loop().create_task(self._ends_well(name, work, failed), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ends_well(self, name: str, work: Awaitable[None], failed: Callable[[], object] | None = None) -> bool:
        try:
            await work
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self.failed(name, error)  # not ours: something that it awaited was cancelled
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told of and ends nothing else
            self.failed(name, error)
        else:
            return True
        if failed is not None:
            self.attempt(f"{name}, telling so", failed)
        return False

    def repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        """Await `step()` again and again until `stop`; a step that fails is followed by a pause, then the next one."""
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
        """Call `callback` once, `delay` seconds (≥ 0) from now, unless it is cancelled or `stop` comes first."""
        return _Timer(self, name, delay, callback)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """Wait until all that was started has ended, and all that it started; loops go on."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self, deadline: float) -> None:
        """End the loops, give what was started `deadline` seconds (real ones) to end, then cancel it."""
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
        """Await a step for `deadline` seconds at most, whatever it raises; tell whether it went well."""
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
