"""A key that tells whether a server still has our data: FLUSHALL, or a failover that lost data, changes nothing else.

All processes of one Passerby share its value. Whoever finds the key missing sets another value, so all notice it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from passerby.redis.errors import RedisError, RefusedError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from passerby.redis.connection import Connection, Reply

MARKER: Final = "passerby:marker"
"""The key, after the prefix."""
MARKER_TTL: Final = 60
"""Seconds that it lives; each look renews it."""


class Marker:
    """The marker of one server."""

    def __init__(
        self,
        connection: Connection,
        key: str,
        missed: Callable[[], None],
        refused: Callable[[RefusedError], None] | None = None,
    ) -> None:
        """Look at `key` again and again; `missed` is called when it is missing or has another value.

        `refused` is called when the look is refused.
        """
        self._connection = connection
        self._key = key
        self._missed = missed
        self._refused = refused
        self._value: bytes | None = None

    async def claim(self) -> None:
        """Set the key if it is missing, or none of ours: also the proof that the server takes writes.

        Raises RedisError.
        """
        fresh = secrets.token_hex(8)
        try:
            reply = await self._connection.command("SET", self._key, fresh, "NX", "GET", "EX", MARKER_TTL)
        except RefusedError as error:
            if error.code != "WRONGTYPE":
                raise
            await self._connection.command("SET", self._key, fresh, "EX", MARKER_TTL)
            reply = None
        if not (reply is None or isinstance(reply, bytes)):
            raise UnfitError("it answers what was not asked")
        self._value = fresh.encode() if reply is None else reply
        self._connection.ask = self._look

    def _look(self) -> None:
        self._connection.send(self._seen, ("GETEX", self._key, "EX", MARKER_TTL))

    def _seen(self, reply: Reply | RedisError) -> None:
        if isinstance(reply, RefusedError):
            if self._refused is not None:
                self._refused(reply)
        elif not isinstance(reply, RedisError) and reply != self._value:
            self._missed()
