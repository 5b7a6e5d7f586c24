"""The secret that signs tokens, if the operator sets none: kept in Redis, so that tokens outlive the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.redis.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.clock import Clock
    from passerby.redis.client import Redis

_NAME: Final = "passerby:secret"
_LENGTH: Final = 32
"""Minimum characters; what is shorter was not made here."""
LIFETIME: Final = 30 * 24 * 3600
"""Seconds that the secret is kept after its last renewal."""
_RENEWAL: Final = 24 * 3600.0
"""Seconds between two renewals."""


class SharedSecret:
    """Keeps one secret in Redis: the first that anybody kept."""

    def __init__(self, redis: Redis, clock: Clock, secret: str, adopt: Callable[[str], None]) -> None:
        """`secret` is kept if there is none. `adopt` is called with the one that is to be used, once it is known."""
        self._redis = redis
        self._clock = clock
        self._secret = secret
        self._adopt = adopt

    async def keep(self) -> None:
        """Read the secret, or write it again if Redis has lost it. Raises RedisError."""
        key = self._redis.key(_NAME)
        try:
            found = await self._redis.command("SET", key, self._secret, "NX", "GET", "EX", LIFETIME)
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            found = b""
        if isinstance(found, bytes) and len(found) >= _LENGTH and found.isascii():
            self._secret = found.decode()
        if found is not None:  # kept for longer, or in the place of what is no secret
            await self._redis.command("SET", key, self._secret, "EX", LIFETIME)
        self._adopt(self._secret)

    async def renew(self) -> None:
        """One step of a loop: wait a day, then keep it for longer, if Redis can be used. Raises RedisError."""
        await sleep(self._clock, _RENEWAL)
        if self._redis.is_usable:
            await self.keep()
