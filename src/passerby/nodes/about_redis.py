"""What operators want to know of a node: `about:<node id>` is a hash with its machine, its process, and its clock.

Nothing in Passerby reads it but `passerby doctor`. It stays a while after the node's end: of a node that is frozen,
nothing else says where it is.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.redis.client import RedisError, Script

if TYPE_CHECKING:
    from passerby.clock import Clock
    from passerby.redis.client import Redis

LIFETIME: Final = 300
"""Seconds that it lasts after it was written the last time."""
EVERY: Final = 5.0
"""Seconds between two times: so soon it is seen that a clock was set."""
_WRITE: Final = Script(Path(__file__).with_name("about.lua"))


class RedisAbout:
    """Writes it for one node."""

    def __init__(self, redis: Redis, node: str, clock: Clock) -> None:
        """`clock` is the one that is to be compared."""
        self._redis = redis
        self._key = redis.key(f"about:{node}")
        self._clock = clock

    async def write(self) -> None:
        """Write it. Raises RedisError."""
        now = round(self._clock.time() * 1000)
        await self._redis.run(_WRITE, [self._key], socket.gethostname(), os.getpid(), now, LIFETIME)

    async def keep(self) -> None:
        """Write it if Redis can be used, and wait: one step of a loop."""
        if self._redis.is_usable:
            with contextlib.suppress(RedisError):  # the next one may succeed
                await self.write()
        await sleep(self._clock, EVERY)

    async def close(self) -> None:
        """The node ends."""
        if self._redis.is_usable:
            self._redis.send(_nobody_waits, "DEL", self._key)


def _nobody_waits(_: object) -> None:
    """Ignore the answer: it expires by itself."""
