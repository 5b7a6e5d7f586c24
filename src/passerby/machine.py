"""Watches what the machine gives (memory, disk, the time), and warns an operator before guests feel a lack of it.

As memory nears `MEMORY_LIMIT`, newcomers and uploads are refused, so that the conversations that are there go on: a
process that the system kills for want of memory loses all of them.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.errors import StorageFullError, UnavailableError
from passerby.logs import Sampled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from passerby.clock import Clock

log = logging.getLogger(__name__)

_INTERVAL: Final = 1.0
"""Seconds between two looks at memory."""
FRESH: Final = 0.05
"""Seconds for which a look is good enough to let somebody in: many can come, and much, between two that are a second
apart. So however many come, there are 20 looks a second at most; one takes some 10 µs."""
_SHORT: Final = 0.95
"""Part of the limit from which on memory is short."""
_EASY: Final = 0.9
"""Part of the limit below which it is not short any more."""
_RETRY: Final = 30.0
"""Seconds until a refused client should try again."""
_DISK_INTERVAL: Final = 60.0
"""Seconds between two looks at the disk."""
_CLOCK_INTERVAL: Final = 60.0
"""Seconds between two looks at the clock."""
_CLOCK_MOVES: Final = 5.0
"""Seconds by which a clock moves that was set; one that is kept right by NTP moves by milliseconds."""
_DISK: Final = 0.05
"""Free part of a disk below which it is nearly full; but see _DISK_BYTES."""
_DISK_BYTES: Final = 1 << 30
"""With so many bytes free, no disk is nearly full."""


def resident() -> int:
    """Return the bytes of memory that the process takes; 0 where the system does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - each second, of a file in memory
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class MemoryBudget:
    """Whether there is memory for more guests."""

    def __init__(self, limit: int, clock: Clock, read: Callable[[], int] = resident) -> None:
        """`limit` is in bytes; 0: there is none. `read` returns the bytes that the process takes."""
        self.limit = limit
        self._clock = clock
        self._read = read
        self._refused = Sampled(log.warning, "memory is short: a newcomer or an upload was refused", clock.monotonic)
        self.is_short = False
        self._used = 0
        """Bytes at the last look."""
        self._looked = float("-inf")

    async def keep(self) -> None:
        """Look, then wait for a second."""
        self.look()
        await sleep(self._clock, _INTERVAL)

    def look(self) -> None:
        """Notice whether memory is short now."""
        if not self.limit:
            self.is_short = False
            return
        self._looked = self._clock.monotonic()
        used = self._used = self._read()
        was_short, self.is_short = self.is_short, used >= self.limit * (_EASY if self.is_short else _SHORT)
        if self.is_short and not was_short:
            log.error("memory nears MEMORY_LIMIT: newcomers and uploads are refused", extra={"bytes": used})
        elif was_short and not self.is_short:
            log.info("there is memory again for newcomers and uploads", extra={"bytes": used})

    def check_session(self) -> None:
        """Raise UnavailableError if there is no memory for another session."""
        self._look_again()
        if self.is_short:
            self._refused.note()
            raise UnavailableError(["memory for more guests"], retry_after=_RETRY)

    def check_upload(self, size: int = 0) -> None:
        """Raise StorageFullError if there is no memory for an upload, or for `size` bytes of one."""
        self._look_again()
        if self.is_short or (self.limit and self._used + size >= self.limit * _SHORT):
            self._refused.note()
            raise StorageFullError(_RETRY)

    def _look_again(self) -> None:
        if self._clock.monotonic() - self._looked >= FRESH:
            self.look()


class DiskWatch:
    """Warns, once an hour at most, that a disk is nearly full."""

    def __init__(self, folders: dict[str, Path], clock: Clock) -> None:
        """`folders` are looked at, by the name of their setting; those that are not there count as their parents."""
        self._folders = folders
        self._clock = clock
        self._warned: dict[str, float] = {}

    async def keep(self) -> None:
        """Look, then wait for a minute."""
        for setting, folder in self._folders.items():
            self._look(setting, folder)
        await sleep(self._clock, _DISK_INTERVAL)

    def _look(self, setting: str, folder: Path) -> None:
        there = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if there is None:
            return
        disk = shutil.disk_usage(there)
        now = self._clock.monotonic()
        if disk.free >= min(disk.total * _DISK, _DISK_BYTES):
            self._warned.pop(setting, None)
        elif now >= self._warned.get(setting, float("-inf")):
            self._warned[setting] = now + 3600
            log.error("a disk is nearly full", extra={"setting": setting, "free": disk.free})


class ClockWatch:
    """Warns that the system's clock was set, or runs wrongly: tokens, links and bans end by it."""

    def __init__(self, clock: Clock) -> None:
        """Compare its wall time with its monotonic time from now on."""
        self._clock = clock
        self._offset = self._now()

    def _now(self) -> float:
        return self._clock.time() - self._clock.monotonic()

    async def keep(self) -> None:
        """Wait for a minute, then look."""
        await sleep(self._clock, _CLOCK_INTERVAL)
        moved = self._now() - self._offset
        if abs(moved) >= _CLOCK_MOVES:
            self._offset += moved
            log.warning("the system's clock was set while the server ran", extra={"seconds": round(moved)})
