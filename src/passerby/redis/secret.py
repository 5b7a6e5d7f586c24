"""The secret that signs tokens, if the operator sets none: kept in Redis, so that tokens outlive the process."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from passerby.background import Background
from passerby.clock import sleep
from passerby.redis.client import Redis, RedisError

if TYPE_CHECKING:
    from passerby.clock import Clock

_NAME: Final = "passerby:secret"
_BYTES: Final = 48
_LENGTH: Final = 32
"""Minimum characters; what is shorter was not made here."""
LIFETIME: Final = 30 * 24 * 3600
"""Seconds that the secret is kept after its last renewal."""
_RENEWAL: Final = 24 * 3600.0
"""Seconds between two renewals."""
_WAIT: Final = 1.5
"""Seconds at the start to wait for Redis."""


async def shared_secret(url: str, prefix: str, clock: Clock) -> str | None:
    """Return the secret in Redis, made now if there is none; None if Redis cannot be used. Raises SettingsError."""
    background = Background(clock)
    redis = Redis(url, prefix, background, is_logged=False)
    redis.start()
    try:
        if not await redis.ready(_WAIT):
            return None
        candidate = secrets.token_urlsafe(_BYTES)
        known = await redis.command("SET", redis.key(_NAME), candidate, "NX", "GET", "EX", LIFETIME)
        secret = known.decode() if isinstance(known, bytes) else candidate
        return secret if len(secret) >= _LENGTH else None
    except (RedisError, UnicodeError):
        return None
    finally:
        await redis.close()
        await background.stop(_WAIT)


class SharedSecret:
    """Keeps the secret in Redis."""

    def __init__(self, redis: Redis, secret: str, clock: Clock) -> None:
        """`secret` is the one in use."""
        self._redis = redis
        self._secret = secret
        self._clock = clock

    async def renew(self) -> None:
        """One step of a loop: wait a day, then keep it for longer, if Redis can be used. Raises RedisError."""
        await sleep(self._clock, _RENEWAL)
        if self._redis.is_usable:
            await self.keep()

    async def keep(self) -> None:
        """Write it again, also after Redis has lost it. Raises RedisError."""
        await self._redis.command("SET", self._redis.key(_NAME), self._secret, "EX", LIFETIME)
