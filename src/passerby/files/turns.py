"""Shares the event loop among uploads: all together take a bounded time of each of its iterations."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET: Final = 0.001
"""Seconds of an iteration after which no further upload gets a turn in it."""


class Turns:
    """The turns of all uploads, in the order in which they ask.

    While nobody waits, an upload gets its turn at once. When the budget of an iteration is used up, the others wait,
    and then one of them has a turn in an iteration.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        """`timer` counts seconds."""
        self._timer = timer
        self._left = BUDGET
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_next_planned = False

    async def wait(self) -> None:
        """Wait for a turn."""
        if self._left > 0 and not self._waiting:
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._plan()
        try:
            await turn
        except asyncio.CancelledError:
            self._plan()  # the turn may have been given to the one that does not take it
            raise

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Count what is done in the block. It has no `await`."""
        began = self._timer()
        try:
            yield
        finally:
            self._left -= self._timer() - began
            self._plan()

    def end(self) -> None:
        """End the turn: whoever asks next has to wait for the next iteration."""
        self._left = 0
        self._plan()

    def _plan(self) -> None:
        if not self._is_next_planned:
            self._is_next_planned = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Begin an iteration."""
        self._is_next_planned = False
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._left = 0  # all of it is for this one
                turn.set_result(None)
                return
        self._left = BUDGET
