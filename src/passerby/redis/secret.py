"""The secret that signs tokens, if the operator sets none: kept in Redis, so that tokens outlive the process.

Until a process knows it, because it has just begun, or because Redis is away, it signs with a secret of its own. Redis
gets that too, behind the one that it has: later processes accept the tokens that guests got meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from passerby.clock import sleep
from passerby.redis.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.clock import Clock
    from passerby.redis.client import Redis, Reply

_NAME: Final = "passerby:secret"
_LENGTH: Final = 32
"""Minimum characters; what is shorter was not made here."""
MOST: Final = 16
"""Secrets that are kept at most: the one that signs, and the newest of the others. Who comes in the first moments of a
process gets a token of its own secret, so there may be one for each start."""
LIFETIME: Final = 30 * 24 * 3600
"""Seconds that the secrets are kept after their last renewal."""
_RENEWAL: Final = 24 * 3600.0
"""Seconds between two renewals."""


class SharedSecret:
    """Keeps secrets in Redis, with spaces between them: the first that anybody kept signs, the others are accepted."""

    def __init__(
        self,
        redis: Redis,
        clock: Clock,
        secret: str,
        adopt: Callable[[tuple[str, ...]], None],
        is_used: Callable[[], bool],
    ) -> None:
        """`secret` is kept if there is none, and as another one if there is one and `is_used()`.

        `adopt` is called with all that are to be used, once they are known; the first signs.
        """
        self._redis = redis
        self._clock = clock
        self._secrets: tuple[str, ...] = (secret,)
        self._adopt = adopt
        self._is_used = is_used
        self._is_adopted = False

    async def keep(self) -> None:
        """Read the secrets, or write them again if Redis has lost them. Raises RedisError."""
        key = self._redis.key(_NAME)
        try:
            found = await self._redis.command("SET", key, " ".join(self._secrets), "NX", "GET", "EX", LIFETIME)
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            found = b""
        kept = _read(found)
        if kept:
            own = self._secrets if self._is_adopted or self._is_used() else ()
            first, *others = dict.fromkeys((*kept, *own))
            self._secrets = (first, *others[1 - MOST :])
        self._is_adopted = True
        self._adopt(self._secrets)
        if found is not None:  # kept for longer, or in the place of what is no secret
            await self._redis.command("SET", key, " ".join(self._secrets), "EX", LIFETIME)

    async def renew(self) -> None:
        """One step of a loop: wait a day, then keep them for longer, if Redis can be used. Raises RedisError."""
        await sleep(self._clock, _RENEWAL)
        if self._redis.is_usable:
            await self.keep()


def _read(found: Reply) -> tuple[str, ...]:
    """Return the secrets of an answer; none if it is something else."""
    if not isinstance(found, bytes) or not found.isascii():
        return ()
    secrets = found.decode().split(" ")
    return tuple(secrets) if all(len(secret) >= _LENGTH for secret in secrets) else ()
