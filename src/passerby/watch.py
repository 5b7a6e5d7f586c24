"""Watches the process: notices when it has no file descriptors left, so that it cannot accept connections."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING, Any, Final

from passerby.clock import sleep
from passerby.logs import Sampled

if TYPE_CHECKING:
    import asyncio

    from passerby.clock import Clock

log = logging.getLogger(__name__)

TICK: Final = 1.0
"""Seconds between two looks."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE)


class Watch:
    """Looks once a second. The log has at most one line a minute."""

    def __init__(self, clock: Clock) -> None:
        """Nothing runs until `look` is repeated."""
        self._clock = clock
        self._exhausted = Sampled(
            log.error, "no file descriptors left: new connections are refused (see ulimit -n)", clock.monotonic
        )

    async def look(self) -> None:
        """Wait for the next look, and look."""
        await sleep(self._clock, TICK)
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
