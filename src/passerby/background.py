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

from passerby.clock import nothing, sleep

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from passerby.clock import Clock, Timer

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.1
"""Seconds before a failed loop runs its next step; doubled after each further failure in a row."""
ANSWER_LIMIT: Final = 10.0
"""Seconds that loops and searches wait for one answer of an adapter: longer than any answer of one that works."""
LOG_INTERVAL: Final = 1.0
"""Minimum number of seconds between two log records about the same work; all failures are counted."""
LONGEST_PAUSE: Final = 30.0
"""Maximum pause of a loop in seconds: a loop that keeps failing is retried twice a minute."""
_CANCELLED: Final = 1.0
"""Seconds that cancelled work has to end: enough for its `finally` blocks."""


FAILURES: Final = BaseException
"""What awaited work may raise when it fails. Libraries in other languages raise what is no Exception, and a
cancellation may be of something that the work awaited, see `is_failure`."""
_INTERRUPTIONS: Final = (KeyboardInterrupt, SystemExit)
"""What ends the process, whoever raises it."""


def is_failure(error: BaseException) -> bool:
    """Return whether one of FAILURES is an error of the work.

    It is none if the process is to end, or the running task is cancelled, or its coroutine is closed unfinished.
    """
    if isinstance(error, asyncio.CancelledError):
        return not _is_cancelled()
    if isinstance(error, GeneratorExit):
        return _current_task() is not None  # a coroutine is closed after its event loop has ended
    return not isinstance(error, _INTERRUPTIONS)


async def _called(work: Callable[[], Awaitable[object]]) -> None:
    """Call `work`, which may raise at once, and await what it returns."""
    await work()


def _is_cancelled() -> bool:
    task = _current_task()
    return task is not None and task.cancelling() > 0


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop is running
        return None


class Background:
    """The tasks, loops and timers of one process. After `stop` none of them runs, and none begins."""

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
        self._is_stopped = False

    # ── failures ──────────────────────────────────────────────────────────────────────────────────

    def failed(self, name: str, error: BaseException, **details: str) -> None:
        """Count a failure of the work called `name`, and log it, at most once a second for each name.

        With `details`, by which somebody may look for it later, there is at least a short line each time.
        """
        self.failures[name] += 1
        now = self.clock.monotonic()
        if now - self._logged.get(name, -LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged[name] = now
            log.error("%s failed", name, exc_info=error, extra={"failures": self.failures[name], **details})
        elif details:
            log.error("%s failed", name, extra={"error": type(error).__name__, **details})

    def attempt(self, name: str, work: Callable[..., object], *arguments: object) -> bool:
        """Call `work(*arguments)`; return whether it succeeded. An exception is logged, so later steps still run."""
        try:
            work(*arguments)
        except _INTERRUPTIONS:
            raise
        except BaseException as error:  # noqa: BLE001 - the next step must run after any error
            self.failed(name, error)
            return False
        return True

    # ── work ──────────────────────────────────────────────────────────────────────────────────────

    def start(
        self, name: str, work: Coroutine[Any, Any, None], failed: Callable[[], object] | None = None
    ) -> asyncio.Future[bool]:
        """Run `work` in a task. If it fails, `failed` is called, so that a waiting client can be informed.

        After `stop` the work does not begin, and nobody is told.
        """
        loop = asyncio.get_running_loop()
        if self._is_stopped:
            work.close()
            refused = loop.create_future()
            refused.set_result(False)
            return refused
        task = loop.create_task(self._ends_well(name, work, failed), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _ends_well(self, name: str, work: Awaitable[object], failed: Callable[[], object] | None = None) -> bool:
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
        """Await `step()` repeatedly until `stop`. After a failed step there is a pause (exponential back-off).

        A step may wait as long as it likes for what it is about. For an answer of an adapter it waits within
        `clock.time_limit`, because a step that hangs is not noticed here.
        """
        if self._is_stopped:
            return
        task = asyncio.get_running_loop().create_task(self._repeat(name, step), name=name)
        self._loops.add(task)
        task.add_done_callback(self._loops.discard)

    async def _repeat(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        pause = 0.0
        while True:
            if await self._ends_well(name, _called(step)):
                pause = 0.0
            else:
                pause = min(max(FIRST_PAUSE, pause * 2), LONGEST_PAUSE)
                await sleep(self.clock, pause)

    def call_later(self, name: str, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, `delay` seconds (≥ 0) from now, unless it is cancelled or `stop` is called first."""
        timer = _Timer(self, name, delay, callback)
        if self._is_stopped:
            timer.cancel()
        return timer

    # ── stopping ──────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """Wait until all started tasks have ended, including tasks that they start. Loops continue."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self, deadline: float) -> None:
        """Like `wind_down`, and from now on nothing begins."""
        self._is_stopped = True
        await self.wind_down(deadline)

    async def wind_down(self, deadline: float) -> None:
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

    async def finish(self, name: str, work: Callable[[], Awaitable[object]], deadline: float | None) -> bool:
        """Await `work()` for at most `deadline` seconds; return whether it succeeded. Its exceptions are logged.

        Raises only what ends the process: KeyboardInterrupt, SystemExit.
        """
        task = asyncio.get_running_loop().create_task(self._outcome(name, work), name=name)
        try:
            done, _ = await asyncio.wait({task}, timeout=deadline)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if done:
            outcome = task.result()
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        self.failed(name, TimeoutError(f"not done within {deadline:g} seconds"))
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCELLED)
        return False

    async def _outcome(self, name: str, work: Callable[[], Awaitable[object]]) -> bool | BaseException:
        """Return whether `work()` succeeds, or what ends the process: raised in a task, it would end the event loop."""
        try:
            return await self._ends_well(name, _called(work))
        except _INTERRUPTIONS as error:
            return error


class Stopping:
    """The one run of the steps that stop something. Every step runs, whatever another raises."""

    def __init__(self, background: Background, steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """`steps` calls `step` for each."""
        self._background = background
        self._steps = steps
        self._task: asyncio.Task[None] | None = None
        self._interruption: BaseException | None = None

    @property
    def has_begun(self) -> bool:
        """Return whether anybody has called for it."""
        return self._task is not None

    async def run(self) -> None:
        """Run the steps, or wait until the run that has begun ends. Raises what a step raised to end the process.

        A caller who is cancelled waits all the same, because the event loop may end with it. Each step has a deadline.
        """
        interruption: BaseException | None = None
        # No step ends the task: one that is cancelled was so before it began, by an event loop that ends.
        while self._task is None or not self._task.done() or self._task.cancelled():
            if self._task is None or self._task.cancelled():
                self._task = asyncio.get_running_loop().create_task(self._steps(), name="stop")
            try:
                await asyncio.wait({self._task})
            except asyncio.CancelledError as error:
                interruption = error
        interruption = self._interruption or interruption
        if interruption is not None:
            raise interruption

    async def step(self, name: str, work: Callable[[], Awaitable[object]], deadline: float | None) -> bool:
        """Await `work()` for at most `deadline` seconds; return whether it succeeded."""
        try:
            return await self._background.finish(name, work, deadline)
        except BaseException as error:  # noqa: BLE001 - the next steps run, then `run` raises it
            self._interruption = self._interruption or error
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
        self._callback = nothing  # it may refer to this timer
        self._background.timers.discard(self)

    def _fire(self) -> None:
        callback = self._callback
        self.cancel()
        self._background.attempt(self._name, callback)
